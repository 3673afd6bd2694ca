/* SPDX-License-Identifier: MIT */
/*
 * backoff.h - how long to wait before something that failed is tried again
 */
#ifndef SOCKSERVERD_SUPERVISOR_LISTENER_BACKOFF_H
#define SOCKSERVERD_SUPERVISOR_LISTENER_BACKOFF_H

#include <stdint.h>

#define BACKOFF_FIRST_USEC UINT64_C(100000)   /* 100 ms, then doubled ... */
#define BACKOFF_LAST_USEC  UINT64_C(30000000) /* ... up to 30 s */
#define BACKOFF_GOOD_USEC  UINT64_C(60000000) /* so much good service clears the failures */

/* Who has an address that is taken is often about to leave it, so it is asked for often at first.
 */
#define BACKOFF_TAKEN_USEC  UINT64_C(100000)
#define BACKOFF_TAKEN_TRIES 100

struct backoff {
    unsigned failures; /* since the last good service */
    unsigned taken;    /* how often in a row the address was taken */
};

/* Returns the wait, in microseconds, after something failed that never worked: 100 ms, 200 ms, ...
 * 30 s. */
uint64_t backoff_after_failure(struct backoff *backoff);

/* Returns the wait, in microseconds, after the address was found taken: 100 ms for the first ten
 * seconds, then as above. */
uint64_t backoff_while_taken(struct backoff *backoff);
/* Whatever comes next, the address is not taken any more. */
void backoff_not_taken(struct backoff *backoff);

/*
 * Returns the wait, in microseconds, after something died that had worked for
 * served_usec: 0 the first time, then as above. Good service makes it the first
 * time again.
 */
uint64_t backoff_after_death(struct backoff *backoff, uint64_t served_usec);

#endif
