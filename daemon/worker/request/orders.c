/* SPDX-License-Identifier: MIT */
/*
 * orders.c - what the supervisor wants of one request: that it ends, or says where it is
 *
 * The orders stand in the counters: in the slot of a request that is cancelled,
 * and in the inquiry. A message tells the housekeeping to look there, and it
 * interrupts those concerned until they have seen it. Event loops look
 * themselves, at each turn (serving_loop.c).
 *
 * Runs in:  the thread that does the housekeeping; inquiry_answer() in the context
 *           that runs the request: in the handler of the signal that interrupts
 *           it, or on the stack of a coroutine that waits.
 * Owns:     the answer, while it is written.
 * Failures: a place that cannot be told is left out; no answer at all is the
 *           supervisor's to notice.
 */
#include "worker/request/orders.h"

#include "common/clock.h"
#include "worker/plugin/place.h"
#include "worker/request/mixin.h"
#include "worker/request/server.h"
#include "worker/request/wait.h"

#define FRESH        1000000000ll /* ns: so long an order is repeated often, */
#define OFTEN        10000000ll
#define NOW_AND_THEN 200000000ll /* and then so */

void
inquiry_answer(struct counters *counters, const void *context)
{
    struct inquiry *inquiry = &counters->inquiry;
    uint32_t asked = atomic_load(&inquiry->asked), taken = atomic_load(&inquiry->taken);

    if (asked == taken || !atomic_compare_exchange_strong(&inquiry->taken, &taken, asked))
        return;
    place_trace(context, inquiry->text, sizeof(inquiry->text));
    atomic_store(&inquiry->answered, asked);
}

int64_t
orders_obey(const struct ss_server *server, int64_t now)
{
    uint32_t used = counters_used(server->counters, server->slot_count);
    uint64_t asked = inquiry_open(server->counters);
    bool fresh = asked != 0, any = fresh;

    if (!server->mixin->blocking) {
        interrupt_loops(server);
        return FOREVER;
    }
    for (uint32_t i = 0; i < used; i++) {
        const struct slot *slot = &server->counters->slots[i];
        if (atomic_load(&slot->state) != SLOT_BUSY)
            continue;
        bool unwanted = slot_is_unwanted(slot);
        any |= unwanted;
        fresh |= unwanted && now - counter_get(slot->asked_at) < FRESH;
        if (unwanted || (asked != 0 && counter_get(slot->request) == asked))
            interrupt_context(server, slot);
    }
    return any ? now + (fresh ? OFTEN : NOW_AND_THEN) : FOREVER;
}
