/* SPDX-License-Identifier: MIT */
/*
 * tally.h - what a worker has counted, as far as it can be true
 */
#ifndef SOCKSERVERD_SUPERVISOR_LISTENER_TALLY_H
#define SOCKSERVERD_SUPERVISOR_LISTENER_TALLY_H

#include <stdint.h>

#include "common/counters.h"

struct tally {
    struct counter_sums seen;     /* as the worker's memory had them at the last look */
    struct counter_sums believed; /* what was plausible of it, look by look */
    uint64_t started_usec;        /* when the worker was, CLOCK_MONOTONIC */
    uint64_t looked_usec;         /* at the last time */
};

void tally_init(struct tally *tally, uint64_t started_usec);

/*
 * Looks at a worker's counters and returns what is believed of them. A counter
 * that fell, or grew by more than a machine can do since the last look, has not
 * moved. slots is as in counters_sum().
 */
void tally_look(struct tally *tally, const struct counters *counters, uint32_t slots,
                uint64_t now_usec, struct counter_sums *ret);

#endif
