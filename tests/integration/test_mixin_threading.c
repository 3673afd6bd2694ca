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

#define CROWD 40

/* As many connections, each served by now. */
static void
connect_crowd(struct daemon *daemon, int clients[CROWD])
{
    for (int i = 0; i < CROWD; i++) {
        clients[i] = client_connect(daemon_address(daemon, "test"));
        client_send(clients[i], "echo here\n");
        client_expect(clients[i], "here\n");
    }
}

/* Threads take connections in turn, so that each of them has served not long ago. */
static void
surplus_threads_leave_while_requests_go_on(void **state)
{
    struct daemon *daemon = daemon_serve("unix", "threading", "good_command", "");
    const char *address = daemon_address(daemon, "test");
    pid_t worker = daemon_worker(daemon);
    int clients[CROWD];

    (void)state;
    connect_crowd(daemon, clients);
    assert_true(proc_thread_count(worker) > CROWD);
    for (int i = 0; i < CROWD; i++)
        client_close(clients[i]);
    WAIT_UNTIL(strcmp(client_ask(address, "echo more\n"), "more\n") == 0 &&
               proc_thread_count(worker) < CROWD / 2);
    daemon_expect_stop(daemon);
}

/*
 * A long line takes a buffer of 64 KiB; whoever then is silent does not keep it. What the plugin
 * keeps lies behind it, so that free() alone gives nothing back to the system.
 */
static void
silent_connections_keep_no_buffers(void **state)
{
    if (SANITIZED) {
        print_message("skipped: a sanitizer's malloc() gives nothing back to the system\n");
        skip();
    }
    struct daemon *daemon = daemon_serve("unix", "threading", "good_command", "");
    pid_t worker = daemon_worker(daemon);
    char *line = calloc(1, 60002);
    int clients[CROWD];
    size_t before, peak;

    (void)state;
    memset(line, 'x', 60000);
    memcpy(line, "echo ", 5);
    line[60000] = '\n';
    connect_crowd(daemon, clients);
    before = proc_memory_kib(worker);
    for (int i = 0; i < CROWD; i++) {
        client_send(clients[i], line);
        client_expect(clients[i], line + 5);
        client_send(clients[i], "malloc 70000\n");
        client_expect(clients[i], "malloc 70000\n");
    }
    peak = proc_memory_kib(worker);
    assert_true(peak > before + CROWD * 110);
    WAIT_UNTIL(proc_memory_kib(worker) < peak - CROWD * 40);
    for (int i = 0; i < CROWD; i++) {
        client_send(clients[i], "echo still here\n");
        client_expect(clients[i], "still here\n");
    }
    free(line);
    client_close_all();
    daemon_expect_stop(daemon);
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
          TEST(surplus_threads_leave_while_requests_go_on),
          TEST(silent_connections_keep_no_buffers),
          TEST(a_thread_that_ends_itself_is_replaced_at_the_limit))
