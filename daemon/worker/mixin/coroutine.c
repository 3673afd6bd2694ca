/* SPDX-License-Identifier: MIT */
/*
 * coroutine.c - each request in a coroutine on an event loop
 *
 * A loop accepts, starts a coroutine for the request, and goes on with another
 * whenever that one waits; it is written as if it had a thread to itself. With
 * `cpus` there are several loops, each a thread with its own share of
 * max_connections, which take connections from the one socket. The first is
 * the main thread and drives the housekeeping, too: a handler that blocks it
 * holds up the pings.
 *
 * Runs in:  a worker; requests in the coroutines of its loops.
 * Owns:     the loops; each coroutine its request and its slot.
 * Failures: out of descriptors or memory, a loop pauses accepting and goes on.
 *           pthread_exit() in a handler ends that request only.
 */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "worker/coroutine/coroutine.h"
#include "worker/housekeeping.h"
#include "worker/mixin/faults.h"
#include "worker/mixin/mixins.h"
#include "worker/mixin/watchdog.h"
#include "worker/request/request.h"
#include "worker/request/transport.h"

#define ACCEPTS_A_TURN 64
#define PACE           32 /* receives and sends without a wait, until others get their turn */
#define TRIM_INTERVAL  5000000000ll
#define TRIM_FLOOR     16u /* so many coroutines are kept anyway */

/* What else a loop hears of. */
enum { EVENT_SOCKET, EVENT_HOUSEKEEPING };

/* A loop and what it is for. Only its own thread touches it, but for what is marked. */
struct engine {
    struct loop loop;
    struct watched_loop watched;
    struct ss_server *server;
    struct housekeeping *housekeeping; /* the first one's; else NULL */
    int64_t next_housekeeping;
    bool housekeeping_due;
    uint32_t number; /* from 0 */
    enum server_phase seen;
    bool listening;
    bool acceptable; /* the socket has something */
    int64_t paused;  /* accepting goes on at this time; FOREVER: it does */
    int64_t next_trim;
    uint32_t peak; /* of busy coroutines since the last trim */
    pthread_t thread;
};

static struct {
    struct engine *engines;
    uint32_t count;
    _Atomic uint32_t running; /* loops that have not ended; any thread */
    _Atomic int error;        /* of the first that could not serve on; any thread */
} all;

/* ---- the request in its coroutine ----------------------------------------------------- */

static struct coroutine *
coroutine_of(struct ss_request *request)
{
    return (struct coroutine *)(void *)request - 1;
}

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

static void
forget(struct coroutine *coroutine)
{
    struct ss_request *request = coroutine_extra(coroutine);

    if (request->server != NULL)
        request_done(request);
}

/* ---- accepting ---------------------------------------------------------------------------- */

static void
listen_again(struct engine *engine)
{
    uint32_t events = EPOLLIN | (all.count > 1 ? EPOLLEXCLUSIVE : 0);

    if (engine->listening)
        return;
    int error = loop_watch(&engine->loop, engine->server->socket, events, EVENT_SOCKET);
    if (error < 0)
        log_error("cannot wait for requests: %s", strerror(-error));
    engine->listening = error == 0;
}

static void
listen_no_more(struct engine *engine)
{
    if (engine->listening)
        loop_unwatch(&engine->loop, engine->server->socket);
    engine->listening = false;
}

static void
pause_accepting(struct engine *engine)
{
    engine->paused = monotonic_now() + REQUEST_STARVED_PAUSE;
    listen_no_more(engine);
}

/* The next coroutine with its request; NULL at the limit, or without memory for another. */
static struct ss_request *
take(struct engine *engine)
{
    int error = 0;
    struct coroutine *coroutine = loop_take(&engine->loop, &error);

    if (coroutine == NULL) {
        listen_no_more(engine);
        if (error == -ENOMEM) {
            request_note_starvation(engine->server, error);
            pause_accepting(engine);
        }
        return NULL;
    }
    struct ss_request *request = coroutine_extra(coroutine);
    if (request->server == NULL) {
        uint32_t index = coroutine->index * all.count + engine->number; /* no gaps between loops */
        request_init(request, engine->server, &engine->server->counters->slots[index], "coroutine",
                     (int)index + 1);
    }
    return request;
}

/* Takes one request and lets it run. False: no more for now. */
static bool
accept_one(struct engine *engine)
{
    struct ss_request *request = take(engine);

    if (request == NULL)
        return false;
    int error = request_try(request);
    if (error == 0) {
        coroutine_forget_connection(coroutine_of(request));
        loop_start(coroutine_of(request));
        if (engine->loop.busy > engine->peak)
            engine->peak = engine->loop.busy;
        return true;
    }
    counter_set(request->slot->state, SLOT_FREE);
    loop_give_back(coroutine_of(request));
    if (error == -ENOBUFS)
        pause_accepting(engine);
    if (error == -EBADF) {
        listen_no_more(engine);
        atomic_store(&all.error, -EIO);
        server_wake(engine->server);
    }
    return error == -ECONNABORTED;
}

static void
accept_requests(struct engine *engine)
{
    struct ss_server *server = engine->server;

    engine->acceptable = false;
    for (int i = 0; i < ACCEPTS_A_TURN && accept_one(engine); i++)
        if (server->once) {
            listen_no_more(engine);
            break;
        }
    if (server->transport->flush != NULL)
        server->transport->flush(server);
}

/* ---- the loop -------------------------------------------------------------------------------- */

static void
on_event(struct loop *loop, unsigned number)
{
    struct engine *engine = (struct engine *)(void *)loop;

    if (number == EVENT_SOCKET)
        engine->acceptable = true;
    else
        engine->housekeeping_due = true;
}

static void
on_awake(struct loop *loop)
{
    watchdog_awake(&((struct engine *)(void *)loop)->watched);
}

/* A worker that has had many requests at a time gives their memory back. */
static void
trim(struct engine *engine)
{
    struct loop *loop = &engine->loop;
    uint32_t before = loop->count;

    loop_trim(loop, engine->peak > TRIM_FLOOR ? engine->peak : TRIM_FLOOR, forget);
    engine->peak = loop->busy;
    engine->next_trim = monotonic_now() + TRIM_INTERVAL;
    if (before - loop->count > TRIM_FLOOR)
        (void)malloc_trim(0);
}

/* Datagrams that were received together with others, and have no event of their own. */
static bool
has_leftovers(const struct engine *engine)
{
    const struct ss_server *server = engine->server;

    return server->pending > 0 && engine->paused == FOREVER && server_phase(server) != PHASE_CUT;
}

static int64_t
next_time(const struct engine *engine)
{
    if (has_leftovers(engine) && engine->loop.busy < engine->loop.limit)
        return 0;
    int64_t next = engine->housekeeping != NULL ? engine->next_housekeeping : FOREVER;

    if (engine->paused < next)
        next = engine->paused;
    if (engine->loop.count > TRIM_FLOOR && engine->next_trim < next)
        next = engine->next_trim;
    return next;
}

static void
follow_phase(struct engine *engine)
{
    enum server_phase phase = server_phase(engine->server);

    if (phase == engine->seen)
        return;
    engine->seen = phase;
    if (phase >= PHASE_DRAINING)
        listen_no_more(engine);
    if (phase == PHASE_CUT)
        loop_cancel(&engine->loop);
    if (engine->housekeeping != NULL)
        for (uint32_t i = 1; i < all.count; i++)
            loop_wake(&all.engines[i].loop);
}

static void
keep_time(struct engine *engine)
{
    if (timer_is_due(engine->paused))
        engine->paused = FOREVER;
    if (engine->loop.count > TRIM_FLOOR && timer_is_due(engine->next_trim))
        trim(engine);
}

/* The housekeeping's part of a turn; before anything is accepted, because it may forbid that. */
static void
run_housekeeping(struct engine *engine)
{
    struct ss_server *server = engine->server;

    if (!engine->housekeeping_due && !timer_is_due(engine->next_housekeeping))
        return;
    engine->housekeeping_due = false;
    if (!housekeeping_dispatch(engine->housekeeping)) {
        log_warning("requests were cut and did not end; leaving without them");
        server_end_process(0);
    }
    server_run_due(server);
    follow_phase(engine);
    engine->next_housekeeping = housekeeping_next(engine->housekeeping);
}

static void
turn(struct engine *engine)
{
    struct ss_server *server = engine->server;

    loop_turn(&engine->loop, next_time(engine));
    if (engine->housekeeping != NULL)
        run_housekeeping(engine);
    if (engine->acceptable || has_leftovers(engine))
        accept_requests(engine);
    keep_time(engine);
    follow_phase(engine);
    bool room = engine->loop.busy < engine->loop.limit;
    if (!engine->listening && room && engine->paused == FOREVER && engine->seen == PHASE_SERVING &&
        atomic_load(&all.error) == 0 && !(server->once && counter_get(server->counters->requests)))
        listen_again(engine);
}

static bool
ended(const struct engine *engine)
{
    if (engine->loop.busy > 0 || has_leftovers(engine))
        return false;
    return engine->seen >= PHASE_DRAINING || atomic_load(&all.error) < 0;
}

static void
start_watching(struct engine *engine)
{
    loop_enter(&engine->loop);
    faults_watch_thread(&engine->loop);
    int error = watchdog_watch(&engine->watched, &engine->loop);
    if (error < 0)
        log_warning("cannot watch the event loop: %s", strerror(-error));
}

static void *
engine_main(void *argument)
{
    struct engine *engine = argument;
    char name[16];

    (void)snprintf(name, sizeof(name), "loop-%u", engine->number + 1);
    (void)pthread_setname_np(pthread_self(), name);
    start_watching(engine);
    while (!ended(engine))
        turn(engine);
    struct ss_server *server = engine->server;
    buffers_done_thread();
    watchdog_unwatch(&engine->watched);
    faults_unwatch_thread();
    atomic_fetch_sub(&all.running, 1);
    server_wake(server);
    return NULL;
}

/* ---- the first loop, which does the housekeeping ----------------------------------------- */

static int
watch_housekeeping(struct engine *engine)
{
    int descriptors[HOUSEKEEPING_DESCRIPTORS];
    int error = 0;

    housekeeping_descriptors(engine->housekeeping, descriptors);
    for (size_t i = 0; i < HOUSEKEEPING_DESCRIPTORS && error == 0; i++)
        if (descriptors[i] >= 0)
            error =
                loop_watch(&engine->loop, descriptors[i], EPOLLIN | EPOLLET, EVENT_HOUSEKEEPING);
    return error;
}

static int
lead(struct engine *engine)
{
    int error = watch_housekeeping(engine);

    if (error < 0)
        return error;
    start_watching(engine);
    engine->housekeeping_due = true;
    run_housekeeping(engine);
    for (;;) {
        bool rest = ended(engine) && atomic_load(&all.running) == 0;
        if (rest && (server_phase(engine->server) >= PHASE_DRAINING || atomic_load(&all.error)))
            break;
        turn(engine);
    }
    return server_phase(engine->server) >= PHASE_DRAINING ? 0 : atomic_load(&all.error);
}

static int
make_engines(struct ss_server *server, struct housekeeping *housekeeping)
{
    uint32_t limit = server->once ? 1 : server->settings.max_connections;

    if (limit > server->slot_count)
        limit = server->slot_count;
    all.count = server->settings.cpus < limit ? server->settings.cpus : limit;
    if (all.count == 0)
        return -EINVAL;
    all.engines = calloc(all.count, sizeof(*all.engines));
    if (all.engines == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < all.count; i++) {
        struct engine *engine = &all.engines[i];
        uint32_t share = limit / all.count + (i < limit % all.count);

        int error =
            loop_init(&engine->loop, share, server_stack_size(server), sizeof(struct ss_request));
        if (error < 0)
            return error;
        engine->loop.serve = serve;
        engine->loop.abandon = abandon;
        engine->loop.on_event = on_event;
        engine->loop.awake = on_awake;
        engine->server = server;
        engine->housekeeping = i == 0 ? housekeeping : NULL;
        engine->next_housekeeping = engine->paused = FOREVER;
        engine->number = i;
        engine->seen = PHASE_SERVING;
        listen_again(engine);
    }
    return 0;
}

static int
coroutine_mixin_run(struct ss_server *server, struct housekeeping *housekeeping)
{
    int error = make_engines(server, housekeeping);

    if (error < 0)
        return error;
    faults_install(server);
    watchdog_install(server);
    for (uint32_t i = 1; i < all.count; i++) {
        atomic_fetch_add(&all.running, 1);
        error = -pthread_create(&all.engines[i].thread, NULL, engine_main, &all.engines[i]);
        if (error < 0)
            return error;
    }
    error = lead(&all.engines[0]);
    watchdog_unwatch(&all.engines[0].watched);
    for (uint32_t i = 0; i < all.count; i++) {
        if (i > 0)
            (void)pthread_join(all.engines[i].thread, NULL);
        loop_trim(&all.engines[i].loop, 0, forget);
        loop_done(&all.engines[i].loop);
    }
    buffers_done_thread();
    free(all.engines);
    return error;
}

const struct mixin mixin_coroutine = {
    .batches = true,
    .run = coroutine_mixin_run,
    .wait = coroutine_mixin_wait,
    .pace = coroutine_mixin_pace,
};
