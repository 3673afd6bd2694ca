/* SPDX-License-Identifier: MIT */
/*
 * epoll.c - the least that an event loop must do: one thread, no state per connection
 *
 * usage: limit-epoll ADDRESS
 */
#include "limit.h"

#include <sys/epoll.h>

/* Echoes what is there; false when the connection is over. */
static bool
echo(int fd)
{
    static char bytes[65536];
    ssize_t got;

    do {
        got = recv(fd, bytes, sizeof(bytes), 0);
        if (got < 0 && errno == EAGAIN)
            return true;
        if (got <= 0 || !send_all(fd, bytes, (size_t)got))
            return false;
    } while ((size_t)got == sizeof(bytes)); /* else emptied: the next edge tells of more */
    return true;
}

static void
accept_all(int loop, int listening)
{
    for (int fd; (fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
        struct epoll_event event = {EPOLLIN | EPOLLRDHUP | EPOLLET, {.fd = fd}};
        if (echo(fd))
            epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event);
        else
            close(fd);
    }
}

int
main(int argc, char **argv)
{
    int listening = open_server(argv[argc - 1], SOCK_NONBLOCK), loop = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {EPOLLIN, {.fd = listening}}, events[512];

    epoll_ctl(loop, EPOLL_CTL_ADD, listening, &event);
    for (;;) {
        int count = epoll_wait(loop, events, 512, -1);
        for (int i = 0; i < count; i++)
            if (events[i].data.fd == listening)
                accept_all(loop, listening);
            else if (!echo(events[i].data.fd))
                close(events[i].data.fd);
    }
}
