/* SPDX-License-Identifier: MIT */
/*
 * test_value.c - text to typed value and back
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/array.h"
#include "common/cleanup.h"
#include "common/value.h"

#define ANY VALUE_PLAIN

static void
boolean_is_true_or_false_and_nothing_else(void **state)
{
    bool value = false;

    (void)state;
    assert_int_equal(value_boolean("true", VALUE_BOOLEAN, &value), 0);
    assert_true(value);
    assert_int_equal(value_boolean("FALSE", ANY, &value), 0);
    assert_false(value);
    assert_int_equal(value_boolean("true", VALUE_STRING, &value), -EINVAL);
    assert_int_equal(value_boolean("1", VALUE_INTEGER, &value), -EINVAL);
    assert_int_equal(value_boolean("yes", ANY, &value), -EINVAL);
    assert_int_equal(value_boolean("", ANY, &value), -EINVAL);
    assert_false(value);
}

static void
integer_takes_whole_numbers_of_64_bits(void **state)
{
    static const struct {
        const char *text;
        enum value_form form;
        int result;
        int64_t value;
    } rows[] = {
        {"12", VALUE_INTEGER, 0, 12},
        {"12", VALUE_STRING, 0, 12},
        {"-12", ANY, 0, -12},
        {"+12", ANY, 0, 12},
        {"010", ANY, 0, 10}, /* as in libconfig: no octal */
        {"0x1F", ANY, 0, 31},
        {"9223372036854775807", ANY, 0, INT64_MAX},
        {"-9223372036854775808", ANY, 0, INT64_MIN},
        {"9223372036854775808", ANY, -ERANGE, 0},
        {"-9223372036854775809", ANY, -ERANGE, 0},
        {"12", VALUE_FLOAT, -EINVAL, 0},
        {"12", VALUE_GROUP, -EINVAL, 0},
        {"12", VALUE_LIST, -EINVAL, 0},
        {"true", VALUE_BOOLEAN, -EINVAL, 0},
        {"", ANY, -EINVAL, 0},
        {"-", ANY, -EINVAL, 0},
        {"0x", ANY, -EINVAL, 0},
        {"0xg", ANY, -EINVAL, 0},
        {" 12", ANY, -EINVAL, 0},
        {"12 ", ANY, -EINVAL, 0},
        {"1.0", ANY, -EINVAL, 0},
        {"12K", ANY, -EINVAL, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        int64_t value = 0;

        print_message("\"%s\"\n", rows[i].text);
        assert_int_equal(value_integer(rows[i].text, rows[i].form, &value), rows[i].result);
        assert_true(value == rows[i].value);
    }
}

static void
number_takes_fractions_but_nothing_infinite(void **state)
{
    static const char *const wrong[] = {"", ".", "-", "inf", "nan", "1.5x", " 1", "1,5", "0x1.8p3"};
    double value = 0;

    (void)state;
    assert_int_equal(value_number("1.5", VALUE_FLOAT, &value), 0);
    assert_true(value == 1.5);
    assert_int_equal(value_number("12", VALUE_INTEGER, &value), 0);
    assert_true(value == 12);
    assert_int_equal(value_number("0x10", VALUE_INTEGER, &value), 0);
    assert_true(value == 16);
    assert_int_equal(value_number("-2.5e3", ANY, &value), 0);
    assert_true(value == -2500);
    assert_int_equal(value_number("1e999", ANY, &value), -ERANGE);
    assert_int_equal(value_number("true", VALUE_BOOLEAN, &value), -EINVAL);
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        print_message("\"%s\"\n", wrong[i]);
        assert_int_equal(value_number(wrong[i], ANY, &value), -EINVAL);
    }
    assert_true(value == -2500);
}

static void
size_counts_in_1024s(void **state)
{
    static const struct {
        const char *text;
        int result;
        uint64_t value;
    } rows[] = {
        {"0", 0, 0},
        {"4096", 0, 4096},
        {"64K", 0, 65536},
        {"64k", 0, 65536},
        {"1M", 0, 1 << 20},
        {"2G", 0, UINT64_C(2) << 30},
        {"3T", 0, UINT64_C(3) << 40},
        {"0x200", 0, 512},
        {"18446744073709551615", 0, UINT64_MAX},
        {"18446744073709551616", -ERANGE, 0},
        {"16777216T", -ERANGE, 0},
        {"99999999999999999999K", -ERANGE, 0},
        {"-1", -EINVAL, 0},
        {"K", -EINVAL, 0},
        {"64Q", -EINVAL, 0},
        {"64KB", -EINVAL, 0},
        {"64 K", -EINVAL, 0},
        {"1.5M", -EINVAL, 0},
        {"", -EINVAL, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        uint64_t value = 0;

        print_message("\"%s\"\n", rows[i].text);
        assert_int_equal(value_size(rows[i].text, ANY, &value), rows[i].result);
        assert_true(value == rows[i].value);
    }
}

static void
duration_knows_its_units(void **state)
{
    static const struct {
        const char *text;
        enum value_form form;
        int result;
        double value;
    } rows[] = {
        {"10us", ANY, 0, 10e-6},
        {"250ms", VALUE_STRING, 0, 0.25},
        {"30s", ANY, 0, 30},
        {"5m", ANY, 0, 300},
        {"2h", ANY, 0, 7200},
        {"1d", ANY, 0, 86400},
        {"1.5h", ANY, 0, 5400},
        {"7", ANY, 0, 7},
        {"7", VALUE_INTEGER, 0, 7},
        {"0.5", VALUE_FLOAT, 0, 0.5},
        {"1e2s", ANY, 0, 100},
        {"100ms", ANY, 0, 0.1},
        {"0", ANY, 0, 0},
        {"-1s", ANY, 0, -1}, /* for the caller's range to refuse */
        {"soon", ANY, -EINVAL, 0},
        {"5 m", ANY, -EINVAL, 0},
        {"5min", ANY, -EINVAL, 0},
        {"1m30s", ANY, -EINVAL, 0},
        {"ms", ANY, -EINVAL, 0},
        {"", ANY, -EINVAL, 0},
        {"1e308d", ANY, -ERANGE, 0},
        {"true", VALUE_BOOLEAN, -EINVAL, 0},
        {"", VALUE_GROUP, -EINVAL, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        double value = 0;

        print_message("\"%s\"\n", rows[i].text);
        assert_int_equal(value_duration(rows[i].text, rows[i].form, &value), rows[i].result);
        assert_true(value == rows[i].value);
    }
}

static void
sizes_are_shown_in_their_largest_unit(void **state)
{
    char buffer[32];

    (void)state;
    assert_string_equal(value_format_size(0, buffer), "0");
    assert_string_equal(value_format_size(65535, buffer), "65535");
    assert_string_equal(value_format_size(65536, buffer), "64K");
    assert_string_equal(value_format_size(16 << 20, buffer), "16M");
    assert_string_equal(value_format_size(UINT64_MAX, buffer), "18446744073709551615");
}

static void
durations_are_shown_as_a_person_writes_them(void **state)
{
    char buffer[32];

    (void)state;
    assert_string_equal(value_format_duration(0, buffer), "0");
    assert_string_equal(value_format_duration(0.25, buffer), "250ms");
    assert_string_equal(value_format_duration(0.1, buffer), "100ms");
    assert_string_equal(value_format_duration(90, buffer), "90s");
    assert_string_equal(value_format_duration(60, buffer), "1m");
    assert_string_equal(value_format_duration(365 * 86400.0, buffer), "365d");
    assert_string_equal(value_format_duration(10e-6, buffer), "10us");
}

static void
mode_takes_octal_digits_in_quotes(void **state)
{
    static const struct {
        const char *text;
        enum value_form form;
        int result;
        uint32_t value;
    } rows[] = {
        {"0660", VALUE_STRING, 0, 0660},
        {"0", ANY, 0, 0},
        {"00777", ANY, 0, 0777},
        {"27", ANY, 0, 027},
        {"1000", VALUE_STRING, -ERANGE, 0},
        {"660", VALUE_INTEGER, -EINVAL, 0},
        {"", ANY, -EINVAL, 0},
        {"0680", ANY, -EINVAL, 0},
        {"000660", VALUE_STRING, -EINVAL, 0},
        {"0x1f", ANY, -EINVAL, 0},
        {"-7", ANY, -EINVAL, 0},
        {"true", VALUE_BOOLEAN, -EINVAL, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        uint32_t value = 12345;

        print_message("%s\n", rows[i].text);
        assert_int_equal(value_mode(rows[i].text, rows[i].form, &value), rows[i].result);
        assert_int_equal(value, rows[i].result == 0 ? rows[i].value : 12345);
    }
}

static void
a_copy_of_given_owns_its_strings(void **state)
{
    char text[] = "64K", file[] = "x.conf";
    struct given given = {.text = text, .form = VALUE_STRING, .file = file, .line = 7}, copy;
    struct given place = {.line = GIVEN_BY_OPTION}, place_copy;

    (void)state;
    assert_int_equal(given_copy(&given, &copy), 0);
    assert_int_equal(given_copy(&place, &place_copy), 0);
    text[0] = file[0] = '?';
    assert_string_equal(copy.text, "64K");
    assert_string_equal(copy.file, "x.conf");
    assert_int_equal(copy.form, VALUE_STRING);
    assert_int_equal(copy.line, 7);
    assert_true(given_is_text(&copy));
    assert_null(place_copy.text);
    assert_null(place_copy.file);
    assert_int_equal(place_copy.line, GIVEN_BY_OPTION);
    given_done(&copy);
    given_done(&copy); /* an empty one may end again */
    given_done(&place_copy);
}

static void
a_copy_of_a_list_owns_its_items(void **state)
{
    char first[] = "adm", file[] = "x.conf";
    struct given items[] = {{.text = first, .form = VALUE_STRING, .file = file, .line = 8},
                            {.text = "4", .form = VALUE_INTEGER, .file = file, .line = 9}};
    struct given list = {.form = VALUE_LIST, .line = 7, .items = items, .item_count = 2}, copy;

    (void)state;
    assert_int_equal(given_copy(&list, &copy), 0);
    first[0] = file[0] = '?';
    assert_false(given_is_text(&copy));
    assert_int_equal(copy.item_count, 2);
    assert_string_equal(copy.items[0].text, "adm");
    assert_string_equal(copy.items[0].file, "x.conf");
    assert_int_equal(copy.items[0].line, 8);
    assert_string_equal(copy.items[1].text, "4");
    assert_int_equal(copy.items[1].form, VALUE_INTEGER);
    given_done(&copy);
    assert_null(copy.items);
    assert_int_equal(copy.item_count, 0);
}

/* Whatever is shown must read back as the very same value: workers are told so. */
static void
what_is_shown_reads_back_exactly(void **state)
{
    unsigned seed = 1;

    (void)state;
    for (int i = 0; i < 20000; i++) {
        double seconds = (double)rand_r(&seed) / (double)(1 + rand_r(&seed) % 100000), back;
        uint64_t bytes = (uint64_t)rand_r(&seed) << (rand_r(&seed) % 33), bytes_back;
        char buffer[32];

        assert_int_equal(value_duration(value_format_duration(seconds, buffer), ANY, &back), 0);
        assert_true(back == seconds);
        assert_int_equal(value_size(value_format_size(bytes, buffer), ANY, &bytes_back), 0);
        assert_true(bytes_back == bytes);
    }
}

static void
values_are_shown_on_one_line(void **state)
{
    static const struct {
        const char *text;
        enum value_form form;
        const char *shown;
    } rows[] = {
        {"soon", VALUE_STRING, "\"soon\""},
        {"soon", VALUE_PLAIN, "\"soon\""},
        {"", VALUE_STRING, "\"\""},
        {"12", VALUE_INTEGER, "12"},
        {"true", VALUE_BOOLEAN, "true"},
        {"", VALUE_GROUP, "a group"},
        {"", VALUE_LIST, "a list"},
        {"\x7f", VALUE_STRING, "\"\\x7f\""},
        {"a\"b\\c\nd\x1b", VALUE_STRING, "\"a\\\"b\\\\c\\nd\\x1b\""},
        {"gr\xc3\xbc\xc3\x9f", VALUE_STRING, "\"gr\xc3\xbc\xc3\x9f\""},
    };
    _cleanup_free_ char *cut = NULL;
    char longest[4000];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_free_ char *shown = value_show(rows[i].text, rows[i].form);

        assert_string_equal(shown, rows[i].shown);
    }
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    cut = value_show(longest, VALUE_STRING);
    assert_true(strlen(cut) < 200);
    assert_string_equal(cut + strlen(cut) - 4, "\"...");
}

static void
exponents_and_units_are_told_apart(void **state)
{
    static const struct {
        const char *text;
        enum value_form form;
        int result;
        double value;
    } rows[] = {
        {"1e3", ANY, 0, 1000},
        {"1E3", ANY, 0, 1000},
        {"1e+3", ANY, 0, 1000},
        {"1e-3", ANY, 0, 0.001},
        {"5e", ANY, -EINVAL, 0},
        {"5e+", ANY, -EINVAL, 0},
        {"e5", ANY, -EINVAL, 0},
        {"1.2.3", ANY, -EINVAL, 0},
        {"1e999", ANY, -ERANGE, 0},
        {"0X10", VALUE_INTEGER, 0, 16},
        {"9223372036854775808", VALUE_INTEGER, 0, 9223372036854775808.0},
        {"0.0000000000000000000000000000000000000000000000000000000000001", ANY, 0, 1e-61},
        {"0.00000000000000000000000000000000000000000000000000000000000001", ANY, -EINVAL, 0},
        {"1", VALUE_BOOLEAN, -EINVAL, 0},
        {"1", VALUE_GROUP, -EINVAL, 0},
        {"1", VALUE_LIST, -EINVAL, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        double value = 0;

        print_message("\"%s\"\n", rows[i].text);
        assert_int_equal(value_number(rows[i].text, rows[i].form, &value), rows[i].result);
        assert_true(value == rows[i].value);
    }
}

static void
sizes_and_durations_have_their_forms(void **state)
{
    static const enum value_form wrong[] = {VALUE_BOOLEAN, VALUE_GROUP, VALUE_LIST};
    uint64_t size = 7;
    double seconds = 7;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        assert_int_equal(value_size("1", wrong[i], &size), -EINVAL);
        assert_int_equal(value_duration("1", wrong[i], &seconds), -EINVAL);
    }
    assert_int_equal(value_size("1", VALUE_FLOAT, &size), -EINVAL);
    assert_int_equal(value_size("0x8000000000000000", ANY, &size), -ERANGE);
    assert_int_equal(value_size("0xg", ANY, &size), -EINVAL);
    assert_int_equal(value_duration("1e300d", ANY, &seconds), 0);
    assert_int_equal(value_duration("1e308d", ANY, &seconds), -ERANGE);
    assert_true(size == 7 && seconds == 1e300 * 86400);
}

static void
negative_durations_are_shown(void **state)
{
    char buffer[32];

    (void)state;
    assert_string_equal(value_format_duration(-90, buffer), "-90s");
    assert_string_equal(value_format_duration(-60, buffer), "-1m");
    assert_string_equal(value_format_duration(-0.25, buffer), "-250ms");
}

static void
given_values_are_equal_item_by_item(void **state)
{
    struct given items[] = {{.text = "a", .form = VALUE_STRING},
                            {.text = "b", .form = VALUE_STRING}};
    struct given others[] = {{.text = "a", .form = VALUE_STRING},
                             {.text = "c", .form = VALUE_STRING}};
    const struct given list = {.text = "", .form = VALUE_LIST, .items = items, .item_count = 2};
    const struct given rows[] = {
        {.text = "", .form = VALUE_LIST, .items = others, .item_count = 2},
        {.text = "", .form = VALUE_LIST, .items = items, .item_count = 1},
        {.text = "", .form = VALUE_GROUP, .items = items, .item_count = 2},
        {.text = "x", .form = VALUE_LIST, .items = items, .item_count = 2},
    };
    const struct given same = {.text = "",
                               .form = VALUE_LIST,
                               .file = "y.conf",
                               .line = 9,
                               .items = items,
                               .item_count = 2};

    (void)state;
    assert_true(given_equal(&list, &same)); /* wherever they were given */
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        assert_false(given_equal(&list, &rows[i]));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(boolean_is_true_or_false_and_nothing_else),
        cmocka_unit_test(integer_takes_whole_numbers_of_64_bits),
        cmocka_unit_test(number_takes_fractions_but_nothing_infinite),
        cmocka_unit_test(size_counts_in_1024s),
        cmocka_unit_test(duration_knows_its_units),
        cmocka_unit_test(mode_takes_octal_digits_in_quotes),
        cmocka_unit_test(a_copy_of_given_owns_its_strings),
        cmocka_unit_test(a_copy_of_a_list_owns_its_items),
        cmocka_unit_test(sizes_are_shown_in_their_largest_unit),
        cmocka_unit_test(durations_are_shown_as_a_person_writes_them),
        cmocka_unit_test(what_is_shown_reads_back_exactly),
        cmocka_unit_test(values_are_shown_on_one_line),
        cmocka_unit_test(exponents_and_units_are_told_apart),
        cmocka_unit_test(sizes_and_durations_have_their_forms),
        cmocka_unit_test(negative_durations_are_shown),
        cmocka_unit_test(given_values_are_equal_item_by_item),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
