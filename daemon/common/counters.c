/* SPDX-License-Identifier: MIT */
/*
 * counters.c - making, mapping and adding up the counters of a worker
 *
 * Runs in:  the supervisor creates and sums; a worker attaches and writes.
 * Owns:     the mapping, until counters_detach(). Descriptors are the callers'.
 * Failures: returned as negative errno.
 */
#include "common/counters.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"

#define SLOTS_MAX 2000000u

#define COUNTER(field) offsetof(struct slot, field), offsetof(struct counter_sums, field), 0
#define WORKER_COUNTER(field)                                                                      \
    0, offsetof(struct counter_sums, field), offsetof(struct counters, field)
const struct counter counter_table[COUNTER_COUNT] = {
    {"accepted", COUNTER_REQUESTS, COUNTER(accepted), "connections accepted, datagrams received"},
    {"refused", COUNTER_REQUESTS, COUNTER(refused),
     "requests that a gate or verify_request refused"},
    {"failed", COUNTER_REQUESTS, COUNTER(failed),
     "requests whose setup or handle failed, or whose handler ended its thread or process"},
    {"vanished", COUNTER_REQUESTS, COUNTER(vanished), "requests whose client went away"},
    {"cut", COUNTER_REQUESTS, COUNTER(cut),
     "requests cut by a drain's deadline, request_timeout, spin_limit or an operator"},
    {"truncated", COUNTER_REQUESTS, COUNTER(truncated), "datagrams longer than max_packet_size"},
    {"bytes_in", COUNTER_BYTES, COUNTER(bytes_in), "bytes received from clients"},
    {"bytes_out", COUNTER_BYTES, COUNTER(bytes_out), "bytes sent to clients"},
    {"busy_us", COUNTER_NANOSECONDS, COUNTER(busy_ns),
     "microseconds from accept to close, over all requests"},
    {"idle_ended", COUNTER_REQUESTS, COUNTER(idle_ended),
     "requests whose client sent nothing for read_timeout, or took nothing for write_timeout"},
    {"unsent", COUNTER_REQUESTS, COUNTER(unsent),
     "answers to datagrams that were dropped, because their receiver does not read"},
    {"denied", COUNTER_REQUESTS, COUNTER(denied),
     "of those refused, requests that allow or deny refused"},
    {"unannounced", COUNTER_REQUESTS, COUNTER(unannounced),
     "of those refused, connections without a PROXY header from proxy.trusted"},
    {"slow_ended", COUNTER_REQUESTS, COUNTER(slow_ended),
     "requests that took longer than message_timeout and min_rate, or the handler's deadline, "
     "allow"},
    {"handshakes_failed", COUNTER_REQUESTS, COUNTER(handshakes_failed),
     "of those refused, connections whose TLS handshake failed"},
    {"limited", COUNTER_REQUESTS, COUNTER(limited),
     "of those refused, requests over max_per_source or rate_per_source"},
    {"penalised", COUNTER_REQUESTS, COUNTER(penalised),
     "of those refused, requests of sources under a penalty"},
    {"full", COUNTER_REQUESTS, COUNTER(full),
     "of those refused, connections that came at max_connections (on_full = \"refuse\")"},
    {"done", COUNTER_REQUESTS, COUNTER(done), "requests that ended well"},
    {"rejected", COUNTER_REQUESTS, COUNTER(rejected),
     "of those refused, all others: verify_request refused them"},
    {"cpu_us", COUNTER_CPU, WORKER_COUNTER(cpu_ns),
     "microseconds that its workers, and those of their children that have ended, computed"},
    {"log_lost", COUNTER_LINES, WORKER_COUNTER(log_lost),
     "lines of its workers that the log could not take"},
};
#undef COUNTER
#undef WORKER_COUNTER

static size_t
counters_size(uint32_t slots)
{
    return sizeof(struct counters) + (size_t)slots * sizeof(struct slot);
}

static int
counters_map(int fd, uint32_t slots, struct counters **ret)
{
    void *mapping = mmap(NULL, counters_size(slots), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    if (mapping == MAP_FAILED)
        return -errno;
    *ret = mapping;
    return 0;
}

int
counters_create(uint32_t slots, struct counters **ret_counters, int *ret_fd)
{
    _cleanup_close_ int fd = memfd_create("sockserverd-counters", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    struct counters *counters = NULL;

    if (fd < 0)
        return -errno;
    if (ftruncate(fd, (off_t)counters_size(slots)) < 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
        return -errno;
    int error = counters_map(fd, slots, &counters);
    if (error < 0)
        return error;
    counters->slot_count = slots;
    *ret_counters = counters;
    *ret_fd = take_fd(fd);
    return 0;
}

int
counters_attach(int fd, struct counters **ret_counters)
{
    struct stat status;
    uint32_t slots;

    if (fstat(fd, &status) < 0)
        return -errno;
    if (pread(fd, &slots, sizeof(slots), offsetof(struct counters, slot_count)) != sizeof(slots))
        return -EBADMSG;
    if (slots == 0 || slots > SLOTS_MAX || (size_t)status.st_size != counters_size(slots))
        return -EBADMSG;
    return counters_map(fd, slots, ret_counters);
}

int
counters_attach_own(int fd, uint32_t slots, struct counters **ret_counters)
{
    struct stat status;

    if (fstat(fd, &status) < 0)
        return -errno;
    if (slots == 0 || slots > SLOTS_MAX || (size_t)status.st_size != counters_size(slots))
        return -EBADMSG;
    return counters_map(fd, slots, ret_counters);
}

void
counters_detach(struct counters *counters, uint32_t slots)
{
    if (counters != NULL)
        (void)munmap(counters, counters_size(slots));
}

static uint64_t
counter_at(const void *memory, size_t offset)
{
    const void *field = (const char *)memory + offset;

    return counter_get(*(const _Atomic uint64_t *)field);
}

void
counters_sum(const struct counters *counters, uint32_t slots, struct counter_sums *ret)
{
    struct counter_sums sums = {0};
    uint32_t used = counters_used(counters, slots);

    for (uint32_t i = 0; i < used; i++) {
        const struct slot *slot = &counters->slots[i];
        uint32_t state = counter_get(slot->state);

        sums.active += state == SLOT_BUSY;
        sums.idle += state == SLOT_IDLE;
        for (size_t j = 0; j < COUNTER_COUNT; j++)
            if (counter_table[j].in_slot != 0)
                *counter_in_sums(&sums, &counter_table[j]) +=
                    counter_at(slot, counter_table[j].in_slot);
    }
    for (size_t j = 0; j < COUNTER_COUNT; j++)
        if (counter_table[j].in_worker != 0)
            *counter_in_sums(&sums, &counter_table[j]) =
                counter_at(counters, counter_table[j].in_worker);
    for (size_t i = 0; i < COUNTERS_HISTOGRAMS && i < used; i++)
        for (size_t j = 0; j < HISTOGRAM_BUCKETS; j++)
            sums.handling.buckets[j] += counter_get(counters->handling[i].buckets[j]);
    *ret = sums;
}

void
counter_sums_add_past(struct counter_sums *sums, const struct counter_sums *more)
{
    for (size_t i = 0; i < COUNTER_COUNT; i++)
        *counter_in_sums(sums, &counter_table[i]) += counter_of_sums(more, &counter_table[i]);
    histogram_add(&sums->handling, &more->handling);
}

void
counter_sums_add(struct counter_sums *sums, const struct counter_sums *more)
{
    sums->active += more->active;
    sums->idle += more->idle;
    counter_sums_add_past(sums, more);
}

/* ---- sightings ------------------------------------------------------------------------------ */

struct sighting *
sighting_take(struct counters *counters, int32_t owner)
{
    for (size_t i = 0; i < SIGHTINGS; i++) {
        struct sighting *sighting = &counters->sightings[i];
        int32_t nobody = 0;

        if (!atomic_compare_exchange_strong(&sighting->owner, &nobody, SIGHTING_TAKEN))
            continue;
        sighting->signal = 0;
        sighting->has_address = 0;
        sighting->request = 0;
        atomic_store(&sighting->owner, owner); /* from now on, it may be written */
        return sighting;
    }
    return NULL;
}

void
sightings_forget(struct counters *counters, int32_t owner)
{
    for (size_t i = 0; i < SIGHTINGS; i++) {
        struct sighting *sighting = &counters->sightings[i];

        if (counter_get(sighting->owner) != owner)
            continue;
        atomic_store(&sighting->state, SIGHTING_EMPTY);
        atomic_store(&sighting->owner, 0);
    }
}

const struct sighting *
sighting_of_crash(const struct counters *counters, int32_t process)
{
    for (size_t i = 0; i < SIGHTINGS; i++) {
        const struct sighting *sighting = &counters->sightings[i];

        if (counter_get(sighting->owner) == process && sighting->signal != 0 &&
            atomic_load(&sighting->state) == SIGHTING_WRITTEN)
            return sighting;
    }
    return NULL;
}

void
sighting_describe(const struct sighting *sighting, char *buffer, size_t size)
{
    char place[sizeof(sighting->place)], address[32] = "";
    size_t used = 0;

    buffer[0] = '\0';
    if (sighting == NULL)
        return;
    for (; used < sizeof(place) - 1 && sighting->place[used] != '\0'; used++)
        place[used] = sighting->place[used] > ' ' - 1 && sighting->place[used] < 127
                          ? sighting->place[used]
                          : '?';
    place[used] = '\0';
    if (sighting->has_address)
        (void)snprintf(address, sizeof(address), ", address 0x%" PRIx64, sighting->address);
    (void)snprintf(buffer, size, "%s%s%s", used > 0 ? " at " : "", place, address);
}
