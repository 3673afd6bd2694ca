/* SPDX-License-Identifier: MIT */
/*
 * wish.c - asking the supervisor: for its control socket, and to keep something
 *
 * Whoever asks makes a channel of his own for the one answer, so any number of
 * threads, coroutines and children may ask at the same time. The supervisor
 * answers in one turn of its loop; while it is exchanged for another program,
 * the question waits.
 *
 * Runs in:  any thread or child of a worker.
 * Owns:     nothing beyond a call.
 * Failures: returned. -ENOTSUP: there is no supervisor; -EPIPE: it is gone, or
 *           the child's worker is; -ETIMEDOUT: it has not answered; -EAGAIN:
 *           it had no descriptor or memory left to answer with.
 */
#include "worker/request/wish.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/clock.h"

/* Less than an event loop may be held up, in ns; and than a start may take, for many listeners may
 * start at once on a busy machine. */
#define PATIENCE       (5 * INT64_C(1000000000))
#define START_PATIENCE (20 * INT64_C(1000000000))

/* Waits for the events, or the end of the other side. Returns 0, -ETIMEDOUT, or another negative
 * errno. */
static int
await(int channel, short events, int64_t until)
{
    struct pollfd entry = {.fd = channel, .events = events};
    int r;

    do {
        int64_t left = until - monotonic_now();
        if (left < 0)
            return -ETIMEDOUT;
        r = poll(&entry, 1, (int)(left / 1000000) + 1);
    } while (r == 0 || (r < 0 && errno == EINTR));
    return r < 0 ? -errno : 0;
}

/* The channel is full while others flood it. */
static int
deliver(const struct ss_server *server, int end, int64_t until)
{
    int r = channel_send(server->wishes, MESSAGE_WISH, 0, NULL, end);

    while (r == -EAGAIN && (r = await(server->wishes, POLLOUT, until)) == 0)
        r = channel_send(server->wishes, MESSAGE_WISH, 0, NULL, end);
    return r;
}

static int
take_answer(int channel, int64_t until, int *ret_fd)
{
    struct message message;
    int fd, r = await(channel, POLLIN, until);

    if (r < 0)
        return r;
    r = channel_receive(channel, &message, &fd);
    if (r < 0)
        return r;
    if (r == 0 || message.type != MESSAGE_ANSWER)
        return -EAGAIN;
    *ret_fd = fd;
    return -(int)message.value;
}

int
wish(const struct ss_server *server, enum message_type type, uint64_t value, const char *text,
     int fd, int *ret_fd)
{
    bool starts = server_phase(server) == PHASE_STARTING;
    int64_t until = monotonic_now() + (starts ? START_PATIENCE : PATIENCE);
    int ends[2];

    *ret_fd = -1;
    if (server->wishes < 0)
        return -ENOTSUP;
    int r = channel_create(ends);
    if (r < 0)
        return r;
    _cleanup_close_ int ours = ends[0], theirs = ends[1];
    r = channel_send(ours, type, value, text, fd);
    if (r == 0)
        r = deliver(server, theirs, until);
    (void)close(take_fd(theirs)); /* or the supervisor's end would not be the last one */
    return r < 0 ? r : take_answer(ours, until, ret_fd);
}

int
ss_control(struct ss_server *server)
{
    int ends[2];

    if (server->settings.control_access != CONTROL_READ)
        return -EACCES;
    if (server->wishes < 0)
        return -ENOTSUP;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
        return -errno;
    int r = channel_send(server->wishes, MESSAGE_CONTROL, 0, NULL, ends[1]);
    (void)close(ends[1]);
    if (r < 0)
        (void)close(ends[0]);
    return r < 0 ? r : ends[0];
}
