/* SPDX-License-Identifier: MIT */
/*
 * histogram.h - how long things took, in buckets, and the quantiles of that
 *
 * Log-linear: four buckets to each power of two, from a microsecond to half an
 * hour; what is shorter or longer goes to the ends. A quantile is right
 * within an eighth of its value, whatever the shape.
 */
#ifndef SOCKSERVERD_COMMON_HISTOGRAM_H
#define SOCKSERVERD_COMMON_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_BUCKETS 128
#define HISTOGRAM_UNIT    8 /* times are counted in 2^8 ns: a quarter of a microsecond */

struct histogram {
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

/* Which bucket a time belongs to. A few instructions: it stands on the path of every request. */
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

/* The shortest time of a bucket, in nanoseconds; of HISTOGRAM_BUCKETS: where the last one ends. */
uint64_t histogram_floor(unsigned bucket);

uint64_t histogram_count(const struct histogram *histogram);

/*
 * The time within which a share of all (0.5, 0.99) lies, in nanoseconds,
 * interpolated within its bucket; -1 where nothing was counted.
 */
double histogram_quantile(const struct histogram *histogram, double share);

void histogram_add(struct histogram *histogram, const struct histogram *other);
/* What was counted since `earlier`; if it counts less than that, it began anew and stays as it is.
 */
void histogram_subtract(struct histogram *histogram, const struct histogram *earlier);

#endif
