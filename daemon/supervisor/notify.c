/* SPDX-License-Identifier: MIT */
/*
 * notify.c - telling the service manager how we are
 *
 * What cannot be sent at once is kept (common/service_manager.c) and tried again
 * from a timer. The watchdog is told from a timer of our own, too: sd-event
 * would wait for a manager that does not read.
 *
 * Runs in:  the supervisor.
 * Owns:     the two timers, from notify_begin() until notify_end().
 * Failures: ignored: the manager is an onlooker, service goes on without it.
 *           What is wrong with its variables is logged once.
 */
#include "supervisor/notify.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/printable.h"
#include "common/service_manager.h"

#define NAMES_SIZE  256
#define RETRY_USEC  UINT64_C(5000)    /* until what is kept is tried again; doubled each time */
#define LONGEST     UINT64_C(160000)  /* until then at most */
#define LINGER_USEC UINT64_C(2000000) /* for what is still kept when everything else is done */

static sd_event_source *retry, *watchdog;
static uint64_t retry_usec, watchdog_usec;

/* ---- what is kept --------------------------------------------------------------------------- */

static void
try_later(uint64_t usec)
{
    retry_usec = usec;
    if (retry == NULL)
        return;
    (void)sd_event_source_set_time(retry, monotonic_usec() + usec);
    (void)sd_event_source_set_enabled(retry, SD_EVENT_ONESHOT);
}

static int
on_retry(sd_event_source *source, uint64_t when, void *userdata)
{
    (void)source, (void)when, (void)userdata;
    if (service_manager_flush() > 0)
        try_later(retry_usec * 2 < LONGEST ? retry_usec * 2 : LONGEST);
    return 0;
}

static void
tell(const char *key, const char *text)
{
    service_manager_tell(key, text);
    notify_look();
}

void
notify_look(void)
{
    int enabled = SD_EVENT_OFF;

    if (retry == NULL || (sd_event_source_get_enabled(retry, &enabled) >= 0 && enabled))
        return;
    if (service_manager_flush() > 0)
        try_later(RETRY_USEC);
}

/* ---- the watchdog --------------------------------------------------------------------------- */

static int
on_watchdog(sd_event_source *source, uint64_t when, void *userdata)
{
    (void)when, (void)userdata;
    tell("WATCHDOG", "WATCHDOG=1");
    (void)sd_event_source_set_time(source, monotonic_usec() + watchdog_usec / 3);
    return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* Reads a variable that holds a whole number, greater than 0. Returns 0 if it is missing or holds
 * something else; the latter is logged. */
static uint64_t
read_variable(const char *name, const char *meaning)
{
    const char *text = getenv(name);
    char *end;

    if (text == NULL)
        return 0;
    errno = 0;
    uintmax_t number = strtoumax(text, &end, 10);
    if (*text >= '0' && *text <= '9' && *end == '\0' && errno == 0 && number > 0 &&
        number < UINT64_MAX)
        return number;
    _cleanup_free_ char *shown = printable_text(text, 80);
    log_warning("%s: found \"%s\"; expected %s: the watchdog is not told anything", name,
                shown == NULL ? "?" : shown, meaning);
    return 0;
}

/* Returns how often the manager must hear of us; 0: it does not ask for that. */
static uint64_t
find_watchdog(void)
{
    uint64_t usec = read_variable("WATCHDOG_USEC", "a number of microseconds above 0"), pid;

    if (usec == 0 || getenv("WATCHDOG_PID") == NULL)
        return usec;
    pid = read_variable("WATCHDOG_PID", "a process's number");
    return pid == (uint64_t)getpid() ? usec : 0; /* another's is meant for another process */
}

static int
watch(sd_event *event)
{
    watchdog_usec = find_watchdog();
    if (watchdog_usec == 0)
        return 0;
    int r = sd_event_add_time(event, &watchdog, CLOCK_MONOTONIC, 0, watchdog_usec / 10 + 1,
                              on_watchdog, NULL);
    /* However much there is to do, this comes first. */
    return r < 0 ? r : sd_event_source_set_priority(watchdog, SD_EVENT_PRIORITY_IMPORTANT);
}

/* ---- beginning and end ---------------------------------------------------------------------- */

int
notify_begin(sd_event *event)
{
    const char *problem = service_manager_problem();

    if (!service_manager_exists())
        return 0;
    if (problem != NULL)
        log_warning("NOTIFY_SOCKET: %s: the service manager is not told anything", problem);
    int r = service_manager_open();
    if (r >= 0)
        r = sd_event_add_time(event, &retry, CLOCK_MONOTONIC, 0, 1000, on_retry, NULL);
    if (r >= 0)
        r = sd_event_source_set_enabled(retry, SD_EVENT_OFF);
    if (r >= 0)
        r = watch(event);
    if (r < 0)
        notify_end();
    return r < 0 ? r : 0;
}

void
notify_end(void)
{
    retry = sd_event_source_disable_unref(retry);
    watchdog = sd_event_source_disable_unref(watchdog);
    service_manager_close();
}

void
notify_last(void)
{
    service_manager_linger(LINGER_USEC);
}

/* ---- how we are ----------------------------------------------------------------------------- */

void
notify_starting(uint64_t usec)
{
    char text[64];

    (void)snprintf(text, sizeof(text), "EXTEND_TIMEOUT_USEC=%" PRIu64, usec);
    tell("EXTEND_TIMEOUT", text);
}

void
notify_ready(void)
{
    tell("READY", "READY=1");
}

/* The message carries its time: a manager that asked for the reload would otherwise take an older
 * message for this one. */
void
notify_reloading(void)
{
    char text[64];

    service_manager_forget("READY"); /* of the reload before this one */
    (void)snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, monotonic_usec());
    tell("RELOADING", text);
}

void
notify_stopping(uint64_t usec)
{
    char text[64];

    (void)snprintf(text, sizeof(text), "STOPPING=1\nEXTEND_TIMEOUT_USEC=%" PRIu64, usec);
    tell("STOPPING", text);
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
    tell("STATUS", text);
}
