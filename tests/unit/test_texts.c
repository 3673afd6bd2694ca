/* SPDX-License-Identifier: MIT */
/*
 * test_texts.c - lists of strings: split, joined, copied, compared
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "common/array.h"
#include "common/cleanup.h"
#include "common/texts.h"

static void
each_line_is_an_item(void **state)
{
    static const struct {
        const char *lines;
        const char *items[4];
        const char *joined;
    } rows[] = {
        {"", {NULL}, ""},
        {"a", {"a"}, "a"},
        {"a\n", {"a"}, "a"},
        {"a\nb", {"a", "b"}, "a\nb"},
        {"\n", {""}, ""},
        {"a\n\nb", {"a", "", "b"}, "a\n\nb"},
        {" a, b \n\"c\"", {" a, b ", "\"c\""}, " a, b \n\"c\""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char **texts = texts_split(rows[i].lines);
        _cleanup_free_ char *joined = texts_join(texts);
        size_t count = 0;

        print_message("row %zu\n", i);
        assert_non_null(texts);
        for (; rows[i].items[count] != NULL; count++)
            assert_string_equal(texts[count], rows[i].items[count]);
        assert_null(texts[count]);
        assert_int_equal(texts_count(texts), count);
        assert_string_equal(joined, rows[i].joined);
        texts_free(texts);
    }
}

static void
list_that_nobody_gave_is_not_an_empty_one(void **state)
{
    char **empty = texts_split(""), **copy = texts_copy(NULL);
    _cleanup_free_ char *joined = texts_join(NULL);

    (void)state;
    assert_int_equal(texts_count(NULL), 0);
    assert_false(texts_equal(NULL, empty));
    assert_false(texts_equal(empty, NULL));
    assert_true(texts_equal(NULL, NULL));
    assert_true(texts_equal(copy, empty));
    assert_string_equal(joined, "");
    texts_free(empty);
    texts_free(copy);
    texts_free(NULL);
}

static void
copy_is_equal_and_its_own(void **state)
{
    char **texts = texts_split("a\nb"), **copy = texts_copy(texts), **other = texts_split("a\nc");
    char **shorter = texts_split("a");

    (void)state;
    assert_true(texts_equal(texts, copy));
    assert_ptr_not_equal(texts[1], copy[1]);
    assert_false(texts_equal(texts, other));
    assert_false(texts_equal(texts, shorter));
    assert_false(texts_equal(shorter, texts));
    texts_free(texts);
    assert_string_equal(copy[1], "b");
    texts_free(copy);
    texts_free(other);
    texts_free(shorter);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_line_is_an_item),
        cmocka_unit_test(list_that_nobody_gave_is_not_an_empty_one),
        cmocka_unit_test(copy_is_equal_and_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
