/* SPDX-License-Identifier: MIT */
/*
 * test.h - what every integration test starts from
 *
 * A test is a cmocka function; TEST() and its family put it into the table of
 * main() with a teardown that ends every daemon, closes every socket and
 * removes every file the test made, also when an assertion failed half-way.
 * Text handed out by the harness lives until that teardown.
 */
#ifndef TESTS_SUPPORT_TEST_H
#define TESTS_SUPPORT_TEST_H

/* cmocka.h needs these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "support/clock.h"

/* One cell of the matrix server x mixin. */
struct server_case {
    const char *scheme; /* "tcp", "udp", "unix", "unixgram" */
    const char *mixin;  /* "none", "threading", "forking", "coroutine" */
};

bool scheme_is_stream(const char *scheme);

/* Rows of main()'s table. */
/* clang-format off */
#define TEST(function) {#function, function, NULL, test_done, NULL}
#define TEST_CASE(function, scheme, mixin)                                                         \
    {#function " (" scheme ", " mixin ")", function, NULL, test_done,                              \
     (void *)(uintptr_t)&(const struct server_case){scheme, mixin}}
/* One with something of its own to say: a pointer to it, and how the row is told from others. */
#define TEST_ROW(function, row, label)                                                             \
    {#function " (" label ")", function, NULL, test_done, (void *)(uintptr_t)(row)}
/* clang-format on */
#define TEST_EACH_MIXIN(function, scheme)                                                          \
    TEST_CASE(function, scheme, "none"), TEST_CASE(function, scheme, "threading"),                 \
        TEST_CASE(function, scheme, "forking"), TEST_CASE(function, scheme, "coroutine")
#define TEST_EACH_STREAM(function)                                                                 \
    TEST_EACH_MIXIN(function, "tcp"), TEST_EACH_MIXIN(function, "unix")
#define TEST_EACH_DATAGRAM(function)                                                               \
    TEST_EACH_MIXIN(function, "udp"), TEST_EACH_MIXIN(function, "unixgram")
#define TEST_EACH_SERVER(function) TEST_EACH_STREAM(function), TEST_EACH_DATAGRAM(function)

/* Runs the table; main()'s result. */
#define RUN_TESTS(...)                                                                             \
    int main(int count, char *arguments[])                                                         \
    {                                                                                              \
        const struct CMUnitTest tests[] = {__VA_ARGS__};                                           \
                                                                                                   \
        return test_run(tests, sizeof tests / sizeof *tests, count > 1 ? arguments[1] : NULL);     \
    }

/* Runs those that the pattern (NULL: all) names; over TLS, without those in tests/tls/skipped. */
int test_run(const struct CMUnitTest *tests, size_t count, const char *pattern);

/* The teardown: ends, closes and removes everything; fails if a process would not go. */
int test_done(void **state);

/* printf into a text that lives until test_done(). */
const char *text_of(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Takes over an allocated pointer until test_done(), and returns it. */
void *keep(void *pointer);

/* This test's private folder, made when first asked for; and a path in it. */
const char *test_folder(void);
const char *test_path(const char *name);

/* The path of a program, which may be one already, or is looked for where systems have programs.
 * Skips the test if it is not there. */
const char *need_program(const char *name);

/* Skips the test unless root runs it, and says what root is needed for: "to change the user". */
void need_root(const char *why);
/* Writes a file into the private folder; returns its path. */
const char *test_file(const char *name, const char *content);

/*
 * A copy of a fixture's plugin that workers of any user can read; returns its
 * path. The build may lie in a folder that only its owner can enter.
 */
const char *test_plugin_for_all(const char *name);

/* The whole file as text. */
const char *file_text(const char *path);

/* Both texts are shown if not. */
void assert_contains(const char *text, const char *part);
void assert_starts(const char *text, const char *start);
void assert_lacks(const char *text, const char *part);

/* Of a test that has one: more rounds, and bounds that hold when nothing else runs. */
#define LONG_FORM (getenv("TORTURE") != NULL)

/* Fails unless the condition comes true before the deadline: for what has no event to wait for. */
#define WAIT_UNTIL(condition)                                                                      \
    do {                                                                                           \
        double give_up_ = clock_now() + DEADLINE;                                                  \
        while (!(condition)) {                                                                     \
            if (clock_now() > give_up_)                                                            \
                fail_msg("waited in vain for: %s", #condition);                                    \
            clock_pause();                                                                         \
        }                                                                                          \
    } while (0)

#endif
