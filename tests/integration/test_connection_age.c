/* SPDX-License-Identifier: MIT */
/*
 * test_connection_age.c - max_connection_age: connections end politely, and not all at once
 */
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "support/client.h"
#include "support/daemon.h"
#include "support/test.h"

static struct daemon *
serve(const struct server_case *server, const char *plugin, const char *more)
{
    return daemon_start("log = { target = \"stderr\"; access = true; };\nlisteners = {\n%s};",
                        listener_text("test", server->scheme, server->mixin, plugin, more));
}

static void
a_handler_that_asks_says_goodbye(void **state)
{
    struct daemon *daemon = serve(*state, "good_command", "max_connection_age = \"300ms\";");
    int client = client_connect(daemon_address(daemon, "test"));
    int64_t before = monotonic_now();

    client_send(client, "cancelled\nlinger\necho more\ncancelled\n");
    client_expect(client, "cancelled false\ngoodbye\nmore\ncancelled true\n");
    assert_true(monotonic_now() - before > 200000000);
    client_close(client);
    assert_contains(daemon_wait_log(daemon, " bytes out"), ": done, ");
    daemon_expect_stop(daemon);
}

/* It waits in ss_wait_input() with the limit of read_timeout, which is far away. */
static void
an_idle_connection_of_a_stock_plugin_ends(void **state)
{
    struct daemon *daemon =
        serve(*state, "echo", "max_connection_age = \"300ms\"; read_timeout = \"1h\";");
    const char *address = daemon_address(daemon, "test");
    int client = client_connect(address);

    client_send(client, "half a line");
    client_expect(client, "half a line");
    client_expect_end(client);
    client_close(client);
    assert_contains(daemon_wait_log(daemon, " bytes out"), ": done, 11 bytes in");
    assert_string_equal(client_ask(address, "again\n"), "again\n");
    daemon_expect_stop(daemon);
    assert_int_equal(daemon_count_log(daemon, "failed"), 0);
    assert_int_equal(daemon_count_log(daemon, "idle"), 0);
}

/* What has come is served, and what runs is not cut. */
static void
an_old_connection_loses_nothing(void **state)
{
    struct daemon *daemon = serve(*state, "good_command", "max_connection_age = \"50ms\";");
    int client = client_connect(daemon_address(daemon, "test"));

    client_send(client, "sleep 0.3\necho first\necho second\nquit\n");
    client_expect(client, "ok\nfirst\nsecond\n");
    client_close(client);
    assert_contains(daemon_wait_log(daemon, " bytes out"), ": done, ");
    daemon_expect_stop(daemon);
}

/* The milliseconds in an access line; *line moves behind it. */
static double
next_duration(const char **line)
{
    const char *end = strstr(*line, " ms"), *start = end;

    assert_non_null(end);
    while (start[-1] != ' ')
        start--;
    *line = end + 1;
    return strtod(start, NULL);
}

#define CLIENTS 30

static void
connections_of_one_moment_end_at_different_times(void **state)
{
    struct daemon *daemon = serve(*state, "echo", "max_connection_age = \"500ms\";");
    const char *address = daemon_address(daemon, "test");
    double shortest = 1e9, longest = 0;
    int clients[CLIENTS];

    for (size_t i = 0; i < CLIENTS; i++) {
        clients[i] = client_connect(address);
        client_send(clients[i], "hi\n");
    }
    for (size_t i = 0; i < CLIENTS; i++) {
        client_expect(clients[i], "hi\n");
        client_expect_end(clients[i]);
        client_close(clients[i]);
    }
    (void)daemon_wait_log_times(daemon, " bytes out", CLIENTS);
    const char *line = daemon_log(daemon);
    for (size_t i = 0; i < CLIENTS; i++) {
        double duration = next_duration(&line);
        shortest = duration < shortest ? duration : shortest;
        longest = duration > longest ? duration : longest;
    }
    assert_true(shortest >= 450);
    assert_true(longest - shortest > 20);
    daemon_expect_stop(daemon);
}

RUN_TESTS(TEST_EACH_MIXIN(a_handler_that_asks_says_goodbye, "tcp"),
          TEST_EACH_STREAM(an_idle_connection_of_a_stock_plugin_ends),
          TEST_EACH_MIXIN(an_old_connection_loses_nothing, "tcp"),
          TEST_CASE(connections_of_one_moment_end_at_different_times, "tcp", "threading"),
          TEST_CASE(connections_of_one_moment_end_at_different_times, "tcp", "coroutine"))
