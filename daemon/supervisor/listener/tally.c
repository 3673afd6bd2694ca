/* SPDX-License-Identifier: MIT */
/*
 * tally.c - what a worker has counted, as far as it can be true
 *
 * A worker's counters lie in memory that its plugin can write, so they may say
 * anything at any time. Totals outlive workers: what is believed once stays in
 * them for ever. So the supervisor adds up how the counters move between two
 * looks, and leaves out every move that no machine can make. Status and its
 * samples look every few seconds. A worker that lies within these bounds lies
 * about its own listener.
 *
 * Runs in:  the supervisor.
 * Owns:     nothing.
 * Failures: none.
 */
#include "supervisor/listener/tally.h"

#include <unistd.h>

/* What one processor can do in a microsecond, and more. */
#define REQUESTS_MOST UINT64_C(5)
#define BYTES_MOST    UINT64_C(50000)
#define LINES_MOST    UINT64_C(5)

#define GRACE_USEC UINT64_C(1000000) /* between two looks that follow each other at once */

/* Returns the most that a counter of the unit can grow by. */
static uint64_t
most(enum counter_unit unit, uint64_t usec, uint32_t slots, uint64_t age_usec)
{
    static long processors;

    if (processors <= 0 && (processors = sysconf(_SC_NPROCESSORS_CONF)) <= 0)
        processors = 1;
    switch (unit) {
    case COUNTER_REQUESTS:
        return REQUESTS_MOST * (uint64_t)processors * usec;
    case COUNTER_BYTES:
        return BYTES_MOST * (uint64_t)processors * usec;
    case COUNTER_LINES:
        return LINES_MOST * (uint64_t)processors * usec;
    case COUNTER_CPU: /* a child is counted at its end, with all of its time */
        return (uint64_t)processors * 1000 * age_usec;
    case COUNTER_NANOSECONDS: /* and so is a request */
        break;
    }
    return (uint64_t)slots * 1000 * age_usec;
}

static void
move(uint64_t *seen, uint64_t *believed, uint64_t now, uint64_t limit)
{
    if (now > *seen && now - *seen <= limit)
        *believed += now - *seen;
    *seen = now;
}

void
tally_init(struct tally *tally, uint64_t started_usec)
{
    *tally = (struct tally){.started_usec = started_usec, .looked_usec = started_usec};
}

void
tally_look(struct tally *tally, const struct counters *counters, uint32_t slots, uint64_t now_usec,
           struct counter_sums *ret)
{
    uint64_t usec = now_usec - tally->looked_usec + GRACE_USEC;
    uint64_t requests, age = now_usec - tally->started_usec + GRACE_USEC;
    struct counter_sums now;

    counters_sum(counters, slots, &now);
    for (size_t i = 0; i < COUNTER_COUNT; i++) {
        const struct counter *counter = &counter_table[i];
        move(counter_in_sums(&tally->seen, counter), counter_in_sums(&tally->believed, counter),
             counter_of_sums(&now, counter), most(counter->unit, usec, slots, age));
    }
    requests = most(COUNTER_REQUESTS, usec, slots, age);
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        move(&tally->seen.handling.buckets[i], &tally->believed.handling.buckets[i],
             now.handling.buckets[i], requests);
    tally->looked_usec = now_usec;
    *ret = tally->believed;
    ret->active = now.active;
    ret->idle = now.idle;
}
