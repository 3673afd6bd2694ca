/*
 * Event class: epoll echo on one thread, no state per connection.
 * usage: epoll ADDRESS [-l level-triggered] [-e no read right after accept]
 *              [-n TCP_NODELAY] [-d TCP_DEFER_ACCEPT] [-j N threads, SO_REUSEPORT]
 */
#include "limit.h"
#include <pthread.h>
#include <sys/epoll.h>

static const char *addr;
static bool level, no_eager, use_nodelay, use_defer;
static int threads = 1;

/* Echo what is there; false when the connection is over. */
static bool
echo(int fd)
{
    static _Thread_local char buf[65536];
    for (;;) {
        ssize_t n = recv(fd, buf, sizeof buf, 0);
        if (n < 0 && errno == EAGAIN)
            return true;
        if (n <= 0 || !send_all(fd, buf, (size_t)n))
            return false;
        if ((size_t)n < sizeof buf)
            return true; /* emptied: edge-triggered epoll tells of more, and of EOF */
    }
}

static void
accept_all(int ep, int lfd)
{
    for (int fd; (fd = accept4(lfd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
        if (use_nodelay)
            nodelay(fd);
        if (!no_eager && !echo(fd)) {
            close(fd);
            continue;
        }
        struct epoll_event e = {EPOLLIN | EPOLLRDHUP | (level ? 0 : EPOLLET), {.fd = fd}};
        epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e);
    }
}

static void *
loop(void *arg)
{
    int lfd = open_server(addr, SOCK_NONBLOCK, threads > 1), ep = epoll_create1(EPOLL_CLOEXEC);
    if (use_defer)
        defer_accept(lfd);
    struct epoll_event e = {EPOLLIN, {.fd = lfd}}, ev[512];
    epoll_ctl(ep, EPOLL_CTL_ADD, lfd, &e);
    for (;;) {
        int n = epoll_wait(ep, ev, 512, -1);
        for (int i = 0; i < n; i++)
            if (ev[i].data.fd == lfd)
                accept_all(ep, lfd);
            else if (!echo(ev[i].data.fd))
                close(ev[i].data.fd);
    }
    return arg;
}

int
main(int argc, char **argv)
{
    for (int c; (c = getopt(argc, argv, "lendj:")) != -1;)
        switch (c) {
        case 'l':
            level = true;
            break;
        case 'e':
            no_eager = true;
            break;
        case 'n':
            use_nodelay = true;
            break;
        case 'd':
            use_defer = true;
            break;
        case 'j':
            threads = atoi(optarg);
            break;
        default:
            return 2;
        }
    addr = argv[optind];
    for (int i = 1; i < threads; i++)
        pthread_create(&(pthread_t){0}, NULL, loop, NULL);
    loop(NULL);
}
