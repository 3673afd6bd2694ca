/* SPDX-License-Identifier: MIT */
/*
 * watchdog.h - noticing a handler that holds up its event loop, and ending one that spins
 */
#ifndef SOCKSERVERD_WORKER_MIXIN_WATCHDOG_H
#define SOCKSERVERD_WORKER_MIXIN_WATCHDOG_H

#include <stdint.h>
#include <time.h>

#include "worker/request/spin.h"

struct loop;
struct ss_server;

/* What it knows of one loop. Of that loop's thread. */
struct watched_loop {
    struct loop *loop; /* NULL: not watched */
    timer_t timer;
    int64_t next;  /* when the timer is put off, roughly; 0: it is not set */
    uintptr_t top; /* of the thread's stack, as far as handlers use it */
    /* of the signal handler: what has stood still since when, and what was done about it */
    int64_t since;
    enum { LOOP_RUNS, LOOP_CUT, LOOP_REPLACED } stage;
    struct spin_mark mark;
    int64_t leave_at;
};

/* Before the others: catches the timers' signal. It is said once where a handler keeps one of the
 * loops of this worker for more than a tenth of a second; each that uses spin_limit is cut. */
void watchdog_install(const struct ss_server *server);

/* The calling thread's loop, from here on up the stack. 0 or a negative errno: not watched. */
int watchdog_watch(struct watched_loop *watched, struct loop *loop);
void watchdog_unwatch(struct watched_loop *watched);

/* A turn of the loop begins, or a coroutine goes on; loop->since says when. Costs something only
 * now and then. */
void watchdog_awake(struct watched_loop *watched);

#endif
