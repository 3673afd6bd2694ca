/* SPDX-License-Identifier: MIT */
/*
 * health.c - whether the daemon and its listeners can take clients now
 *
 * Ready means: bound, a worker serves, not draining, a place is free, and the
 * daemon is not about to stop. The members of the reply are described in
 * org.sockserver.Control.varlink.
 *
 * Runs in:  the supervisor.
 * Owns:     nothing.
 * Failures: NULL without memory.
 */
#include <stdio.h>
#include <string.h>

#include "common/mixins.h"
#include "common/varlink.h"
#include "supervisor/control/control_private.h"
#include "supervisor/listener/process.h"

static void
add_active(const struct listener_worker *worker, void *userdata)
{
    uint64_t *active = userdata;
    struct counter_sums sums;

    if (worker->draining)
        return;
    process_sums(worker->process, &sums);
    *active += sums.active;
}

/* Says why the listener is not ready; "": it is. A listener that serves one request at a time has
 * others wait in its queue, so it is not full while one runs. */
static void
find_reason(const struct control_host *host, const struct listener *listener, struct health *health)
{
    const struct roster *roster = host->roster;
    enum listener_state state = listener_state(listener);
    const char *problem = listener_problem(listener);
    bool one = mixin_traits[listener_settings(listener)->mixin].one_at_a_time;

    health->reason[0] = '\0';
    if (roster_ends(roster))
        (void)snprintf(health->reason, HEALTH_REASON_SIZE, "the daemon stops");
    else if (state != LISTENER_SERVING)
        (void)snprintf(health->reason, HEALTH_REASON_SIZE, "%s%s%s", listener_state_name(state),
                       problem == NULL ? "" : ": ", problem == NULL ? "" : problem);
    else if (operations_announce(host->operations, listener))
        (void)snprintf(health->reason, HEALTH_REASON_SIZE, "about to drain");
    else if (health->active >= health->places && !one)
        (void)snprintf(health->reason, HEALTH_REASON_SIZE, "full");
}

void
control_look_at(const struct control_host *host, const struct listener *listener, uint64_t active,
                struct health *ret)
{
    const struct roster *roster = host->roster;
    const struct settings *settings = listener_settings(listener);
    enum listener_state state = listener_state(listener);

    *ret = (struct health){
        .active = active,
        .places = (uint64_t)settings->max_connections * mixin_workers(settings),
        .drains = roster_ends(roster) || state == LISTENER_DRAINING || state == LISTENER_DRAINED ||
                  operations_announce(host->operations, listener),
    };
    find_reason(host, listener, ret);
    ret->ready = ret->reason[0] == '\0';
}

static json_t *
describe(const char *name, const struct health *health)
{
    json_t *listener = json_object();

    varlink_set(&listener, "name", varlink_text(name));
    varlink_set(&listener, "ready", json_boolean(health->ready));
    varlink_set(&listener, "draining", json_boolean(health->drains));
    varlink_set(&listener, "reason", health->ready ? json_null() : varlink_text(health->reason));
    varlink_set(&listener, "active", json_integer((json_int_t)health->active));
    varlink_set(&listener, "max_connections", json_integer((json_int_t)health->places));
    return listener;
}

bool
control_is_up(const struct roster *roster)
{
    return roster->stage != DAEMON_STARTS && !roster_ends(roster);
}

json_t *
control_health(const struct control *control, const char *name)
{
    const struct roster *roster = control->host.roster;
    json_t *reply = json_object(), *listeners = json_array();
    bool ready = name != NULL || roster->stage != DAEMON_STARTS; /* its start concerns all */

    for (size_t i = 0; i < roster->count; i++) {
        const struct settings *settings = listener_settings(roster->listeners[i]);
        struct health health;
        uint64_t active = 0;
        if (name == NULL ? !settings->enabled : strcmp(settings->name, name) != 0)
            continue;
        listener_visit_workers(roster->listeners[i], add_active, &active);
        control_look_at(&control->host, roster->listeners[i], active, &health);
        ready = ready && health.ready;
        varlink_append(&listeners, describe(settings->name, &health));
    }
    varlink_set(&reply, "ready", json_boolean(ready && !roster_ends(roster)));
    varlink_set(&reply, "stopping", json_boolean(roster_ends(roster)));
    varlink_set(&reply, "listeners", listeners);
    return reply;
}
