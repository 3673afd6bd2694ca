/* SPDX-License-Identifier: MIT */
/*
 * coroutine.c - each request in a coroutine on an event loop
 *
 * A loop accepts (serving_loop.c), starts a coroutine for the request, and goes
 * on with another whenever that one waits; a handler is written as if it had a
 * thread to itself. With `cpus` there are several loops, each a thread with its
 * own share of max_connections. The first is the main thread and does the
 * housekeeping, too: a handler that blocks it holds up the pings.
 *
 * Runs in:  a worker; requests in the coroutines of its loops.
 * Owns:     the loops.
 * Failures: pthread_exit() in a handler ends that request only.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "worker/housekeeping.h"
#include "worker/mixin/mixins.h"
#include "worker/mixin/serving_loop.h"
#include "worker/mixin/watchdog.h"
#include "worker/request/listener_limit.h"
#include "worker/request/request.h"
#include "worker/request/transport.h"
#include "worker/request/wake.h"

#define PACE 32 /* receives and sends without a wait, until others get their turn */

static struct serving_loops all;
static _Atomic uint32_t interruptible; /* so many of the loops have a thread */

/* ---- the request in its coroutine ----------------------------------------------------- */

static void
set_current(struct ss_request *request)
{
    request_current = request;
    log_set_context(request != NULL ? &request->log : NULL);
}

static int
coroutine_mixin_wait(struct ss_request *request, int fd, short events, int64_t until)
{
    struct coroutine *coroutine = coroutine_of(request);
    int result;

    if (request_is_cut(request))
        return -ECANCELED;
    request->turns = PACE;
    set_current(NULL);
    if (fd >= 0 && fd == request->fd && request->server->transport->stream)
        result = coroutine_wait_connection(coroutine, fd, events, until, request->inode != 0);
    else
        result = coroutine_wait(coroutine, fd, events, until);
    set_current(request);
    return result;
}

static int
coroutine_mixin_wait_both(struct ss_request *request, struct pollfd *fds, size_t count,
                          int64_t until)
{
    (void)count; /* a connection has no output of its own */
    if (request_is_cut(request))
        return -ECANCELED;
    request->turns = PACE;
    set_current(NULL);
    int result = coroutine_wait_both(coroutine_of(request), fds, until);
    set_current(request);
    return result;
}

static void
coroutine_mixin_leave_other(struct ss_request *request, int fd)
{
    coroutine_leave_companion(coroutine_of(request), fd);
}

static void
coroutine_mixin_pace(struct ss_request *request)
{
    if (--request->turns > 0)
        return;
    request->turns = PACE;
    set_current(NULL);
    coroutine_yield(coroutine_of(request));
    set_current(request);
}

/* ---- ending another one's wait ---------------------------------------------------------- */

static struct waker *
waker_of(struct inbox_item *item)
{
    return (struct waker *)(void *)((char *)item - offsetof(struct waker, item));
}

/* In the context's own thread: a request that waits is there, and this one's. */
static void
receive_wake(struct inbox_item *item, bool handed_over)
{
    struct waker *waker = waker_of(item);
    uint64_t state = handed_over ? atomic_fetch_and(&waker->state, ~(uint64_t)WAKER_QUEUED)
                                 : atomic_load(&waker->state);

    if ((state & WAKER_WAITING) != 0 && (state & WAKER_WOKEN) != 0)
        coroutine_end_wait(waker->context, -EINTR);
}

/* One that is on its way already will be seen there. */
static bool
admit_wake(struct inbox_item *item)
{
    return (atomic_fetch_or(&waker_of(item)->state, WAKER_QUEUED) & WAKER_QUEUED) == 0;
}

static int
coroutine_mixin_prepare_wake(struct ss_request *request, struct waker *waker)
{
    struct coroutine *coroutine = coroutine_of(request);

    waker->context = coroutine;
    if (waker->inbox == NULL) /* a context with this number is always the same loop's */
        waker->inbox = loop_inbox(coroutine->loop, receive_wake, admit_wake);
    return waker->inbox == NULL ? -ENOMEM : 0;
}

/* ---- the request in its coroutine, and its end ------------------------------------------ */

static void
end_request(struct ss_request *request)
{
    counter_set(request->slot->stage, STAGE_NONE);
    counter_set(request->slot->state, SLOT_FREE);
    if (request->server->once)
        server_ask_stop(request->server);
}

static void
serve(struct coroutine *coroutine)
{
    struct ss_request *request = coroutine_extra(coroutine);

    request->turns = PACE;
    request_process(request);
    buffers_release(request);
    end_request(request);
}

static void
abandon(struct coroutine *coroutine)
{
    struct ss_request *request = coroutine_extra(coroutine);

    request_abandon(request);
    end_request(request);
}

/* What the process is sent arrives in the first loop's thread. */
static void
coroutine_mixin_interrupt_others(int signal)
{
    uint32_t count = atomic_load(&interruptible);

    if (gettid() != getpid())
        return;
    for (uint32_t i = 1; i < count; i++)
        (void)pthread_kill(all.loops[i].thread, signal);
}

/* ---- the loops ------------------------------------------------------------------------ */

static void *
loop_main(void *argument)
{
    struct serving_loop *serving = argument;
    struct ss_server *server = serving->server;
    char name[16];

    (void)snprintf(name, sizeof(name), "loop-%u", serving->number + 1);
    (void)pthread_setname_np(pthread_self(), name);
    serving_loop_enter(serving);
    while (!serving_loop_ended(serving))
        serving_loop_turn(serving);
    serving_loop_leave(serving);
    atomic_fetch_sub(&all.running, 1);
    server_wake(server);
    return NULL;
}

/* The first loop, which ends after all others. */
static int
lead(struct serving_loop *first, struct housekeeping *housekeeping)
{
    const struct ss_server *server = first->server;
    int error = serving_loop_keep_house(first, housekeeping);

    if (error < 0)
        return error;
    serving_loop_enter(first);
    for (;;) {
        bool rest = serving_loop_ended(first) && atomic_load(&all.running) == 0;
        if (rest && (server_phase(server) >= PHASE_DRAINING || atomic_load(&all.error)))
            break;
        serving_loop_turn(first);
    }
    serving_loop_leave(first);
    return server_phase(server) >= PHASE_DRAINING ? 0 : atomic_load(&all.error);
}

static int
make_loops(struct ss_server *server)
{
    uint32_t limit = server->once ? 1 : server->settings.max_connections;
    uint32_t refusing = listener_contexts(server) - server->settings.max_connections; /* 0 or 1 */

    if (limit > server->slot_count)
        limit = server->slot_count;
    all.count = server->settings.cpus < limit ? server->settings.cpus : limit;
    if (all.count == 0)
        return -EINVAL;
    all.loops = calloc(all.count, sizeof(*all.loops));
    if (all.loops == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < all.count; i++) {
        uint32_t share = limit / all.count + (i < limit % all.count) + refusing;
        int error = serving_loop_init(&all.loops[i], &all, i, server, share);
        if (error < 0)
            return error;
        all.loops[i].loop.serve = serve;
        all.loops[i].loop.abandon = abandon;
    }
    return 0;
}

static int
coroutine_mixin_run(struct ss_server *server, struct housekeeping *housekeeping)
{
    int error = make_loops(server);

    if (error < 0)
        return error;
    uint32_t started = all.count;
    all.exception_state = plugin_exception_state(&server->plugin);
    watchdog_install(server);
    for (uint32_t i = 1; i < all.count; i++) {
        atomic_fetch_add(&all.running, 1);
        error = -pthread_create(&all.loops[i].thread, NULL, loop_main, &all.loops[i]);
        if (error == 0)
            continue;
        atomic_fetch_sub(&all.running, 1);
        log_warning("cannot start the thread of event loop %u: %s; going on with %u of %u", i + 1,
                    strerror(-error), i, all.count);
        started = i;
        break;
    }
    for (uint32_t i = started; i < all.count; i++)
        serving_loop_done(&all.loops[i]); /* the socket shall not wake it */
    atomic_store(&interruptible, started);
    error = lead(&all.loops[0], housekeeping);
    atomic_store(&interruptible, 0);
    for (uint32_t i = 0; i < started; i++) {
        if (i > 0)
            (void)pthread_join(all.loops[i].thread, NULL);
        serving_loop_done(&all.loops[i]);
    }
    free(all.loops);
    return error;
}

const struct mixin mixin_coroutine = {
    .batches = true,
    .run = coroutine_mixin_run,
    .wait = coroutine_mixin_wait,
    .wait_both = coroutine_mixin_wait_both,
    .leave_other = coroutine_mixin_leave_other,
    .interrupt_others = coroutine_mixin_interrupt_others,
    .prepare_wake = coroutine_mixin_prepare_wake,
    .pace = coroutine_mixin_pace,
};
