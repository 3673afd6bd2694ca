/* SPDX-License-Identifier: MIT */
/*
 * wake.c - the least that it takes to wake another connection: an eventfd in its event loop
 *
 * Each connection has an eventfd. One thread has all of them in its epoll instance, or (-t) each
 * connection has a thread, which waits for both by an epoll instance of its own.
 *
 * usage: limit-wake [-t] ADDRESS
 */
#include "limit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "wake.h"

struct connection {
    int fd, event;
    enum wake_role role;
    long rounds, left;
    struct wake_time began;
    int thread_event; /* of the thread that it wakes */
};

static _Atomic(struct connection *) first, second; /* the last that have said so */

static void
wake(int event)
{
    if (write(event, &(uint64_t){1}, sizeof(uint64_t)) < 0)
        fatal("eventfd");
}

static void
take(int event)
{
    uint64_t count;

    if (read(event, &count, sizeof(count)) < 0 && errno != EAGAIN)
        fatal("eventfd");
}

static void *
thread_main(void *argument)
{
    struct connection *connection = argument;

    for (long left = connection->rounds; left > 0; left--) {
        take(connection->thread_event);
        wake(connection->event);
    }
    close(connection->thread_event);
    return NULL;
}

static void
wake_partner(const struct connection *connection)
{
    if (connection->role == WAKE_THREAD)
        wake(connection->thread_event);
    else if (connection->role == WAKE_FIRST)
        wake(atomic_load(&second)->event);
}

static void
begin(struct connection *connection)
{
    pthread_t thread;

    connection->left = connection->rounds;
    if (connection->role == WAKE_SECOND) {
        atomic_store(&second, connection);
        send_all(connection->fd, "here\n", 5);
        return;
    }
    if (connection->role == WAKE_THREAD) {
        connection->thread_event = eventfd(0, EFD_CLOEXEC);
        if (pthread_create(&thread, NULL, thread_main, connection) != 0)
            fatal("pthread_create");
        pthread_detach(thread);
    }
    connection->began = wake_now();
    wake_partner(connection);
}

/* Its eventfd has told. */
static void
woken(struct connection *connection)
{
    char text[100];

    take(connection->event);
    connection->left--;
    if (connection->role == WAKE_SECOND) {
        wake(atomic_load(&first)->event);
        return;
    }
    if (connection->left > 0) {
        wake_partner(connection);
        return;
    }
    int size = wake_answer(text, sizeof(text), connection->rounds, connection->began);
    send_all(connection->fd, text, (size_t)size);
}

/* False when the connection is over. */
static bool
receive(struct connection *connection)
{
    char line[4096];
    ssize_t got = recv(connection->fd, line, sizeof(line) - 1, MSG_DONTWAIT);

    if (got < 0 && errno == EAGAIN)
        return true;
    if (got <= 0)
        return false;
    line[got] = '\0';
    connection->role = wake_role(line, &connection->rounds);
    if (connection->role == WAKE_NONE)
        return send_all(connection->fd, line, (size_t)got);
    if (connection->role == WAKE_FIRST)
        atomic_store(&first, connection);
    begin(connection);
    return true;
}

/* Event numbers of epoll: the connection's pointer, and in its lowest bit which descriptor. */
static struct connection *
open_connection(int loop, int fd)
{
    struct connection *connection = calloc(1, sizeof(*connection));
    struct epoll_event own = {EPOLLIN, {.ptr = connection}},
                       other = {EPOLLIN, {.u64 = (uint64_t)(uintptr_t)connection | 1}};

    if (connection == NULL)
        fatal("calloc");
    connection->fd = fd;
    connection->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    epoll_ctl(loop, EPOLL_CTL_ADD, fd, &own);
    epoll_ctl(loop, EPOLL_CTL_ADD, connection->event, &other);
    return connection;
}

/* False when its connection is over. */
static bool
dispatch(const struct epoll_event *event)
{
    struct connection *connection =
        (struct connection *)(uintptr_t)(event->data.u64 & ~(uint64_t)1);

    if ((event->data.u64 & 1) != 0) {
        woken(connection);
        return true;
    }
    if (receive(connection))
        return true;
    close(connection->fd);
    close(connection->event);
    return false; /* the rest is left: somebody may be about to wake it */
}

static void *
serve(void *argument)
{
    struct epoll_event events[16];
    int loop = epoll_create1(EPOLL_CLOEXEC);

    open_connection(loop, (int)(intptr_t)argument);
    for (;;) {
        int count = epoll_wait(loop, events, 16, -1);
        for (int i = 0; i < count; i++)
            if (!dispatch(&events[i])) {
                close(loop);
                return NULL;
            }
    }
}

static void
run_threads(int listening)
{
    pthread_t thread;

    for (;;) {
        int fd = next_connection(listening);
        if (pthread_create(&thread, NULL, serve, (void *)(intptr_t)fd) != 0)
            fatal("pthread_create");
        pthread_detach(thread);
    }
}

static void
run_loop(int listening)
{
    struct epoll_event event = {EPOLLIN, {.ptr = NULL}}, events[512];
    int loop = epoll_create1(EPOLL_CLOEXEC);

    epoll_ctl(loop, EPOLL_CTL_ADD, listening, &event);
    for (;;) {
        int count = epoll_wait(loop, events, 512, -1);
        for (int i = 0; i < count; i++)
            if (events[i].data.ptr == NULL)
                open_connection(loop, next_connection(listening));
            else
                dispatch(&events[i]);
    }
}

int
main(int argc, char **argv)
{
    int listening = open_server(argv[argc - 1], 0);

    if (argc > 2 && strcmp(argv[1], "-t") == 0)
        run_threads(listening);
    else
        run_loop(listening);
}
