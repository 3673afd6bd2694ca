/* SPDX-License-Identifier: MIT */
/*
 * test_supervisor_trouble.c - workers that crash, fail or misbehave, and what the supervisor does
 */
#include "supervisor_fixture.h"

#include "common/array.h"

static void
crashed_worker_is_replaced_at_once(void **state)
{
    struct fixture *fixture = *state;

    (void)add(fixture, "crash", "tcp://127.0.0.1:0");
    start(fixture);
    (void)expect(fixture, "[crash]: listening on");
    (void)expect(fixture, "was killed by signal 11 (SIGSEGV)");
    (void)expect(fixture, "; starting another\n");
    assert_int_equal(stop(fixture), 0);
}

static void
worker_that_keeps_dying_is_started_more_and_more_slowly(void **state)
{
    struct fixture *fixture = *state;

    (void)add(fixture, "crash-always", "tcp://127.0.0.1:0");
    start(fixture);
    (void)expect(fixture, "; starting another\n");
    (void)expect(fixture, "; starting another in 0.1 s");
    (void)expect(fixture, "; starting another in 0.2 s");
    (void)expect(fixture, "; starting another in 0.4 s");
    assert_int_equal(stop(fixture), 0);
}

static void
exit_nobody_asked_for_is_explained(void **state)
{
    struct fixture *fixture = *state;

    (void)add(fixture, "exit-later", "tcp://127.0.0.1:0");
    start(fixture);
    (void)expect(fixture, "exited with status 0 although nobody asked it to: does the plugin "
                          "call exit()?; starting another");
    assert_int_equal(stop(fixture), 0);
}

static void
failed_listener_is_tried_again_while_others_serve(void **state)
{
    struct fixture *fixture = *state;

    (void)add(fixture, "failing-once", "tcp://127.0.0.1:0");
    (void)add(fixture, "good", "tcp://127.0.0.1:0");
    start(fixture);
    (void)expect(fixture, "[failing-once]: no luck today; nor tomorrow (next try in 0.1 s)");
    (void)expect(fixture, "[failing-once]: listening on");
    (void)stop(fixture);
    assert_non_null(strstr(fixture->text, "[good]: listening on"));
}

static void
worker_that_ends_before_it_is_ready_fails_the_listener(void **state)
{
    struct fixture *fixture = *state;

    (void)add(fixture, "exits", "tcp://127.0.0.1:0");
    start(fixture);
    (void)expect(fixture, "exited with status 3 although nobody asked it to: does the plugin "
                          "call exit()? before it was ready");
    assert_int_equal(stop(fixture), 0);
}

static void
address_in_use_fails_only_its_listener(void **state)
{
    struct fixture *fixture = *state;
    struct sockaddr_in taken = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(taken);
    char address[64], words[128];
    _cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&taken, size), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&taken, &size), 0);
    (void)snprintf(address, sizeof(address), "tcp://127.0.0.1:%d", ntohs(taken.sin_port));
    fixture->withheld = fd;
    (void)add(fixture, "taken", address);
    (void)add(fixture, "good", "tcp://127.0.0.1:0");
    start(fixture);
    (void)snprintf(words, sizeof(words), "[taken]: cannot listen on %s: Address already in use",
                   address);
    (void)expect(fixture, words);
    (void)expect(fixture, "[good]: listening on");
    (void)close(take_fd(fd));
    (void)expect(fixture, "[taken]: listening on");
    assert_int_equal(stop(fixture), 0);
}

static void
strict_makes_a_failed_listener_fatal(void **state)
{
    struct fixture *fixture = *state;

    fixture->options.strict = true;
    (void)add(fixture, "failing", "tcp://127.0.0.1:0");
    (void)add(fixture, "good", "tcp://127.0.0.1:0");
    start(fixture);
    assert_int_equal(wait_end(fixture), 1);
    (void)expect(fixture, "[failing]: no luck today; nor tomorrow\n");
}

static void
all_mistakes_found_at_start_are_logged_and_end_it(void **state)
{
    struct fixture *fixture = *state;

    (void)add(fixture, "misconfigured", "tcp://127.0.0.1:0");
    (void)add(fixture, "good", "tcp://127.0.0.1:0");
    (void)add(fixture, "misconfigured2", "tcp://127.0.0.1:0");
    start(fixture);
    assert_int_equal(wait_end(fixture), 78);
    for (int i = 0; i < 2; i++) {
        (void)expect(fixture, "sockserverd: x.conf:3: bad\n");
        (void)expect(fixture, "sockserverd: x.conf:4: worse\n");
    }
    refute(fixture, "while draining");
}

static void
workers_that_send_nonsense_are_killed_and_replaced(void **state)
{
    static const char *const rows[][2] = {
        {"junk", "sent a message of unknown type: killing it"},
        {"out-of-turn", "sent a message out of turn: killing it"},
        {"certifies-late", "sent a message out of turn: killing it"},
        {"gift", "sent a descriptor: killing it"},
        {"answers-unasked", "sent an answer that nobody asked for: killing it"},
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        (void)add(fixture, rows[i][0], "tcp://127.0.0.1:0");
    start(fixture);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        fixture->seen = 0;
        (void)expect(fixture, rows[i][1]);
        (void)expect(fixture, "was killed by signal 9 (SIGKILL)");
    }
    assert_int_equal(stop(fixture), 0);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        with_fixture(crashed_worker_is_replaced_at_once),
        with_fixture(worker_that_keeps_dying_is_started_more_and_more_slowly),
        with_fixture(exit_nobody_asked_for_is_explained),
        with_fixture(failed_listener_is_tried_again_while_others_serve),
        with_fixture(worker_that_ends_before_it_is_ready_fails_the_listener),
        with_fixture(address_in_use_fails_only_its_listener),
        with_fixture(strict_makes_a_failed_listener_fatal),
        with_fixture(all_mistakes_found_at_start_are_logged_and_end_it),
        with_fixture(workers_that_send_nonsense_are_killed_and_replaced),
    };

    return run_tests_or_play(argc, argv, tests, ARRAY_SIZE(tests));
}
