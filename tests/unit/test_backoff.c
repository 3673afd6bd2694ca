/* SPDX-License-Identifier: MIT */
/*
 * test_backoff.c - the waits between attempts
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "supervisor/listener/backoff.h"

#define MS UINT64_C(1000)

static void
failures_wait_twice_as_long_each_time_up_to_30_s(void **state)
{
    static const uint64_t expected[] = {100,  200,   400,   800,   1600,  3200,
                                        6400, 12800, 25600, 30000, 30000, 30000};
    struct backoff backoff = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
        assert_int_equal(backoff_after_failure(&backoff), expected[i] * MS);
}

static void
first_death_is_answered_at_once_and_the_next_ones_later(void **state)
{
    static const uint64_t expected[] = {0, 100, 200, 400, 800, 1600};
    struct backoff backoff = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
        assert_int_equal(backoff_after_death(&backoff, 1), expected[i] * MS);
}

static void
good_service_clears_the_past(void **state)
{
    struct backoff backoff = {0};

    (void)state;
    for (int i = 0; i < 5; i++)
        (void)backoff_after_death(&backoff, 1);
    assert_int_equal(backoff_after_death(&backoff, BACKOFF_GOOD_USEC - 1), 1600 * MS);
    assert_int_equal(backoff_after_death(&backoff, BACKOFF_GOOD_USEC), 0);
    assert_int_equal(backoff_after_death(&backoff, 1), 100 * MS);
}

static void
very_many_failures_do_not_overflow(void **state)
{
    struct backoff backoff = {0};

    (void)state;
    for (int i = 0; i < 100000; i++)
        (void)backoff_after_failure(&backoff);
    assert_int_equal(backoff_after_failure(&backoff), BACKOFF_LAST_USEC);
    backoff.failures = UINT16_MAX;
    assert_int_equal(backoff_after_death(&backoff, 1), BACKOFF_LAST_USEC);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(failures_wait_twice_as_long_each_time_up_to_30_s),
        cmocka_unit_test(first_death_is_answered_at_once_and_the_next_ones_later),
        cmocka_unit_test(good_service_clears_the_past),
        cmocka_unit_test(very_many_failures_do_not_overflow),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
