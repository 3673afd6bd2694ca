/* SPDX-License-Identifier: MIT */
/*
 * script.c - the transports of a test: real sockets, and a client that does as it is told
 *
 * A connection is a pair of Unix sockets, so that whatever a plugin does with ss_fd() works, too.
 * Receives and sends are those of transport/stream.c, except for what the script has ordered:
 * short sends, a client that takes nothing, a reset. Datagrams are those of transport/datagram.c.
 *
 * Runs in:  a request's thread or child.
 * Owns:     the request's end of the connection.
 * Failures: returned.
 */
#include "testing/script.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "testing/rig.h"
#include "testing/stage.h"
#include "worker/request/mixin.h"
#include "worker/request/request.h"
#include "worker/request/wait.h"
#include "worker/request/wake.h"
#include "worker/transport/stream.h"
#include "worker/transport/transports.h"

static int script_fd = -1; /* of the connection that comes next */

void
script_connection(int fd)
{
    script_fd = fd;
}

static int
script_prepare(struct ss_server *server)
{
    (void)server;
    return 0;
}

static int
script_get_request(struct ss_request *request)
{
    request->client.address.ss_family = AF_UNIX;
    request->client.size = sizeof(sa_family_t);
    request->fd = request->output_fd = script_fd;
    request->receive_timeout = 0;
    script_fd = -1;
    return 0;
}

/* As of a real connection: what has come before the reset is read first. */
static ssize_t
after_reset(ssize_t got)
{
    return got == 0 && atomic_load(&stage_own->reset) ? -ECONNRESET : got;
}

static ssize_t
script_receive(struct ss_request *request, void *buffer, size_t size)
{
    return after_reset(stream_transport.receive(request, buffer, size));
}

static ssize_t
script_receive_now(struct ss_request *request, void *buffer, size_t size, short *ret_wanted)
{
    return after_reset(stream_transport.receive_now(request, buffer, size, ret_wanted));
}

/* How many bytes the connection takes now: 0 for none. */
static size_t
room(struct stage *stage, size_t size)
{
    uint64_t portion = atomic_load(&stage->portion);
    uint64_t left = atomic_load(&stage->break_after);

    if (atomic_load(&stage->held) || stage->stalled) {
        stage->stalled = false;
        return 0;
    }
    if (portion > 0 && size > portion) {
        size = (size_t)portion;
        stage->stalled = true;
    }
    return left < size ? (size_t)left : size;
}

static void
count_down(struct stage *stage, const struct ss_request *request, size_t sent)
{
    uint64_t left = atomic_load(&stage->break_after);

    if (left == UINT64_MAX)
        return;
    atomic_store(&stage->break_after, left - sent);
    if (left == sent) {
        atomic_store(&stage->reset, true);
        (void)shutdown(request->fd, SHUT_RDWR);
    }
}

static ssize_t
script_send(struct ss_request *request, const void *bytes, size_t size, short *ret_wanted)
{
    struct stage *stage = stage_own;

    *ret_wanted = POLLOUT;
    if (atomic_load(&stage->break_after) == 0)
        count_down(stage, request, 0);
    if (atomic_load(&stage->reset))
        return request->vanished ? -EPIPE : -ECONNRESET;
    size_t part = room(stage, size);
    if (part == 0)
        return -EAGAIN;
    ssize_t sent = stream_transport.send_now(request, bytes, part, ret_wanted);
    if (sent > 0)
        count_down(stage, request, (size_t)sent);
    return sent;
}

static int
send_part(struct ss_request *request, const char *bytes, size_t size)
{
    short wanted;

    while (size > 0) {
        ssize_t sent = script_send(request, bytes, size, &wanted);
        if (sent == -EAGAIN) {
            int error = wait_io(request, request->fd, wanted, request->write_timeout);
            if (error < 0)
                return error;
        } else if (sent < 0) {
            return (int)sent;
        } else {
            request->bytes_out += (uint64_t)sent;
            bytes += sent;
            size -= (size_t)sent;
        }
    }
    return 0;
}

static int
script_transmit(struct ss_request *request, struct iovec *parts, int count)
{
    int error = 0;

    for (int i = 0; i < count && error == 0; i++)
        error = send_part(request, parts[i].iov_base, parts[i].iov_len);
    return error;
}

static int
script_end_output(struct ss_request *request, short *ret_wanted)
{
    *ret_wanted = POLLOUT;
    if (atomic_load(&stage_own->reset))
        return -ENOTCONN;
    return shutdown(request->fd, SHUT_WR) < 0 ? -errno : 0;
}

/* A Unix socket that is closed with something to read in it tells its peer of a reset. */
static void
script_shutdown_request(struct ss_request *request)
{
    char waste[4096];

    (void)shutdown(request->fd, SHUT_WR);
    while (recv(request->fd, waste, sizeof(waste), MSG_DONTWAIT) > 0)
        ;
}

const struct transport script_stream = {
    .stream = true,
    .prepare = script_prepare,
    .get_request = script_get_request,
    .receive = script_receive,
    .transmit = script_transmit,
    .receive_now = script_receive_now,
    .send_now = script_send,
    .end_output = script_end_output,
    .shutdown_request = script_shutdown_request,
    .close_request = stream_close_request,
};

/* ---- how requests run ------------------------------------------------------------- */

static int
script_wait(struct ss_request *request, int fd, short events, int64_t until)
{
    struct pollfd entry = {.fd = fd, .events = events};
    int result = stage_wait(request, &entry, 1, until);

    if (result <= 0)
        return result;
    return (entry.revents & POLLNVAL) ? -EBADF : entry.revents;
}

static int
script_wait_both(struct ss_request *request, struct pollfd *fds, size_t count, int64_t until)
{
    int result = stage_wait(request, fds, count, until);

    return result > 0 ? 1 : result;
}

/* The event is for all later requests of the same slot, and never closed. */
static int
script_prepare_wake(struct ss_request *request, struct waker *waker)
{
    int error = waker_prepare_blocking(request, waker);

    if (error == 0)
        descriptor_is_ours(waker->event);
    return error;
}

#define WAITS                                                                                      \
    .wait = script_wait, .wait_both = script_wait_both, .prepare_wake = script_prepare_wake

/* None of them runs anything itself: the test does. Their waits are the test's, too. */
const struct mixin script_mixins[] = {
    [MIXIN_NONE] = {.hooks_between = true, WAITS},
    [MIXIN_THREADING] = {WAITS},
    [MIXIN_FORKING] = {.processes = true, WAITS},
    [MIXIN_COROUTINE] = {WAITS},
};

const char *const script_kinds[] = {
    [MIXIN_NONE] = "main",
    [MIXIN_THREADING] = "thread",
    [MIXIN_FORKING] = "child",
    [MIXIN_COROUTINE] = "coroutine",
};
