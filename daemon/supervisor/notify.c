/* SPDX-License-Identifier: MIT */
/*
 * notify.c - telling the service manager how we are
 *
 * Runs in:  the supervisor.
 * Owns:     nothing.
 * Failures: ignored: the manager is an onlooker, service goes on without it.
 */
#include "supervisor/notify.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "common/clock.h"

#define NAMES_SIZE 256

void
notify_starting(uint64_t usec)
{
    (void)sd_notifyf(0, "EXTEND_TIMEOUT_USEC=%" PRIu64, usec);
}

void
notify_ready(void)
{
    (void)sd_notify(0, "READY=1");
}

/* The message carries its time: a manager that asked for the reload would otherwise take an older
 * message for this one. */
void
notify_reloading(void)
{
    (void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, monotonic_usec());
}

void
notify_stopping(uint64_t usec)
{
    (void)sd_notifyf(0, "STOPPING=1\nEXTEND_TIMEOUT_USEC=%" PRIu64, usec);
}

static size_t
count_in(struct listener *const *listeners, size_t count, enum listener_state state)
{
    size_t found = 0;

    for (size_t i = 0; i < count; i++)
        found += listener_state(listeners[i]) == state;
    return found;
}

/* Writes " (NAME, NAME, ...)", the listeners in the state, and cuts it where the buffer ends. */
static void
list_names(struct listener *const *listeners, size_t count, enum listener_state state, char *buffer,
           size_t size)
{
    size_t used = 0;

    buffer[0] = '\0';
    for (size_t i = 0; i < count && used + 8 < size; i++) {
        if (listener_state(listeners[i]) != state)
            continue;
        int written = snprintf(buffer + used, size - used, "%s%s", used == 0 ? " (" : ", ",
                               listener_settings(listeners[i])->name);
        if (written < 0 || (size_t)written + 2 > size - used) {
            (void)snprintf(buffer + used, size - used, "...");
            used += strlen(buffer + used);
            break;
        }
        used += (size_t)written;
    }
    if (used > 0)
        (void)snprintf(buffer + used, size - used, ")");
}

void
notify_status(struct listener *const *listeners, size_t count)
{
    static const enum listener_state others[] = {LISTENER_STARTING, LISTENER_FAILED,
                                                 LISTENER_BACKING,  LISTENER_DRAINING,
                                                 LISTENER_DRAINED,  LISTENER_STOPPED};
    char text[sizeof(others) / sizeof(others[0]) * (NAMES_SIZE + 48)];
    char names[NAMES_SIZE];
    int used = snprintf(text, sizeof(text), "STATUS=%zu serving",
                        count_in(listeners, count, LISTENER_SERVING));

    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        size_t found = count_in(listeners, count, others[i]);
        if (found == 0)
            continue;
        list_names(listeners, count, others[i], names, sizeof(names));
        used += snprintf(text + used, sizeof(text) - (size_t)used, ", %zu %s%s", found,
                         listener_state_name(others[i]), names);
    }
    (void)sd_notify(0, text);
}
