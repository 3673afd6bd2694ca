/* SPDX-License-Identifier: MIT */
/*
 * coroutine.c - an event loop, and coroutines that wait in it
 *
 * A coroutine runs until it waits: then its events and its time are noted and
 * the loop goes on. The loop lets each coroutine go on once a turn, so that
 * one that never needs to wait but yields now and then starves nobody.
 *
 * Runs in:  the thread of the loop.
 * Owns:     the stacks of its coroutines, its epoll descriptor and its eventfd.
 * Failures: returned.
 */
#include "worker/coroutine.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "worker/request.h"

#define EVENTS_A_TURN 256

/* What an event is about: in the upper half of its data. */
#define ABOUT_CONNECTION 0ull         /* of the coroutine in the lower half */
#define ABOUT_WAKEUP     (1ull << 32) /* loop_wake() */
#define ABOUT_OTHER      (2ull << 32) /* the number of loop_watch() */
#define ABOUT_FOREIGN    (1ull << 63) /* descriptor of a coroutine; with the wait's sequence */
#define SEQUENCE_MASK    0x7fffffffu

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
    loop_trim(loop, 0, NULL);
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

/* ---- coroutines --------------------------------------------------------------------- */

/* Back to the loop, for good or until it goes on. */
static void
suspend(struct coroutine *coroutine)
{
    context_switch(&coroutine->context, &coroutine->loop->context);
}

static void
resume(struct coroutine *coroutine)
{
    struct loop *loop = coroutine->loop;

    coroutine->state = COROUTINE_RUNNING;
    atomic_store_explicit(&loop->current, coroutine, memory_order_release);
    atomic_store_explicit(&loop->beat, ++loop->beats, memory_order_relaxed);
    context_switch(&loop->context, &coroutine->context);
    atomic_store_explicit(&loop->current, NULL, memory_order_relaxed);
}

static void
enqueue(struct coroutine *coroutine)
{
    struct loop *loop = coroutine->loop;

    coroutine->state = COROUTINE_READY;
    coroutine->next = NULL;
    *loop->ready_end = coroutine;
    loop->ready_end = &coroutine->next;
}

static void
set_free(struct coroutine *coroutine)
{
    struct loop *loop = coroutine->loop;

    coroutine->state = COROUTINE_FREE;
    coroutine->next = loop->free;
    loop->free = coroutine;
    loop->busy--;
}

/* The work called pthread_exit(): its frames are left where they are, and the thread goes on. */
static void
leave(void *argument)
{
    struct coroutine *coroutine = argument;

    coroutine->loop->abandon(coroutine);
    coroutine->begun = false;
    set_free(coroutine);
    context_leave(&coroutine->context, &coroutine->loop->context);
}

static void
coroutine_main(void *argument)
{
    struct coroutine *coroutine = argument;

    context_begun();
    for (;;) {
        pthread_cleanup_push(leave, coroutine);
        coroutine->loop->serve(coroutine);
        pthread_cleanup_pop(0);
        set_free(coroutine);
        suspend(coroutine);
    }
}

static struct coroutine *
create(struct loop *loop)
{
    struct stack stack;

    if (timers_reserve(&loop->timers, loop->count + 1) < 0 ||
        stack_map(loop->stack_size, &stack) < 0)
        return NULL;
    uintptr_t top = (uintptr_t)stack.low + stack.size - loop->extra - sizeof(struct coroutine);
    struct coroutine *coroutine = (struct coroutine *)(top & ~(uintptr_t)63);
    while (loop->table[loop->lowest] != NULL)
        loop->lowest++;
    *coroutine = (struct coroutine){.loop = loop, .index = loop->lowest, .stack = stack};
    coroutine->timer.until = FOREVER;
    loop->table[loop->lowest] = coroutine;
    loop->count++;
    return coroutine;
}

struct coroutine *
loop_take(struct loop *loop, int *ret_error)
{
    struct coroutine *coroutine = loop->free;

    if (coroutine != NULL) {
        loop->free = coroutine->next;
    } else {
        coroutine = loop->count < loop->limit ? create(loop) : NULL;
        if (coroutine == NULL) {
            *ret_error = loop->count < loop->limit ? -ENOMEM : -EAGAIN;
            return NULL;
        }
    }
    loop->busy++;
    return coroutine;
}

void
loop_give_back(struct coroutine *coroutine)
{
    set_free(coroutine);
}

void
loop_start(struct coroutine *coroutine)
{
    if (!coroutine->begun) {
        context_done(&coroutine->context);
        context_init(&coroutine->context, coroutine->stack.low,
                     (size_t)((char *)coroutine - coroutine->stack.low), coroutine_main, coroutine);
        coroutine->begun = true;
    }
    resume(coroutine);
}

void
loop_trim(struct loop *loop, uint32_t left, void (*forget)(struct coroutine *coroutine))
{
    while (loop->count > left && loop->free != NULL) {
        struct coroutine *coroutine = loop->free;
        struct stack stack = coroutine->stack; /* its own memory is part of it */

        loop->free = coroutine->next;
        if (forget != NULL)
            forget(coroutine);
        timers_remove(&loop->timers, &coroutine->timer);
        context_done(&coroutine->context);
        loop->table[coroutine->index] = NULL;
        if (coroutine->index < loop->lowest)
            loop->lowest = coroutine->index;
        loop->count--;
        stack_unmap(&stack);
    }
}

/* ---- waiting --------------------------------------------------------------------------- */

static int
wait_until(struct coroutine *coroutine, uint32_t wanted, int64_t until)
{
    coroutine->wanted = wanted;
    coroutine->state = COROUTINE_WAITING;
    timers_set(&coroutine->loop->timers, &coroutine->timer, until);
    suspend(coroutine);
    timer_clear(&coroutine->timer);
    return coroutine->result;
}

void
coroutine_yield(struct coroutine *coroutine)
{
    enqueue(coroutine);
    suspend(coroutine);
}

/* For a time that has come already. */
static int
look(int fd, short events)
{
    struct pollfd poll_fd = {.fd = fd, .events = events};

    if (fd < 0)
        return 0;
    if (poll(&poll_fd, 1, 0) < 0)
        return errno == EINTR ? 0 : -errno;
    return (poll_fd.revents & POLLNVAL) ? -EBADF : poll_fd.revents;
}

/*
 * A descriptor that is not the coroutine's own, or whose registration is
 * somebody else's: a duplicate can be registered beside it.
 */
static int
wait_foreign(struct coroutine *coroutine, int fd, uint32_t wanted, int64_t until)
{
    const struct loop *loop = coroutine->loop;
    struct epoll_event event = {.events = wanted | EPOLLONESHOT};
    int duplicate = -1;

    coroutine->sequence = (coroutine->sequence + 1) & SEQUENCE_MASK;
    event.data.u64 =
        ABOUT_FOREIGN | (uint64_t)coroutine->sequence << 32 | (uint64_t)coroutine->index;
    int failed = epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event);
    if (failed < 0 && errno == EEXIST) {
        fd = duplicate = fcntl(fd, F_DUPFD_CLOEXEC, 0);
        failed = fd < 0 ? -1 : epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event);
    }
    int result = failed < 0 ? -errno : 0;
    if (result == -EPERM)
        result = (int)(wanted & (POLLIN | POLLOUT)); /* a plain file: always ready */
    if (failed == 0) {
        coroutine->foreign = true;
        result = wait_until(coroutine, wanted | POLLERR | POLLHUP, until);
        coroutine->foreign = false;
        (void)epoll_ctl(loop->epoll, EPOLL_CTL_DEL, fd, NULL);
    }
    if (duplicate >= 0)
        (void)close(duplicate);
    return result;
}

int
coroutine_wait(struct coroutine *coroutine, int fd, short events, int64_t until)
{
    if (until != FOREVER && until <= monotonic_now()) {
        int result = look(fd, events);
        if (result != 0 || fd >= 0)
            return result;
        coroutine_yield(coroutine);
        return 0;
    }
    if (fd < 0)
        return wait_until(coroutine, 0, until);
    return wait_foreign(coroutine, fd, (uint32_t)(unsigned short)events, until);
}

/* Registers the connection, or changes what it is registered for: reports what is ready anew. */
static int
watch_connection(struct coroutine *coroutine, int fd, uint32_t wanted)
{
    int epoll = coroutine->loop->epoll;
    struct epoll_event event = {.events = wanted | EPOLLRDHUP | EPOLLET,
                                .data.u64 = ABOUT_CONNECTION | coroutine->index};
    int operation = coroutine->watched != 0 ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

    if (epoll_ctl(epoll, operation, fd, &event) < 0 &&
        (errno != ENOENT || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0))
        return -errno;
    coroutine->watched = wanted;
    coroutine->pending = 0;
    return 0;
}

int
coroutine_wait_connection(struct coroutine *coroutine, int fd, short events, int64_t until,
                          bool afresh)
{
    uint32_t wanted = (uint32_t)(unsigned short)events;

    if (until != FOREVER && until <= monotonic_now())
        return look(fd, events);
    if (coroutine->watched != wanted || afresh) {
        int error = watch_connection(coroutine, fd, wanted);
        if (error < 0)
            return error;
    }
    wanted |= EPOLLERR | EPOLLHUP | (wanted & EPOLLIN ? EPOLLRDHUP : 0);
    uint32_t found = coroutine->pending & wanted;
    if (found == 0)
        return wait_until(coroutine, wanted, until);
    coroutine->pending &= EPOLLHUP | EPOLLRDHUP; /* these stay true */
    return (int)found;
}

void
coroutine_forget_connection(struct coroutine *coroutine)
{
    coroutine->watched = coroutine->pending = 0;
}

/* ---- a turn --------------------------------------------------------------------------------- */

static void
go_on(struct coroutine *coroutine, int result)
{
    coroutine->result = result;
    resume(coroutine);
}

static void
on_foreign(struct loop *loop, uint64_t about, uint32_t events)
{
    uint32_t index = (uint32_t)about;
    struct coroutine *coroutine = index < loop->limit ? loop->table[index] : NULL;

    if (coroutine != NULL && coroutine->state == COROUTINE_WAITING && coroutine->foreign &&
        coroutine->sequence == (uint32_t)(about >> 32 & SEQUENCE_MASK))
        go_on(coroutine, (int)(events & coroutine->wanted));
}

static void
on_connection(struct loop *loop, uint32_t index, uint32_t events)
{
    struct coroutine *coroutine = index < loop->limit ? loop->table[index] : NULL;

    if (coroutine == NULL)
        return;
    if (coroutine->state != COROUTINE_WAITING || coroutine->foreign ||
        (events & coroutine->wanted) == 0) {
        coroutine->pending |= events;
        return;
    }
    coroutine->pending = events & (EPOLLHUP | EPOLLRDHUP);
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
    else
        on_connection(loop, (uint32_t)about, event->events);
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
        resume(coroutine);
        coroutine = next;
    }
}

static void
run_expired(struct loop *loop)
{
    struct timer *timer;
    int64_t now = loop->timers.count > 0 ? monotonic_now() : 0;

    while ((timer = timers_expire(&loop->timers, now)) != NULL) {
        struct coroutine *coroutine =
            (struct coroutine *)(void *)((char *)timer - offsetof(struct coroutine, timer));
        if (coroutine->state == COROUTINE_WAITING)
            go_on(coroutine, 0);
    }
}

static int
wait_for_events(const struct loop *loop, struct epoll_event *events, int64_t until)
{
    static _Atomic bool coarse; /* before Linux 5.11: milliseconds only */
    struct timespec left = {0}, *timeout = &left;

    if (loop->ready == NULL && until == FOREVER) {
        timeout = NULL;
    } else if (loop->ready == NULL) {
        int64_t ns = until - monotonic_now();
        if (ns > 0)
            left = (struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
    }
    if (!atomic_load_explicit(&coarse, memory_order_relaxed)) {
        int count = epoll_pwait2(loop->epoll, events, EVENTS_A_TURN, timeout, NULL);
        if (count >= 0 || errno != ENOSYS)
            return count;
        atomic_store_explicit(&coarse, true, memory_order_relaxed);
    }
    int64_t ms = left.tv_sec >= INT_MAX / 1000
                     ? INT_MAX
                     : left.tv_sec * 1000 + (left.tv_nsec + 999999) / 1000000;
    return epoll_wait(loop->epoll, events, EVENTS_A_TURN, timeout == NULL ? -1 : (int)ms);
}

void
loop_turn(struct loop *loop, int64_t until)
{
    struct epoll_event events[EVENTS_A_TURN];
    int64_t next = timers_next(&loop->timers);

    atomic_store_explicit(&loop->beat, 0, memory_order_relaxed);
    int count = wait_for_events(loop, events, next < until ? next : until);
    atomic_store_explicit(&loop->beat, ++loop->beats, memory_order_relaxed);
    if (loop->awake != NULL)
        loop->awake();
    for (int i = 0; i < count; i++)
        dispatch(loop, &events[i]);
    if (loop->ready != NULL)
        run_ready(loop);
    run_expired(loop);
}

void
loop_cancel(struct loop *loop)
{
    for (uint32_t i = 0; i < loop->limit; i++) {
        struct coroutine *coroutine = loop->table[i];
        if (coroutine == NULL || coroutine->state != COROUTINE_WAITING)
            continue;
        coroutine->result = -ECANCELED;
        enqueue(coroutine);
    }
}
