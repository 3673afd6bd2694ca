/* SPDX-License-Identifier: MIT */
/*
 * reload_change.c - the moment at which another configuration takes effect
 *
 * Everything has been prepared, so nothing waits here and almost nothing can
 * fail: sockets go to their heirs, what is missing from the configuration is
 * stopped, and new generations take the place of the old ones, in one turn of
 * the event loop.
 *
 * Runs in:  the supervisor.
 * Owns:     nothing; the reload is reload.c's.
 * Failures: without memory for the new list nothing changes; what a single
 *           listener cannot follow is logged, and the others go on.
 */
#include <errno.h>
#include <stdlib.h>

#include "common/log.h"
#include "supervisor/change/reload_private.h"
#include "supervisor/socket/socket_change.h"

static void
remove_missing(struct reload *reload)
{
    struct change *change = reload->change;
    struct roster *roster = change->roster;

    for (size_t i = 0; i < roster->count; i++) {
        struct listener *listener = roster->listeners[i];
        if (reload_find_plan(reload, listener) != NULL)
            continue;
        log_listener(listener_settings(listener)->name, LOG_NOTICE,
                     "removed from the configuration");
        operations_abandon(change->operations, listener, -ECANCELED,
                           "it was removed from the configuration meanwhile");
        listener_stop(listener, true);
        roster_retire(roster, listener);
    }
}

static void
change_one(struct plan *plan)
{
    struct listener *listener = plan->listener;

    switch (plan->change) {
    case CHANGE_NOTHING:
        listener_adopt_settings(listener, plan->settings);
        listener_heal(listener);
        break;
    case CHANGE_SETTINGS:
        listener_adopt_settings(listener, plan->settings);
        break;
    case CHANGE_START:
        listener_adopt_settings(listener, plan->settings);
        listener_start(listener);
        break;
    case CHANGE_STOP:
        log_listener(plan->settings->name, LOG_NOTICE, "disabled by the configuration");
        listener_stop(listener, true);
        listener_adopt_settings(listener, plan->settings);
        break;
    case CHANGE_GENERATION:
        listener_commit(listener);
        if (socket_apply(listener_socket(listener), plan->settings) < 0)
            log_listener(plan->settings->name, LOG_WARNING,
                         "cannot change the socket's options: %m");
        break;
    }
}

/* Takes sockets from the listeners that give them up. */
static void
take_sockets(const struct reload *reload)
{
    const struct roster *roster = reload->change->roster;

    for (size_t i = 0; i < reload->count; i++) {
        const struct plan *plan = &reload->plans[i];
        if (plan->donor != NULL)
            socket_hand_over(listener_socket(plan->donor), listener_next_socket(plan->listener));
        if (plan->taken_back)
            socket_thaw(listener_next_socket(plan->listener));
    }
    for (size_t i = 0; i < roster->count; i++)
        listener_leave_queues(roster->listeners[i]);
    for (size_t i = 0; i < roster->removed_count; i++)
        listener_leave_queues(roster->removed[i]);
}

int
reload_change(struct reload *reload)
{
    struct change *change = reload->change;
    struct roster *roster = change->roster;
    struct listener **listeners = calloc(reload->count + 1, sizeof(struct listener *));

    if (listeners == NULL)
        return -ENOMEM;
    take_sockets(reload);
    roster->host.spawn = reload->spawn;
    remove_missing(reload);
    for (size_t i = 0; i < reload->count; i++) {
        change_one(&reload->plans[i]);
        listeners[i] = reload->plans[i].listener;
    }
    roster_replace(roster, listeners, reload->count);

    supervisor_log_change(change->log, &reload->config);
    config_done(&change->loaded);
    change->loaded = reload->config;
    reload->config = (struct config){0};
    return 0;
}
