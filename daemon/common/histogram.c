/* SPDX-License-Identifier: MIT */
/*
 * histogram.c - how long things took, in buckets, and the quantiles of that
 *
 * Runs in:  the supervisor (a worker only fills buckets, in request.c).
 * Owns:     nothing.
 * Failures: none; figures that a worker made up give other figures.
 */
#include "common/histogram.h"

#include <stddef.h>

uint64_t
histogram_floor(unsigned bucket)
{
    if (bucket < 8)
        return (uint64_t)bucket << HISTOGRAM_UNIT;
    unsigned power = bucket / 4 + 1;
    return (UINT64_C(4) + bucket % 4) << (power - 2 + HISTOGRAM_UNIT);
}

uint64_t
histogram_count(const struct histogram *histogram)
{
    uint64_t count = 0;

    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        count += histogram->buckets[i];
    return count;
}

double
histogram_quantile(const struct histogram *histogram, double share)
{
    uint64_t count = histogram_count(histogram);
    double wanted = share * (double)count, below = 0;
    unsigned last = 0;

    if (count == 0)
        return -1;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        double here = (double)histogram->buckets[i];
        if (here <= 0)
            continue;
        last = i;
        if (below + here >= wanted) {
            double from = (double)histogram_floor(i), to = (double)histogram_floor(i + 1);
            return from + (to - from) * (wanted - below) / here;
        }
        below += here;
    }
    return (double)histogram_floor(last + 1);
}

void
histogram_add(struct histogram *histogram, const struct histogram *other)
{
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        histogram->buckets[i] += other->buckets[i];
}

void
histogram_subtract(struct histogram *histogram, const struct histogram *earlier)
{
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        if (histogram->buckets[i] < earlier->buckets[i])
            return;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        histogram->buckets[i] -= earlier->buckets[i];
}
