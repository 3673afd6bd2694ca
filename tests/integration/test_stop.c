/* SPDX-License-Identifier: MIT */
/*
 * test_stop.c - how a daemon ends: at once when idle, gracefully when busy, in time always
 */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/client.h"
#include "support/daemon.h"
#include "support/load.h"
#include "support/proc.h"
#include "support/test.h"

static struct daemon *
serve(void **state, const char *more)
{
    const struct server_case *server = *state;

    return daemon_serve(server->scheme, server->mixin, "good_command", more);
}

/* Returns when the daemon has taken note. */
static void
begin_stop(struct daemon *daemon)
{
    daemon_signal(daemon, SIGTERM);
    (void)daemon_wait_log(daemon, "SIGTERM: stopping");
}

static struct daemon *
start_twenty(void)
{
    static const char *const mixins[] = {"none", "threading", "forking"};
    static const char *const schemes[] = {"tcp", "udp", "unix", "unixgram"};
    const char *all = "";

    for (size_t i = 0; i < 20; i++)
        all =
            text_of("%s%s", all,
                    listener_text(text_of("l%zu", i), schemes[i % 4], mixins[i % 3], "upper", ""));
    return daemon_start("listeners = {\n%s};", all);
}

static void
c15_twenty_listeners_start_and_stop_at_once(void **state)
{
    (void)state;
    for (size_t seen = 1; seen <= 20; seen += 19) {
        struct daemon *daemon = start_twenty();

        (void)daemon_wait_log_times(daemon, ": listening on ", seen);
        daemon_expect_stop(daemon);
    }
}

/* ss_server_stop() is Python's shutdown(): the rest of the queue is not served. */
static void
c40_nothing_is_accepted_after_a_stop(void **state)
{
    struct daemon *daemon = serve(state, "max_connections = 1;");
    int first = client_busy(daemon_address(daemon, "test"), "");
    int second = client_connect(daemon_address(daemon, "test"));

    client_send(second, "log 6 accepted\n");
    client_half_close(second);
    client_send(first, "stop\nlinger\necho well\n");
    client_expect(first, "stopping\ngoodbye\nwell\n");
    client_close(first);
    client_expect_gone(second);
    daemon_expect_stop(daemon);
    assert_lacks(daemon_log(daemon), "accepted");
}

/* The socket goes with the daemon, so those who wait at it are answered first. */
static void
queued_clients_are_answered_before_the_socket_closes(void **state)
{
    struct daemon *daemon = serve(state, "max_connections = 1;");
    const char *address = daemon_address(daemon, "test");
    int first = client_busy(daemon_address(daemon, "test"), "");
    int queued[5], late;

    for (size_t i = 0; i < 5; i++) {
        queued[i] = client_connect(address);
        client_send(queued[i], text_of("echo %zu\n", i));
        client_half_close(queued[i]);
    }
    begin_stop(daemon);
    client_send(first, "echo well\n");
    client_expect(first, "well\n");
    client_close(first);
    for (size_t i = 0; i < 5; i++)
        assert_string_equal(client_receive_all(queued[i]), text_of("%zu\n", i));
    daemon_expect_exit(daemon, 0);
    assert_true(client_try_connect(address, true, &late) < 0);
}

/* Nobody new gets into the queue that is emptied, or it might never be. */
static void
a_stop_ends_although_clients_keep_coming(void **state)
{
    struct daemon *daemon = serve(state, "max_connections = 1; drain_timeout = \"600s\";");
    struct load *load = load_start(daemon_address(daemon, "test"), 8, "sleep 0.03\necho ");

    load_wait_more(load, 20);
    daemon_expect_stop(daemon);
    load_stop(load);
    /* A handshake that was not complete is none; each processor may have been at one. */
    assert_in_range(load_count(load, LOAD_LOST), 0, 2);
    assert_int_equal(load_count(load, LOAD_WRONG) + load_count(load, LOAD_LATE), 0);
}

static void
a_queue_that_is_not_empty_by_the_deadline_is_cut(void **state)
{
    struct daemon *daemon = serve(state, "max_connections = 1; drain_timeout = \"300ms\";");
    int first = client_busy(daemon_address(daemon, "test"), "sleep 600");
    int second = client_connect(daemon_address(daemon, "test"));
    double began = clock_now();

    client_send(second, "echo hi\n");
    daemon_signal(daemon, SIGTERM);
    client_expect_gone(first);
    client_expect_gone(second);
    daemon_expect_exit(daemon, 0);
    assert_true(clock_now() - began > 0.29);
}

static void
c42_an_idle_daemon_stops_at_once(void **state)
{
    double quickest = DEADLINE, start = 0;

    /* The machine may be busy: the best of five counts, and how long a start takes meanwhile. */
    for (int i = 0; i < 5; i++) {
        double began = clock_now(), started;
        struct daemon *daemon = serve(state, "");

        assert_string_equal(client_ask(daemon_address(daemon, "test"), "echo hi\n"), "hi\n");
        started = clock_now();
        daemon_expect_stop(daemon);
        if (clock_now() - started < quickest)
            quickest = clock_now() - started;
        if (started - began > start)
            start = started - began;
    }
    if (quickest > (SANITIZED ? 2.0 : 0.05) + 2 * start)
        fail_msg("the quickest stop of five took %.0f ms, a start up to %.0f ms", quickest * 1000,
                 start * 1000);
}

static void
a_running_request_is_finished(void **state)
{
    struct daemon *daemon = serve(state, "");
    int client = client_busy(daemon_address(daemon, "test"), "");

    begin_stop(daemon);
    client_send(client, "echo well\n");
    client_expect(client, "well\n");
    client_close(client);
    daemon_expect_exit(daemon, 0);
}

static void
a_drain_tells_the_handler(void **state)
{
    struct daemon *daemon = serve(state, "");
    int client = client_busy(daemon_address(daemon, "test"), "linger\nquit");

    assert_false(client_readable(client, 0.05));
    daemon_signal(daemon, SIGTERM);
    client_expect(client, "goodbye\n");
    client_expect_end(client);
    daemon_expect_exit(daemon, 0);
}

static void
c60_at_the_deadline_the_rest_is_cut(void **state)
{
    struct daemon *daemon = serve(state, "drain_timeout = \"300ms\";");
    int client = client_busy(daemon_address(daemon, "test"), "nap 600");
    double began = clock_now();

    daemon_signal(daemon, SIGTERM);
    client_expect_gone(client);
    daemon_expect_exit(daemon, 0);
    assert_true(clock_now() - began > 0.29);
}

static void
a_stop_lets_the_short_end_and_cuts_the_long(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon =
        daemon_serve(server->scheme, server->mixin, "good_command", "drain_timeout = \"3s\";");
    const char *address = daemon_address(daemon, "test");
    int quick = client_connect(address), slow = client_connect(address);
    bool blocks = strcmp(server->mixin, "coroutine") != 0; /* else it would hold up the other */
    double began;

    client_send(quick, "echo a\nlinger\necho well\n");
    client_send(slow, text_of("echo b\nflush\n%s 600\n", blocks ? "nap" : "sleep"));
    client_expect(slow, "b\nflushed\n");
    began = clock_now();
    daemon_signal(daemon, SIGTERM);
    client_expect(quick, "a\ngoodbye\nwell\n");
    client_close(quick);
    client_expect_gone(slow);
    daemon_expect_exit(daemon, 0);
    assert_true(clock_now() - began > 2.9);
    assert_true(!LONG_FORM || clock_now() - began < 4);
}

static void
c60_a_waiting_handler_is_woken_at_the_deadline(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon =
        daemon_start("log = { target = \"stderr\"; access = true; };\nlisteners = {\n%s};",
                     listener_text("test", server->scheme, server->mixin, "good_hooks",
                                   "drain_timeout = \"200ms\";"));
    int client = client_connect(daemon_address(daemon, "test"));

    client_send(client, "hello\n");
    client_expect(client, "hello\n"); /* and now it waits for the next line */
    daemon_signal(daemon, SIGTERM);
    client_expect_gone(client);
    daemon_expect_exit(daemon, 0);
    assert_int_equal(daemon_count_log(daemon, "hook finish"), 1);
    assert_int_equal(daemon_count_log(daemon, ": cut by the drain's deadline, "), 1);
    assert_lacks(daemon_log(daemon), "told of"); /* being cut is no error of the handler */
}

static void
a_second_signal_stops_now(void **state)
{
    struct daemon *daemon = serve(state, "");
    int client = client_busy(daemon_address(daemon, "test"), "nap 600");

    begin_stop(daemon);
    assert_false(client_readable(client, 0.2));
    daemon_signal(daemon, SIGTERM);
    client_expect_gone(client);
    daemon_expect_exit(daemon, 0);
}

static void
sigint_stops_as_well(void **state)
{
    struct daemon *daemon = serve(state, "");

    daemon_signal(daemon, SIGINT);
    daemon_expect_exit(daemon, 0);
}

static void
c58_without_block_on_close_the_requests_finish_alone(void **state)
{
    struct daemon *daemon = serve(state, "block_on_close = false;");
    int client = client_busy(daemon_address(daemon, "test"), "");

    daemon_signal(daemon, SIGTERM);
    WAIT_UNTIL(!proc_alive(daemon_pid(daemon)));
    client_send(client, "echo well\n");
    client_expect(client, "well\n");
    client_close(client);
    daemon_expect_exit(daemon, 0);
}

static void
c59_daemon_threads_are_not_waited_for(void **state)
{
    struct daemon *daemon = serve(state, "daemon_threads = true;");
    int client = client_busy(daemon_address(daemon, "test"), "nap 600");

    daemon_signal(daemon, SIGTERM);
    client_expect_gone(client);
    daemon_expect_exit(daemon, 0);
}

static void
c59_other_threads_are_waited_for(void **state)
{
    struct daemon *daemon = serve(state, "daemon_threads = false;");
    int client = client_busy(daemon_address(daemon, "test"), "");

    begin_stop(daemon);
    client_send(client, "echo well\n");
    client_expect(client, "well\n");
    client_close(client);
    daemon_expect_exit(daemon, 0);
}

/* It waits in ss_wait_input(); a handler that does not would hold the stop up for drain_timeout. */
static void
an_idle_connection_of_a_stock_plugin_holds_up_no_stop(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon = daemon_serve(server->scheme, server->mixin, "echo",
                                         "drain_timeout = 3600.0; read_timeout = 3600.0;");
    int client = client_connect(daemon_address(daemon, "test"));

    client_send(client, "half a line");
    client_expect(client, "half a line");
    daemon_signal(daemon, SIGTERM);
    client_expect_end(client);
    client_close(client);
    daemon_expect_exit(daemon, 0);
    assert_int_equal(daemon_count_log(daemon, "failed"), 0);
}

/* It leaves its place, too, to those who wait in the socket's queue. */
static void
an_idle_connection_holds_up_no_queue(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon =
        daemon_serve(server->scheme, server->mixin, "echo",
                     "max_connections = 1; drain_timeout = 3600.0; read_timeout = 3600.0;");
    int idle = client_connect(daemon_address(daemon, "test")), queued;

    client_send(idle, "half a line");
    client_expect(idle, "half a line");
    queued = client_connect(daemon_address(daemon, "test"));
    client_send(queued, "hello");
    daemon_signal(daemon, SIGTERM);
    client_expect_end(idle);
    client_expect(queued, "hello");
    client_expect_end(queued);
    daemon_expect_exit(daemon, 0);
}

/* Whether it was answered. */
static bool
asks_when_a_drain_has_begun(const struct server_case *server)
{
    struct daemon *daemon = daemon_serve(server->scheme, server->mixin, "echo", "");
    int client = client_connect(daemon_address(daemon, "test"));

    /* It is accepted when others that came later are. */
    assert_string_equal(client_ask(daemon_address(daemon, "test"), "1"), "1");
    daemon_signal(daemon, SIGTERM);
    (void)daemon_wait_log(daemon, "stopping");
    usleep(20000);
    (void)send(client, "first", 5, MSG_NOSIGNAL);
    (void)shutdown(client, SHUT_WR);
    char answer[16] = "";
    bool answered = recv(client, answer, sizeof(answer) - 1, 0) == 5;
    client_close(client);
    daemon_expect_exit(daemon, 0);
    return answered;
}

/* There is a quarter of a second for it, which a busy machine may let pass now and then. */
static void
who_has_just_connected_is_answered_in_a_drain(void **state)
{
    for (int i = 0; i < 10; i++)
        if (asks_when_a_drain_has_begun(*state))
            return;
    fail_msg("a first request was lost ten times");
}

RUN_TESTS(TEST(c15_twenty_listeners_start_and_stop_at_once),
          TEST_EACH_STREAM(c40_nothing_is_accepted_after_a_stop),
          TEST_EACH_STREAM(queued_clients_are_answered_before_the_socket_closes),
          TEST_CASE(a_stop_ends_although_clients_keep_coming, "tcp", "none"),
          TEST_CASE(a_stop_ends_although_clients_keep_coming, "tcp", "coroutine"),
          TEST_CASE(a_stop_ends_although_clients_keep_coming, "unix", "threading"),
          TEST_CASE(a_stop_ends_although_clients_keep_coming, "unix", "forking"),
          TEST_EACH_STREAM(a_queue_that_is_not_empty_by_the_deadline_is_cut),
          TEST_EACH_MIXIN(c42_an_idle_daemon_stops_at_once, "tcp"),
          TEST_EACH_MIXIN(c42_an_idle_daemon_stops_at_once, "udp"),
          TEST_EACH_STREAM(an_idle_connection_of_a_stock_plugin_holds_up_no_stop),
          TEST_EACH_MIXIN(an_idle_connection_holds_up_no_queue, "tcp"),
          TEST_CASE(who_has_just_connected_is_answered_in_a_drain, "tcp", "threading"),
          TEST_CASE(who_has_just_connected_is_answered_in_a_drain, "tcp", "forking"),
          TEST_CASE(who_has_just_connected_is_answered_in_a_drain, "unix", "coroutine"),
          TEST_EACH_STREAM(a_running_request_is_finished),
          TEST_EACH_STREAM(a_drain_tells_the_handler),
          /* A coroutine that naps holds up the drain, too: that is left to the supervisor. */
          TEST_CASE(c60_at_the_deadline_the_rest_is_cut, "tcp", "none"),
          TEST_CASE(c60_at_the_deadline_the_rest_is_cut, "tcp", "threading"),
          TEST_CASE(c60_at_the_deadline_the_rest_is_cut, "tcp", "forking"),
          TEST_CASE(c60_at_the_deadline_the_rest_is_cut, "unix", "none"),
          TEST_CASE(c60_at_the_deadline_the_rest_is_cut, "unix", "threading"),
          TEST_CASE(c60_at_the_deadline_the_rest_is_cut, "unix", "forking"),
          TEST_CASE(a_stop_lets_the_short_end_and_cuts_the_long, "tcp", "threading"),
          TEST_CASE(a_stop_lets_the_short_end_and_cuts_the_long, "unix", "forking"),
          TEST_CASE(a_stop_lets_the_short_end_and_cuts_the_long, "tcp", "coroutine"),
          TEST_EACH_STREAM(c60_a_waiting_handler_is_woken_at_the_deadline),
          TEST_EACH_MIXIN(a_second_signal_stops_now, "tcp"),
          TEST_EACH_MIXIN(sigint_stops_as_well, "tcp"),
          TEST_EACH_MIXIN(c58_without_block_on_close_the_requests_finish_alone, "tcp"),
          TEST_CASE(c59_daemon_threads_are_not_waited_for, "tcp", "threading"),
          TEST_CASE(c59_other_threads_are_waited_for, "tcp", "threading"))
