/* SPDX-License-Identifier: MIT */
/*
 * stdio.c - the one request that comes by standard input and is answered on standard output
 *
 * Standard input may be a pipe, a file, a terminal, or a connected socket from
 * inetd. A plugin that serves datagrams only gets all of standard input as its
 * packet.
 *
 * Runs in:  the process of --stdio.
 * Owns:     nothing: the descriptors are the process's own.
 * Failures: returned, or (the reply's) noted in the request.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/address.h"
#include "worker/request/request.h"
#include "worker/request/wait.h"
#include "worker/transport/transports.h"

/* ---- a stream ------------------------------------------------------------- */

static int
stdio_prepare(struct ss_server *server)
{
    (void)server;
    return 0;
}

static int
stdio_get_request(struct ss_request *request)
{
    request->fd = STDIN_FILENO;
    request->output_fd = STDOUT_FILENO;
    request->client.size = sizeof(request->client.address);
    if (getpeername(STDIN_FILENO, (struct sockaddr *)&request->client.address,
                    &request->client.size) < 0) {
        request->client.address.ss_family = AF_UNSPEC;
        request->client.size = 0;
    }
    address_unmap(&request->client.address, &request->client.size);
    return 0;
}

static ssize_t
stdio_receive(struct ss_request *request, void *buffer, size_t size)
{
    for (;;) {
        int error = wait_io(request, STDIN_FILENO, POLLIN, request->read_timeout);
        if (error < 0)
            return error;
        ssize_t got = read(STDIN_FILENO, buffer, size);
        if (got >= 0)
            return got;
        if (errno != EINTR && errno != EAGAIN)
            return -errno;
    }
}

static int
write_part(struct ss_request *request, const char *data, size_t size)
{
    while (size > 0) {
        int error = wait_io(request, STDOUT_FILENO, POLLOUT, request->write_timeout);
        if (error < 0)
            return error;
        ssize_t sent = write(STDOUT_FILENO, data, size);
        if (sent < 0 && errno != EINTR && errno != EAGAIN)
            return -errno;
        if (sent > 0) {
            data += sent;
            size -= (size_t)sent;
            request->bytes_out += (uint64_t)sent;
        }
    }
    return 0;
}

static int
stdio_transmit(struct ss_request *request, struct iovec *parts, int count)
{
    int error = 0;

    for (int i = 0; i < count && error == 0; i++)
        error = write_part(request, parts[i].iov_base, parts[i].iov_len);
    return error;
}

static ssize_t
stdio_receive_now(struct ss_request *request, void *buffer, size_t size, short *ret_wanted)
{
    struct pollfd input = {.fd = request->fd, .events = POLLIN};

    *ret_wanted = POLLIN;
    for (;;) {
        if (poll(&input, 1, 0) == 0)
            return -EAGAIN;
        ssize_t got = read(request->fd, buffer, size);
        if (got >= 0 || errno != EINTR)
            return got < 0 ? -errno : got;
    }
}

/* No more than a pipe takes without a wait once it is writable. */
static ssize_t
stdio_send_now(struct ss_request *request, const void *bytes, size_t size, short *ret_wanted)
{
    struct pollfd output = {.fd = request->output_fd, .events = POLLOUT};

    *ret_wanted = POLLOUT;
    for (;;) {
        if (poll(&output, 1, 0) == 0)
            return -EAGAIN;
        ssize_t sent = write(request->output_fd, bytes, size < PIPE_BUF ? size : PIPE_BUF);
        if (sent >= 0 || errno != EINTR)
            return sent < 0 ? -errno : sent;
    }
}

/* A pipe or a file ends with us. */
static int
stdio_end_output(struct ss_request *request, short *ret_wanted)
{
    *ret_wanted = POLLOUT;
    (void)shutdown(request->output_fd, SHUT_WR);
    return 0;
}

static void
stdio_shutdown_request(struct ss_request *request)
{
    (void)shutdown(request->output_fd,
                   SHUT_WR); /* a socket from inetd; anything else ends with us */
}

static void
stdio_close_request(struct ss_request *request)
{
    request->fd = request->output_fd = -1;
}

const struct transport stdio_transport = {
    .stream = true,
    .prepare = stdio_prepare,
    .get_request = stdio_get_request,
    .receive = stdio_receive,
    .transmit = stdio_transmit,
    .receive_now = stdio_receive_now,
    .send_now = stdio_send_now,
    .end_output = stdio_end_output,
    .shutdown_request = stdio_shutdown_request,
    .close_request = stdio_close_request,
};

/* ---- a packet ----------------------------------- */

/* All of standard input, up to max_packet_size. */
static int
packet_get_request(struct ss_request *request)
{
    struct input *input = &request->input;
    size_t limit = (size_t)request->server->settings.max_packet_size;

    (void)stdio_get_request(request);
    if (input_reserve(input, limit) < 0)
        return -ENOMEM;
    input->start = input->end = 0;
    while (input->end < limit) {
        ssize_t got = stdio_receive(request, input->data + input->end, limit - input->end);
        if (got < 0)
            return (int)got;
        if (got == 0)
            break;
        input->end += (size_t)got;
    }
    request->datagram.truncated =
        input->end == limit && stdio_receive(request, (char[1]){0}, 1) > 0;
    request->datagram.size = input->end;
    request->bytes_in = input->end;
    return 0;
}

static ssize_t
packet_receive(struct ss_request *request, void *buffer, size_t size)
{
    (void)request;
    (void)buffer;
    (void)size;
    return 0;
}

static void
packet_shutdown_request(struct ss_request *request)
{
    const struct output *output = &request->output;

    if (request->reason == CLOSE_DONE && output->error == 0 && output->used > 0)
        request->error = write_part(request, output->data, output->used);
}

const struct transport stdio_packet_transport = {
    .stream = false,
    .prepare = stdio_prepare,
    .get_request = packet_get_request,
    .receive = packet_receive,
    .transmit = stdio_transmit,
    .shutdown_request = packet_shutdown_request,
    .close_request = stdio_close_request,
};
