/* SPDX-License-Identifier: MIT */
/*
 * watchdog.c - noticing a handler that holds up its event loop, and ending one that spins
 *
 * Each loop has a timer that is put off whenever a coroutine goes on. So it
 * goes off while the loop sleeps, which means nothing, or when a coroutine has
 * run for a tenth of a second: its handler works or waits without the daemon's
 * knowledge. That is said once per worker. Where it is, is read off the stack
 * that the timer's signal interrupted. If the coroutine then uses spin_limit of
 * processor time, its request is cut, and if that does not help, the supervisor
 * is asked for another worker. A thread that looks on would not interrupt, but
 * where there is a second thread, a receive and a send cost the first one some
 * 110 ns more.
 *
 * Runs in:  the threads of the loops, and a signal handler there, which calls the
 *           log: that takes no lock and allocates nothing.
 * Owns:     the timers.
 * Failures: a place that cannot be found is left out.
 */
#include "worker/mixin/watchdog.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/channel.h"
#include "common/clock.h"
#include "common/log.h"
#include "worker/coroutine/coroutine.h"
#include "worker/coroutine/timers.h"
#include "worker/mixin/faults.h"
#include "worker/plugin/place.h"
#include "worker/request/request.h"
#include "worker/request/transport.h"

#define TOO_LONG      100000000 /* ns */
#define PUT_OFF       50000000  /* so often */
#define LONGEST_LOOK  1000000000ll
#define SHORTEST_LOOK 10000000ll
#define HAND_OVER     1000000000ll /* so long another worker may take to serve */
#define TIMER_SIGNAL  (SIGRTMAX - 1)

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

static struct {
    const struct ss_server *server;
    int64_t spin_limit; /* ns; 0: none */
    _Atomic bool said;
} watchdog;

/* ---- looking ------------------------------------------------------------------------------ */

static void
find_place(const struct watched_loop *watched, const void *context, char place[PLACE_SIZE])
{
    const struct coroutine *coroutine =
        atomic_load_explicit(&watched->loop->current, memory_order_relaxed);

    place_describe(context, coroutine != NULL ? (uintptr_t)coroutine : watched->top, place);
}

static void
report(const struct watched_loop *watched, const void *context)
{
    char place[PLACE_SIZE];

    find_place(watched, context, place);
    log_warning("the handler keeps its event loop for more than 100 ms%s%s: other requests wait "
                "for it; wait with ss_sleep() or ss_wait() there, or use mixin \"threading\" "
                "(said once)",
                place[0] != '\0' ? ", at " : "", place);
}

static void
set_timer(const struct watched_loop *watched, int64_t ns)
{
    struct itimerspec time = {.it_value = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000}};

    (void)timer_settime(watched->timer, 0, &time, NULL);
}

/* ---- spinning ---------------------------------------------------------------------------- */

static void
cut(struct watched_loop *watched, int64_t used, const void *context)
{
    struct ss_request *request = request_current;
    char place[PLACE_SIZE];

    find_place(watched, context, place);
    spin_report(request != NULL ? request->slot : NULL, request != NULL ? request->number : 0,
                (double)used / 1e9, place);
    if (request == NULL)
        return;
    spin_cut(request->slot, request->number);
    if (request->server->transport->stream && request_owns_fd(request))
        (void)shutdown(request->fd, SHUT_RDWR);
}

static void
ask_for_another(struct watched_loop *watched)
{
    log_error("%s spins on: this worker must be replaced",
              request_current != NULL ? "the request that was cut" : "the hook");
    (void)channel_send(watchdog.server->channel, MESSAGE_REPLACE, 0, NULL, -1);
    watched->leave_at = monotonic_now() + HAND_OVER;
}

/* Nothing else runs in this process as long as its only loop stands still: a core shows where. */
static void
leave(siginfo_t *info, const void *context)
{
    siginfo_t end = {.si_signo = SIGABRT, .si_code = info->si_code};

    faults_note(&end, context);
    (void)signal(SIGABRT, SIG_DFL);
    abort();
}

/* The loop has stood still for a while: does what runs there compute? */
static void
look_for_spin(struct watched_loop *watched, int64_t since, siginfo_t *info, const void *context)
{
    static const struct spin_mark none = {-1, -1, -1, -1};
    int64_t used;

    if (watched->since != since) {
        watched->since = since;
        watched->stage = LOOP_RUNS;
        watched->mark = none;
    }
    if (watched->stage == LOOP_REPLACED) {
        if (watchdog.server->settings.cpus <= 1 && monotonic_now() >= watched->leave_at)
            leave(info, context);
        return;
    }
    if (watched->stage == LOOP_RUNS && request_current != NULL &&
        slot_is_unwanted(request_current->slot)) {
        watched->stage = LOOP_CUT; /* by an operator */
        watched->mark = none;
    }
    int64_t limit = watched->stage == LOOP_CUT ? spin_grace(watchdog.server) : watchdog.spin_limit;
    if (!spin_check(&watched->mark, getpid(), gettid(), limit, &used))
        return;
    watched->mark = none;
    if (watched->stage == LOOP_RUNS) {
        cut(watched, used, context);
        watched->stage = LOOP_CUT;
    } else {
        ask_for_another(watched);
        watched->stage = LOOP_REPLACED;
    }
}

static int64_t
look_interval(void)
{
    int64_t interval = watchdog.spin_limit / 8;

    if (interval > LONGEST_LOOK)
        return LONGEST_LOOK;
    return interval < SHORTEST_LOOK ? SHORTEST_LOOK : interval;
}

/* ---- the timer --------------------------------------------------------------------------- */

static void
stands_still(struct watched_loop *watched, int64_t since, siginfo_t *info, const void *context)
{
    if (!atomic_exchange(&watchdog.said, true))
        report(watched, context);
    if (watchdog.spin_limit == 0)
        return;
    look_for_spin(watched, since, info, context);
    set_timer(watched, look_interval());
}

static void
on_timer(int signal, siginfo_t *info, void *context)
{
    struct watched_loop *watched = info->si_value.sival_ptr;
    int saved = errno;

    (void)signal;
    if (info->si_code != SI_TIMER || watched->loop == NULL)
        return; /* sent by somebody, or late */
    int64_t since = atomic_load_explicit(&watched->loop->since, memory_order_relaxed);
    int64_t left = since + TOO_LONG - monotonic_roughly();
    if (since == 0)
        watched->next = 0;
    else if (left > 0)
        set_timer(watched, left);
    else
        stands_still(watched, since, info, context);
    errno = saved;
}

void
watchdog_awake(struct watched_loop *watched)
{
    int64_t now;

    if (watched->loop == NULL)
        return;
    now = atomic_load_explicit(&watched->loop->since, memory_order_relaxed);
    if (now < watched->next ||
        (watchdog.spin_limit == 0 && atomic_load_explicit(&watchdog.said, memory_order_relaxed)))
        return;
    watched->next = now + PUT_OFF;
    set_timer(watched, TOO_LONG + PUT_OFF);
}

/* ---- beginning and end ---------------------------------------------------------------------- */

void
watchdog_install(const struct ss_server *server)
{
    struct sigaction action = {.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK};

    watchdog.server = server;
    watchdog.spin_limit = (int64_t)(server->settings.spin_limit * 1e9);
    action.sa_sigaction = on_timer;
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(TIMER_SIGNAL, &action, NULL);
}

int
watchdog_watch(struct watched_loop *watched, struct loop *loop)
{
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = TIMER_SIGNAL};

    event.sigev_value.sival_ptr = watched;
    event.sigev_notify_thread_id = gettid();
    if (timer_create(CLOCK_MONOTONIC, &event, &watched->timer) < 0)
        return -errno;
    watched->top = (uintptr_t)__builtin_frame_address(0);
    watched->loop = loop;
    return 0;
}

void
watchdog_unwatch(struct watched_loop *watched)
{
    if (watched->loop == NULL)
        return;
    watched->loop = NULL;
    (void)timer_delete(watched->timer);
}
