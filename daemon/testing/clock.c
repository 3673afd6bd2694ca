/* SPDX-License-Identifier: MIT */
/*
 * clock.c - the clock of a test: it stands still until the test lets time go by
 *
 * It takes the place of common/clock.c in the test library. Children that a test forks share it.
 *
 * Runs in:  the process of a test, in its requests' threads and children.
 * Owns:     a page of memory, for as long as the process lives.
 * Failures: without that page, the process ends.
 */
#include "testing/clock.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "common/clock.h"

#define BEGINNING (INT64_C(1000) * 1000000000) /* no time is 0 */

static _Atomic int64_t *now;

static void __attribute__((constructor)) begin(void)
{
    now = mmap(NULL, sizeof(*now), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (now == MAP_FAILED) {
        perror("sockserver-test: cannot make a clock");
        abort();
    }
    atomic_store(now, BEGINNING);
}

int64_t
monotonic_now(void)
{
    return atomic_load(now);
}

void
clock_set(int64_t time)
{
    atomic_store(now, time);
}

int64_t
monotonic_after(double seconds)
{
    if (seconds <= 0 || seconds > 1e9)
        return FOREVER;
    return monotonic_now() + (int64_t)(seconds * 1e9);
}

/* As far behind as is allowed: so a long wait, whose end lies so much later, ends on time. */
int64_t
monotonic_roughly(void)
{
    return monotonic_now() - ROUGHLY;
}

uint64_t
monotonic_usec(void)
{
    return (uint64_t)monotonic_now() / 1000;
}

uint64_t
realtime_usec(void)
{
    struct timespec time;

    (void)clock_gettime(CLOCK_REALTIME, &time);
    return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_nsec / 1000;
}

int64_t
clock_real(void)
{
    struct timespec time;

    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}
