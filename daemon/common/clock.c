/* SPDX-License-Identifier: MIT */
/*
 * clock.c - the monotonic clock, in the units that the daemon counts in
 *
 * Runs in:  any process, any context.
 * Owns:     nothing.
 * Failures: none: Linux has these clocks.
 */
#include "common/clock.h"

#include <time.h>

static int64_t
read_clock(clockid_t clock)
{
    struct timespec now;

    (void)clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t
monotonic_now(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

int64_t
monotonic_after(double seconds)
{
    if (seconds <= 0 || seconds > 1e9)
        return FOREVER;
    return monotonic_now() + (int64_t)(seconds * 1e9);
}

int64_t
monotonic_roughly(void)
{
    return read_clock(CLOCK_MONOTONIC_COARSE);
}

uint64_t
monotonic_usec(void)
{
    return (uint64_t)read_clock(CLOCK_MONOTONIC) / 1000;
}

uint64_t
realtime_usec(void)
{
    return (uint64_t)read_clock(CLOCK_REALTIME) / 1000;
}
