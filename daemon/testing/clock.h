/* SPDX-License-Identifier: MIT */
/*
 * clock.h - the two clocks of a test: its own, which it sets, and the real one
 */
#ifndef SOCKSERVERD_TESTING_CLOCK_H
#define SOCKSERVERD_TESTING_CLOCK_H

#include <stdint.h>

/* Sets what monotonic_now() returns in this process and its children, in ns. */
void clock_set(int64_t time);

/* The real time in ns, by which it is judged whether something hangs. */
int64_t clock_real(void);

#endif
