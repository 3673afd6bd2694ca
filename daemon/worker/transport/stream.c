/* SPDX-License-Identifier: MIT */
/*
 * stream.c - requests that are connections: TCP and Unix stream sockets
 *
 * A blocking context waits in the kernel with SO_RCVTIMEO, set once per
 * connection: a turn is one recv() and one send(), and nothing else. Only a long
 * wait, which holds no buffers, is done by poll(). Where the mixin waits, sockets
 * are non-blocking and it is asked to.
 *
 * Runs in:  a serving context of a worker.
 * Owns:     the connection, from get_request until close_request.
 * Failures: returned; nothing here is logged.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/address.h"
#include "common/clock.h"
#include "common/probes.h"
#include "worker/request/mixin.h"
#include "worker/request/request.h"
#include "worker/request/wait.h"
#include "worker/transport/stream.h"
#include "worker/transport/transports.h"

#define LINGER_BYTES   65536
#define LINGER_SECONDS 1.0

/* Whether the mixin looks for connections itself, so that accept() shall not wait. */
static bool
polls(const struct ss_server *server)
{
    const struct mixin *mixin = server->mixin;

    return mixin->polls != NULL ? mixin->polls(server) : !mixin->blocking;
}

int
stream_prepare(struct ss_server *server)
{
    int flags = fcntl(server->socket, F_GETFL);
    int wanted = polls(server) ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;

    if (flags < 0 || (wanted != flags && fcntl(server->socket, F_SETFL, wanted) < 0))
        return -errno;
    return 0;
}

int
stream_get_request(struct ss_request *request)
{
    struct ss_server *server = request->server;
    int flags = SOCK_CLOEXEC | (server->mixin->blocking ? 0 : SOCK_NONBLOCK);

    request->client.size = sizeof(request->client.address);
    int fd = accept4(server->socket, (struct sockaddr *)&request->client.address,
                     &request->client.size, flags);
    if (fd < 0)
        return -errno;
    if (server->ipv6)
        address_unmap(&request->client.address, &request->client.size);
    request->fd = request->output_fd = fd;
    request->receive_timeout = 0;
    return 0;
}

/* Tells the kernel how long recv() may wait, unless it knows. *ret_over: what it means when that
 * time is over. */
static int
limit_receive(struct ss_request *request, double setting, int *ret_over)
{
    double limit = wait_limit(request, setting);

    if (limit < 0)
        return wait_timed_out(request);
    if (limit == 0 || limit > RECEIVE_PATIENCE) {
        limit = RECEIVE_PATIENCE;
        *ret_over = -EAGAIN;
    } else {
        *ret_over = -ETIMEDOUT;
    }
    if (limit == request->receive_timeout)
        return 0;
    int error = set_socket_timeout(request->fd, SO_RCVTIMEO, limit);
    if (error < 0)
        return error;
    request->receive_timeout = limit;
    return 0;
}

void
stream_let_others_run(struct ss_request *request)
{
    if (request->server->mixin->pace != NULL)
        request->server->mixin->pace(request);
}

ssize_t
stream_take(struct ss_request *request, void *buffer, size_t size, bool blocking, double setting)
{
    int over = -EAGAIN;
    int error = blocking ? limit_receive(request, setting, &over) : 0;

    while (error == 0) {
        ssize_t got = recv(request->fd, buffer, size, blocking ? 0 : MSG_DONTWAIT);
        if (got > 0) {
            PROBE(request__read, request->server->settings.name, request->number, got);
            return got;
        }
        if (request_is_cut(request))
            return -ECANCELED;
        if (got == 0)
            return 0;
        if (errno == EAGAIN)
            error = over;
        else if (errno != EINTR)
            error = -errno;
        else if (request_leaves(request))
            error = -ECANCELED;
    }
    if (error != -ETIMEDOUT)
        return error;
    request->idle = true;
    return wait_timed_out(request);
}

ssize_t
stream_receive(struct ss_request *request, void *buffer, size_t size)
{
    const struct ss_server *server = request->server;
    ssize_t got =
        stream_take(request, buffer, size, server->mixin->blocking, request->read_timeout);

    if (got > 0)
        stream_let_others_run(request);
    return got;
}

ssize_t
stream_put(struct ss_request *request, struct iovec *parts, int count)
{
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = (size_t)count};
    const int flags = MSG_NOSIGNAL | MSG_DONTWAIT;

    if (request_is_cut(request))
        return -ECANCELED; /* where a context is interrupted, the connection is shut down */
    for (;;) {
        ssize_t sent = count == 1 ? send(request->fd, parts->iov_base, parts->iov_len, flags)
                                  : sendmsg(request->fd, &message, flags);
        if (sent >= 0) {
            PROBE(request__write, request->server->settings.name, request->number, sent);
            return sent;
        }
        if (errno == EINTR)
            continue;
        return request_is_cut(request) ? -ECANCELED : -errno;
    }
}

static int
stream_transmit(struct ss_request *request, struct iovec *parts, int count)
{
    while (count > 0) {
        ssize_t sent = stream_put(request, parts, count);
        if (sent < 0) {
            if (sent != -EAGAIN)
                return (int)sent;
            int error = wait_io(request, request->fd, POLLOUT, request->write_timeout);
            if (error < 0)
                return error;
            continue;
        }
        request->bytes_out += (uint64_t)sent;
        stream_let_others_run(request);
        while (count > 0 && (size_t)sent >= parts->iov_len) {
            sent -= (ssize_t)parts->iov_len;
            parts++;
            count--;
        }
        if (count > 0) {
            parts->iov_base = (char *)parts->iov_base + sent;
            parts->iov_len -= (size_t)sent;
        }
    }
    return 0;
}

static ssize_t
stream_receive_now(struct ss_request *request, void *buffer, size_t size, short *ret_wanted)
{
    *ret_wanted = POLLIN;
    return stream_take(request, buffer, size, false, 0);
}

static ssize_t
stream_send_now(struct ss_request *request, const void *bytes, size_t size, short *ret_wanted)
{
    struct iovec part = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = size};

    *ret_wanted = POLLOUT;
    return stream_put(request, &part, 1);
}

static int
stream_end_output(struct ss_request *request, short *ret_wanted)
{
    *ret_wanted = POLLOUT;
    return shutdown(request->fd, SHUT_WR) < 0 ? -errno : 0;
}

/*
 * Closing a connection with unread input resets it, and the client may lose
 * what we sent last. So what it sent too much is read and thrown away.
 */
static void
linger(struct ss_request *request, bool unread)
{
    int64_t until = monotonic_after(LINGER_SECONDS);
    ssize_t left = LINGER_BYTES;
    char waste[4096];

    while (left > 0) {
        ssize_t got = recv(request->fd, waste, sizeof(waste), MSG_DONTWAIT);
        if (got > 0) {
            unread = true;
            left -= got;
            continue;
        }
        if (got < 0 && errno == EINTR)
            continue;
        if (got == 0 || errno != EAGAIN || !unread)
            return;
        if (request->server->mixin->wait(request, request->fd, POLLIN, until) <= 0)
            return;
    }
}

void
stream_end(struct ss_request *request, bool unread)
{
    if (request->vanished || request->ended)
        return; /* nothing is on its way to us: close() alone ends it well */
    if (shutdown(request->fd, SHUT_WR) == 0)
        linger(request, unread);
}

static void
stream_shutdown_request(struct ss_request *request)
{
    stream_end(request, request->input.start < request->input.end);
}

void
stream_close_request(struct ss_request *request)
{
    int fd = request->fd;

    request->fd = request->output_fd = -1;
    if (fd >= 0)
        (void)close(fd);
}

const struct transport stream_transport = {
    .stream = true,
    .direct = true,
    .prepare = stream_prepare,
    .get_request = stream_get_request,
    .receive = stream_receive,
    .transmit = stream_transmit,
    .receive_now = stream_receive_now,
    .send_now = stream_send_now,
    .end_output = stream_end_output,
    .shutdown_request = stream_shutdown_request,
    .close_request = stream_close_request,
};
