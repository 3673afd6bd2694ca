/* SPDX-License-Identifier: MIT */
/*
 * patience.c - trying again what failed only because the machine was short of something
 *
 * Runs in:  the supervisor, one thread.
 * Owns:     how many waits are left.
 * Failures: when none is left, the step's failure is its caller's again.
 */
#include "common/patience.h"

#include <errno.h>
#include <time.h>

#include "common/array.h"

#define TRIES     100
#define WAIT_NSEC 10000000

static const int shortages[] = {ENOMEM, EMFILE, ENFILE, ENOBUFS, EAGAIN, EINTR, ENOSPC};
static unsigned tries_left;

void
patience_begin(void)
{
    tries_left = TRIES;
}

void
patience_end(void)
{
    tries_left = 0;
}

bool
patience_allows(int error)
{
    bool is_short = false;

    for (size_t i = 0; i < ARRAY_SIZE(shortages); i++)
        is_short |= error == -shortages[i];
    if (!is_short || tries_left == 0)
        return false;
    tries_left--;
    (void)nanosleep(&(struct timespec){.tv_nsec = WAIT_NSEC}, NULL);
    return true;
}
