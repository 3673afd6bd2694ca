/* SPDX-License-Identifier: MIT */
/*
 * clock.h - time for tests: monotonic, in seconds
 */
#ifndef TESTS_SUPPORT_CLOCK_H
#define TESTS_SUPPORT_CLOCK_H

/* How long a test waits for what must happen. Generous: the machine may be busy. */
#define DEADLINE 60.0

double clock_now(void);

/* What is left until the moment, in milliseconds for poll(2); never negative. */
int clock_left(double moment);

/* A few milliseconds, between two looks at something that sends no event. */
void clock_pause(void);

#endif
