/* SPDX-License-Identifier: MIT */
/*
 * proxy.c - `proxy`: balancers that announce their clients by a PROXY header
 *
 * Nothing is guessed. Who is in proxy.trusted must send a header, and its word
 * is taken for the client; who is not is closed before anything of it is read.
 * What follows the header stays in the request's buffer.
 *
 * LOCAL and UNKNOWN announce nobody: that is how balancers check whether a
 * server is well. If more bytes follow in the header's time, they are served as
 * the peer's own. If none do, the connection was no client's: it is closed
 * politely, counted nowhere, and told nobody. Neither is a connection that has
 * sent nothing when a drain begins.
 *
 * Runs in:  a serving context of a worker; prepare() before it serves. Under
 *           *forking*, would_pass() also in the zygote.
 * Owns:     the table of proxy.trusted, as long as the worker lives.
 * Failures: of making it: the worker cannot start. Those of a client are
 *           returned, and warned of once in ten seconds.
 */
#include "worker/request/proxy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/errors.h"
#include "common/log.h"
#include "common/networks.h"
#include "common/texts.h"
#include "worker/request/access.h"
#include "worker/request/proxy_header.h"
#include "worker/request/request.h"
#include "worker/request/source_limit.h"
#include "worker/request/transport.h"
#include "worker/request/turned_away.h"

static struct networks *trusted;
static struct turned_away *of_strangers, *of_late;

#define COUNTED .counter = offsetof(struct slot, unannounced)

static const struct refusal not_trusted = {
    .reason = "not in proxy.trusted",
    .because = "as not in proxy.trusted",
    .warnings = &of_strangers,
    COUNTED,
};
static const struct refusal no_header = {.reason = "no PROXY header", COUNTED};
static const struct refusal bad_header = {.reason = "PROXY header is malformed", COUNTED};
static const struct refusal no_memory = {.reason = "no memory for the announced client", COUNTED};
static const struct refusal nobody = {
    .reason = "no client was announced",
    .polite = true,
    .aside = true,
};

/* ---- once per worker ------------------------------------------------------------ */

static bool
is_required(const struct ss_server *server)
{
    return server->socket >= 0 && texts_count(server->settings.proxy.trusted) > 0;
}

static int
prepare(struct ss_server *server, struct errors *errors)
{
    if (!is_required(server))
        return 0;
    if (!server->transport->stream) {
        errors_add(errors, NULL, 0,
                   "listeners.%s.proxy: found a datagram socket; a PROXY header is for "
                   "connections only: remove it",
                   server->settings.name);
        return -EINVAL;
    }
    int error = networks_from_texts(server->settings.proxy.trusted, &trusted);
    if (error == 0)
        error = turned_away_new(&of_strangers);
    if (error == 0)
        error = turned_away_new(&of_late);
    if (error < 0)
        errors_add(errors, NULL, 0, "cannot make the table of proxy.trusted: %s", strerror(-error));
    return error < 0 ? error : 1;
}

static int
prepare_announced(struct ss_server *server, struct errors *errors)
{
    (void)errors;
    return is_required(server) && settings_restrict_access(&server->settings);
}

/* ---- once per request ----------------------------------------------------------- */

static bool
is_trusted(const struct ss_request *request)
{
    const struct sockaddr *peer = (const struct sockaddr *)&request->client.address;
    uint32_t item;

    if (peer->sa_family != AF_UNIX || !networks_name_peers(trusted))
        item = networks_find(trusted, peer);
    else if (access_find_connection(trusted, request->fd, &item) < 0)
        return false;
    return item != NETWORKS_NONE;
}

/* Warns of a trusted peer that does not do what it is trusted for. */
static int
refuse(struct ss_request *request, const struct refusal *refusal, const char *mistake)
{
    struct ss_server *server = request->server;

    if (server_may_warn(&server->counters->source_silent_until))
        log_warning("%s was turned away: %s: %s; \"proxy\" requires a PROXY header of everybody in "
                    "proxy.trusted, and such connections are counted as unannounced",
                    ss_client_name(request), refusal->reason, mistake);
    source_penalise(request, PENALTY_HANDSHAKE);
    return gate_refuse(request, refusal);
}

/* Waits for the first byte, and longer than until a drain begins only for the others. */
static int
await_first_byte(struct ss_request *request)
{
    struct input *input = &request->input;
    int error = input_await(request);

    if (error < 0)
        return error;
    if (input->start < input->end || request->ended)
        return 0;
    ssize_t got = input_more(request, 0); /* a process of its own has only waited */
    return got < 0 ? (int)got : 0;
}

/* Whether it leaves because a drain has begun, and not because it is cut. */
static bool
drains(const struct ss_request *request, int error)
{
    return error == -ECANCELED && !request_is_cut(request) &&
           server_phase(request->server) >= PHASE_DRAINING;
}

/* The stream has ended. Without a byte it was no balancer's client, nor anybody else's. */
static int
ended(struct ss_request *request)
{
    size_t size = request->input.end - request->input.start;

    return size == 0 ? -ECONNRESET
                     : refuse(request, &bad_header, "found the end of the stream within it");
}

/* Waits until the header is there, and takes it out of the buffer. */
static int
receive_header(struct ss_request *request, struct proxy_header *ret)
{
    struct input *input = &request->input;
    char mistake[PROXY_MISTAKE_SIZE];
    int r = await_first_byte(request);

    if (r < 0)
        return drains(request, r) ? gate_refuse(request, &nobody) : r;
    while ((r = proxy_header_parse(input->data + input->start, input->end - input->start, ret,
                                   mistake)) == 0) {
        if (request->ended)
            return ended(request);
        ssize_t got = input_more(request, PROXY_HEADER_MOST);
        if (got < 0)
            return (int)got;
    }
    if (r < 0)
        return refuse(request, r == -ENOMSG ? &no_header : &bad_header, mistake);
    input->start += ret->size;
    request->bytes_in -= ret->size; /* what the access line tells is the client's */
    return 0;
}

/* Nobody was announced: whoever says no more wanted to know whether we are there. */
static int
await_own_bytes(struct ss_request *request)
{
    (void)await_first_byte(request); /* else the stream has ended, or the time is up */
    if (request->input.start < request->input.end)
        return 0;
    return request_is_cut(request) ? -ECANCELED : gate_refuse(request, &nobody);
}

static int
enter(struct ss_request *request)
{
    struct proxy_header header = {0};

    if (!is_trusted(request))
        return gate_refuse(request, &not_trusted);
    gate_limit(request, request->server->settings.proxy.timeout);
    int error = receive_header(request, &header);
    if (error < 0)
        return error;
    if (header.client_size == 0)
        return await_own_bytes(request);
    error = gate_set_client(request, (const struct sockaddr *)&header.client, header.client_size);
    return error < 0 ? gate_refuse(request, &no_memory) : 0;
}

const struct gate proxy_gate = {
    .name = "proxy",
    .failed =
        {
            .reason = "PROXY header did not come in time",
            .because = "as their PROXY header did not come within proxy.timeout",
            .warnings = &of_late,
            COUNTED,
        },
    .prepare = prepare,
    .enter = enter,
    .would_pass = is_trusted,
};

const struct gate announced_gate = {
    .name = "announced",
    .failed = {.reason = "access"},
    .prepare = prepare_announced,
    .enter = access_enter,
};
