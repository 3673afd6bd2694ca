/* SPDX-License-Identifier: MIT */
/*
 * crash.c - what a worker was doing when it died
 *
 * Its counters outlive it. They may hold anything: a plugin that has gone
 * wild writes everywhere, so numbers are only printed and an address is only
 * read as far as it fits.
 *
 * Runs in:  the supervisor.
 * Owns:     nothing.
 * Failures: what makes no sense is left out.
 */
#include "supervisor/listener/crash.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/address.h"

void
crash_describe_place(const struct counters *counters, pid_t process, char *buffer, size_t size)
{
    sighting_describe(sighting_of_crash(counters, process), buffer, size);
}

void
crash_describe(const struct counters *counters, uint32_t slots, pid_t process, char *buffer,
               size_t size)
{
    const struct sighting *sighting = sighting_of_crash(counters, process);
    uint64_t known = sighting != NULL ? sighting->request : 0;
    const struct slot *latest = NULL;
    char client[ADDRESS_TEXT_SIZE], others[48] = "";
    uint32_t busy = 0, used = counters_used(counters, slots);

    buffer[0] = '\0';
    for (uint32_t i = 0; i < used; i++) {
        const struct slot *slot = &counters->slots[i];
        if (counter_get(slot->state) != SLOT_BUSY)
            continue;
        busy++;
        if (latest == NULL || counter_get(slot->request) == known ||
            (counter_get(latest->request) != known &&
             counter_get(slot->request) > counter_get(latest->request)))
            latest = slot;
    }
    if (latest == NULL)
        return;
    (void)address_format_client(latest->client, sizeof(latest->client), client);
    if (busy > 1)
        (void)snprintf(others, sizeof(others), " (and %" PRIu32 " other%s)", busy - 1,
                       busy > 2 ? "s" : "");
    (void)snprintf(buffer, size, " while it ran request %" PRIu64 "%s%s%s",
                   counter_get(latest->request), client[0] == '\0' ? "" : " of ", client, others);
}
