/* SPDX-License-Identifier: MIT */
/*
 * test_slow_clients.c - clients that send a byte now and then, and handlers with a deadline
 *
 * Where a client must be slow beyond doubt, it sends nothing more; where it must
 * be in time, its time is a minute.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "support/client.h"
#include "support/control.h"
#include "support/daemon.h"
#include "support/test.h"

static long
figure(struct daemon *daemon, const char *member)
{
    return control_figure(daemon, "test", member);
}

static struct daemon *
serve(void **state, const char *more)
{
    const struct server_case *row = *state;

    return daemon_start("log = { access = true; };\nlisteners = {\n%s};",
                        listener_text("test", row->scheme, row->mixin, "good_command", more));
}

/* The client has sent what is there. It hears no more than the answer, and counts as too slow. */
static void
expect_too_slow(struct daemon *daemon, int client, const char *answer)
{
    assert_string_equal(client_receive_all(client), answer);
    client_close(client); /* or its unread bytes would be lingered for */
    (void)daemon_wait_log(daemon, ": too slow, ");
    WAIT_UNTIL(figure(daemon, "slow_ended") == 1);
    assert_int_equal(figure(daemon, "idle_ended") + figure(daemon, "failed"), 0);
    assert_string_equal(client_ask(daemon_address(daemon, "test"), "echo next\n"), "next\n");
    daemon_expect_stop(daemon);
}

/* ---- message_timeout and min_rate ------------------------------------------------------------ */

static void
half_a_line_is_not_waited_for_longer_than_message_timeout(void **state)
{
    struct daemon *daemon = serve(state, "message_timeout = \"300ms\";");
    double began = clock_now();
    int client = client_connect(daemon_address(daemon, "test"));

    client_send(client, "echo one\nec");
    client_expect(client, "one\n");
    assert_int_equal(client_receive_bytes(client, (char[1]){0}, 1), 0);
    assert_true(clock_now() - began > 0.29);
    expect_too_slow(daemon, client, "");
}

/* Bytes that come now and then do not prolong it, as they do read_timeout. */
static void
a_dribbled_line_is_cut_off(void **state)
{
    struct daemon *daemon = serve(state, "message_timeout = \"500ms\"; min_rate = \"1M\";");
    int client = client_connect(daemon_address(daemon, "test"));
    int sent = 0;

    while (sent < 3000 && !client_readable(client, 0.02)) {
        if (send(client, "x", 1, MSG_NOSIGNAL) < 0)
            break;
        sent++;
    }
    assert_in_range(sent, 1, 2999);
    client_close(client);
    (void)daemon_wait_log(daemon, ": too slow, ");
    WAIT_UNTIL(figure(daemon, "slow_ended") == 1);
    daemon_expect_stop(daemon);
}

/* A block is read to its end by one call, of which each wait has a read_timeout of its own. */
static void
half_a_block_is_not_waited_for_longer_than_message_timeout(void **state)
{
    struct daemon *daemon = serve(state, "message_timeout = \"300ms\";");
    int client = client_connect(daemon_address(daemon, "test"));

    client_send(client, "read-full 1000\nabc");
    client_expect(client, text_of("error %d\n", -ETIMEDOUT));
    client_send(client, "echo and on\n"); /* a handler may still go on */
    client_expect(client, "and on\n");
    client_close(client);
    WAIT_UNTIL(figure(daemon, "active") == 0);
    assert_int_equal(figure(daemon, "slow_ended") + figure(daemon, "failed"), 0);
    daemon_expect_stop(daemon);
}

/* Every byte adds a second here: the line takes longer than message_timeout, and is in time. */
static void
bytes_at_min_rate_prolong_it(void **state)
{
    struct daemon *daemon = serve(state, "message_timeout = \"200ms\"; min_rate = 1;");
    int client = client_connect(daemon_address(daemon, "test"));

    client_send(client, "echo a long line ");
    assert_false(client_readable(client, 0.4));
    client_send(client, "that ends\n");
    client_expect(client, "a long line that ends\n");
    client_send(client, "read-full 60\n0123456789012345678901234567890123456789");
    assert_false(client_readable(client, 0.4));
    client_send(client, "01234567890123456789");
    client_expect(client,
                  "read-full 60 012345678901234567890123456789012345678901234567890123456789\n");
    client_close(client);
    WAIT_UNTIL(figure(daemon, "active") == 0);
    assert_int_equal(figure(daemon, "slow_ended"), 0);
    daemon_expect_stop(daemon);
}

/* min_rate = 0: all of it must come in message_timeout, however long it is. */
static void
without_min_rate_no_byte_prolongs_it(void **state)
{
    struct daemon *daemon = serve(state, "message_timeout = \"300ms\"; min_rate = 0;");
    int client = client_connect(daemon_address(daemon, "test"));

    client_send(client, text_of("echo %0*d", 30000, 0));
    expect_too_slow(daemon, client, "");
}

static void
a_client_that_has_begun_nothing_has_read_timeout(void **state)
{
    struct daemon *daemon = serve(state, "message_timeout = \"100ms\";");
    int client = client_connect(daemon_address(daemon, "test"));

    assert_false(client_readable(client, 0.3));
    client_send(client, "echo one\n");
    client_expect(client, "one\n");
    assert_false(client_readable(client, 0.3));
    client_send(client, "echo two\n");
    client_expect(client, "two\n");
    client_close(client);
    daemon_expect_stop(daemon);
}

static void
none_is_no_limit(void **state)
{
    struct daemon *daemon = serve(state, "message_timeout = \"none\"; min_rate = 0;");
    int client = client_connect(daemon_address(daemon, "test"));

    client_send(client, "echo li");
    assert_false(client_readable(client, 0.3));
    client_send(client, "ne\n");
    client_expect(client, "line\n");
    client_close(client);
    daemon_expect_stop(daemon);
}

/* request_timeout is over first, and is what is told. */
static void
a_slow_line_does_not_hide_request_timeout(void **state)
{
    struct daemon *daemon = serve(state, "message_timeout = \"60s\"; request_timeout = \"300ms\";");
    int client = client_connect(daemon_address(daemon, "test"));

    client_send(client, "ec");
    client_expect_gone(client);
    client_close(client);
    (void)daemon_wait_log(daemon, ": request_timeout is over, ");
    WAIT_UNTIL(figure(daemon, "cut") == 1);
    assert_int_equal(figure(daemon, "slow_ended"), 0);
    daemon_expect_stop(daemon);
}

/* ---- ss_set_deadline() ----------------------------------------------------------------------- */

static void
a_read_ends_at_the_handlers_deadline(void **state)
{
    struct daemon *daemon = serve(state, "");
    int client = client_connect(daemon_address(daemon, "test"));

    client_send(client, "deadline 0.2\n");
    client_expect(client, "deadline 0\n");
    client_expect_end(client);
    client_close(client);
    (void)daemon_wait_log(daemon, ": the handler's deadline is over, ");
    WAIT_UNTIL(figure(daemon, "slow_ended") == 1);
    daemon_expect_stop(daemon);
}

static void
waits_end_at_the_handlers_deadline_until_it_is_lifted(void **state)
{
    struct daemon *daemon = serve(state, "");
    int client = client_connect(daemon_address(daemon, "test"));
    double began = clock_now();

    client_send(client, "deadline 0.2\nsleep 600\nwait-readable 600\ndeadline 0\nsleep 0.01\n");
    client_expect(client, text_of("deadline 0\nerror %d\nerror %d\ndeadline 0\nok\n", -ETIMEDOUT,
                                  -ETIMEDOUT));
    assert_true(clock_now() - began > 0.19);
    client_send(client, "deadline 600\necho in time\ndeadline -1\ndeadline nan\n");
    client_expect(client, text_of("deadline 0\nin time\nerror %d\nerror %d\n", -EINVAL, -EINVAL));
    client_close(client);
    WAIT_UNTIL(figure(daemon, "active") == 0);
    assert_int_equal(figure(daemon, "slow_ended") + figure(daemon, "failed"), 0);
    daemon_expect_stop(daemon);
}

/* A client that does not read: the write ends, and with it the request. */
static void
a_write_ends_at_the_handlers_deadline(void **state)
{
    struct daemon *daemon = serve(state, "");
    int client = client_connect(daemon_address(daemon, "test"));

    client_send(client, "deadline 0.3\nbig 100000000\n");
    (void)daemon_wait_log(daemon, ": the handler's deadline is over, ");
    client_close(client);
    WAIT_UNTIL(figure(daemon, "slow_ended") == 1);
    daemon_expect_stop(daemon);
}

/* ---- many ------------------------------------------------------------------------------------ */

/* They take places, but each no longer than its time: then others are served. */
static void
dribbling_clients_give_their_places_back(void **state)
{
    struct daemon *daemon = serve(state, "message_timeout = \"300ms\"; max_connections = 20;");
    const char *address = daemon_address(daemon, "test");
    int slow[40];

    for (size_t i = 0; i < 40; i++) {
        slow[i] = client_connect(address);
        client_send(slow[i], "e");
    }
    assert_string_equal(client_ask(address, "echo served\n"), "served\n");
    for (size_t i = 0; i < 40; i++)
        client_close(slow[i]);
    daemon_expect_stop(daemon);
}

RUN_TESTS(TEST_EACH_STREAM(half_a_line_is_not_waited_for_longer_than_message_timeout),
          TEST_EACH_MIXIN(a_dribbled_line_is_cut_off, "tcp"),
          TEST_EACH_MIXIN(half_a_block_is_not_waited_for_longer_than_message_timeout, "unix"),
          TEST_CASE(bytes_at_min_rate_prolong_it, "tcp", "threading"),
          TEST_CASE(bytes_at_min_rate_prolong_it, "tcp", "coroutine"),
          TEST_EACH_MIXIN(without_min_rate_no_byte_prolongs_it, "tcp"),
          TEST_EACH_MIXIN(a_client_that_has_begun_nothing_has_read_timeout, "unix"),
          TEST_EACH_MIXIN(none_is_no_limit, "tcp"),
          TEST_EACH_MIXIN(a_slow_line_does_not_hide_request_timeout, "tcp"),
          TEST_EACH_MIXIN(a_read_ends_at_the_handlers_deadline, "tcp"),
          TEST_EACH_MIXIN(waits_end_at_the_handlers_deadline_until_it_is_lifted, "unix"),
          TEST_EACH_MIXIN(a_write_ends_at_the_handlers_deadline, "tcp"),
          TEST_CASE(dribbling_clients_give_their_places_back, "tcp", "threading"),
          TEST_CASE(dribbling_clients_give_their_places_back, "tcp", "coroutine"))
