/* SPDX-License-Identifier: MIT */
/*
 * clock.c - time for tests: monotonic, in seconds
 */
#include "support/clock.h"

#include <time.h>

double
clock_now(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int
clock_left(double moment)
{
    double left = moment - clock_now();

    return left > 0 ? (int)(left * 1000) + 1 : 0;
}

void
clock_pause(void)
{
    (void)nanosleep(&(struct timespec){.tv_nsec = 5 * 1000 * 1000}, NULL);
}
