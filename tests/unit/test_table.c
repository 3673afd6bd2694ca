/* SPDX-License-Identifier: MIT */
/*
 * test_table.c - sockserverctl's tables and figures as they stand on a terminal
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/array.h"
#include "common/cleanup.h"
#include "ctl/status.h"
#include "ctl/table.h"
#include "ctl/text.h"

static const struct column columns[] = {
    {"NAME", false, 0, 6},
    {"EXTRA", false, 2, 0},
    {"N", true, 0, 0},
    {"MORE", true, 1, 0},
};

static void
fill(struct table *table)
{
    static const char *const texts[][4] = {
        {"short", "aa", "1", "10"},
        {"a-rather-long-name", "bbbb", "12345", "7"},
    };

    table_init(table, columns, 4);
    for (size_t i = 0; i < 2; i++) {
        struct row *row = table_add(table);
        for (size_t j = 0; j < 4; j++)
            row_set(row, j, COLOUR_NONE, texts[i][j]);
    }
}

static void
expect_table(const struct table *table, size_t width, const char *expected)
{
    _cleanup_free_ char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    table_print(table, out, width, false, "\n");
    (void)fclose(out);
    assert_string_equal(text, expected);
}

static void
columns_are_aligned(void **state)
{
    struct table table;

    (void)state;
    fill(&table);
    expect_table(&table, 0,
                 "NAME                EXTRA      N  MORE\n"
                 "short               aa         1    10\n"
                 "a-rather-long-name  bbbb   12345     7\n");
    expect_table(&table, 38,
                 "NAME                EXTRA      N  MORE\n"
                 "short               aa         1    10\n"
                 "a-rather-long-name  bbbb   12345     7\n");
    table_done(&table);
}

static void
narrow_tables_are_shortened_before_columns_go(void **state)
{
    struct table table;

    (void)state;
    fill(&table);
    expect_table(&table, 30,
                 "NAME        EXTRA      N  MORE\n"
                 "short       aa         1    10\n"
                 "a-ra…-name  bbbb   12345     7\n");
    table_done(&table);
}

/* EXTRA goes first; what is left has room for the whole name again. */
static void
columns_go_in_their_order(void **state)
{
    struct table table;

    (void)state;
    fill(&table);
    expect_table(&table, 21,
                 "NAME          N  MORE\n"
                 "short         1    10\n"
                 "a-r…name  12345     7\n");
    expect_table(&table, 16,
                 "NAME           N\n"
                 "short          1\n"
                 "a-ra…name  12345\n");
    table_done(&table);
}

static void
every_line_fits_every_width(void **state)
{
    struct table table;

    (void)state;
    fill(&table);
    row_note(&table.rows[0], "a note of several words that does not fit into one line; "
                             "andonewordthatislongerthanmostlinesare, and the end");
    for (size_t width = 16; width < 120; width++) {
        _cleanup_free_ char *text = NULL;
        size_t size, lines = 0;
        FILE *out = open_memstream(&text, &size);

        table_print(&table, out, width, false, "\n");
        (void)fclose(out);
        for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n"), lines++)
            if (text_width(line) > width)
                fail_msg("%zu columns in a width of %zu: %s", text_width(line), width, line);
        assert_int_equal(lines, table_lines(&table, width));
    }
    table_done(&table);
}

static void
wide_characters_take_two_columns(void **state)
{
    struct table table;

    (void)state;
    assert_int_equal(text_width("亲"), 2);
    assert_int_equal(text_width("e\u0301"), 1);
    assert_int_equal(text_width("äöü"), 3);
    table_init(&table, columns, 4);
    struct row *row = table_add(&table);
    row_set(row, 0, COLOUR_NONE, "亲亲");
    row_set(row, 2, COLOUR_NONE, "1");
    row = table_add(&table);
    row_set(row, 0, COLOUR_NONE, "abcd");
    row_set(row, 2, COLOUR_NONE, "2");
    expect_table(&table, 0,
                 "NAME  EXTRA  N  MORE\n"
                 "亲亲         1      \n"
                 "abcd         2      \n");
    table_done(&table);
}

/* Nothing that a plugin or a client wrote may steer the terminal. */
static void
control_characters_are_not_printed(void **state)
{
    _cleanup_free_ char *clean = text_clean("a\033[2Jb\r\n\x7f\xff\xc2\x9b"
                                            "ä\u202ec\u2069\u2028");

    (void)state;
    assert_string_equal(clean, "a?[2Jb?????ä?c??");
}

static void
long_texts_lose_their_middle(void **state)
{
    _cleanup_free_ char *one = text_shorten("tcp://127.0.0.1:9999", 11);
    _cleanup_free_ char *other = text_shorten("亲亲亲亲", 4);
    _cleanup_free_ char *same = text_shorten("short", 5);

    (void)state;
    assert_string_equal(one, "tcp:/…:9999");
    assert_true(text_width(other) <= 4);
    assert_string_equal(same, "short");
}

static void
figures_are_short(void **state)
{
    char text[TEXT_SIZE];

    (void)state;
    assert_string_equal(text_count(99999, text), "99999");
    assert_string_equal(text_count(123456, text), "123k");
    assert_string_equal(text_count(1234567, text), "1.2M");
    assert_string_equal(text_count(999999, text), "1.0M");
    assert_string_equal(text_count(UINT64_MAX, text), "18E");
    assert_string_equal(text_rate(0, text), "0");
    assert_string_equal(text_rate(0.42, text), "0.4");
    assert_string_equal(text_rate(1234.6, text), "1235");
    assert_string_equal(text_rate(3.5e20, text), "350E");
    assert_true(strlen(text_rate(1e300, text)) < TEXT_SIZE);
    assert_string_equal(text_time(85.2, text), "85us");
    assert_string_equal(text_time(1234, text), "1.2ms");
    assert_string_equal(text_time(340000, text), "340ms");
    assert_string_equal(text_time(999999, text), "1.0s");
    assert_string_equal(text_time(75e6, text), "75s");
    assert_string_equal(text_bytes(900, text), "900");
    assert_string_equal(text_bytes(3300, text), "3.2K");
    assert_string_equal(text_age(12345678, text), "12s");
    assert_string_equal(text_age(UINT64_C(184000000), text), "3m 4s");
    assert_string_equal(text_age(UINT64_C(7500000000), text), "2h 5m");
    assert_string_equal(text_age(UINT64_C(266400000000), text), "3d 2h");
}

/* From what a daemon may say to what is seen: also when it says nothing, or nonsense. */
static void
status_fits_eighty_columns(void **state)
{
    static const char *const texts[] = {
        "{\"listeners\":[{\"name\":\"upper\",\"state\":\"serving\",\"draining\":2,\"address\":"
        "\"unix:///run/sockserverd/some/where/deep/upper.sock\",\"plugin\":\"/x/upper.so\","
        "\"mixin\":\"threading\",\"active\":3,\"max_connections\":512,\"accepted\":123456,"
        "\"accepted_per_second\":12.5,\"failed\":1,\"recent\":{\"count\":0},\"total\":{\"count\":5,"
        "\"p50_us\":120.5,\"p99_us\":3100},\"queue\":{\"connections\":4},\"generation\":2,"
        "\"restarts\":1,\"state_us\":266400000000}]}",
        "{\"listeners\":[{}]}",
        "{\"listeners\":[{\"name\":7,\"state\":{},\"queue\":[],\"recent\":3,\"active\":-1}, 5]}",
        "{}",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        json_t *status = json_loads(texts[i], 0, NULL);
        struct table table;
        _cleanup_free_ char *text = NULL;
        size_t size;
        FILE *out = open_memstream(&text, &size);

        assert_non_null(status);
        status_fill(&table, status);
        table_print(&table, out, 80, false, "\n");
        (void)fclose(out);
        if (i == 0) {
            assert_non_null(strstr(text, "serving +2"));
            assert_non_null(strstr(text, "3/512"));
            assert_non_null(strstr(text, "3.1ms"));
        }
        for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n"))
            assert_true(text_width(line) <= 80);
        table_done(&table);
        json_decref(status);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_are_aligned),
        cmocka_unit_test(narrow_tables_are_shortened_before_columns_go),
        cmocka_unit_test(columns_go_in_their_order),
        cmocka_unit_test(every_line_fits_every_width),
        cmocka_unit_test(wide_characters_take_two_columns),
        cmocka_unit_test(control_characters_are_not_printed),
        cmocka_unit_test(long_texts_lose_their_middle),
        cmocka_unit_test(figures_are_short),
        cmocka_unit_test(status_fits_eighty_columns),
    };

    if (setlocale(LC_CTYPE, "C.UTF-8") == NULL)
        return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
