/* SPDX-License-Identifier: MIT */
/*
 * serving_loop.h - an event loop that accepts requests and runs each in a coroutine
 *
 * Only the loop's own thread touches it, except for what is marked.
 */
#ifndef SOCKSERVERD_WORKER_MIXIN_SERVING_LOOP_H
#define SOCKSERVERD_WORKER_MIXIN_SERVING_LOOP_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "worker/coroutine/coroutine.h"
#include "worker/mixin/watchdog.h"
#include "worker/plugin/cplusplus.h"
#include "worker/request/request.h"

struct housekeeping;

/* The loops of a worker, which take connections from its one socket. Of any thread. */
struct serving_loops {
    struct serving_loop *loops;
    uint32_t count;
    _Atomic uint32_t running; /* of those with a thread of their own, how many have not ended */
    _Atomic int error;        /* of the first that could not serve on */
    exception_state_getter exception_state; /* of each one's thread; NULL: nobody throws any */
};

struct serving_loop {
    struct loop loop;
    struct watched_loop watched;
    struct serving_loops *all;
    struct ss_server *server;
    struct housekeeping *housekeeping; /* the first one's; else NULL */
    int64_t next_housekeeping;
    bool housekeeping_due;
    uint32_t number; /* from 0 */
    bool empties;    /* seen: a drain begins when the socket's queue is empty */
    enum server_phase seen;
    uint32_t orders; /* the last one seen: counters->orders */
    bool listening;
    bool acceptable; /* the socket has something */
    int64_t paused;  /* accepting goes on at this time; FOREVER: it does */
    int64_t next_trim;
    uint32_t peak;    /* of busy coroutines since the last trim */
    pthread_t thread; /* of all except the first, which is the main thread's */
};

/*
 * Makes the number-th of all, for at most so many requests at a time. The
 * caller says what a coroutine does: loop.serve and loop.abandon. 0 or a
 * negative errno.
 */
int serving_loop_init(struct serving_loop *serving, struct serving_loops *all, uint32_t number,
                      struct ss_server *server, uint32_t limit);
/* No request may be left. */
void serving_loop_done(struct serving_loop *serving);

/* This loop does the housekeeping, too. 0 or a negative errno. */
int serving_loop_keep_house(struct serving_loop *serving, struct housekeeping *housekeeping);

/* In its thread: before the first turn, and after the last. */
void serving_loop_enter(struct serving_loop *serving);
void serving_loop_leave(struct serving_loop *serving);

/* Waits until something happens, lets coroutines run, and accepts. */
void serving_loop_turn(struct serving_loop *serving);

/* Whether it has nothing left to serve, and shall accept nothing more. */
bool serving_loop_ended(const struct serving_loop *serving);

/* A request is the user's part of its coroutine. */
static inline struct coroutine *
coroutine_of(struct ss_request *request)
{
    return (struct coroutine *)(void *)request - 1;
}

#endif
