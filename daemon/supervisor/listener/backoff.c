/* SPDX-License-Identifier: MIT */
/*
 * backoff.c - how long to wait before something that failed is tried again
 *
 * Runs in:  the supervisor.
 * Owns:     nothing.
 * Failures: none.
 */
#include "supervisor/listener/backoff.h"

/* Returns the wait before repeated attempt number `attempt`, counted from 1. */
static uint64_t
delay_for(unsigned attempt)
{
    uint64_t delay = BACKOFF_FIRST_USEC;

    while (--attempt > 0 && delay < BACKOFF_LAST_USEC)
        delay *= 2;
    return delay < BACKOFF_LAST_USEC ? delay : BACKOFF_LAST_USEC;
}

static unsigned
count_failure(struct backoff *backoff)
{
    if (backoff->failures < UINT16_MAX)
        backoff->failures++;
    return backoff->failures;
}

uint64_t
backoff_after_failure(struct backoff *backoff)
{
    return delay_for(count_failure(backoff));
}

uint64_t
backoff_while_taken(struct backoff *backoff)
{
    if (backoff->taken >= BACKOFF_TAKEN_TRIES)
        return backoff_after_failure(backoff);
    backoff->taken++;
    return BACKOFF_TAKEN_USEC;
}

void
backoff_not_taken(struct backoff *backoff)
{
    backoff->taken = 0;
}

uint64_t
backoff_after_death(struct backoff *backoff, uint64_t served_usec)
{
    if (served_usec >= BACKOFF_GOOD_USEC)
        backoff->failures = 0;
    unsigned deaths = count_failure(backoff);
    return deaths == 1 ? 0 : delay_for(deaths - 1);
}
