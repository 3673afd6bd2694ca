/* SPDX-License-Identifier: MIT */
/*
 * roster.c - the listeners that there are
 *
 * A listener that changes is in the middle of something, and so is whoever
 * hears of it. That is why nobody is called back at once: a change asks for
 * one review, and the event loop runs it when all else has returned.
 *
 * Runs in:  the supervisor.
 * Owns:     the listeners, until roster_done().
 * Failures: returned. A retired listener for which there is no memory ends
 *           unwatched.
 */
#include "supervisor/roster.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"

/* ---- review --------------------------------------------------------------------------- */

void
roster_review(struct roster *roster)
{
    (void)sd_event_source_set_enabled(roster->review, SD_EVENT_ONESHOT);
}

static void
on_changed(struct listener *listener, void *userdata)
{
    (void)listener;
    roster_review(userdata);
}

/* ---- beginning and end ------------------------------------------------------------------ */

int
roster_init(struct roster *roster, const struct listener_host *host, sd_event_handler_t review,
            void *userdata)
{
    *roster = (struct roster){.host = *host};
    roster->host.changed = on_changed;
    roster->host.userdata = roster;
    return sd_event_add_defer(host->event, &roster->review, review, userdata);
}

void
roster_done(struct roster *roster)
{
    for (size_t i = 0; i < roster->count; i++)
        listener_free(roster->listeners[i]);
    free(roster->listeners);
    for (size_t i = 0; i < roster->removed_count; i++)
        listener_free(roster->removed[i]);
    free(roster->removed);
    (void)sd_event_source_disable_unref(roster->review);
    *roster = (struct roster){0};
}

/* ---- the lists --------------------------------------------------------------------------- */

/* Appends the listener to one of the lists. 0 or -ENOMEM. */
static int
append(struct listener ***list, size_t *count, struct listener *listener)
{
    struct listener **grown = reallocarray(*list, *count + 1, sizeof(struct listener *));

    if (grown == NULL)
        return -ENOMEM;
    *list = grown;
    grown[(*count)++] = listener;
    return 0;
}

int
roster_add(struct roster *roster, const struct settings *settings, struct listener **ret)
{
    struct listener *listener;
    int r = listener_new(&roster->host, settings, &listener);

    if (r < 0)
        return r;
    if ((r = append(&roster->listeners, &roster->count, listener)) < 0) {
        listener_free(listener);
        return r;
    }
    *ret = listener;
    return 0;
}

void
roster_replace(struct roster *roster, struct listener **listeners, size_t count)
{
    free(roster->listeners);
    roster->listeners = listeners;
    roster->count = count;
}

void
roster_retire(struct roster *roster, struct listener *listener)
{
    if (append(&roster->removed, &roster->removed_count, listener) < 0)
        log_error("out of memory"); /* the listener ends by itself, unwatched */
    else
        roster_review(roster);
}

void
roster_sweep(struct roster *roster)
{
    size_t kept = 0;

    for (size_t i = 0; i < roster->removed_count; i++) {
        struct listener *listener = roster->removed[i];
        if (listener_state(listener) == LISTENER_STOPPED && !listener_has_processes(listener))
            listener_free(listener);
        else
            roster->removed[kept++] = listener;
    }
    roster->removed_count = kept;
}

/* ---- asking and telling the listeners -------------------------------------------------- */

bool
roster_ends(const struct roster *roster)
{
    return roster->leaving || roster->stage == DAEMON_STOPS;
}

struct listener *
roster_find(const struct roster *roster, const char *name)
{
    for (size_t i = 0; i < roster->count; i++)
        if (strcmp(listener_settings(roster->listeners[i])->name, name) == 0)
            return roster->listeners[i];
    return NULL;
}

bool
roster_all_tried(const struct roster *roster)
{
    for (size_t i = 0; i < roster->count; i++)
        if (listener_settings(roster->listeners[i])->enabled &&
            !listener_was_tried(roster->listeners[i]))
            return false;
    return true;
}

bool
roster_any_failed(const struct roster *roster)
{
    for (size_t i = 0; i < roster->count; i++)
        if (listener_state(roster->listeners[i]) == LISTENER_FAILED)
            return true;
    return false;
}

bool
roster_any_problem(const struct roster *roster)
{
    for (size_t i = 0; i < roster->count; i++)
        if (listener_problem(roster->listeners[i]) != NULL)
            return true;
    return false;
}

void
roster_tell(struct roster *roster, enum message_type type, uint64_t value, int fd)
{
    for (size_t i = 0; i < roster->count; i++)
        listener_tell(roster->listeners[i], type, value, fd);
    for (size_t i = 0; i < roster->removed_count; i++)
        listener_tell(roster->removed[i], type, value, fd);
}

void
roster_each(struct roster *roster, void (*visit)(struct listener *listener))
{
    for (size_t i = 0; i < roster->count; i++)
        visit(roster->listeners[i]);
    for (size_t i = 0; i < roster->removed_count; i++)
        visit(roster->removed[i]);
}
