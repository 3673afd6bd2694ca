/* SPDX-License-Identifier: MIT */
/*
 * histogram.h - how long things took, in buckets, and the quantiles of that
 *
 * There are four buckets to each power of two, from a microsecond to half an
 * hour; the first and the last take what is shorter or longer. A quantile is
 * right within an eighth of its value, however the times are distributed.
 */
#ifndef SOCKSERVERD_COMMON_HISTOGRAM_H
#define SOCKSERVERD_COMMON_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_BUCKETS 128
#define HISTOGRAM_UNIT    8 /* times are counted in 2^8 ns: a quarter of a microsecond */

struct histogram {
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

/* Returns the bucket of a time. Every request calls this, so it has only a few instructions. */
static inline unsigned
histogram_bucket(uint64_t nanoseconds)
{
    uint64_t units = nanoseconds >> HISTOGRAM_UNIT;

    if (units < 4)
        return (unsigned)units;
    unsigned power = 63u - (unsigned)__builtin_clzll(units); /* 2 or more */
    unsigned bucket = (power - 1) * 4 + (unsigned)((units >> (power - 2)) & 3);
    return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

/* Returns the shortest time of a bucket, in nanoseconds; for HISTOGRAM_BUCKETS, the end of the
 * last. */
uint64_t histogram_floor(unsigned bucket);

uint64_t histogram_count(const struct histogram *histogram);

/* Returns the time, in nanoseconds, within which a share (0.5, 0.99) of all times lies,
 * interpolated within its bucket; -1 if nothing was counted. */
double histogram_quantile(const struct histogram *histogram, double share);

void histogram_add(struct histogram *histogram, const struct histogram *other);
/* Leaves what was counted since `earlier`. If any bucket counts less than `earlier`, the
 * histogram began anew and stays as it is. */
void histogram_subtract(struct histogram *histogram, const struct histogram *earlier);

#endif
