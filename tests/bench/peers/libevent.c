/* SPDX-License-Identifier: MIT */
/*
 * libevent.c - echo with libevent's bufferevents
 *
 * usage: peer-libevent ADDRESS (tcp or unix)
 */
#include "../limit/limit.h"
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>

static void
on_read(struct bufferevent *b, void *arg)
{
    (void)arg;
    bufferevent_write_buffer(b, bufferevent_get_input(b));
}

static void
on_event(struct bufferevent *b, short what, void *arg)
{
    (void)arg;
    if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
        bufferevent_free(b);
}

static void
on_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *a, int len, void *base)
{
    (void)l, (void)a, (void)len;
    struct bufferevent *b = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
    bufferevent_setcb(b, on_read, NULL, on_event, NULL);
    bufferevent_enable(b, EV_READ | EV_WRITE);
}

int
main(int argc, char **argv)
{
    int fd = open_server(argv[argc - 1], SOCK_NONBLOCK);
    struct event_base *base = event_base_new();
    evconnlistener_new(base, on_accept, base, LEV_OPT_CLOSE_ON_FREE, -1, fd);
    return event_base_dispatch(base);
}
