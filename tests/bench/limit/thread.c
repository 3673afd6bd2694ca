/* SPDX-License-Identifier: MIT */
/*
 * thread.c - the least that a server with a thread for each connection must do
 *
 * Every idle thread waits in accept(), and whoever gets the connection serves
 * it; the last idle one starts a successor first. Surplus idle threads end.
 *
 * usage: limit-thread ADDRESS
 */
#include "limit.h"

#include <pthread.h>
#include <stdatomic.h>

#define SPARE 64
#define STACK (64 * 1024)

static int listening;
static atomic_int idle = SPARE;
static pthread_attr_t attributes;

static void *leader(void *unused);

static void
start_thread(void)
{
    pthread_t thread;

    if (pthread_create(&thread, &attributes, leader, NULL) != 0)
        fatal("pthread_create");
}

static void *
leader(void *unused)
{
    do {
        int fd = next_connection(listening);
        if (atomic_fetch_sub(&idle, 1) == 1) {
            atomic_fetch_add(&idle, 1);
            start_thread();
        }
        echo_until_eof(fd);
        close(fd);
    } while (atomic_fetch_add(&idle, 1) < SPARE);
    atomic_fetch_sub(&idle, 1);
    return unused;
}

int
main(int argc, char **argv)
{
    listening = open_server(argv[argc - 1], 0);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    for (int i = 0; i < SPARE; i++)
        start_thread();
    for (;;)
        pause();
}
