/* SPDX-License-Identifier: MIT */
/*
 * threading.c - each request in a thread of its own
 *
 * Leader and followers: idle threads wait in accept themselves, so no request
 * is handed from one to another. The thread that takes the last idle place
 * starts a successor before it serves. What stays idle is let go by the
 * housekeeping, except for `spare`.
 *
 * Runs in:  a worker; the main thread does the housekeeping and serves nothing.
 * Owns:     the pool; each thread its request, which lies on its stack, and its
 *           slot. A thread that has not served yet has allocated nothing.
 * Failures: a thread that cannot be started is logged once; those that are
 *           there go on. pthread_exit() in a handler ends that thread only.
 */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "worker/coroutine/stack.h"
#include "worker/housekeeping.h"
#include "worker/mixin/faults.h"
#include "worker/mixin/mixins.h"
#include "worker/request/listener_limit.h"
#include "worker/request/request.h"
#include "worker/request/wait.h"
#include "worker/request/wake.h"

#define FIRST_OUTPUT 256                /* bytes on the stack: many replies are small */
#define HEAP_PAUSE   (5 * 1000000000ll) /* ns between two looks for memory to give back */

/* A worker serves one listener, so there is one pool. */
static struct {
    struct ss_server *server;
    pthread_attr_t attributes;
    uint32_t limit; /* max_connections; 1 for --once */
    uint32_t spare;
    _Atomic uint32_t idle;  /* started and not serving */
    _Atomic uint32_t least; /* of idle, since surplus() was last called */
    _Atomic uint32_t total;
    _Atomic bool cramped; /* the last attempt to start a thread failed */
    int64_t next_shrink;  /* of the thread that does the housekeeping */
} pool;

static struct slot *
claim_slot(void)
{
    struct counters *counters = pool.server->counters;

    for (uint32_t i = 0; i < pool.server->slot_count; i++) {
        uint32_t expected = SLOT_FREE;
        if (atomic_compare_exchange_strong(&counters->slots[i].state, &expected, SLOT_STARTING))
            return &counters->slots[i];
    }
    return NULL;
}

static void *thread_main(void *argument);

/* Both places are taken already; gives them back on failure. */
static int
create_thread(void)
{
    struct slot *slot = claim_slot();
    pthread_t thread;
    int error =
        slot == NULL ? -EAGAIN : -pthread_create(&thread, &pool.attributes, thread_main, slot);

    if (error == 0)
        return 0;
    if (slot != NULL)
        counter_set(slot->state, SLOT_FREE);
    atomic_fetch_sub(&pool.idle, 1);
    atomic_fetch_sub(&pool.total, 1);
    return error;
}

static void
report_start(int error)
{
    if (error == 0)
        atomic_store_explicit(&pool.cramped, false, memory_order_relaxed);
    else if (!atomic_exchange(&pool.cramped, true))
        log_warning("cannot start a thread: %s; going on with %u", strerror(-error),
                    atomic_load(&pool.total));
}

/* Whether another one was wanted and could be started. */
static bool
start_thread(void)
{
    if (!server_accepts(pool.server))
        return false;
    if (atomic_fetch_add(&pool.total, 1) >= pool.limit) {
        atomic_fetch_sub(&pool.total, 1);
        return false;
    }
    atomic_fetch_add(&pool.idle, 1);
    int error = create_thread();
    report_start(error);
    return error == 0;
}

/* A thread that leaves gives its place among `total` to another, or back. */
static void
leave_place(bool to_another)
{
    if (to_another) {
        atomic_fetch_add(&pool.idle, 1);
        report_start(create_thread());
    } else {
        atomic_fetch_sub(&pool.total, 1);
    }
}

/* Runs at the end of every thread, also of one whose handler called pthread_exit(). */
static void
thread_end(void *argument)
{
    struct ss_request *request = argument;
    struct ss_server *server = request->server;
    struct slot *slot = request->slot;
    bool abandoned = request_current != NULL;

    request_abandon(request);
    faults_unwatch_thread();
    counter_set(slot->context, 0);
    request_done(request);
    atomic_store(&server->freed, true);
    atomic_store(&slot->state, SLOT_FREE);
    if (abandoned && server->once)
        server_ask_stop(server);
    leave_place(abandoned && !server->once && server_accepts(server) &&
                atomic_load(&pool.idle) < pool.spare);
    server_wake(server);
}

/*
 * Whether this idle thread is one of the surplus; it is then no longer counted
 * as idle. Others may have become busy since the surplus was counted: `spare`
 * stay whatever the number was.
 */
static bool
retires(struct ss_server *server)
{
    uint32_t idle = atomic_load(&pool.idle);

    if (counter_get(server->counters->retire) <= 0)
        return false;
    do
        if (idle <= pool.spare)
            return false;
    while (!atomic_compare_exchange_weak(&pool.idle, &idle, idle - 1));
    atomic_fetch_sub(&server->counters->retire, 1);
    return true;
}

/*
 * The last idle place was taken. On a busy CPU other threads may be about to
 * give theirs back, and only wait for their turn: they get it first, as more
 * threads would all the more wait for each other.
 */
static void
grow(void)
{
    (void)sched_yield();
    if (atomic_load(&pool.idle) < pool.spare)
        (void)start_thread();
}

static void
take_idle_place(const struct ss_server *server)
{
    uint32_t left = atomic_fetch_sub(&pool.idle, 1) - 1;

    if (left < counter_get(pool.least))
        counter_set(pool.least, left);
    if (left < pool.spare && !server->once)
        grow();
}

/* Connections go to idle threads in turn: no single one is idle for long while any come. */
static uint32_t
surplus(void)
{
    uint32_t least = atomic_exchange(&pool.least, atomic_load(&pool.idle));

    return least > pool.spare ? least - pool.spare : 0;
}

static void
serve(struct ss_request *request)
{
    struct ss_server *server = request->server;
    int error;

    for (;;) {
        while ((error = request_get(request)) == -EINTR)
            if (retires(server))
                return;
        if (error != 0)
            break;
        take_idle_place(server);
        request_process(request);
        atomic_fetch_add(&pool.idle, 1);
        if (server->once) {
            server_ask_stop(server);
            break;
        }
    }
    atomic_fetch_sub(&pool.idle, 1);
}

static void
name_thread(struct ss_request *request)
{
    char name[16]; /* all the kernel keeps */

    (void)snprintf(name, sizeof(name), "%.15s", ss_worker_name(request));
    (void)pthread_setname_np(pthread_self(), name);
}

static void *
thread_main(void *argument)
{
    struct slot *slot = argument;
    struct ss_request request;
    char output[FIRST_OUTPUT];

    request_init(&request, pool.server, slot, "thread",
                 (int)(slot - pool.server->counters->slots) + 1);
    output_lend(&request.output, output, sizeof(output));
    name_thread(&request);
    counter_set(slot->context, gettid());
    faults_watch_thread(NULL);
    pthread_cleanup_push(thread_end, &request);
    serve(&request);
    pthread_cleanup_pop(1);
    return NULL;
}

static int
start_first_threads(void)
{
    uint32_t first = pool.server->once ? 1 : pool.spare;
    bool any = false;

    for (uint32_t i = 0; i < first; i++)
        any |= start_thread();
    return any ? 0
               : -EAGAIN; /* the total will not tell: with --once they may have served already */
}

static bool
finished(const struct ss_server *server)
{
    if (atomic_load(&pool.total) > 0)
        return false;
    return !server->once || server_phase(server) >= PHASE_DRAINING;
}

/*
 * The C library keeps what threads have freed. Housekeeping turns at least
 * as often as it looks for surplus threads, so that this comes soon after a peak.
 */
static void
shrink_heap(struct ss_server *server)
{
    int64_t now = monotonic_now();

    if (now < pool.next_shrink || !atomic_exchange(&server->freed, false))
        return;
    pool.next_shrink = now + HEAP_PAUSE;
    (void)malloc_trim(0);
}

static int
threading_run(struct ss_server *server, struct housekeeping *housekeeping)
{
    pool.server = server;
    pool.limit = server->once ? 1 : listener_contexts(server);
    pool.spare = server->settings.spare > 0 ? server->settings.spare : 1;
    if (pool.spare > pool.limit)
        pool.spare = pool.limit;
    int error = pthread_attr_init(&pool.attributes);
    if (error == 0)
        error = pthread_attr_setstacksize(&pool.attributes, server_stack_size(server));
    if (error == 0)
        error = pthread_attr_setguardsize(&pool.attributes, STACK_GUARD);
    if (error == 0)
        error = pthread_attr_setdetachstate(&pool.attributes, PTHREAD_CREATE_DETACHED);
    if (error != 0)
        return -error;

    error = start_first_threads();
    if (error < 0)
        return error;
    while (!finished(server)) {
        if (!housekeeping_turn(housekeeping)) {
            log_warning("requests still running after they were cut: %u; leaving without them",
                        atomic_load(&pool.total));
            server_end_process(0);
        }
        server_run_due(server);
        shrink_heap(server);
    }
    return server_phase(server) >= PHASE_DRAINING ? 0 : -EIO;
}

const struct mixin mixin_threading = {
    .blocking = true,
    .trims = true,
    .leaves_on_drain = true,
    .run = threading_run,
    .wait = wait_blocking,
    .wait_both = wait_blocking_all,
    .prepare_wake = waker_prepare_blocking,
    .surplus = surplus,
};
