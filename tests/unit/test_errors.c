/* SPDX-License-Identifier: MIT */
/*
 * test_errors.c - a list of mistakes, and its end
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "common/errors.h"

static void
add(struct errors *errors, unsigned count)
{
    for (unsigned i = 1; i <= count; i++)
        errors_add(errors, "a.conf", i, "mistake %u", i);
}

static void
the_first_hundred_are_told_and_the_others_counted(void **state)
{
    static const struct {
        unsigned count;
        const char *last;
    } rows[] = {
        {100, "a.conf:100: mistake 100"},
        {101, "a.conf:101: mistake 101"},
        {102, "a.conf:101: there are 2 more mistakes, from here on"},
        {50000, "a.conf:101: there are 49900 more mistakes, from here on"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct errors errors = {0};

        for (unsigned j = 1; j <= rows[i].count; j++)
            errors_add(&errors, "a.conf", j, "mistake %u", j);
        assert_int_equal(errors.count, i == 0 ? 100 : 101);
        assert_string_equal(errors.texts[0], "a.conf:1: mistake 1");
        assert_string_equal(errors.texts[errors.count - 1], rows[i].last);
        errors_done(&errors);
    }
}

static void
moved_ones_are_counted_together(void **state)
{
    struct errors all = {0}, some = {0};

    (void)state;
    add(&all, 60);
    for (int i = 0; i < 3; i++) {
        add(&some, 200);
        errors_move(&all, &some);
        assert_int_equal(some.count, 0);
    }
    assert_int_equal(all.count, 101);
    assert_int_equal(all.more, 560);
    errors_done(&all);
}

static void
the_place_may_be_missing(void **state)
{
    struct errors errors = {0};

    (void)state;
    for (int i = 0; i < 103; i++)
        errors_add(&errors, NULL, 0, "something is wrong");
    assert_string_equal(errors.texts[100], "there are 3 more mistakes, from here on");
    errors_done(&errors);
}

static void
nothing_that_deceives_a_terminal_is_told(void **state)
{
    struct errors errors = {0};
    char longer[3000];

    (void)state;
    memset(longer, 'x', sizeof(longer));
    longer[sizeof(longer) - 1] = '\0';
    errors_add(&errors, "a\033[2J.conf", 1, "unknown key \"%s\"", "b\u202e\xff\n");
    errors_add(&errors, "a.conf", 2, "%s", longer);
    errors_add(&errors, NULL, 0, "\u00e4\u4eb2 stay");
    assert_string_equal(errors.texts[0],
                        "a\\x1b[2J.conf:1: unknown key \"b\\xe2\\x80\\xae\\xff\\x0a\"");
    assert_int_equal(strlen(errors.texts[1]), strlen("a.conf:2: ") + 1000 + strlen("..."));
    assert_string_equal(errors.texts[2], "\u00e4\u4eb2 stay");
    errors_done(&errors);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_hundred_are_told_and_the_others_counted),
        cmocka_unit_test(moved_ones_are_counted_together),
        cmocka_unit_test(the_place_may_be_missing),
        cmocka_unit_test(nothing_that_deceives_a_terminal_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
