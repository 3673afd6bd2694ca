/* SPDX-License-Identifier: MIT */
/*
 * source_limit.c - how many requests a source may have, how fast, and whether it is in disgrace
 *
 * The table of sources (common/sources.h) is memory that all processes of the
 * listener share. Each slot of this worker has a claim in it. A datagram is over
 * as soon as it is there: only its source's rate and penalty are looked at.
 *
 * If max_per_source is not given, a source that has many places leaves as many
 * free: one alone gets half of them, and however many sources take what they can
 * get, there is a place for the next one.
 *
 * Where there is a balancer, what counts is the client that it announces. It
 * has no limit itself, but may be in disgrace.
 *
 * Runs in:  a serving context of a worker; prepare() before it serves. Under
 *           *forking*, also in the zygote, which takes back what its dead
 *           children counted.
 * Owns:     the mapping, as long as the worker lives.
 * Failures: a table that cannot be mapped keeps the worker from starting.
 */
#include "worker/request/source_limit.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/channel.h"
#include "common/errors.h"
#include "common/networks.h"
#include "common/texts.h"
#include "worker/request/listener_limit.h"
#include "worker/request/mixin.h"
#include "worker/request/request.h"
#include "worker/request/transport.h"
#include "worker/request/turned_away.h"

/* A worker serves one listener. */
static struct {
    struct sources *sources; /* NULL: nobody is limited */
    struct networks *exempt, *trusted;
    struct source_prefix prefix;
    struct source_limits limits, local_limits;
    struct source_rate rate; /* of the whole listener */
    int64_t penalties[PENALTY_KINDS], most;
    uint32_t claim; /* of the first slot, or NO_CLAIM */
    bool shares;    /* max_per_source was not given */
} here;

static _Atomic uint32_t admitted; /* requests of this process that run; not of children */

static struct turned_away *of_busy, *of_fast, *of_penalised;

static const struct refusal busy = {
    .reason = "max_per_source",
    .counter = offsetof(struct slot, limited),
    .warnings = &of_busy,
};
static const struct refusal fast = {
    .reason = "rate_per_source",
    .counter = offsetof(struct slot, limited),
    .warnings = &of_fast,
};
static const struct refusal penalised = {
    .reason = "penalty",
    .counter = offsetof(struct slot, penalised),
    .warnings = &of_penalised,
};

/* ---- once per worker ------------------------------------------------------------ */

static void
read_settings(const struct ss_server *server)
{
    const struct settings *settings = &server->settings;
    const double penalties[] = {
        [PENALTY_CRASH] = settings->penalty.crash,
        [PENALTY_HANDSHAKE] = settings->penalty.handshake,
        [PENALTY_SLOW] = settings->penalty.slow,
        [PENALTY_HANDLER] = settings->penalty.handler,
    };

    for (int i = PENALTY_CRASH; i < PENALTY_KINDS; i++)
        here.penalties[i] = (int64_t)(penalties[i] * 1e9);
    here.most = (int64_t)(settings->penalty.max * 1e9);
    here.prefix =
        (struct source_prefix){settings->source_prefix.ipv4, settings->source_prefix.ipv6};
    here.limits.most = server->transport->stream ? settings->max_per_source : 0;
    here.limits.rate = source_rate(settings->rate_per_source.count,
                                   settings->rate_per_source.period, settings->burst_per_source);
    here.local_limits = here.limits;
    here.shares = !settings_have(settings, "max_per_source");
    if (here.shares)
        here.local_limits.most = 0;
    here.rate = source_rate(settings->rate.count, settings->rate.period, settings->rate.count);
    here.claim = server->counters->claims > 0 ? server->counters->claims - 1 : NO_CLAIM;
}

static int
make_tables(const struct ss_server *server)
{
    int error = networks_from_texts(server->settings.penalty.exempt, &here.exempt);

    if (error == 0)
        error = networks_from_texts(server->settings.proxy.trusted, &here.trusted);
    if (error == 0)
        error = turned_away_new(&of_busy);
    if (error == 0)
        error = turned_away_new(&of_fast);
    if (error == 0)
        error = turned_away_new(&of_penalised);
    return error;
}

static int
prepare(struct ss_server *server, struct errors *errors)
{
    if (server->socket < 0 || !settings_limit_sources(&server->settings))
        return 0;
    read_settings(server);
    if (!server->mixin->processes)
        sources_note_process();
    int error = sources_attach(INHERITED_SOURCES, &here.sources);
    (void)close(INHERITED_SOURCES);
    if (error == 0)
        error = make_tables(server);
    if (error < 0)
        errors_add(errors, NULL, 0, "cannot map the table of sources: %s", strerror(-error));
    return error < 0 ? error : 1;
}

static bool
has_balancer(const struct ss_server *server)
{
    return server->socket >= 0 && texts_count(server->settings.proxy.trusted) > 0;
}

static int
prepare_announced(struct ss_server *server, struct errors *errors)
{
    (void)errors;
    return has_balancer(server) && here.sources != NULL;
}

/* ---- who ------------------------------------------------------------------------- */

static bool
is_local(const struct sockaddr *client)
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)client;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)client;

    if (client->sa_family == AF_INET)
        return ntohl(in->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    return client->sa_family != AF_INET6 || IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
}

static const struct source_limits *
limits_of(const struct sockaddr *client)
{
    return is_local(client) ? &here.local_limits : &here.limits;
}

/* Of a client that was announced nobody knows the user. */
static uid_t
user_of(const struct ss_request *request)
{
    struct ucred peer = {.uid = (uid_t)-1};
    socklen_t size = sizeof(peer);

    if (request->announcer != NULL)
        return (uid_t)-1;
    if (!request->server->transport->stream)
        return request->client.credentials.uid;
    (void)getsockopt(request->fd, SOL_SOCKET, SO_PEERCRED, &peer, &size);
    return peer.uid;
}

static struct source_key
key_of(const struct ss_request *request)
{
    const struct sockaddr *client = (const struct sockaddr *)&request->client.address;

    return client->sa_family == AF_INET || client->sa_family == AF_INET6
               ? source_key_of(client, here.prefix)
               : source_key_of_user(user_of(request));
}

static uint32_t
claim_of(const struct ss_server *server, const struct slot *slot)
{
    return here.claim == NO_CLAIM ? NO_CLAIM
                                  : here.claim + (uint32_t)(slot - server->counters->slots);
}

/* ---- once per request ----------------------------------------------------------- */

static int
act_on(struct ss_request *request, enum source_verdict verdict)
{
    static const struct refusal *const refusals[] = {
        [SOURCE_PENALISED] = &penalised, [SOURCE_BUSY] = &busy, [SOURCE_FAST] = &fast};

    return verdict == SOURCE_ADMITTED ? 0 : gate_refuse(request, refusals[verdict]);
}

static bool
is_limited(const struct source_limits *limits)
{
    return limits->most > 0 || limits->rate.interval > 0;
}

/* A child may die at any moment, so that only slots tell how many there are. */
static uint32_t
free_places(const struct ss_server *server)
{
    uint32_t all = server->settings.max_connections;
    uint32_t taken = server->mixin->processes
                         ? listener_count_busy(server, UINT64_MAX)
                         : atomic_load_explicit(&admitted, memory_order_relaxed);

    return taken < all ? all - taken : 0;
}

#define FEW 2 /* requests of a source, for which nobody is counted under *forking* */

/* What one source may have now. */
static struct source_limits
share_of(const struct ss_request *request, const struct source_limits *limits, int64_t now)
{
    struct source_limits share = *limits;

    if (!here.shares || limits->most <= LEAST_PER_SOURCE)
        return share;
    share.most = FEW;
    if (request->server->mixin->processes &&
        sources_foresee(here.sources, key_of(request), &share, now) != SOURCE_BUSY)
        return share;
    uint32_t free = free_places(request->server);
    share.most = free < limits->most ? free : limits->most;
    share.most = share.most > 0 ? share.most : 1;
    return share;
}

static int
limit(struct ss_request *request, const struct source_limits *limits, int64_t now)
{
    uint32_t claim = claim_of(request->server, request->slot);

    if (!is_limited(limits))
        return !sources_any_penalised(here.sources, now)
                   ? 0
                   : act_on(request, sources_foresee(here.sources, key_of(request), limits, now));
    if (request->server->transport->stream) {
        const struct source_limits share = share_of(request, limits, now);
        return act_on(request, sources_enter(here.sources, claim, key_of(request), &share, now));
    }
    return act_on(request, sources_pass(here.sources, claim, key_of(request), limits, now));
}

/* A balancer has no limit itself. */
static const struct source_limits *
peer_limits(const struct ss_request *request)
{
    static const struct source_limits none;

    return has_balancer(request->server)
               ? &none
               : limits_of((const struct sockaddr *)&request->client.address);
}

static int
enter(struct ss_request *request)
{
    int error = limit(request, peer_limits(request), request->started);

    if (error == 0)
        counter_add(admitted, 1);
    return error;
}

/* Time may have passed until the header was there. */
static int
enter_announced(struct ss_request *request)
{
    if (request->announcer == NULL)
        return 0;
    return limit(request, limits_of((const struct sockaddr *)&request->client.address),
                 monotonic_now());
}

/* Asked before the request has begun. */
static bool
would_pass(const struct ss_request *request)
{
    const struct source_limits *limits = peer_limits(request);
    int64_t now = monotonic_now();

    if (!is_limited(limits) && !sources_any_penalised(here.sources, now))
        return true;
    const struct source_limits share = share_of(request, limits, now);
    return sources_foresee(here.sources, key_of(request), &share, now) == SOURCE_ADMITTED;
}

static void
leave(struct ss_request *request)
{
    sources_leave(here.sources, claim_of(request->server, request->slot));
}

static void
leave_first(struct ss_request *request)
{
    leave(request);
    (void)atomic_fetch_sub_explicit(&admitted, 1, memory_order_relaxed);
}

/* What `failed` says is for a request that would_pass() has turned away, and that could pass a
 * moment later. */
const struct gate source_limit_gate = {
    .name = "source_limit",
    .failed =
        {
            .reason = "max_per_source",
            .counter = offsetof(struct slot, limited),
            .warnings = &of_busy,
        },
    .prepare = prepare,
    .enter = enter,
    .would_pass = would_pass,
    .leave = leave_first,
};

const struct gate announced_source_gate = {
    .name = "announced_source",
    .failed = {.reason = "max_per_source"},
    .prepare = prepare_announced,
    .enter = enter_announced,
    .leave = leave,
};

/* ---- penalties ------------------------------------------------------------------- */

/* A balancer is trusted with its header, unless somebody has said how long it is not. */
static bool
is_forgiven(const struct ss_request *request, enum source_penalty kind)
{
    const struct ss_server *server = request->server;
    const struct sockaddr *client = (const struct sockaddr *)&request->client.address;

    if (networks_find(here.exempt, client) != NETWORKS_NONE)
        return true;
    if (kind != PENALTY_HANDSHAKE || request->announcer != NULL || !has_balancer(server) ||
        settings_have(&server->settings, "penalty.handshake"))
        return false;
    return networks_find(here.trusted, client) != NETWORKS_NONE;
}

static void
penalise(struct ss_request *request, const struct source_penalties *penalty)
{
    if (here.sources == NULL || penalty->seconds <= 0 || is_forgiven(request, penalty->kind))
        return;
    (void)sources_penalise(here.sources, claim_of(request->server, request->slot), key_of(request),
                           penalty, monotonic_now());
}

void
source_penalise(struct ss_request *request, enum source_penalty kind)
{
    const struct source_penalties penalty = {
        .kind = kind, .seconds = here.penalties[kind], .most = here.most};

    penalise(request, &penalty);
}

void
ss_penalise(struct ss_request *request, double seconds, const char *reason)
{
    struct source_penalties penalty = {
        .kind = PENALTY_HANDLER,
        .seconds = here.penalties[PENALTY_HANDLER],
        .most = here.most,
        .reason = reason,
    };

    if (seconds > 0 && seconds < (double)here.most / 1e9)
        penalty.seconds = (int64_t)(seconds * 1e9);
    else if (seconds > 0)
        penalty.seconds = here.most;
    penalise(request, &penalty);
}

void
source_limit_bury(const struct ss_server *server, const struct slot *slot, bool crashed)
{
    const struct source_penalties penalty = {
        .kind = PENALTY_CRASH, .seconds = here.penalties[PENALTY_CRASH], .most = here.most};
    struct sockaddr_storage client = {0};
    uint32_t claim = claim_of(server, slot);

    if (here.sources == NULL)
        return;
    memcpy(&client, slot->client, sizeof(slot->client));
    if (crashed && networks_find(here.exempt, (const struct sockaddr *)&client) == NETWORKS_NONE &&
        !sources_penalise_held(here.sources, claim, &penalty, monotonic_now()) &&
        client.ss_family != AF_UNIX && client.ss_family != AF_UNSPEC)
        (void)sources_penalise(here.sources, claim,
                               source_key_of((const struct sockaddr *)&client, here.prefix),
                               &penalty, monotonic_now());
    sources_repair(here.sources, claim);
}

/* ---- the listener's rate ------------------------------------------------------------ */

int64_t
source_limit_take_turn(int64_t now)
{
    return here.sources == NULL ? 0 : sources_take_turn(here.sources, &here.rate, now);
}

int64_t
source_limit_next_turn(int64_t now)
{
    return here.sources == NULL ? 0 : sources_next_turn(here.sources, &here.rate, now);
}
