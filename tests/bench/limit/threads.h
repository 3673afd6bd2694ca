/* SPDX-License-Identifier: MIT */
/*
 * threads.h - a pool of threads, each of which serves one connection at a time
 *
 * Every idle thread waits in accept(), and whoever gets the connection serves
 * it; the last idle one starts a successor first. Surplus idle threads end.
 */
#ifndef BENCH_LIMIT_THREADS_H
#define BENCH_LIMIT_THREADS_H

#include "limit.h"

#include <pthread.h>
#include <stdatomic.h>

#define SPARE 64

static struct {
    int listening;
    void (*serve)(int fd); /* and closes it */
    pthread_attr_t attributes;
    atomic_int idle;
} pool = {.idle = SPARE};

static void *leader(void *unused);

static void
start_thread(void)
{
    pthread_t thread;

    if (pthread_create(&thread, &pool.attributes, leader, NULL) != 0)
        fatal("pthread_create");
}

static void *
leader(void *unused)
{
    do {
        int fd = next_connection(pool.listening);
        if (atomic_fetch_sub(&pool.idle, 1) == 1) {
            atomic_fetch_add(&pool.idle, 1);
            start_thread();
        }
        pool.serve(fd);
    } while (atomic_fetch_add(&pool.idle, 1) < SPARE);
    atomic_fetch_sub(&pool.idle, 1);
    return unused;
}

_Noreturn static inline void
run_threads(int listening, size_t stack, void (*serve)(int fd))
{
    pool.listening = listening;
    pool.serve = serve;
    pthread_attr_init(&pool.attributes);
    pthread_attr_setstacksize(&pool.attributes, stack);
    pthread_attr_setdetachstate(&pool.attributes, PTHREAD_CREATE_DETACHED);
    for (int i = 0; i < SPARE; i++)
        start_thread();
    for (;;)
        pause();
}

#endif
