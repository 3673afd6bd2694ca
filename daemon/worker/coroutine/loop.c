/* SPDX-License-Identifier: MIT */
/*
 * loop.c - the event loop that coroutines wait in
 *
 * It lets each coroutine go on once a turn, so that one that never needs to
 * wait but yields now and then starves nobody.
 *
 * Runs in:  the thread of the loop; loop_wake() in any.
 * Owns:     its epoll descriptor and its eventfd.
 * Failures: returned.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/clock.h"
#include "worker/coroutine/coroutine.h"

#define EVENTS_A_TURN 256
#define OWN_LINES     4  /* of the cache that a turn looks at, in and above a coroutine */
#define FRAME_LINES   12 /* and from where it left off */

_Static_assert(POLLIN == EPOLLIN && POLLOUT == EPOLLOUT && POLLPRI == EPOLLPRI &&
                   POLLERR == EPOLLERR && POLLHUP == EPOLLHUP && POLLRDHUP == EPOLLRDHUP,
               "events of poll(2) and epoll(7) are the same");

/* ---- the loop --------------------------------------------------------------------- */

int
loop_init(struct loop *loop, uint32_t limit, size_t stack_size, size_t extra)
{
    *loop = (struct loop){
        .epoll = epoll_create1(EPOLL_CLOEXEC),
        .wakeup = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
        .stack_size = stack_size,
        .extra = (extra + 15) & ~(size_t)15,
        .limit = limit,
        .table = calloc(limit, sizeof(struct coroutine *)),
    };
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u64 = ABOUT_WAKEUP};

    loop->ready_end = &loop->ready;
    int error = 0;
    if (loop->epoll < 0 || loop->wakeup < 0 ||
        epoll_ctl(loop->epoll, EPOLL_CTL_ADD, loop->wakeup, &event) < 0)
        error = -errno;
    else if (loop->table == NULL)
        error = -ENOMEM;
    if (error < 0)
        loop_done(loop);
    return error;
}

void
loop_enter(struct loop *loop)
{
    context_init_thread(&loop->context);
}

void
loop_done(struct loop *loop)
{
    coroutines_trim(loop, 0, NULL);
    free(loop->table);
    timers_done(&loop->timers);
    context_done_thread(&loop->context);
    if (loop->epoll >= 0)
        (void)close(loop->epoll);
    if (loop->wakeup >= 0)
        (void)close(loop->wakeup);
    *loop = (struct loop){.epoll = -1, .wakeup = -1};
}

int
loop_watch(struct loop *loop, int fd, uint32_t events, unsigned number)
{
    struct epoll_event event = {.events = events, .data.u64 = ABOUT_OTHER | number};

    return epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

void
loop_unwatch(struct loop *loop, int fd)
{
    (void)epoll_ctl(loop->epoll, EPOLL_CTL_DEL, fd, NULL);
}

void
loop_wake(struct loop *loop)
{
    int saved = errno;

    (void)!write(loop->wakeup, &(uint64_t){1}, sizeof(uint64_t));
    errno = saved;
}

/* ---- a turn --------------------------------------------------------------------------------- */

static void
go_on(struct coroutine *coroutine, int result)
{
    coroutine->result = result;
    coroutine_resume(coroutine);
}

static void
on_foreign(struct loop *loop, uint64_t about, uint32_t events)
{
    uint32_t index = (uint32_t)about;
    struct coroutine *coroutine = index < loop->limit ? loop->table[index] : NULL;

    if (coroutine != NULL && coroutine->state == COROUTINE_WAITING_ELSEWHERE &&
        coroutine->sequence == (uint32_t)(about >> 32 & SEQUENCE_MASK))
        go_on(coroutine, (int)(events & coroutine->wanted));
}

static void
on_connection(struct loop *loop, uint32_t index, uint32_t events)
{
    struct coroutine *coroutine = index < loop->limit ? loop->table[index] : NULL;

    if (coroutine == NULL)
        return;
    if (coroutine->state != COROUTINE_WAITING || (events & coroutine->wanted) == 0) {
        coroutine->pending |= events;
        return;
    }
    coroutine->pending = (coroutine->pending | events) & (LASTING | ~coroutine->wanted);
    go_on(coroutine, (int)(events & coroutine->wanted));
}

static void
dispatch(struct loop *loop, const struct epoll_event *event)
{
    uint64_t about = event->data.u64;
    uint64_t count;

    if (about & ABOUT_FOREIGN)
        on_foreign(loop, about, event->events);
    else if (about & ABOUT_OTHER)
        loop->on_event(loop, (unsigned)about);
    else if (about & ABOUT_WAKEUP)
        (void)!read(loop->wakeup, &count, sizeof(count));
    else if (about & ABOUT_INBOX)
        inbox_empty(loop->inbox);
    else if (about & ABOUT_COMPANION)
        on_connection(loop, (uint32_t)about, event->events << COMPANION_BITS);
    else
        on_connection(loop, (uint32_t)about, event->events);
}

/* Always inline: gcc takes a function that does nothing but fetch for one that does nothing. */
static inline __attribute__((always_inline)) void
fetch(const char *from, unsigned lines)
{
    for (unsigned i = 0; i < lines; i++)
        __builtin_prefetch(from + i * 64);
}

/*
 * Among a thousand coroutines each one's memory is cold when its turn comes.
 * While others run, what the next two begin with is fetched: its own fields
 * and the beginning of the user's, then the frames that it returns through.
 */
static inline __attribute__((always_inline)) void
fetch_ahead(const struct loop *loop, const struct epoll_event *events, int count)
{
    const struct coroutine *coroutine;
    uint32_t index;

    if (count > 0 && (index = (uint32_t)events[0].data.u64) < loop->limit &&
        (coroutine = loop->table[index]) != NULL)
        fetch(coroutine->context.place, FRAME_LINES);
    if (count > 1 && (index = (uint32_t)events[1].data.u64) < loop->limit &&
        (coroutine = loop->table[index]) != NULL)
        fetch((const char *)&coroutine->context.place, OWN_LINES);
}

/* Those that are in the queue now, each once. */
static void
run_ready(struct loop *loop)
{
    struct coroutine *coroutine = loop->ready;

    loop->ready = NULL;
    loop->ready_end = &loop->ready;
    while (coroutine != NULL) {
        struct coroutine *next = coroutine->next;
        coroutine_resume(coroutine);
        coroutine = next;
    }
}

static void
run_expired(struct loop *loop)
{
    struct timer *timer;

    if (!timer_is_due(timers_next(&loop->timers)))
        return;
    int64_t now = monotonic_now();
    while ((timer = timers_expire(&loop->timers, now)) != NULL) {
        struct coroutine *coroutine =
            (struct coroutine *)(void *)((char *)timer - offsetof(struct coroutine, timer));
        if (coroutine->state >= COROUTINE_WAITING)
            go_on(coroutine, 0);
    }
}

/* How long to sleep; when it would be long, a little less, for the rest to be measured then. */
static int64_t
time_left(int64_t until)
{
    int64_t left = until - monotonic_roughly();

    if (left > 2 * ROUGHLY)
        return left - ROUGHLY;
    return left > 0 ? until - monotonic_now() : 0;
}

static int
wait_for_events(const struct loop *loop, struct epoll_event *events, int64_t until)
{
    static _Atomic bool coarse; /* before Linux 5.11, or forbidden: milliseconds only */
    struct timespec left = {0}, *timeout = &left;

    if (loop->ready == NULL && until == FOREVER) {
        timeout = NULL;
    } else if (loop->ready == NULL) {
        int64_t ns = time_left(until);
        if (ns > 0)
            left = (struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
    }
    if (!atomic_load_explicit(&coarse, memory_order_relaxed)) {
        int count = epoll_pwait2(loop->epoll, events, EVENTS_A_TURN, timeout, NULL);
        if (count >= 0 || (errno != ENOSYS && errno != EPERM))
            return count;
        atomic_store_explicit(&coarse, true, memory_order_relaxed);
    }
    int64_t ms = left.tv_sec >= INT_MAX / 1000
                     ? INT_MAX
                     : left.tv_sec * 1000 + (left.tv_nsec + 999999) / 1000000;
    return epoll_wait(loop->epoll, events, EVENTS_A_TURN, timeout == NULL ? -1 : (int)ms);
}

void
loop_goes_on(struct loop *loop)
{
    int64_t now = monotonic_roughly();

    if (now == atomic_load_explicit(&loop->since, memory_order_relaxed))
        return;
    atomic_store_explicit(&loop->since, now, memory_order_relaxed);
    if (loop->awake != NULL)
        loop->awake(loop);
}

void
loop_turn(struct loop *loop, int64_t until)
{
    struct epoll_event events[EVENTS_A_TURN];
    int64_t next = timers_next(&loop->timers);

    atomic_store_explicit(&loop->since, 0, memory_order_relaxed);
    loop->turn++;
    int count = wait_for_events(loop, events, next < until ? next : until);
    if (count >= 0) /* else it was a signal */
        loop_goes_on(loop);
    for (int i = 0; i < count; i++) {
        fetch_ahead(loop, events + i + 1, count - i - 1);
        dispatch(loop, &events[i]);
    }
    if (loop->ready != NULL)
        run_ready(loop);
    run_expired(loop);
}

void
loop_cancel(struct loop *loop, bool (*which)(struct coroutine *coroutine))
{
    for (uint32_t i = 0; i < loop->limit; i++) {
        struct coroutine *coroutine = loop->table[i];
        if (coroutine != NULL && coroutine->state >= COROUTINE_WAITING &&
            (which == NULL || which(coroutine)))
            coroutine_end_wait(coroutine, -ECANCELED);
    }
}
