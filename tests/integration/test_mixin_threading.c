/* SPDX-License-Identifier: MIT */
/*
 * test_mixin_threading.c - a thread per request, in one process, bounded
 */
#include <signal.h>

#include "support/client.h"
#include "support/daemon.h"
#include "support/proc.h"
#include "support/test.h"

#define CLIENTS 12

static void
requests_share_a_process_and_have_their_own_threads(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon = daemon_serve(server->scheme, "threading", "good_command", "");
    const char *address = daemon_address(daemon, "test");
    const char *tids[CLIENTS], *names[CLIENTS];
    const char *pid = text_of("pid %d\n", (int)daemon_worker(daemon));

    for (int i = 0; i < CLIENTS; i++) {
        int client = client_connect(address);

        client_send(client, "pid\ntid\nworker\n");
        client_expect(client, pid);
        tids[i] = client_receive_line(client);
        names[i] = client_receive_line(client);
        for (int j = 0; j < i; j++) {
            assert_string_not_equal(tids[i], tids[j]);
            assert_string_not_equal(names[i], names[j]);
        }
    }
    client_close_all();
    daemon_expect_stop(daemon);
}

static void
threads_are_bounded_by_max_connections(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon =
        daemon_serve(server->scheme, "threading", "good_command", "max_connections = 3;");
    const char *address = daemon_address(daemon, "test");
    int clients[4];

    for (int i = 0; i < 4; i++) {
        clients[i] = client_connect(address);
        client_send(clients[i], text_of("echo %d\n", i));
        if (i < 3)
            client_expect(clients[i], text_of("%d\n", i));
    }
    assert_false(client_readable(clients[3], 0.2)); /* waits in the queue, not refused */
    client_close(clients[0]);
    client_expect(clients[3], "3\n");
    client_close_all();
    daemon_expect_stop(daemon);
}

static void
datagrams_are_handled_side_by_side(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon = daemon_serve(server->scheme, server->mixin, "good_command", "");
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
spare_threads_wait_for_clients(void **state)
{
    struct daemon *one = daemon_serve("tcp", "threading", "good_command", "spare = 1;");
    pid_t worker = daemon_worker(one);
    size_t before;

    (void)state;
    WAIT_UNTIL(proc_thread_count(worker) >= 2);
    before = proc_thread_count(worker);
    daemon_expect_stop(one);
    one = daemon_serve("tcp", "threading", "good_command", "spare = 6;");
    worker = daemon_worker(one);
    WAIT_UNTIL(proc_thread_count(worker) >= before + 5);
    daemon_expect_stop(one);
}

static void
thread_memory_is_shared(void **state)
{
    struct daemon *daemon = daemon_serve("tcp", "threading", "good_command", "");
    const char *address = daemon_address(daemon, "test");

    (void)state;
    for (int i = 1; i <= 3; i++)
        assert_string_equal(client_ask(address, "count\n"), text_of("count %d\n", i));
    daemon_expect_stop(daemon);
}

/* Its place must go to another at once, also when there is only one. */
static void
a_thread_that_ends_itself_is_replaced_at_the_limit(void **state)
{
    struct daemon *daemon =
        daemon_serve("tcp", "threading", "good_command", "max_connections = 1;");
    const char *address = daemon_address(daemon, "test");
    pid_t worker = daemon_worker(daemon);

    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_string_equal(client_ask(address, "pthread_exit\n"), "");
        assert_string_equal(client_ask(address, "pid\n"), text_of("pid %d\n", (int)worker));
    }
    daemon_expect_stop_after_fault(daemon);
}

RUN_TESTS(TEST_CASE(requests_share_a_process_and_have_their_own_threads, "tcp", "threading"),
          TEST_CASE(requests_share_a_process_and_have_their_own_threads, "unix", "threading"),
          TEST_CASE(threads_are_bounded_by_max_connections, "tcp", "threading"),
          TEST_CASE(threads_are_bounded_by_max_connections, "unix", "threading"),
          TEST_CASE(datagrams_are_handled_side_by_side, "udp", "threading"),
          TEST_CASE(datagrams_are_handled_side_by_side, "unixgram", "threading"),
          TEST_CASE(datagrams_are_handled_side_by_side, "udp", "forking"),
          TEST_CASE(datagrams_are_handled_side_by_side, "unixgram", "forking"),
          TEST(spare_threads_wait_for_clients), TEST(thread_memory_is_shared),
          TEST(a_thread_that_ends_itself_is_replaced_at_the_limit))
