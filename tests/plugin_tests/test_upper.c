/* SPDX-License-Identifier: MIT */
/*
 * test_upper.c - the plugin of the README under a client that follows a script
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sockserver/test.h>

#include "under.h"

static struct ss_test *
upper_under(const char *mixin)
{
    struct ss_test *test = ss_test_load(BUILD_DIR "/plugins/upper.so");

    ss_test_set(test, "mixin", mixin);
    return test;
}

static void
answers_each_line(void **state)
{
    struct ss_test *test = upper_under(*state);

    ss_test_send(test, "hello\nwor");
    ss_test_expect(test, "HELLO\n");
    ss_test_expect_nothing(test);
    ss_test_send(test, "ld\n");
    ss_test_expect(test, "WORLD\n");
    ss_test_shutdown(test);
    ss_test_expect_end(test);
    ss_test_expect_outcome(test, "done");
    ss_test_done(test);
}

static void
says_goodbye_at_a_drain_and_not_in_a_line(void **state)
{
    struct ss_test *test = upper_under(*state);
    struct ss_test *other = ss_test_another(test);

    ss_test_connect(test);
    ss_test_send(other, "hel");
    ss_test_drain(test);
    ss_test_pause(test, 0.25); /* for somebody's first bytes, which may be on their way */
    ss_test_expect_end(test);
    ss_test_expect_outcome(test, "done");
    ss_test_send(other, "lo\n");
    ss_test_expect(other, "HELLO\n");
    ss_test_expect_outcome(other, "done");
    ss_test_done(test);
}

static void
gives_an_idle_client_up_after_read_timeout(void **state)
{
    struct ss_test *test = upper_under(*state);

    ss_test_set(test, "read_timeout", "10m");
    ss_test_connect(test);
    ss_test_pause(test, 599.9);
    ss_test_expect_nothing(test);
    ss_test_pause(test, 0.1);
    ss_test_expect_end(test);
    ss_test_expect_outcome(test, "idle for too long");
    ss_test_done(test);
}

static void
answers_a_datagram_by_one(void **state)
{
    struct ss_test *test = upper_under(*state);

    ss_test_set(test, "address", "unixgram:@upper");
    ss_test_send(test, "one\ntwo\n");
    ss_test_expect(test, "ONE\nTWO\n");
    ss_test_expect_nothing(test);
    ss_test_expect_outcome(test, "done");
    ss_test_done(test);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        UNDER_EACH(answers_each_line),
        UNDER(says_goodbye_at_a_drain_and_not_in_a_line, "coroutine"),
        UNDER_EACH(gives_an_idle_client_up_after_read_timeout),
        UNDER_EACH(answers_a_datagram_by_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
