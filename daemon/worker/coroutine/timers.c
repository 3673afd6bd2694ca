/* SPDX-License-Identifier: MIT */
/*
 * timers.c - points in time that many wait for: a binary heap, set right lazily
 *
 * Runs in:  the event loop that owns them.
 * Owns:     the heap; the timers are the callers'.
 * Failures: returned by timers_reserve(); the rest cannot fail.
 */
#include "worker/coroutine/timers.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "common/clock.h"

bool
timer_is_due(int64_t until)
{
    if (until == FOREVER || until > monotonic_roughly() + ROUGHLY)
        return false;
    return until <= monotonic_now();
}

void
timers_done(struct timers *timers)
{
    free(timers->heap);
    *timers = (struct timers){0};
}

int
timers_reserve(struct timers *timers, size_t room)
{
    if (room <= timers->room)
        return 0;
    if (room < timers->room * 2)
        room = timers->room * 2;
    struct timer **heap = realloc(timers->heap, (room + 1) * sizeof(*heap)); /* heap[0] is unused */
    if (heap == NULL)
        return -ENOMEM;
    timers->heap = heap;
    timers->room = room;
    return 0;
}

static void
put(struct timers *timers, size_t place, struct timer *timer)
{
    timers->heap[place] = timer;
    timer->place = place;
}

static void
sift_up(struct timers *timers, struct timer *timer)
{
    size_t place = timer->place;

    for (; place > 1 && timers->heap[place / 2]->key > timer->key; place /= 2)
        put(timers, place, timers->heap[place / 2]);
    put(timers, place, timer);
}

static void
sift_down(struct timers *timers, struct timer *timer)
{
    size_t place = timer->place;

    for (size_t child; (child = place * 2) <= timers->count; place = child) {
        if (child < timers->count && timers->heap[child + 1]->key < timers->heap[child]->key)
            child++;
        if (timers->heap[child]->key >= timer->key)
            break;
        put(timers, place, timers->heap[child]);
    }
    put(timers, place, timer);
}

void
timers_set(struct timers *timers, struct timer *timer, int64_t until)
{
    timer->until = until;
    if (until == FOREVER || (timer->place != 0 && timer->key <= until))
        return;
    timer->key = until;
    if (timer->place == 0) {
        assert(timers->count < timers->room);
        put(timers, ++timers->count, timer);
    }
    sift_up(timers, timer);
}

void
timer_clear(struct timer *timer)
{
    timer->until = FOREVER;
}

void
timers_remove(struct timers *timers, struct timer *timer)
{
    size_t place = timer->place;

    timer->until = FOREVER;
    if (place == 0)
        return;
    struct timer *last = timers->heap[timers->count--];
    timer->place = 0;
    if (last == timer)
        return;
    put(timers, place, last);
    sift_up(timers, last);
    sift_down(timers, last);
}

int64_t
timers_next(const struct timers *timers)
{
    return timers->count == 0 ? FOREVER : timers->heap[1]->key;
}

struct timer *
timers_expire(struct timers *timers, int64_t now)
{
    while (timers->count > 0 && timers->heap[1]->key <= now) {
        struct timer *timer = timers->heap[1];
        if (timer->until == timer->key) {
            timers_remove(timers, timer);
            return timer;
        }
        if (timer->until == FOREVER) {
            timers_remove(timers, timer);
        } else {
            timer->key = timer->until;
            sift_down(timers, timer);
        }
    }
    return NULL;
}
