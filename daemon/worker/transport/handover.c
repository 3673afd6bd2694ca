/* SPDX-License-Identifier: MIT */
/*
 * handover.c - requests that are the listening socket itself
 *
 * Something has come to it, and stays where it is: who handles the request
 * accepts or receives it. Of datagrams, the sender of the first one is known, so
 * that it passes the gates; a datagram that they refuse is thrown away, or it
 * would come again.
 *
 * Runs in:  the one serving context of a worker with mixin none.
 * Owns:     nothing; the socket is the listener's.
 * Failures: returned; nothing here is logged.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include "common/address.h"
#include "worker/request/request.h"
#include "worker/transport/transports.h"

static bool
takes_datagrams(const struct ss_server *server)
{
    int type = 0;
    socklen_t size = sizeof(type);

    return getsockopt(server->socket, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_DGRAM;
}

/* Programs expect a socket that waits; the one before may have changed that. */
static int
handover_prepare(struct ss_server *server)
{
    int flags = fcntl(server->socket, F_GETFL);

    if (flags < 0 ||
        ((flags & O_NONBLOCK) && fcntl(server->socket, F_SETFL, flags & ~O_NONBLOCK) < 0))
        return -errno;
    return 0;
}

/* Looks who has sent the first datagram. */
static int
look_at_sender(struct ss_request *request)
{
    struct peer *client = &request->client;
    char byte;

    client->size = sizeof(client->address);
    if (recvfrom(request->server->socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT,
                 (struct sockaddr *)&client->address, &client->size) < 0)
        return -errno;
    if (client->size == 0)
        client->address.ss_family = AF_UNIX;
    client->credentials_state = -ENODATA;
    if (request->server->ipv6)
        address_unmap(&client->address, &client->size);
    return 0;
}

static int
handover_get_request(struct ss_request *request)
{
    struct ss_server *server = request->server;
    struct pollfd socket = {.fd = server->socket, .events = POLLIN};
    int ready = poll(&socket, 1, 0);

    if (ready <= 0)
        return ready == 0 ? -EAGAIN : -errno;
    int error = handover_prepare(server);
    request->client = (struct peer){0};
    if (error == 0 && takes_datagrams(server))
        error = look_at_sender(request);
    if (error < 0)
        return error;
    request->fd = request->output_fd = server->socket;
    return 0;
}

static ssize_t
handover_receive(struct ss_request *request, void *buffer, size_t size)
{
    (void)request, (void)buffer, (void)size;
    return -ENOTSUP;
}

static int
handover_transmit(struct ss_request *request, struct iovec *parts, int count)
{
    (void)request, (void)parts, (void)count;
    return -ENOTSUP;
}

static void
handover_shutdown_request(struct ss_request *request)
{
    char byte;

    if (request->reason == CLOSE_REFUSED && takes_datagrams(request->server))
        (void)recv(request->server->socket, &byte, 1, MSG_DONTWAIT);
}

static void
handover_close_request(struct ss_request *request)
{
    request->fd = request->output_fd = -1;
}

const struct transport handover_transport = {
    .stream = true, /* nothing is a packet that is there already */
    .prepare = handover_prepare,
    .get_request = handover_get_request,
    .receive = handover_receive,
    .transmit = handover_transmit,
    .shutdown_request = handover_shutdown_request,
    .close_request = handover_close_request,
};

void
handover_use(struct ss_server *server)
{
    server->transport = &handover_transport;
    if (!takes_datagrams(server))
        server->gate_count = 0; /* nobody is known whom they could turn away */
}
