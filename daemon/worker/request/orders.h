/* SPDX-License-Identifier: MIT */
/*
 * orders.h - what the supervisor wants of one request: that it ends, or says where it is
 */
#ifndef SOCKSERVERD_WORKER_REQUEST_ORDERS_H
#define SOCKSERVERD_WORKER_REQUEST_ORDERS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/counters.h"

struct ss_server;

/* The request that is asked where it is, as long as nobody has answered; 0: none.
 * Async-signal-safe. */
static inline uint64_t
inquiry_open(const struct counters *counters)
{
    const struct inquiry *inquiry = &counters->inquiry;

    if (atomic_load(&inquiry->asked) == atomic_load(&inquiry->taken))
        return 0;
    return atomic_load(&inquiry->request);
}

/*
 * Writes where the calling thread is, whose request is asked: unless somebody
 * else has done so. context: a signal handler's third argument, or NULL for the
 * stack that this is called on. Async-signal-safe.
 */
void inquiry_answer(struct counters *counters, const void *context);

/* One round of the housekeeping through those that orders are about. Returns when the next is due;
 * FOREVER: all are obeyed. */
int64_t orders_obey(const struct ss_server *server, int64_t now);

#endif
