/*
 * Fiber class: epoll with one stackful coroutine per connection, each running
 * the plain blocking-looking echo loop; one thread.
 * usage: fiber ADDRESS [-m sjlj|ucontext] [-s STACK_KIB (16)] [-g guard page]
 */
#include "limit.h"
#include <setjmp.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <ucontext.h>

struct fiber {
    jmp_buf jb;
    ucontext_t *uc; /* only for -m ucontext */
    struct fiber *next;
    int fd;
    bool finished;
};

static jmp_buf scheduler;
static ucontext_t scheduler_uc;
static struct fiber *current, *idle;
static size_t stack = 16 * 1024, guard;
static bool use_uc;
static int ep;

static void
yield(void)
{
    struct fiber *f = current;
    if (use_uc)
        swapcontext(f->uc, &scheduler_uc);
    else if (!_setjmp(f->jb))
        _longjmp(scheduler, 1);
}

static void
resume(struct fiber *f)
{
    current = f;
    if (use_uc)
        swapcontext(&scheduler_uc, f->uc);
    else if (!_setjmp(scheduler))
        _longjmp(f->jb, 1);
}

static ssize_t
fiber_recv(int fd, char *buf, size_t n)
{
    ssize_t r;
    while ((r = recv(fd, buf, n, 0)) < 0 && errno == EAGAIN)
        yield();
    return r;
}

static void
body(void)
{
    for (struct fiber *f = current;; yield()) { /* one turn per connection */
        char buf[4096];
        ssize_t n;
        while ((n = fiber_recv(f->fd, buf, sizeof buf)) > 0 && send_all(f->fd, buf, (size_t)n))
            if ((size_t)n < sizeof buf)
                yield(); /* emptied: the next edge wakes us */
        close(f->fd);
        f->finished = true;
    }
}

/* The control block lives at the top of its own stack. */
static struct fiber *
new_fiber(void)
{
    char *p = mmap(NULL, stack + guard, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED || (guard && mprotect(p, guard, PROT_NONE)))
        fatal("stack");
    size_t top = stack + guard - sizeof(struct fiber) - (use_uc ? sizeof(ucontext_t) : 0);
    top &= ~(size_t)63;
    struct fiber *f = (void *)(p + top);
    static ucontext_t first; /* entered once; from then on, longjmp */
    ucontext_t *uc = use_uc ? (void *)(f + 1) : &first;
    getcontext(uc);
    uc->uc_stack.ss_sp = p + guard;
    uc->uc_stack.ss_size = top - guard;
    f->uc = uc;
    makecontext(uc, body, 0);
    return f;
}

static void
start(int fd)
{
    struct fiber *f = idle;
    bool fresh = !f;
    if (fresh)
        f = new_fiber();
    else
        idle = f->next;
    f->fd = fd;
    f->finished = false;
    struct epoll_event e = {EPOLLIN | EPOLLRDHUP | EPOLLET, {.ptr = f}};
    epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e);
    current = f;
    if (fresh && !use_uc) {
        if (!_setjmp(scheduler))
            setcontext(f->uc);
    } else {
        resume(f);
    }
    if (f->finished) {
        f->next = idle;
        idle = f;
    }
}

int
main(int argc, char **argv)
{
    for (int c; (c = getopt(argc, argv, "m:s:g")) != -1;)
        switch (c) {
        case 'm':
            use_uc = *optarg == 'u';
            break;
        case 's':
            stack = (size_t)atol(optarg) * 1024;
            break;
        case 'g':
            guard = 4096;
            break;
        default:
            return 2;
        }
    int lfd = open_server(argv[optind], SOCK_NONBLOCK, false);
    ep = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event e = {EPOLLIN, {.ptr = NULL}}, ev[512];
    epoll_ctl(ep, EPOLL_CTL_ADD, lfd, &e);
    for (;;) {
        int n = epoll_wait(ep, ev, 512, -1);
        for (int i = 0; i < n; i++) {
            struct fiber *f = ev[i].data.ptr;
            if (!f) {
                for (int fd; (fd = accept4(lfd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;)
                    start(fd);
                continue;
            }
            resume(f);
            if (f->finished) {
                f->next = idle;
                idle = f;
            }
        }
    }
}
