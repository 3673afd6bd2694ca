/* SPDX-License-Identifier: MIT */
/*
 * clock.h - the monotonic clock, in the units that the daemon counts in
 *
 * Requests are timed in nanoseconds (int64_t), the supervisor's event loop in
 * microseconds (uint64_t). Everything here may be called from any thread, child
 * or signal handler.
 */
#ifndef SOCKSERVERD_COMMON_CLOCK_H
#define SOCKSERVERD_COMMON_CLOCK_H

#include <stdint.h>

#define FOREVER INT64_MAX /* a time in nanoseconds that never comes */

/* Returns nanoseconds. */
int64_t monotonic_now(void);

/* Returns the time when so many seconds from now are over. A wait of 0 or less, or of more than
 * 30 years, ends at FOREVER. */
int64_t monotonic_after(double seconds);

/* Returns nanoseconds, at a fraction of the price of monotonic_now(). The result is some
 * milliseconds behind, and never ahead. */
int64_t monotonic_roughly(void);
#define ROUGHLY 100000000 /* ns: more than it is ever behind while the machine runs */

/* Returns microseconds, as sd-event and the service manager count them. */
uint64_t monotonic_usec(void);

/* Returns microseconds since 1970. */
uint64_t realtime_usec(void);

#endif
