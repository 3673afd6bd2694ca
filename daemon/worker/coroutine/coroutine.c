/* SPDX-License-Identifier: MIT */
/*
 * coroutine.c - coroutines: their stacks, their beginning and end, and how they wait
 *
 * A coroutine runs until it waits: then its events and its time are noted and
 * the loop (loop.c) goes on with others.
 *
 * Runs in:  the thread of the loop.
 * Owns:     the stacks of its coroutines.
 * Failures: returned.
 */
#include "worker/coroutine/coroutine.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include "common/clock.h"

_Static_assert(sizeof(void *) != 8 || (offsetof(struct coroutine, context.place) == 64 &&
                                       sizeof(struct coroutine) == 128),
               "what a turn looks at is one line of the cache");

/* ---- coroutines --------------------------------------------------------------------- */

/* The loop itself catches nothing. */
static __attribute__((noinline)) void
suspend_with_exceptions(struct coroutine *coroutine)
{
    struct exception_state *current = coroutine->loop->exceptions, own = *current;

    *current = (struct exception_state){0};
    context_switch(&coroutine->context, &coroutine->loop->context);
    *current = own;
}

static inline void
switch_to_loop(struct coroutine *coroutine)
{
    if (coroutine->loop->exceptions != NULL)
        suspend_with_exceptions(coroutine);
    else
        context_switch(&coroutine->context, &coroutine->loop->context);
}

/* Back to the loop, for good or until it goes on. */
static void
suspend(struct coroutine *coroutine)
{
    const struct loop *loop = coroutine->loop;

    switch_to_loop(coroutine);
    while (__builtin_expect(loop->inspect != NULL, 0)) {
        loop->inspect(coroutine);
        switch_to_loop(coroutine);
    }
}

void
coroutine_inspect(struct coroutine *coroutine, void (*inspect)(struct coroutine *coroutine))
{
    struct loop *loop = coroutine->loop;

    loop->inspect = inspect;
    atomic_store_explicit(&loop->current, coroutine, memory_order_relaxed);
    context_switch(&loop->context, &coroutine->context);
    atomic_store_explicit(&loop->current, NULL, memory_order_relaxed);
    loop->inspect = NULL;
}

void
coroutine_resume(struct coroutine *coroutine)
{
    struct loop *loop = coroutine->loop;

    coroutine->state = COROUTINE_RUNNING;
    loop_goes_on(loop);
    atomic_store_explicit(&loop->current, coroutine, memory_order_relaxed);
    context_switch(&loop->context, &coroutine->context);
    atomic_store_explicit(&loop->current, NULL, memory_order_relaxed);
}

void
coroutine_enqueue(struct coroutine *coroutine)
{
    struct loop *loop = coroutine->loop;

    coroutine->state = COROUTINE_READY;
    coroutine->next = NULL;
    *loop->ready_end = coroutine;
    loop->ready_end = &coroutine->next;
}

void
coroutine_end_wait(struct coroutine *coroutine, int result)
{
    if (coroutine->state < COROUTINE_WAITING)
        return;
    coroutine->result = result;
    coroutine_enqueue(coroutine);
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
    if (coroutine->loop->exceptions != NULL)
        *coroutine->loop->exceptions = (struct exception_state){0};
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
coroutine_take(struct loop *loop, int *ret_error)
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
coroutine_give_back(struct coroutine *coroutine)
{
    set_free(coroutine);
}

void
coroutine_start(struct coroutine *coroutine)
{
    if (!coroutine->begun) {
        context_done(&coroutine->context);
        context_init(&coroutine->context, coroutine->stack.low,
                     (size_t)((char *)coroutine - coroutine->stack.low), coroutine_main, coroutine);
        coroutine->begun = true;
    }
    coroutine_resume(coroutine);
}

void
coroutines_trim(struct loop *loop, uint32_t left, void (*forget)(struct coroutine *coroutine))
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
wait_until(struct coroutine *coroutine, enum coroutine_state state, uint32_t wanted, int64_t until)
{
    coroutine->state = state;
    coroutine->wanted = wanted;
    timers_set(&coroutine->loop->timers, &coroutine->timer, until);
    suspend(coroutine);
    timer_clear(&coroutine->timer);
    return coroutine->result;
}

void
coroutine_yield(struct coroutine *coroutine)
{
    coroutine_enqueue(coroutine);
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
        result =
            wait_until(coroutine, COROUTINE_WAITING_ELSEWHERE, wanted | POLLERR | POLLHUP, until);
        (void)epoll_ctl(loop->epoll, EPOLL_CTL_DEL, fd, NULL);
    }
    if (duplicate >= 0)
        (void)close(duplicate);
    return result;
}

int
coroutine_wait(struct coroutine *coroutine, int fd, short events, int64_t until)
{
    if (timer_is_due(until)) {
        int result = look(fd, events);
        if (result != 0 || fd >= 0)
            return result;
        coroutine_yield(coroutine);
        return 0;
    }
    if (fd < 0)
        return wait_until(coroutine, COROUTINE_WAITING, 0, until);
    return wait_foreign(coroutine, fd, (uint32_t)(unsigned short)events, until);
}

/* Registers the connection, or changes what it is registered for: reports what is ready anew. */
static int
watch_connection(struct coroutine *coroutine, int fd, uint32_t wanted)
{
    int epoll = coroutine->loop->epoll;
    struct epoll_event event = {.events = wanted | EPOLLRDHUP | EPOLLET,
                                .data.u64 = ABOUT_CONNECTION | coroutine->index};
    int operation = (coroutine->watched & OWN_EVENTS) != 0 ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

    if (epoll_ctl(epoll, operation, fd, &event) < 0 &&
        (errno != ENOENT || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0))
        return -errno;
    coroutine->watched = (coroutine->watched & ~OWN_EVENTS) | wanted;
    coroutine->pending &= ~OWN_EVENTS;
    return 0;
}

int
coroutine_wait_connection(struct coroutine *coroutine, int fd, short events, int64_t until,
                          bool afresh)
{
    uint32_t wanted = (uint32_t)(unsigned short)events;

    if (timer_is_due(until))
        return look(fd, events);
    if ((coroutine->watched & OWN_EVENTS) != wanted || afresh) {
        int error = watch_connection(coroutine, fd, wanted);
        if (error < 0)
            return error;
    }
    wanted |= EPOLLERR | EPOLLHUP | (wanted & EPOLLIN ? EPOLLRDHUP : 0);
    for (bool old = (coroutine->pending & wanted) != 0;;) {
        if (old) {
            /* It came some time ago, and may have been read since. */
            int result = look(fd, events);
            coroutine->pending &= ENDS; /* these stay true */
            if (result != 0)
                return result;
        }
        uint32_t turn = coroutine->loop->turn;
        int result = wait_until(coroutine, COROUTINE_WAITING, wanted, until);
        old = turn == coroutine->loop->turn; /* the kernel had told of it before the wait began */
        if (result <= 0 || !old)
            return result;
    }
}

static int
watch_companion(struct coroutine *coroutine, int fd, uint32_t wanted)
{
    struct epoll_event event = {.events = wanted | EPOLLRDHUP | EPOLLET,
                                .data.u64 = ABOUT_COMPANION | coroutine->index};
    int operation = coroutine->watched >> COMPANION_BITS != 0 ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

    if (epoll_ctl(coroutine->loop->epoll, operation, fd, &event) < 0)
        return -errno;
    coroutine->watched = (coroutine->watched & OWN_EVENTS) | wanted << COMPANION_BITS;
    coroutine->pending &= OWN_EVENTS;
    return 0;
}

/* What has been wanted once stays registered, so that most waits register nothing. */
static uint32_t
registered_for(const struct pollfd *entry, uint32_t watched)
{
    if (entry->fd < 0)
        return watched;
    return watched | EPOLLIN | (uint32_t)(unsigned short)entry->events;
}

static int
watch_both(struct coroutine *coroutine, const struct pollfd fds[2])
{
    uint32_t own = coroutine->watched & OWN_EVENTS, other = coroutine->watched >> COMPANION_BITS;
    uint32_t own_now = registered_for(&fds[0], own), other_now = registered_for(&fds[1], other);
    int error = 0;

    if (own_now != own)
        error = watch_connection(coroutine, fds[0].fd, own_now);
    if (error == 0 && other_now != other)
        error = watch_companion(coroutine, fds[1].fd, other_now);
    return error;
}

static uint32_t
wanted_of(const struct pollfd *entry)
{
    uint32_t events = (uint32_t)(unsigned short)entry->events;

    if (entry->fd < 0)
        return 0;
    return events | EPOLLERR | EPOLLHUP | (events & EPOLLIN ? EPOLLRDHUP : 0);
}

int
coroutine_wait_both(struct coroutine *coroutine, struct pollfd fds[2], int64_t until)
{
    uint32_t wanted = wanted_of(&fds[0]) | wanted_of(&fds[1]) << COMPANION_BITS;
    int error = watch_both(coroutine, fds);

    if (error < 0)
        return error;
    uint32_t found = coroutine->pending & wanted;
    if (found != 0) {
        coroutine->pending &= ~found | LASTING;
    } else if (!timer_is_due(until)) {
        int result = wait_until(coroutine, COROUTINE_WAITING, wanted, until);
        if (result < 0)
            return result;
        found = (uint32_t)result;
    }
    fds[0].revents = (short)(found & OWN_EVENTS);
    fds[1].revents = (short)(found >> COMPANION_BITS);
    return found != 0;
}

void
coroutine_leave_companion(struct coroutine *coroutine, int fd)
{
    if (coroutine->watched >> COMPANION_BITS == 0)
        return;
    (void)epoll_ctl(coroutine->loop->epoll, EPOLL_CTL_DEL, fd, NULL);
    coroutine->watched &= OWN_EVENTS;
    coroutine->pending &= OWN_EVENTS;
}

void
coroutine_forget_connection(struct coroutine *coroutine)
{
    coroutine->watched = coroutine->pending = 0;
}
