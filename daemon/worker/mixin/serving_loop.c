/* SPDX-License-Identifier: MIT */
/*
 * serving_loop.c - an event loop that accepts requests and runs each in a coroutine
 *
 * A turn waits for events, lets every coroutine go on that can, does the
 * housekeeping if that is this loop's, and accepts as long as there is room.
 *
 * Runs in:  the loop's thread.
 * Owns:     its coroutines, each with its request; of the slots, its share.
 * Failures: out of descriptors or memory, it pauses accepting and goes on. If
 *           the listening socket is broken, all loops end when they are idle.
 */
#include "worker/mixin/serving_loop.h"

#include <errno.h>
#include <malloc.h>
#include <string.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "common/log.h"
#include "worker/housekeeping.h"
#include "worker/mixin/faults.h"
#include "worker/request/orders.h"
#include "worker/request/source_limit.h"
#include "worker/request/transport.h"

#define ACCEPTS_A_TURN 64
#define TRIM_INTERVAL  5000000000ll
#define TRIM_FLOOR     16u         /* so many coroutines are kept anyway */
#define TRACE_ROOM     (16 * 1024) /* bytes of a stack that unwinding it may need */

/* What else a loop hears of. */
enum { EVENT_SOCKET, EVENT_HOUSEKEEPING };

static struct serving_loop *
serving_loop_of(struct loop *loop)
{
    return (struct serving_loop *)(void *)loop;
}

/* ---- accepting ---------------------------------------------------------------------- */

static void
listen_again(struct serving_loop *serving)
{
    uint32_t events = EPOLLIN | (serving->all->count > 1 ? EPOLLEXCLUSIVE : 0);

    if (serving->listening)
        return;
    int error = loop_watch(&serving->loop, serving->server->socket, events, EVENT_SOCKET);
    if (error < 0)
        log_error("cannot wait for requests: %s", strerror(-error));
    serving->listening = error == 0;
}

static void
listen_no_more(struct serving_loop *serving)
{
    if (serving->listening)
        loop_unwatch(&serving->loop, serving->server->socket);
    serving->listening = false;
}

static void
pause_until(struct serving_loop *serving, int64_t until)
{
    serving->paused = until;
    listen_no_more(serving);
}

static void
pause_accepting(struct serving_loop *serving)
{
    pause_until(serving, monotonic_now() + REQUEST_STARVED_PAUSE);
}

/* Until `rate` allows another request; maybe it does so by now. */
static void
pause_for_turn(struct serving_loop *serving)
{
    int64_t now = monotonic_now(), until = source_limit_next_turn(now);

    pause_until(serving, until > 0 ? until : now);
}

/* A free coroutine with its request; NULL at the limit, or without memory for another. */
static struct ss_request *
take(struct serving_loop *serving)
{
    int error = 0;
    struct coroutine *coroutine = coroutine_take(&serving->loop, &error);

    if (coroutine == NULL) {
        listen_no_more(serving);
        if (error == -ENOMEM) {
            request_note_starvation(serving->server, error);
            pause_accepting(serving);
        }
        return NULL;
    }
    struct ss_request *request = coroutine_extra(coroutine);
    if (request->server == NULL) {
        /* No slot is left out between one loop's and the next one's. */
        uint32_t index = coroutine->index * serving->all->count + serving->number;
        request_init(request, serving->server, &serving->server->counters->slots[index],
                     "coroutine", (int)index + 1);
    }
    return request;
}

/* Takes one request and lets it run. False: no more for now. */
static bool
accept_one(struct serving_loop *serving)
{
    struct ss_request *request = take(serving);

    if (request == NULL)
        return false;
    int error = request_try(request);
    if (error == 0) {
        coroutine_forget_connection(coroutine_of(request));
        coroutine_start(coroutine_of(request));
        if (serving->loop.busy > serving->peak)
            serving->peak = serving->loop.busy;
        return true;
    }
    counter_set(request->slot->state, SLOT_FREE);
    coroutine_give_back(coroutine_of(request));
    if (error == -ENOBUFS)
        pause_accepting(serving);
    if (error == -EBUSY)
        pause_for_turn(serving);
    if (error == -EBADF) {
        listen_no_more(serving);
        atomic_store(&serving->all->error, -EIO);
        server_wake(serving->server);
    }
    return error == -ECONNABORTED;
}

static void
accept_requests(struct serving_loop *serving)
{
    struct ss_server *server = serving->server;

    serving->acceptable = false;
    for (int i = 0; i < ACCEPTS_A_TURN && accept_one(serving); i++)
        if (server->once) {
            listen_no_more(serving);
            break;
        }
    if (server->transport->flush != NULL)
        server->transport->flush(server);
}

/* ---- a turn --------------------------------------------------------------------------- */

static void
on_event(struct loop *loop, unsigned number)
{
    struct serving_loop *serving = serving_loop_of(loop);

    if (number == EVENT_SOCKET)
        serving->acceptable = true;
    else
        serving->housekeeping_due = true;
}

static void
on_awake(struct loop *loop)
{
    watchdog_awake(&serving_loop_of(loop)->watched);
}

static void
forget(struct coroutine *coroutine)
{
    struct ss_request *request = coroutine_extra(coroutine);

    if (request->server != NULL)
        request_done(request);
}

/* A worker that has had many requests at a time gives their memory back. */
static void
trim(struct serving_loop *serving)
{
    struct loop *loop = &serving->loop;
    uint32_t before = loop->count;

    coroutines_trim(loop, serving->peak > TRIM_FLOOR ? serving->peak : TRIM_FLOOR, forget);
    serving->peak = loop->busy;
    serving->next_trim = monotonic_now() + TRIM_INTERVAL;
    if (before - loop->count > TRIM_FLOOR)
        (void)malloc_trim(0);
}

/* Datagrams that were received together with others, and have no event of their own. */
static bool
has_leftovers(const struct serving_loop *serving)
{
    const struct ss_server *server = serving->server;

    return server->pending > 0 && serving->paused == FOREVER && server_phase(server) != PHASE_CUT;
}

static int64_t
next_time(const struct serving_loop *serving)
{
    if (has_leftovers(serving) && serving->loop.busy < serving->loop.limit)
        return 0;
    int64_t next = serving->housekeeping != NULL ? serving->next_housekeeping : FOREVER;

    if (serving->paused < next)
        next = serving->paused;
    if (serving->loop.count > TRIM_FLOOR && serving->next_trim < next)
        next = serving->next_trim;
    return next;
}

/* In ss_wait_input(). */
static bool
wants_to_leave(struct coroutine *coroutine)
{
    const struct ss_request *request = coroutine_extra(coroutine);

    return request->slot != NULL && request_leaves(request);
}

/* ---- the supervisor's orders -------------------------------------------------------------- */

static bool
is_unwanted(struct coroutine *coroutine)
{
    const struct ss_request *request = coroutine_extra(coroutine);

    return request->slot != NULL && slot_is_unwanted(request->slot);
}

/* On the coroutine's own stack; not if that is nearly full. */
static void
say_where(struct coroutine *coroutine)
{
    const struct ss_request *request = coroutine_extra(coroutine);

    if ((const char *)__builtin_frame_address(0) - coroutine->stack.low >= TRACE_ROOM)
        inquiry_answer(request->server->counters, NULL);
}

static bool
is_asked_for(struct coroutine *coroutine, uint64_t number)
{
    const struct ss_request *request = coroutine_extra(coroutine);

    return number != 0 && request->slot != NULL && request->number == number &&
           coroutine->state != COROUTINE_FREE && coroutine->state != COROUTINE_RUNNING;
}

/* A cancelled request ends as in other mixins: its waits do, and its connection is shut. */
static void
obey_order(struct serving_loop *serving)
{
    const struct ss_server *server = serving->server;
    uint64_t asked = inquiry_open(server->counters);

    for (uint32_t i = 0; i < serving->loop.limit; i++) {
        struct coroutine *coroutine = serving->loop.table[i];
        if (coroutine == NULL || coroutine->state == COROUTINE_FREE)
            continue;
        const struct ss_request *request = coroutine_extra(coroutine);
        if (is_unwanted(coroutine) && server->transport->stream && request_owns_fd(request))
            (void)shutdown(request->fd, SHUT_RDWR);
        if (is_asked_for(coroutine, asked))
            coroutine_inspect(coroutine, say_where);
    }
    loop_cancel(&serving->loop, is_unwanted);
}

/* The housekeeping's loop tells the others what it has seen. */
static void
wake_others(struct serving_loop *serving)
{
    if (serving->housekeeping == NULL)
        return;
    for (uint32_t i = 1; i < serving->all->count; i++)
        loop_wake(&serving->all->loops[i].loop);
}

static void
follow_phase(struct serving_loop *serving)
{
    enum server_phase phase = server_phase(serving->server);
    uint32_t orders = counter_get(serving->server->counters->orders);

    if (orders != serving->orders) {
        serving->orders = orders;
        wake_others(serving);
        obey_order(serving);
    }
    if (phase == PHASE_SERVING && !serving->empties && server_ends(serving->server)) {
        serving->empties = true;
        loop_cancel(&serving->loop, wants_to_leave);
        wake_others(serving);
    }
    if (phase == serving->seen)
        return;
    serving->seen = phase;
    if (phase >= PHASE_DRAINING)
        listen_no_more(serving);
    if (phase == PHASE_DRAINING)
        loop_cancel(&serving->loop, wants_to_leave);
    if (phase == PHASE_CUT)
        loop_cancel(&serving->loop, NULL);
    wake_others(serving);
}

static void
keep_time(struct serving_loop *serving)
{
    if (timer_is_due(serving->paused))
        serving->paused = FOREVER;
    if (serving->loop.count > TRIM_FLOOR && timer_is_due(serving->next_trim))
        trim(serving);
}

/* The housekeeping's part of a turn; before anything is accepted, because it may forbid that. */
static void
run_housekeeping(struct serving_loop *serving)
{
    struct ss_server *server = serving->server;

    if (!serving->housekeeping_due && !timer_is_due(serving->next_housekeeping))
        return;
    serving->housekeeping_due = false;
    if (!housekeeping_dispatch(serving->housekeeping)) {
        log_warning("requests were cut and did not end; leaving without them");
        server_end_process(0);
    }
    server_run_due(server);
    follow_phase(serving);
    serving->next_housekeeping = housekeeping_next(serving->housekeeping);
}

void
serving_loop_turn(struct serving_loop *serving)
{
    struct ss_server *server = serving->server;

    loop_turn(&serving->loop, next_time(serving));
    if (serving->housekeeping != NULL)
        run_housekeeping(serving);
    if (serving->acceptable || has_leftovers(serving))
        accept_requests(serving);
    keep_time(serving);
    follow_phase(serving);
    bool room = serving->loop.busy < serving->loop.limit;
    if (!serving->listening && room && serving->paused == FOREVER &&
        serving->seen == PHASE_SERVING && atomic_load(&serving->all->error) == 0 &&
        !(server->once && counter_get(server->counters->requests)))
        listen_again(serving);
}

bool
serving_loop_ended(const struct serving_loop *serving)
{
    if (serving->loop.busy > 0 || has_leftovers(serving))
        return false;
    return serving->seen >= PHASE_DRAINING || atomic_load(&serving->all->error) < 0;
}

void
serving_loop_enter(struct serving_loop *serving)
{
    loop_enter(&serving->loop);
    if (serving->all->exception_state != NULL)
        serving->loop.exceptions = serving->all->exception_state();
    faults_watch_thread(&serving->loop);
    int error = watchdog_watch(&serving->watched, &serving->loop);
    if (error < 0)
        log_warning("cannot watch the event loop: %s", strerror(-error));
}

void
serving_loop_leave(struct serving_loop *serving)
{
    buffers_done_thread();
    watchdog_unwatch(&serving->watched);
    faults_unwatch_thread();
}

int
serving_loop_init(struct serving_loop *serving, struct serving_loops *all, uint32_t number,
                  struct ss_server *server, uint32_t limit)
{
    *serving = (struct serving_loop){
        .all = all,
        .server = server,
        .number = number,
        .next_housekeeping = FOREVER,
        .paused = FOREVER,
        .seen = PHASE_SERVING,
    };
    int error =
        loop_init(&serving->loop, limit, server_stack_size(server), sizeof(struct ss_request));
    if (error < 0)
        return error;
    serving->loop.on_event = on_event;
    serving->loop.awake = on_awake;
    listen_again(serving);
    return 0;
}

int
serving_loop_keep_house(struct serving_loop *serving, struct housekeeping *housekeeping)
{
    int descriptors[HOUSEKEEPING_DESCRIPTORS];
    int error = 0;

    serving->housekeeping = housekeeping;
    serving->next_housekeeping = 0; /* first of all */
    housekeeping_descriptors(housekeeping, descriptors);
    for (size_t i = 0; i < HOUSEKEEPING_DESCRIPTORS && error == 0; i++)
        if (descriptors[i] >= 0)
            error =
                loop_watch(&serving->loop, descriptors[i], EPOLLIN | EPOLLET, EVENT_HOUSEKEEPING);
    return error;
}

void
serving_loop_done(struct serving_loop *serving)
{
    coroutines_trim(&serving->loop, 0, forget);
    loop_done(&serving->loop);
}
