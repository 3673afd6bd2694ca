/* SPDX-License-Identifier: MIT */
/*
 * test_@NAME@.c - what clients of @NAME@ see, in one process: sockserver-test(3)
 */
#include <sockserver/test.h>

static void
lines_are_numbered(void)
{
    struct ss_test *test = ss_test_new();

    ss_test_expect(test, "hello\n");
    ss_test_pieces(test, 3); /* however they arrive */
    ss_test_send(test, "one\ntwo\n");
    ss_test_expect(test, "1: one\n2: two\n");
    ss_test_shutdown(test);
    ss_test_expect_end(test);
    ss_test_expect_outcome(test, "done");
    ss_test_done(test);
}

static void
options_are_obeyed(void)
{
    struct ss_test *test = ss_test_new();

    ss_test_option(test, "greeting", "welcome");
    ss_test_option(test, "limit", "1");
    ss_test_expect(test, "welcome\n");
    ss_test_send(test, "one\ntwo\n");
    ss_test_expect(test, "1: one\n");
    ss_test_expect_end(test);
    ss_test_done(test);
}

static void
it_ends_when_the_daemon_drains(void)
{
    struct ss_test *test = ss_test_new();

    ss_test_set(test, "mixin", "coroutine");
    ss_test_expect(test, "hello\n");
    ss_test_drain(test);
    ss_test_pause(test, 1); /* of the test's clock: what may be on its way is waited for */
    ss_test_expect_end(test);
    ss_test_done(test);
}

int
main(void)
{
    lines_are_numbered();
    options_are_obeyed();
    it_ends_when_the_daemon_drains();
    return 0;
}
