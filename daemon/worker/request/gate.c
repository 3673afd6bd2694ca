/* SPDX-License-Identifier: MIT */
/*
 * gate.c - entering and leaving the gates of a listener
 *
 * Runs in:  a serving context of a worker; gates_prepare() before it serves.
 * Owns:     nothing.
 * Failures: returned. What a refusal means for the request is request.c's.
 */
#include "worker/request/gate.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "common/clock.h"
#include "common/errors.h"
#include "worker/request/request.h"
#include "worker/request/transport.h"

/* ---- once per worker ------------------------------------------------------------ */

static int
open_transport(struct ss_request *request)
{
    return request->server->transport->open_request(request);
}

/* close_request() is its other half. */
static const struct gate open_gate = {
    .name = "open_request",
    .failed = {.reason = "the connection was not opened"},
    .enter = open_transport,
};

static int
add(struct ss_server *server, const struct gate *gate, struct errors *errors)
{
    if (server->gate_count == GATES_MAX) {
        errors_add(errors, NULL, 0, "there are more than %d gates", GATES_MAX);
        return -E2BIG;
    }
    server->gates[server->gate_count++] = gate;
    return 0;
}

int
gates_prepare(struct ss_server *server, const struct gate *const *from, struct errors *errors)
{
    int error = 0;

    server->gate_count = 0;
    for (; *from != NULL && error == 0; from++) {
        int applies = (*from)->prepare(server, errors);
        error = applies > 0 ? add(server, *from, errors) : applies;
    }
    if (error == 0 && server->transport->open_request != NULL)
        error = add(server, &open_gate, errors);
    return error;
}

/* ---- once per request ----------------------------------------------------------- */

/* Whatever limit it sets to its waits is its own: the next one finds request_timeout's. */
static int
enter(struct ss_request *request, const struct gate *gate)
{
    int64_t deadline = request->deadline;
    int error = gate->enter(request);

    request->deadline = deadline;
    return error;
}

int
gates_enter(struct ss_request *request)
{
    const struct ss_server *server = request->server;

    request->refusal = NULL;
    request->gates_entered = 0;
    while (request->gates_entered < server->gate_count) {
        int error = enter(request, server->gates[request->gates_entered]);
        if (error == -ECONNRESET || error == -EPIPE)
            request->vanished = true;
        if (error < 0)
            return error;
        request->gates_entered++;
    }
    return 0;
}

bool
gates_will_refuse(const struct ss_request *request)
{
    const struct ss_server *server = request->server;

    for (uint32_t i = 0; i < server->gate_count && server->gates[i]->would_pass != NULL; i++)
        if (!server->gates[i]->would_pass(request))
            return true;
    return false;
}

void
gates_leave(struct ss_request *request)
{
    while (request->gates_entered > 0) {
        const struct gate *gate = request->server->gates[--request->gates_entered];
        if (gate->leave != NULL)
            gate->leave(request);
    }
}

int
gate_refuse(struct ss_request *request, const struct refusal *refusal)
{
    request->refusal = refusal;
    return -EACCES;
}

void
gate_limit(struct ss_request *request, double seconds)
{
    int64_t until = monotonic_after(seconds);

    if (until < request->deadline)
        request->deadline = until;
}

void
gate_set_client(struct ss_request *request, const struct sockaddr *address, socklen_t size)
{
    assert(size <= sizeof(request->client.address));
    memset(&request->client.address, 0, sizeof(request->client.address));
    memcpy(&request->client.address, address, size);
    request->client.size = size;
    request->client.name[0] = '\0';
    request->log.client = NULL;
}
