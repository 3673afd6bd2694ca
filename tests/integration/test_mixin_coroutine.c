/* SPDX-License-Identifier: MIT */
/*
 * test_mixin_coroutine.c - a coroutine per request, on event loops
 */
#include <signal.h>

#include "support/client.h"
#include "support/daemon.h"
#include "support/proc.h"
#include "support/test.h"

#define CLIENTS 12
#define CROWD   (SANITIZED ? 100 : 500) /* each of them is a handshake, over TLS */

static void
requests_share_a_thread_and_have_their_own_coroutines(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon = daemon_serve(server->scheme, "coroutine", "good_command", "");
    const char *address = daemon_address(daemon, "test");
    const char *thread = text_of("tid %d\n", (int)daemon_worker(daemon)), *names[CLIENTS];

    for (int i = 0; i < CLIENTS; i++) {
        int client = client_connect(address);

        client_send(client, "tid\nworker\n");
        client_expect(client, thread);
        names[i] = client_receive_line(client);
        assert_starts(names[i], "worker test-coroutine-");
        for (int j = 0; j < i; j++)
            assert_string_not_equal(names[i], names[j]);
    }
    client_close_all();
    daemon_expect_stop(daemon);
}

static void
coroutines_are_bounded_by_max_connections(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon =
        daemon_serve(server->scheme, "coroutine", "good_command", "max_connections = 3;");
    const char *address = daemon_address(daemon, "test");
    int clients[4];
    double before;

    for (int i = 0; i < 4; i++) {
        clients[i] = client_connect(address);
        client_send(clients[i], text_of("echo %d\n", i));
        if (i < 3)
            client_expect(clients[i], text_of("%d\n", i));
    }
    before = proc_cpu_seconds(daemon_worker(daemon));
    assert_false(client_readable(clients[3], 0.3)); /* waits in the queue, not refused */
    assert_true(proc_cpu_seconds(daemon_worker(daemon)) - before < 0.1); /* and nobody spins */
    client_close(clients[0]);
    client_expect(clients[3], "3\n");
    client_close_all();
    daemon_expect_stop(daemon);
}

static void
a_crowd_idles_and_is_served_by_turns(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon = daemon_serve(server->scheme, "coroutine", "upper", "");
    const char *address = daemon_address(daemon, "test");
    int clients[CROWD];

    for (int i = 0; i < CROWD; i++)
        clients[i] = client_connect(address);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < CROWD; i++)
            client_send(clients[i], text_of("client %d\n", i));
        for (int i = CROWD - 1; i >= 0; i--)
            client_expect(clients[i], text_of("CLIENT %d\n", i));
    }
    assert_int_equal(daemon_count_log(daemon, "client went away"), 0);
    client_close_all();
    daemon_expect_stop(daemon);
}

static void
datagrams_are_handled_side_by_side(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon = daemon_serve(server->scheme, "coroutine", "good_command", "");
    const char *address = daemon_address(daemon, "test");
    int slow = client_connect(address), quick = client_connect(address);

    client_send(slow, "linger\necho slow\n"); /* until the daemon stops */
    client_send(quick, "echo quick\n");
    assert_string_equal(client_receive(quick), "quick\n");
    assert_false(client_readable(slow, 0));
    daemon_signal(daemon, SIGTERM);
    assert_string_equal(client_receive(slow), "goodbye\nslow\n");
    daemon_expect_exit(daemon, 0);
}

static void
each_cpu_has_a_loop(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon = daemon_serve(server->scheme, "coroutine", "good_command", "cpus = 3;");
    const char *address = daemon_address(daemon, "test");
    int held = client_connect(address), other;
    const char *first;

    client_send(held, "tid\nflush\nnap 3\n"); /* while its loop is held up, another one answers */
    first = client_receive_line(held);
    client_expect(held, "flushed\n");
    other = client_connect(address);
    client_send(other, "tid\n");
    assert_string_not_equal(client_receive_line(other), first);
    assert_false(client_readable(held, 0));
    client_expect(held, "ok\n");
    client_close_all();
    daemon_expect_stop(daemon);
}

static void
all_loops_drain_together(void **state)
{
    struct daemon *daemon =
        daemon_serve("tcp", "coroutine", "good_command", "cpus = 4; drain_timeout = \"300ms\";");
    const char *address = daemon_address(daemon, "test");
    int clients[CLIENTS];

    (void)state;
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = client_connect(address);
        client_send(clients[i], "echo here\nsleep 600\n");
        client_expect(clients[i], "here\n");
    }
    daemon_expect_stop(daemon);
}

static void
a_stream_without_end_starves_nobody(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon = daemon_serve(server->scheme, "coroutine", "chargen", "");
    const char *address = daemon_address(daemon, "test");
    char waste[65536];
    int greedy = client_connect(address), modest;

    for (int i = 0; i < 50; i++)
        (void)client_receive_bytes(greedy, waste, sizeof(waste));
    modest = client_connect(address);
    assert_int_equal(client_receive_bytes(modest, waste, 1000), 1000);
    client_close_all();
    daemon_expect_stop(daemon);
}

static void
a_handler_that_blocks_is_named_once(void **state)
{
    struct daemon *daemon = daemon_serve("tcp", "coroutine", "good_command", "");
    const char *address = daemon_address(daemon, "test");

    (void)state;
    assert_string_equal(client_ask(address, "nap 0.5\n"), "ok\n");
    assert_contains(daemon_wait_log(daemon, "[test/1]: the handler keeps its event loop"),
                    "good_command.so+0x");
    assert_string_equal(client_ask(address, "spin 0.5\n"), "ok\n");
    assert_int_equal(daemon_count_log(daemon, "keeps its event loop"), 1);
    daemon_expect_stop(daemon);
}

static void
a_handler_that_computes_is_named(void **state)
{
    struct daemon *daemon = daemon_serve("tcp", "coroutine", "good_command", "cpus = 2;");
    const char *address = daemon_address(daemon, "test");

    (void)state;
    assert_string_equal(client_ask(address, "spin 0.5\n"), "ok\n");
    assert_contains(daemon_wait_log(daemon, "keeps its event loop"), "good_command.so+0x");
    daemon_expect_stop(daemon);
}

static void
a_handler_that_waits_properly_is_not(void **state)
{
    struct daemon *daemon = daemon_serve("tcp", "coroutine", "good_command", "");
    const char *address = daemon_address(daemon, "test");

    (void)state;
    assert_string_equal(client_ask(address, "sleep 0.5\n"), "ok\n");
    assert_int_equal(daemon_count_log(daemon, "keeps its event loop"), 0);
    daemon_expect_stop(daemon);
}

static void
an_overflow_is_named_and_the_listener_lives_on(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon =
        daemon_serve(server->scheme, server->mixin, "good_command", "stack_size = \"64K\";");
    const char *address = daemon_address(daemon, "test");
    int client;

    if (SANITIZED) {
        print_message("skipped: a sanitizer has a report of its own\n");
        skip();
    }
    assert_string_equal(client_ask(address, "stack 40000\n"), "stack 40000\n");
    client = client_connect(address);
    client_send(client, "overflow\n");
    client_expect_gone(client);
    (void)daemon_wait_log(daemon, "[test/2]: stack overflow: raise stack_size (now 64K)");
    assert_string_equal(client_ask(address, "echo again\n"), "again\n");
    daemon_expect_stop(daemon);
}

RUN_TESTS(TEST_CASE(requests_share_a_thread_and_have_their_own_coroutines, "tcp", "coroutine"),
          TEST_CASE(requests_share_a_thread_and_have_their_own_coroutines, "unix", "coroutine"),
          TEST_CASE(coroutines_are_bounded_by_max_connections, "tcp", "coroutine"),
          TEST_CASE(coroutines_are_bounded_by_max_connections, "unix", "coroutine"),
          TEST_CASE(a_crowd_idles_and_is_served_by_turns, "tcp", "coroutine"),
          TEST_CASE(a_crowd_idles_and_is_served_by_turns, "unix", "coroutine"),
          TEST_CASE(datagrams_are_handled_side_by_side, "udp", "coroutine"),
          TEST_CASE(datagrams_are_handled_side_by_side, "unixgram", "coroutine"),
          TEST_CASE(each_cpu_has_a_loop, "tcp", "coroutine"),
          TEST_CASE(each_cpu_has_a_loop, "unix", "coroutine"), TEST(all_loops_drain_together),
          TEST_CASE(a_stream_without_end_starves_nobody, "tcp", "coroutine"),
          TEST_CASE(a_stream_without_end_starves_nobody, "unix", "coroutine"),
          TEST(a_handler_that_blocks_is_named_once), TEST(a_handler_that_computes_is_named),
          TEST(a_handler_that_waits_properly_is_not),
          TEST_CASE(an_overflow_is_named_and_the_listener_lives_on, "tcp", "coroutine"),
          TEST_CASE(an_overflow_is_named_and_the_listener_lives_on, "tcp", "threading"))
