/* SPDX-License-Identifier: MIT */
/*
 * test_suggest.c - the name a person most likely meant
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "common/array.h"
#include "common/cleanup.h"
#include "common/suggest.h"

static const char *const names[] = {
    "none",          "threading", "forking",      "coroutine",
    "address",       "plugin",    "read_timeout", "request_timeout",
    "write_timeout", "timeout",   "read_buffer",  "reuse_address",
    "spare",         "user",      "group",        "socket_group",
    "tcp",           "udp",       NULL,
};

static void
slips_of_the_hand_find_their_name(void **state)
{
    static const struct {
        const char *word, *name;
    } rows[] = {
        {"threads", "threading"},
        {"threaded", "threading"},
        {"Threading", "threading"},
        {"thread", "threading"},
        {"fork", "forking"},
        {"forks", "forking"},
        {"frok", NULL},
        {"adress", "address"},
        {"adrress", "address"},
        {"plugni", "plugin"},
        {"plug-in", "plugin"},
        {"read-timeout", "read_timeout"},
        {"READ_TIMEOUT", "read_timeout"},
        {"reed_timeout", "read_timeout"},
        {"timout", "timeout"},
        {"allow_reuse_address", "reuse_address"},
        {"groups", "group"},
        {"tpc", "tcp"},
        {"upd", "udp"},
        {"tcp6", "tcp"},
        {"coro", "coroutine"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *found = suggest(rows[i].word, names);

        print_message("%s: %s\n", rows[i].word, found == NULL ? "-" : found);
        if (rows[i].name == NULL)
            assert_null(found);
        else
            assert_string_equal(found, rows[i].name);
    }
}

static void
strangers_find_nothing(void **state)
{
    static const char *const words[] = {"", "x", "quantum", "on", "tls", "localhost", "123", "_"};
    char longest[5000];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        print_message("%s\n", words[i]);
        assert_null(suggest(words[i], names));
    }
    memset(longest, 't', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    assert_null(suggest(longest, names));
}

static void
nearest_name_wins(void **state)
{
    static const char *const near[] = {"reuse_port", "reuse_address", "used_address", NULL};

    (void)state;
    assert_string_equal(suggest("reuse_adress", near), "reuse_address");
    assert_string_equal(suggest("use_address", near), "used_address");
}

static void
phrase_is_a_question_or_nothing(void **state)
{
    _cleanup_free_ char *question = suggest_phrase("threads", names);
    _cleanup_free_ char *nothing = suggest_phrase("quantum", names);

    (void)state;
    assert_string_equal(question, "; did you mean \"threading\"?");
    assert_string_equal(nothing, "");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slips_of_the_hand_find_their_name),
        cmocka_unit_test(strangers_find_nothing),
        cmocka_unit_test(nearest_name_wins),
        cmocka_unit_test(phrase_is_a_question_or_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
