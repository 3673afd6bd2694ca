/* SPDX-License-Identifier: MIT */
/*
 * timers.h - points in time that many wait for
 *
 * Setting a timer to a later time, and clearing it, cost next to nothing: it
 * keeps its place in the heap, and finds the right one when it comes up. So
 * a timeout that is set for each of a thousand reads and never comes is free.
 */
#ifndef SOCKSERVERD_WORKER_COROUTINE_TIMERS_H
#define SOCKSERVERD_WORKER_COROUTINE_TIMERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/clock.h"

/* Whether the time has come. Costs next to nothing while that is far off. */
bool timer_is_due(int64_t until);

/* Zeroes: not set. Must not move while it is set or has been since timers_remove(). */
struct timer {
    int64_t until; /* as wanted, monotonic ns; FOREVER: not set */
    int64_t key;   /* as in the heap: never later */
    size_t place;  /* in the heap, from 1; 0: not there */
};

struct timers {
    struct timer **heap;
    size_t count, room;
};

void timers_done(struct timers *timers);

/* Makes room for so many timers at a time. 0 or -ENOMEM. */
int timers_reserve(struct timers *timers, size_t room);

/* At most as many as there is room for. */
void timers_set(struct timers *timers, struct timer *timer, int64_t until);
void timer_clear(struct timer *timer);
/* Forgets it, before its memory goes. */
void timers_remove(struct timers *timers, struct timer *timer);

/* No timer comes before this; FOREVER if none does. */
int64_t timers_next(const struct timers *timers);

/* One whose time has come, cleared, the earliest first; NULL: no more. */
struct timer *timers_expire(struct timers *timers, int64_t now);

#endif
