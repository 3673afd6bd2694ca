/* SPDX-License-Identifier: MIT */
/*
 * test_mixin_forking.c - a process per request: isolation, children, descriptors
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "support/client.h"
#include "support/command.h"
#include "support/daemon.h"
#include "support/proc.h"
#include "support/test.h"

static struct daemon *
serve(void **state, const char *more)
{
    const struct server_case *server = *state;

    return daemon_serve(server->scheme, server->mixin, "good_command", more);
}

static void
each_request_has_a_process_of_its_own(void **state)
{
    struct daemon *daemon = serve(state, "");
    const char *address = daemon_address(daemon, "test");
    const char *first = client_ask(address, "pid\nparent\n");
    const char *second = client_ask(address, "pid\nparent\n");
    const char *parent = text_of("parent %d\n", (int)daemon_worker(daemon));

    assert_string_not_equal(first, second);
    assert_contains(first, parent);
    assert_contains(second, parent);
    daemon_expect_stop(daemon);
}

static void
a_child_serves_as_many_requests_as_recycle_after_says(void **state)
{
    struct daemon *daemon = serve(state, "recycle_after = 3; max_connections = 1; spare = 1;");
    const char *address = daemon_address(daemon, "test");
    const char *pids[6];

    for (int i = 0; i < 6; i++)
        pids[i] = client_ask(address, "pid\n");
    assert_string_equal(pids[0], pids[1]);
    assert_string_equal(pids[0], pids[2]);
    assert_string_not_equal(pids[2], pids[3]);
    assert_string_equal(pids[3], pids[5]);
    daemon_expect_stop(daemon);
}

static void
c13_a_child_of_the_plugin_is_not_reaped(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon =
        daemon_serve(server->scheme, server->mixin, "good_hooks",
                     "service_interval = \"300ms\"; options = { own_child = true; };");

    for (int i = 0; i < 5; i++)
        assert_string_equal(client_ask(daemon_address(daemon, "test"), "hello\n"), "hello\n");
    (void)daemon_wait_log(daemon, "own child ended with 7");
    daemon_expect_stop(daemon);
}

static void
a_handler_of_pthread_atfork_is_called_in_each_child(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon =
        daemon_serve(server->scheme, server->mixin, "good_hooks", "options = { atfork = true; };");

    for (int i = 0; i < 3; i++)
        assert_string_equal(client_ask(daemon_address(daemon, "test"), "hello\n"), "hello\n");
    (void)daemon_wait_log_times(daemon, "told of the fork", 3);
    daemon_expect_stop(daemon);
}

static void
c13_a_child_of_a_handler_is_not_reaped(void **state)
{
    struct daemon *daemon = serve(state, "");

    assert_string_equal(client_ask(daemon_address(daemon, "test"), "fork-child\n"),
                        "fork-child 7\n");
    daemon_expect_stop(daemon);
}

static void
c19_stopping_leaves_no_child(void **state)
{
    struct daemon *daemon = serve(state, "drain_timeout = \"200ms\"; spare = 3;");
    pid_t children[PROC_CHILDREN];
    size_t count;
    int client = client_connect(daemon_address(daemon, "test"));

    client_send(client, "echo here\n");
    client_expect(client, "here\n");
    count = proc_children(daemon_worker(daemon), children);
    assert_in_range(count, 1, PROC_CHILDREN);
    daemon_expect_stop(daemon);
    for (size_t i = 0; i < count; i++)
        assert_false(proc_alive(children[i]));
}

static void
c55_no_zombie_stays_without_traffic(void **state)
{
    struct daemon *daemon = serve(state, "");
    const char *address = daemon_address(daemon, "test");
    pid_t worker = daemon_worker(daemon);

    for (int i = 0; i < 10; i++)
        assert_string_equal(client_ask(address, "echo hi\n"), "hi\n");
    WAIT_UNTIL(proc_zombie_count(worker) == 0);
    daemon_expect_stop(daemon);
}

/* The inode behind "socket:[N]" lines, 0 at the end. */
static size_t
list_sockets(const char *fds, unsigned long *sockets, size_t room)
{
    size_t count = 0;

    while (count < room && (fds = strstr(fds, "socket:[")) != NULL) {
        fds += strlen("socket:[");
        sockets[count++] = strtoul(fds, NULL, 10);
    }
    return count;
}

static size_t
count_shared(const char *fds, const char *other_fds)
{
    unsigned long one[64], other[64];
    size_t count = list_sockets(fds, one, 64), other_count = list_sockets(other_fds, other, 64);
    size_t shared = 0;

    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < other_count; j++)
            shared += one[i] == other[j];
    }
    return shared;
}

static const char *
ask_fds(int client)
{
    const char *all = "", *line;

    client_send(client, "fds\n");
    while (strcmp(line = client_receive_line(client), ".\n") != 0) {
        assert_string_not_equal(line, "");
        all = text_of("%s%s", all, line);
    }
    return all;
}

static void
c56_a_child_holds_no_socket_of_others(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon = daemon_start(
        "listeners = {\n%s%s};", listener_text("other", "unix", "none", "echo", ""),
        listener_text("test", server->scheme, server->mixin, "good_command", "spare = 2;"));
    const char *address = daemon_address(daemon, "test");
    int first, second;
    const char *first_fds, *second_fds, *supervisor;
    unsigned long sockets[64];

    (void)daemon_address(daemon, "other");
    first = client_connect(address);
    first_fds = ask_fds(first);
    second = client_connect(address);
    second_fds = ask_fds(second);
    supervisor = proc_fd_list(daemon_pid(daemon));
    /* Of the supervisor's sockets at most its own listener's... */
    assert_in_range(count_shared(first_fds, supervisor), 0, 1);
    assert_in_range(count_shared(second_fds, supervisor), 0, 1);
    /* ... and but one that the other client's child does not have: its client. */
    assert_int_equal(list_sockets(first_fds, sockets, 64) - count_shared(first_fds, second_fds), 1);
    assert_int_equal(list_sockets(second_fds, sockets, 64) - count_shared(first_fds, second_fds),
                     1);
    client_close_all();
    daemon_expect_stop(daemon);
}

static void
c57_memory_changed_in_a_child_is_not_seen_by_others(void **state)
{
    struct daemon *daemon = serve(state, "");
    const char *address = daemon_address(daemon, "test");

    for (int i = 0; i < 3; i++)
        assert_string_equal(client_ask(address, "count\nshared\n"), "count 1\nshared 1\n");
    daemon_expect_stop(daemon);
}

static void
a_killed_child_ends_its_client_alone(void **state)
{
    struct daemon *daemon = serve(state, "");
    const char *address = daemon_address(daemon, "test");
    pid_t worker = daemon_worker(daemon);
    int other = client_connect(address), client;

    client_send(other, "echo before\n");
    client_expect(other, "before\n");
    client = client_connect(address);
    client_send(client, "kill\n");
    client_expect_gone(client);
    client_send(other, "echo after\n");
    client_expect(other, "after\n");
    assert_int_equal(daemon_worker(daemon), worker);
    client_close_all();
    daemon_expect_stop(daemon);
}

/* For one user without privileges: a worker and one child. */
static void
allow_two_processes(void *userdata)
{
    const struct rlimit limit = {.rlim_cur = 2, .rlim_max = 2};

    (void)userdata;
    (void)setrlimit(RLIMIT_NPROC, &limit);
}

/* It cannot be put back into the queue: the fork is tried again although the listener drains. */
static void
a_connection_taken_before_a_drain_is_served(void **state)
{
    const struct server_case *server = *state;

    if (geteuid() != 0) {
        print_message("root is needed, for workers of another user\n");
        skip();
    }
    if (SANITIZED) {
        print_message("a sanitizer needs processes of its own, beyond the two that are allowed\n");
        skip();
    }
    const char *control = test_path("control");
    const char *file = daemon_configuration(
        "control = { path = \"%s\"; }; listeners = {\n%s};", control,
        listener_text("test", server->scheme, server->mixin, test_plugin_for_all("good_command"),
                      "spare = 1; user = \"games\";"));
    struct daemon *daemon =
        daemon_run_prepared((const char *const[]){"-c", file, NULL}, allow_two_processes, NULL);
    const char *address = daemon_address(daemon, "test");
    pid_t worker = daemon_worker(daemon);
    const char *const drain[] = {"--socket", control, "drain", "test", NULL};
    int first, taken;
    size_t fds;

    WAIT_UNTIL(proc_child_count(worker) == 1);
    fds = proc_fd_count(worker);
    first = client_connect(address);
    client_send(first, "echo first\n");
    client_expect(first, "first\n");
    (void)daemon_wait_log(daemon, "cannot fork a child");
    taken = client_connect(address);
    client_send(taken, "echo taken\n");
    WAIT_UNTIL(proc_fd_count(worker) == fds + 1);
    assert_int_equal(command_run(CTL_PROGRAM, "", drain).status, 0);
    client_close(first);
    client_expect(taken, "taken\n");
    client_close(taken);
    daemon_expect_stop(daemon);
}

RUN_TESTS(TEST_CASE(each_request_has_a_process_of_its_own, "tcp", "forking"),
          TEST_CASE(each_request_has_a_process_of_its_own, "udp", "forking"),
          TEST_CASE(each_request_has_a_process_of_its_own, "unix", "forking"),
          TEST_CASE(each_request_has_a_process_of_its_own, "unixgram", "forking"),
          TEST_CASE(a_child_serves_as_many_requests_as_recycle_after_says, "tcp", "forking"),
          TEST_CASE(a_handler_of_pthread_atfork_is_called_in_each_child, "tcp", "forking"),
          TEST_CASE(a_handler_of_pthread_atfork_is_called_in_each_child, "udp", "forking"),
          TEST_CASE(c13_a_child_of_the_plugin_is_not_reaped, "tcp", "forking"),
          TEST_CASE(c13_a_child_of_the_plugin_is_not_reaped, "udp", "forking"),
          TEST_EACH_SERVER(c13_a_child_of_a_handler_is_not_reaped),
          TEST_CASE(c19_stopping_leaves_no_child, "tcp", "forking"),
          TEST_CASE(c19_stopping_leaves_no_child, "unix", "forking"),
          TEST_CASE(c55_no_zombie_stays_without_traffic, "tcp", "forking"),
          TEST_CASE(c55_no_zombie_stays_without_traffic, "udp", "forking"),
          TEST_CASE(c56_a_child_holds_no_socket_of_others, "tcp", "forking"),
          TEST_CASE(c56_a_child_holds_no_socket_of_others, "unix", "forking"),
          TEST_CASE(c57_memory_changed_in_a_child_is_not_seen_by_others, "tcp", "forking"),
          TEST_CASE(c57_memory_changed_in_a_child_is_not_seen_by_others, "udp", "forking"),
          TEST_CASE(a_connection_taken_before_a_drain_is_served, "tcp", "forking"),
          TEST_CASE(a_killed_child_ends_its_client_alone, "tcp", "forking"))
