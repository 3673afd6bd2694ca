/* SPDX-License-Identifier: MIT */
/*
 * test_control_samples.c - rates and the last minute's times, from looks at growing counters
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "supervisor/control/samples.h"

#define SECOND UINT64_C(1000000)

static struct listener_status
status_of(const char *name, uint64_t accepted)
{
    struct listener_status status = {.name = name};

    status.sums.accepted = accepted;
    status.sums.handling.buckets[20] = accepted;
    return status;
}

static void
look(struct control_samples *samples, const struct listener_status *status, uint64_t now)
{
    samples_begin(samples);
    samples_add(samples, status, now);
    samples_end(samples);
}

static double
rate_of(const struct control_samples *samples, const struct listener_status *status, uint64_t now)
{
    struct histogram recent;

    return samples_recent(samples, status, now, &recent);
}

static void
rate_is_that_of_ten_seconds(void **state)
{
    struct control_samples samples = {0};

    (void)state;
    for (uint64_t i = 0; i < 100; i++) { /* ten a second, then a hundred */
        uint64_t seconds = 5 * (i + 1);
        struct listener_status status =
            status_of("a", i < 50 ? 10 * seconds : 2500 + 100 * (seconds - 250));
        if (i > 3 && i < 49)
            assert_true(rate_of(&samples, &status, seconds * SECOND) > 9.9);
        if (i > 3 && i < 49)
            assert_true(rate_of(&samples, &status, seconds * SECOND) < 10.1);
        if (i > 56)
            assert_true(rate_of(&samples, &status, seconds * SECOND) > 99.9);
        look(&samples, &status, seconds * SECOND);
    }
    samples_done(&samples);
}

static void
nothing_known_is_no_rate(void **state)
{
    struct control_samples samples = {0};
    struct listener_status status = status_of("a", 100), less = status_of("a", 5);

    (void)state;
    assert_true(rate_of(&samples, &status, SECOND) <= 0);
    look(&samples, &status, SECOND);
    assert_true(rate_of(&samples, &status, SECOND) <= 0);   /* no time has passed */
    assert_true(rate_of(&samples, &less, 9 * SECOND) <= 0); /* it began anew */
    samples_done(&samples);
}

static void
times_are_those_of_the_last_minute(void **state)
{
    struct control_samples samples = {0};
    struct listener_status status;
    struct histogram recent;

    (void)state;
    for (uint64_t i = 0; i < 40; i++) {
        status = status_of("a", i);
        look(&samples, &status, 5 * i * SECOND + 1);
    }
    status = status_of("a", 40);
    (void)samples_recent(&samples, &status, 200 * SECOND, &recent);
    assert_int_equal(recent.buckets[20], 13); /* twelve rounds of five seconds, and since */
    samples_done(&samples);
}

static void
listeners_are_told_apart_and_forgotten(void **state)
{
    struct control_samples samples = {0};
    struct listener_status one = status_of("one", 0), two = status_of("two", 0);

    (void)state;
    samples_begin(&samples);
    samples_add(&samples, &one, SECOND);
    samples_add(&samples, &two, SECOND);
    samples_end(&samples);
    assert_int_equal(samples.count, 2);
    two.sums.accepted = 50;
    assert_true(rate_of(&samples, &one, 6 * SECOND) <= 0);
    assert_true(rate_of(&samples, &two, 6 * SECOND) > 9.9);
    look(&samples, &two, 6 * SECOND);
    assert_int_equal(samples.count, 1);
    assert_string_equal(samples.series[0]->name, "two");
    samples_done(&samples);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rate_is_that_of_ten_seconds),
        cmocka_unit_test(nothing_known_is_no_rate),
        cmocka_unit_test(times_are_those_of_the_last_minute),
        cmocka_unit_test(listeners_are_told_apart_and_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
