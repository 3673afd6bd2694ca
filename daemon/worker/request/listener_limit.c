/* SPDX-License-Identifier: MIT */
/*
 * listener_limit.c - `rate` and `on_full`: what a listener takes from all of its clients together
 *
 * A listener with a rate accepts nothing until the next turn (request_try()).
 * Contexts that waited in accept before may take more: each of these waits for
 * its own turn here. All workers take their turns in the table of sources.
 *
 * A full listener can only refuse if somebody accepts: so there is one context
 * more than max_connections. Threads and coroutines count in their process, as
 * they all end with it. A child may die at any moment, so that children count
 * the slots that are busy: those with an earlier request than their own.
 *
 * Runs in:  a serving context of a worker; prepare() before it serves. Under
 *           *forking*, also in the zygote.
 * Owns:     nothing.
 * Failures: none.
 */
#include "worker/request/listener_limit.h"

#include "worker/request/mixin.h"
#include "worker/request/request.h"
#include "worker/request/source_limit.h"
#include "worker/request/transport.h"
#include "worker/request/turned_away.h"

static _Atomic uint32_t running; /* requests of this process that have passed; not of children */
static struct turned_away *of_full;

static const struct refusal full = {
    .reason = "max_connections",
    .counter = offsetof(struct slot, full),
    .warnings = &of_full,
};

/* ---- on_full ---------------------------------------------------------------------- */

static bool
refuses(const struct ss_server *server)
{
    return server->socket >= 0 && !server->once && server->settings.on_full == FULL_REFUSE &&
           server->transport->stream;
}

uint32_t
listener_contexts(const struct ss_server *server)
{
    return server->settings.max_connections + refuses(server);
}

static int
prepare_full(struct ss_server *server, struct errors *errors)
{
    (void)errors;
    if (!refuses(server))
        return 0;
    int error = turned_away_new(&of_full);
    return error < 0 ? error : 1;
}

uint32_t
listener_count_busy(const struct ss_server *server, uint64_t below)
{
    const struct counters *counters = server->counters;
    uint32_t count = 0, used = counters_used(counters, server->slot_count);

    for (uint32_t i = 0; i < used; i++)
        count += counter_get(counters->slots[i].state) == SLOT_BUSY &&
                 counter_get(counters->slots[i].request) < below;
    return count;
}

/* How many requests have begun before this one. In the zygote it has not begun: all have. */
static uint32_t
count_before(const struct ss_request *request)
{
    const struct slot *own = request->slot;
    bool begun = own != NULL && counter_get(own->state) == SLOT_BUSY;

    return listener_count_busy(request->server, begun ? request->number : UINT64_MAX);
}

static bool
has_room(const struct ss_request *request)
{
    return !request->server->mixin->processes ||
           count_before(request) < request->server->settings.max_connections;
}

static int
enter_full(struct ss_request *request)
{
    if (!has_room(request))
        return gate_refuse(request, &full);
    if (request->server->mixin->processes ||
        atomic_fetch_add(&running, 1) < request->server->settings.max_connections)
        return 0;
    atomic_fetch_sub(&running, 1);
    return gate_refuse(request, &full);
}

static void
leave_full(struct ss_request *request)
{
    if (!request->server->mixin->processes)
        atomic_fetch_sub(&running, 1);
}

const struct gate full_gate = {
    .name = "full",
    .failed = {.reason = "max_connections",
               .counter = offsetof(struct slot, full),
               .warnings = &of_full},
    .prepare = prepare_full,
    .enter = enter_full,
    .would_pass = has_room,
    .leave = leave_full,
};

/* ---- rate -------------------------------------------------------------------------- */

static int
prepare_rate(struct ss_server *server, struct errors *errors)
{
    (void)errors;
    server->rated = server->socket >= 0 && server->settings.rate.count > 0;
    return server->rated;
}

static int
enter_rate(struct ss_request *request)
{
    int64_t now = request->started, until;
    int error = 0;

    while (error == 0 && (until = source_limit_take_turn(now)) > 0) {
        error = request->server->mixin->wait(request, -1, 0, until);
        now = monotonic_now();
    }
    return error;
}

/* It turns nobody away; whoever stands behind it may. */
static bool
would_pass_rate(const struct ss_request *request)
{
    (void)request;
    return true;
}

const struct gate rate_gate = {
    .name = "rate",
    .failed = {.reason = "rate"},
    .prepare = prepare_rate,
    .enter = enter_rate,
    .would_pass = would_pass_rate,
};
