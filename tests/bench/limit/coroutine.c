/* SPDX-License-Identifier: MIT */
/*
 * coroutine.c - the least that stackful coroutines must do: epoll, one for each connection
 *
 * Each runs the plain echo loop that looks as if it blocked. Switching is
 * _setjmp() and _longjmp(): no system call, no signal mask.
 *
 * usage: limit-coroutine ADDRESS
 */
#include "limit.h"

#include <setjmp.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <ucontext.h>

#define STACK (16 * 1024)

struct coroutine {
    jmp_buf place;
    struct coroutine *next;
    int fd;
    bool finished;
};

static jmp_buf scheduler;
static struct coroutine *current, *unused;
static int loop;

static void
yield(void)
{
    struct coroutine *me = current;

    if (_setjmp(me->place) == 0)
        _longjmp(scheduler, 1);
}

static void
resume(struct coroutine *coroutine)
{
    current = coroutine;
    if (_setjmp(scheduler) == 0)
        _longjmp(coroutine->place, 1);
}

static ssize_t
receive(int fd, char *buffer, size_t size)
{
    ssize_t got;

    while ((got = recv(fd, buffer, size, 0)) < 0 && errno == EAGAIN)
        yield();
    return got;
}

static void
body(void)
{
    for (struct coroutine *me = current;; yield()) { /* one turn for each connection */
        char buffer[4096];
        ssize_t got;

        while ((got = receive(me->fd, buffer, sizeof(buffer))) > 0 &&
               send_all(me->fd, buffer, (size_t)got))
            if ((size_t)got < sizeof(buffer))
                yield(); /* emptied: the next edge wakes us */
        close(me->fd);
        me->finished = true;
    }
}

/* The coroutine itself lies at the top of its own stack. */
static struct coroutine *
new_coroutine(ucontext_t *context)
{
    char *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    size_t top = (STACK - sizeof(struct coroutine)) & ~(size_t)63;

    if (stack == MAP_FAILED)
        fatal("stack");
    getcontext(context); /* entered once; from then on, _longjmp() */
    context->uc_stack.ss_sp = stack;
    context->uc_stack.ss_size = top;
    makecontext(context, body, 0);
    return (struct coroutine *)(void *)(stack + top);
}

static void
run(struct coroutine *coroutine, const ucontext_t *first)
{
    current = coroutine;
    if (first == NULL)
        resume(coroutine);
    else if (_setjmp(scheduler) == 0)
        setcontext(first);
    if (coroutine->finished) {
        coroutine->next = unused;
        unused = coroutine;
    }
}

static void
start(int fd)
{
    static ucontext_t context;
    struct coroutine *coroutine = unused;
    bool fresh = coroutine == NULL;

    if (fresh)
        coroutine = new_coroutine(&context);
    else
        unused = coroutine->next;
    coroutine->fd = fd;
    coroutine->finished = false;
    struct epoll_event event = {EPOLLIN | EPOLLRDHUP | EPOLLET, {.ptr = coroutine}};
    epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event);
    run(coroutine, fresh ? &context : NULL);
}

int
main(int argc, char **argv)
{
    int listening = open_server(argv[argc - 1], SOCK_NONBLOCK);
    struct epoll_event event = {EPOLLIN, {.ptr = NULL}}, events[512];

    loop = epoll_create1(EPOLL_CLOEXEC);
    epoll_ctl(loop, EPOLL_CTL_ADD, listening, &event);
    for (;;) {
        int count = epoll_wait(loop, events, 512, -1), fd;
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr != NULL)
                run(events[i].data.ptr, NULL);
            else
                while ((fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
                    start(fd);
        }
    }
}
