/* SPDX-License-Identifier: MIT */
/*
 * wake.h - what ./dev bench asks of those who wake each other, and how it is measured
 *
 * One line asks, and the answer is "ROUNDS NANOSECONDS CPU-NANOSECONDS": of the clock, and of the
 * process's CPU time, from the first wake-up to the last.
 *
 *   second N   to be woken so many times by the other connection, and to wake it; the answer is
 *              "here", at once
 *   first N    the same, and begins as soon as the other connection is there
 *   thread N   the same with a thread instead of the other connection
 *
 * Any other line is sent back.
 */
#ifndef BENCH_LIMIT_WAKE_H
#define BENCH_LIMIT_WAKE_H

#include <stdint.h>
#include <stdio.h>
#include <time.h>

enum wake_role { WAKE_NONE, WAKE_FIRST, WAKE_SECOND, WAKE_THREAD };

struct wake_time {
    int64_t clock, cpu; /* nanoseconds */
};

static inline struct wake_time
wake_now(void)
{
    struct timespec clock, cpu;

    clock_gettime(CLOCK_MONOTONIC, &clock);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    return (struct wake_time){clock.tv_sec * 1000000000ll + clock.tv_nsec,
                              cpu.tv_sec * 1000000000ll + cpu.tv_nsec};
}

static inline enum wake_role
wake_role(const char *line, long *ret_rounds)
{
    if (sscanf(line, "second %ld", ret_rounds) == 1)
        return WAKE_SECOND;
    if (sscanf(line, "first %ld", ret_rounds) == 1)
        return WAKE_FIRST;
    if (sscanf(line, "thread %ld", ret_rounds) == 1)
        return WAKE_THREAD;
    return WAKE_NONE;
}

/* The answer. Its length. */
static inline int
wake_answer(char *text, size_t size, long rounds, struct wake_time began)
{
    struct wake_time now = wake_now();

    return snprintf(text, size, "%ld %lld %lld\n", rounds, (long long)(now.clock - began.clock),
                    (long long)(now.cpu - began.cpu));
}

#endif
