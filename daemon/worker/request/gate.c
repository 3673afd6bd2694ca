/* SPDX-License-Identifier: MIT */
/*
 * gate.c - entering and leaving the gates of a listener
 *
 * Runs in:  a serving context of a worker; gates_prepare() before it serves.
 * Owns:     a peer that announced its client, from gate_set_client() to gates_leave().
 * Failures: returned. What a refusal means for the request is request.c's.
 */
#include "worker/request/gate.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/address.h"
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
    if (error == 0 && gate == request->foreseen) { /* the reason is over, but not the verdict */
        if (gate->leave != NULL)
            gate->leave(request);
        error = gate_refuse(request, &gate->failed);
    }
    return error;
}

int
gates_enter(struct ss_request *request)
{
    const struct ss_server *server = request->server;

    request->refusal = NULL;
    request->refusal_detail = NULL;
    request->gates_entered = 0;
    while (request->gates_entered < server->gate_count) {
        int error = enter(request, server->gates[request->gates_entered]);
        if (error == -ECONNRESET || error == -EPIPE)
            request->vanished = true;
        if (error < 0) {
            request->foreseen = NULL;
            return error;
        }
        request->gates_entered++;
    }
    return 0;
}

bool
gates_will_refuse(struct ss_request *request)
{
    const struct ss_server *server = request->server;

    for (uint32_t i = 0; i < server->gate_count && server->gates[i]->would_pass != NULL; i++)
        if (!server->gates[i]->would_pass(request)) {
            request->foreseen = server->gates[i];
            return true;
        }
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
    free(request->announcer);
    request->announcer = NULL;
}

int
gate_refuse(struct ss_request *request, const struct refusal *refusal)
{
    request->refusal = refusal;
    return -EACCES;
}

int
gate_refuse_for(struct ss_request *request, const struct refusal *refusal, const char *detail)
{
    request->refusal_detail = detail;
    return gate_refuse(request, refusal);
}

void
gate_limit(struct ss_request *request, double seconds)
{
    int64_t until = monotonic_after(seconds);

    if (until < request->deadline)
        request->deadline = until;
}

/* What the kernel says of the peer is not true of the client. Of one on a Unix socket, no more is
 * known than its address. */
static void
name_client(struct ss_request *request)
{
    struct peer *client = &request->client;
    char text[ADDRESS_TEXT_SIZE];

    client->credentials = (struct ss_credentials){.uid = (uid_t)-1, .gid = (gid_t)-1};
    client->credentials_state = -ENODATA;
    client->name[0] = '\0';
    request->log.client = NULL;
    if (client->address.ss_family != AF_UNIX)
        return;
    (void)address_format_peer((const struct sockaddr *)&client->address, client->size, text);
    (void)snprintf(client->name, sizeof(client->name), "%.120s",
                   *text == '\0' ? "unnamed Unix socket" : text);
    request->log.client = client->name;
}

int
gate_set_client(struct ss_request *request, const struct sockaddr *address, socklen_t size)
{
    struct peer *client = &request->client;

    assert(size <= sizeof(client->address));
    if (request->announcer == NULL) {
        request->announcer = malloc(sizeof(*request->announcer));
        if (request->announcer == NULL)
            return -ENOMEM;
        request->announcer->address = client->address;
        request->announcer->size = client->size;
    }
    memset(&client->address, 0, sizeof(client->address));
    memcpy(&client->address, address, size);
    client->size = size;
    address_unmap(&client->address, &client->size);
    name_client(request);
    return 0;
}
