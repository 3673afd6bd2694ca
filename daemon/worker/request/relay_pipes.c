/* SPDX-License-Identifier: MIT */
/*
 * relay_pipes.c - the pipes that a relay's bytes pass through where they are not copied
 *
 * splice(2) moves pages from a socket into a pipe and from there into another socket. A relay has
 * a pipe only while bytes are in it or come fast; the process keeps a few for the next one.
 *
 * Runs in:  a serving context.
 * Owns:     the pipes that the process keeps, as long as it lives.
 * Failures: returned; a relay goes on without a pipe.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include "worker/request/relay.h"

#define KEPT 16

static struct {
    pthread_mutex_t lock;
    int pipes[KEPT][2];
    unsigned count;
} shelf = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- pipes ---------------------------------------------------------------------------------- */

static bool
take_kept(struct relay_flow *flow)
{
    bool any;

    (void)pthread_mutex_lock(&shelf.lock);
    any = shelf.count > 0;
    if (any) {
        shelf.count--;
        flow->pipe[0] = shelf.pipes[shelf.count][0];
        flow->pipe[1] = shelf.pipes[shelf.count][1];
    }
    (void)pthread_mutex_unlock(&shelf.lock);
    return any;
}

static int
take_pipe(struct relay_flow *flow)
{
    if (flow->pipe[0] >= 0 || take_kept(flow))
        return 0;
    return pipe2(flow->pipe, O_CLOEXEC | O_NONBLOCK) < 0 ? -errno : 0;
}

void
relay_pipe_give(struct relay_flow *flow)
{
    if (flow->pipe[0] < 0)
        return;
    (void)pthread_mutex_lock(&shelf.lock);
    if (shelf.count < KEPT) {
        shelf.pipes[shelf.count][0] = flow->pipe[0];
        shelf.pipes[shelf.count][1] = flow->pipe[1];
        shelf.count++;
        flow->pipe[0] = flow->pipe[1] = -1;
    }
    (void)pthread_mutex_unlock(&shelf.lock);
    relay_pipe_drop(flow);
}

void
relay_pipe_drop(struct relay_flow *flow)
{
    if (flow->pipe[0] >= 0) {
        (void)close(flow->pipe[0]);
        (void)close(flow->pipe[1]);
    }
    flow->pipe[0] = flow->pipe[1] = -1;
    flow->piped = 0;
}

/* ---- splice --------------------------------------------------------------------------------- */

/* splice(2) asks the descriptor whether it may wait, and knows no flag of its own for sockets. */
static int
forbid_waiting(struct relay_end *end, int fd)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0)
        return -errno;
    if (flags & O_NONBLOCK)
        return 0;
    if (fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return -errno;
    end->plain = true;
    return 0;
}

static void
restore(const struct relay_end *end)
{
    int flags = end->plain ? fcntl(end->in, F_GETFL) : -1;

    if (flags >= 0)
        (void)fcntl(end->in, F_SETFL, flags & ~O_NONBLOCK);
}

void
relay_ends_restore(struct relay *relay)
{
    restore(&relay->client);
    restore(&relay->other);
}

static int
prepare(struct relay_flow *flow)
{
    if (flow->pipe[0] >= 0)
        return 0;
    int error = forbid_waiting(flow->from, flow->from->in);
    if (error == 0)
        error = forbid_waiting(flow->to, flow->to->out);
    return error < 0 ? error : take_pipe(flow);
}

ssize_t
relay_pipe_fill(struct relay_flow *flow)
{
    int error = prepare(flow);

    if (error < 0)
        return error;
    for (;;) {
        ssize_t got = splice(flow->from->in, NULL, flow->pipe[1], NULL, 1 << 20,
                             SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
        if (got < 0 && errno == EINTR)
            continue;
        flow->piped = got > 0 ? (size_t)got : 0;
        return got < 0 ? -errno : got;
    }
}

ssize_t
relay_pipe_drain(struct relay_flow *flow)
{
    for (;;) {
        ssize_t sent = splice(flow->pipe[0], NULL, flow->to->out, NULL, flow->piped,
                              SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return -errno;
        flow->piped -= (size_t)sent;
        return sent;
    }
}
