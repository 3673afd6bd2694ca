/* SPDX-License-Identifier: MIT */
/*
 * test_histogram.c - the buckets of handling times, and quantiles against exact ones
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/counters.h"
#include "common/histogram.h"

#define SAMPLES 20000

/* Every bucket begins where the one before it ends, and holds both its ends. */
static void
buckets_have_no_gap(void **state)
{
    (void)state;
    assert_int_equal(histogram_floor(0), 0);
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        assert_true(histogram_floor(i) < histogram_floor(i + 1));
        assert_int_equal(histogram_bucket(histogram_floor(i)), i);
        assert_int_equal(histogram_bucket(histogram_floor(i + 1) - 1), i);
    }
}

static void
buckets_reach_from_a_microsecond_to_a_thousand_seconds(void **state)
{
    (void)state;
    assert_in_range(histogram_bucket(1100), 4, 4);
    assert_true(histogram_floor(5) - histogram_floor(4) < 300);
    assert_true(histogram_bucket(UINT64_C(1000000000000)) < HISTOGRAM_BUCKETS - 1);
    assert_int_equal(histogram_bucket(UINT64_MAX), HISTOGRAM_BUCKETS - 1);
    assert_int_equal(histogram_bucket(0), 0);
}

static int
compare(const void *one, const void *other)
{
    uint64_t a = *(const uint64_t *)one, b = *(const uint64_t *)other;

    return (a > b) - (a < b);
}

/* A generator of our own, so that every machine sees the same figures. */
static double
next_random(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (double)(*seed >> 11) / 9007199254740992.0;
}

static uint64_t
evenly(double random)
{
    return (uint64_t)(5000 + random * 1e6);
}

static uint64_t
exponentially(double random)
{
    return (uint64_t)(-log(1 - random) * 3e5) + 2000;
}

static uint64_t
with_a_long_tail(double random)
{
    return (uint64_t)(10000 * pow(1 - random, -1.5));
}

static void
quantiles_are_within_an_eighth_of_the_exact_ones(void **state)
{
    static uint64_t (*const shapes[])(double) = {evenly, exponentially, with_a_long_tail};
    static const double shares[] = {0.01, 0.25, 0.5, 0.9, 0.99, 0.999};
    static uint64_t samples[SAMPLES];
    uint64_t seed = 42;

    (void)state;
    for (size_t shape = 0; shape < 3; shape++) {
        struct histogram histogram = {0};
        for (size_t i = 0; i < SAMPLES; i++) {
            samples[i] = shapes[shape](next_random(&seed));
            histogram.buckets[histogram_bucket(samples[i])]++;
        }
        qsort(samples, SAMPLES, sizeof(samples[0]), compare);
        for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
            double exact = (double)samples[(size_t)(shares[i] * SAMPLES) - 1];
            double found = histogram_quantile(&histogram, shares[i]);
            if (fabs(found - exact) > exact / 8)
                fail_msg("shape %zu, quantile %g: found %g, exact is %g", shape, shares[i], found,
                         exact);
        }
    }
}

static void
quantiles_of_nothing_and_of_one(void **state)
{
    struct histogram histogram = {0};

    (void)state;
    assert_true(histogram_quantile(&histogram, 0.5) < 0);
    histogram.buckets[histogram_bucket(1000000)] = 1;
    for (double share = 0; share <= 1; share += 0.25) {
        double found = histogram_quantile(&histogram, share);
        assert_true(found >= 1000000 * 0.87 && found <= 1000000 * 1.13);
    }
    assert_true(histogram_quantile(&histogram, 7) > 0); /* no share, and no harm */
}

static void
difference_is_what_came_since(void **state)
{
    struct histogram now = {0}, earlier = {0};

    (void)state;
    now.buckets[3] = 10;
    now.buckets[90] = 2;
    earlier.buckets[3] = 4;
    histogram_subtract(&now, &earlier);
    assert_int_equal(now.buckets[3], 6);
    assert_int_equal(histogram_count(&now), 8);
    earlier.buckets[90] = 3; /* counts more: it was another one */
    histogram_subtract(&now, &earlier);
    assert_int_equal(histogram_count(&now), 8);
}

/* Slots beyond the number of histograms share them. */
static void
counters_keep_times_of_every_slot(void **state)
{
    const uint32_t slots = COUNTERS_HISTOGRAMS * 2 + 1;
    struct counters *counters;
    struct counter_sums sums;
    int fd;

    (void)state;
    assert_int_equal(counters_create(slots, &counters, &fd), 0);
    counters_use(counters, &counters->slots[slots - 1]);
    for (uint32_t i = 0; i < slots; i++)
        counters_note_time(counters, &counters->slots[i], 1000000);
    counters_note_time(counters, &counters->slots[0], 5000);
    counters_sum(counters, slots, &sums);
    assert_int_equal(histogram_count(&sums.handling), slots + 1);
    assert_int_equal(sums.handling.buckets[histogram_bucket(1000000)], slots);
    counters_detach(counters, slots);
}

static void
sums_of_the_past_are_neither_active_nor_idle(void **state)
{
    struct counter_sums all = {.active = 1}, gone = {.active = 5, .idle = 2, .accepted = 7};

    (void)state;
    gone.handling.buckets[9] = 3;
    counter_sums_add_past(&all, &gone);
    assert_int_equal(all.active, 1);
    assert_int_equal(all.idle, 0);
    assert_int_equal(all.accepted, 7);
    assert_int_equal(all.handling.buckets[9], 3);
    counter_sums_add(&all, &gone);
    assert_int_equal(all.active, 6);
    assert_int_equal(all.idle, 2);
    assert_int_equal(all.accepted, 14);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buckets_have_no_gap),
        cmocka_unit_test(buckets_reach_from_a_microsecond_to_a_thousand_seconds),
        cmocka_unit_test(quantiles_are_within_an_eighth_of_the_exact_ones),
        cmocka_unit_test(quantiles_of_nothing_and_of_one),
        cmocka_unit_test(difference_is_what_came_since),
        cmocka_unit_test(counters_keep_times_of_every_slot),
        cmocka_unit_test(sums_of_the_past_are_neither_active_nor_idle),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
