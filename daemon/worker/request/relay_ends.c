/* SPDX-License-Identifier: MIT */
/*
 * relay_ends.c - how a relay receives and sends: the client, a socket, a stream of the plugin's
 *
 * Runs in:  a serving context.
 * Owns:     nothing.
 * Failures: returned.
 */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "worker/request/relay.h"
#include "worker/request/request.h"
#include "worker/request/transport.h"

static ssize_t
client_receive(struct relay_end *end, void *buffer, size_t size)
{
    struct ss_request *request = end->request;

    return request->server->transport->receive_now(request, buffer, size, &end->wanted);
}

static ssize_t
client_send(struct relay_end *end, const void *bytes, size_t size)
{
    struct ss_request *request = end->request;

    return request->server->transport->send_now(request, bytes, size, &end->wanted);
}

static int
client_end_output(struct relay_end *end)
{
    int error = end->request->server->transport->end_output(end->request, &end->wanted);

    if (error == 0)
        end->request->shut = true;
    return error;
}

static ssize_t
stream_receive(struct relay_end *end, void *buffer, size_t size)
{
    return end->stream->read(end->stream->userdata, buffer, size, &end->wanted);
}

static ssize_t
stream_send(struct relay_end *end, const void *bytes, size_t size)
{
    return end->stream->write(end->stream->userdata, bytes, size, &end->wanted);
}

static int
stream_end_output(struct relay_end *end)
{
    return end->stream->end(end->stream->userdata, &end->wanted);
}

static ssize_t
socket_receive(struct relay_end *end, void *buffer, size_t size)
{
    ssize_t got;

    end->wanted = POLLIN;
    do
        got = recv(end->in, buffer, size, MSG_DONTWAIT);
    while (got < 0 && errno == EINTR);
    return got < 0 ? -errno : got;
}

static ssize_t
socket_send(struct relay_end *end, const void *bytes, size_t size)
{
    ssize_t sent;

    end->wanted = POLLOUT;
    do
        sent = send(end->out, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : sent;
}

static int
socket_end_output(struct relay_end *end)
{
    return shutdown(end->out, SHUT_WR) < 0 ? -errno : 0;
}

const struct relay_end_calls relay_client = {client_receive, client_send, client_end_output};
const struct relay_end_calls relay_stream = {stream_receive, stream_send, stream_end_output};
const struct relay_end_calls relay_socket = {socket_receive, socket_send, socket_end_output};
