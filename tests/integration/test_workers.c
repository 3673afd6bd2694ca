/* SPDX-License-Identifier: MIT */
/*
 * test_workers.c - supervisor and worker: what is inherited, and what becomes of a death
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "support/client.h"
#include "support/daemon.h"
#include "support/proc.h"
#include "support/test.h"

/* Kinds of descriptors a worker may have, and at most how many. */
static const struct {
    const char *target;
    size_t most;
} declared[] = {
    {"/dev/null", 1},    /* its standard input */
    {"pipe:", 3},        /* standard output and error, and the log's own description of it */
    {"socket:", 3},      /* the channel, the one of wishes, and the listening socket */
    {"/memfd:", 2},      /* settings and counters, until they are mapped */
    {"anon_inode:", 12}, /* its own: events, signals */
};

static size_t
count_targets(const char *list, const char *target)
{
    size_t count = 0;

    for (const char *line = list; *line != '\0'; line = strchr(line, '\n') + 1)
        count += strncmp(strchr(line, ' ') + 1, target, strlen(target)) == 0;
    return count;
}

static void
expect_declared_only(const char *list)
{
    size_t known = 0;

    for (size_t i = 0; i < sizeof declared / sizeof declared[0]; i++) {
        size_t count = count_targets(list, declared[i].target);

        if (count > declared[i].most)
            fail_msg("%zu descriptors of %s in:\n%s", count, declared[i].target, list);
        known += count;
    }
    if (known != count_targets(list, ""))
        fail_msg("an undeclared descriptor in:\n%s", list);
    assert_starts(list, "0 /dev/null\n1 pipe:");
    assert_int_equal(count_targets(list, "socket:"), 3);
}

static void
a_worker_inherits_what_is_declared_and_no_more(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon =
        daemon_start("listeners = {\n%s%s};", listener_text("other", "unix", "none", "echo", ""),
                     listener_text("test", server->scheme, server->mixin, "good_command", ""));
    pid_t children[PROC_CHILDREN];

    (void)daemon_address(daemon, "other");
    (void)daemon_address(daemon, "test");
    assert_int_equal(proc_children(daemon_pid(daemon), children), 2);
    for (size_t i = 0; i < 2; i++)
        expect_declared_only(proc_fd_list(children[i]));
    daemon_expect_stop(daemon);
}

static void
a_worker_gets_an_environment_of_its_own(void **state)
{
    struct daemon *daemon;
    const char *environment;

    (void)state;
    assert_return_code(setenv("SECRET_OF_THE_SHELL", "1", 1), errno);
    assert_return_code(setenv("LISTEN_FDNAMES", "nothing", 1), errno);
    daemon = daemon_serve("tcp", "none", "good_command", "");
    assert_return_code(unsetenv("SECRET_OF_THE_SHELL"), errno);
    assert_return_code(unsetenv("LISTEN_FDNAMES"), errno);
    environment = client_ask(daemon_address(daemon, "test"), "environment\n");
    assert_lacks(environment, "SECRET_OF_THE_SHELL");
    assert_lacks(environment, "LISTEN_");
    assert_lacks(environment, "NOTIFY_SOCKET");
    assert_contains(environment, "PATH=");
    daemon_expect_stop(daemon);
}

static void
a_client_that_comes_while_the_worker_is_dead_is_answered(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon = daemon_serve(server->scheme, server->mixin, "good_command", "");
    const char *address = daemon_address(daemon, "test");
    pid_t worker = daemon_worker(daemon);
    int client;

    /* The supervisor stands still meanwhile, so that there is no new worker yet. */
    daemon_signal(daemon, SIGSTOP);
    assert_return_code(kill(worker, SIGKILL), errno);
    WAIT_UNTIL(!proc_alive(worker));
    client = client_connect(address);
    client_send(client, "echo waited\n");
    /* Children that wait for a request of their own outlive a forking worker, and may answer. */
    if (strcmp(server->mixin, "forking") != 0)
        assert_false(client_readable(client, 0.1));
    daemon_signal(daemon, SIGCONT);
    assert_string_equal(client_receive(client), "waited\n");
    assert_int_not_equal(daemon_worker(daemon), worker);
    client_close(client);
    daemon_expect_stop(daemon);
}

static void
a_dead_worker_hurts_its_own_listener_only(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon = daemon_start(
        "listeners = {\n%s%s};", listener_text("steady", "tcp", "threading", "good_command", ""),
        listener_text("test", server->scheme, server->mixin, "good_command", ""));
    int steady = client_connect(daemon_address(daemon, "steady"));
    const char *address = daemon_address(daemon, "test");
    int client = client_connect(address);

    client_send(steady, "echo before\n");
    client_expect(steady, "before\n");
    client_send(client, "segv\n");
    client_expect_gone(client);
    client_send(steady, "echo after\n");
    client_expect(steady, "after\n");
    assert_string_equal(client_ask(address, "echo again\n"), "again\n");
    (void)daemon_wait_log(daemon, "SEGV");
    client_close_all();
    daemon_expect_stop(daemon);
}

static void
a_worker_that_keeps_dying_is_started_ever_more_slowly(void **state)
{
    struct daemon *daemon = daemon_serve("unix", "none", "good_command", "");
    const char *address = daemon_address(daemon, "test");
    double began = clock_now();

    (void)state;
    for (size_t i = 1; i <= 5; i++) {
        int client = client_connect(address);

        client_send(client, "abort\n");
        client_expect_gone(client);
        client_close(client);
        (void)daemon_wait_log_times(daemon, "starting another", i);
    }
    assert_string_equal(client_ask(address, "echo back\n"), "back\n");
    assert_true(clock_now() - began > 0.1 + 0.2 + 0.4); /* at once, then 100 ms, doubling */
    (void)daemon_wait_log(daemon, "starting another in 0.2 s");
    (void)daemon_wait_log(daemon, "starting another in 0.4 s");
    daemon_expect_stop(daemon);
}

static void
a_killed_supervisor_leaves_no_process(void **state)
{
    const struct server_case *server = *state;
    bool spares = strcmp(server->mixin, "threading") == 0 || strcmp(server->mixin, "forking") == 0;
    const char *more = text_of("drain_timeout = 600; %s", spares ? "spare = 2;" : "");
    struct daemon *daemon = daemon_serve(server->scheme, server->mixin, "good_command", more);
    pid_t worker = daemon_worker(daemon);

    assert_string_equal(client_ask(daemon_address(daemon, "test"), "echo hi\n"), "hi\n");
    daemon_signal(daemon, SIGKILL);
    daemon_expect_exit(daemon, -SIGKILL); /* every process has let go of the log */
    WAIT_UNTIL(!proc_alive(worker));
}

static void
a_listener_that_cannot_bind_is_tried_again(void **state)
{
    struct daemon *first = daemon_serve("tcp", "none", "upper", "");
    const char *address = daemon_address(first, "test");
    struct daemon *second =
        daemon_start("listeners = { test = { address = \"%s\"; plugin = \"upper\"; };\n%s};",
                     address, listener_text("other", "tcp", "none", "upper", ""));

    (void)state;
    assert_string_equal(client_ask(daemon_address(second, "other"), "other\n"), "OTHER\n");
    (void)daemon_wait_log(
        second, text_of("sockserverd[test]: cannot listen on %s: Address already in use", address));
    daemon_expect_stop(first);
    assert_string_equal(daemon_address(second, "test"), address);
    assert_string_equal(client_ask(address, "mine now\n"), "MINE NOW\n");
    daemon_expect_stop(second);
}

static void
the_plain_server_may_have_several_workers(void **state)
{
    struct daemon *daemon = daemon_serve("tcp", "none", "good_command", "cpus = 3;");
    const char *address = daemon_address(daemon, "test");
    const char *pids[3];

    (void)state;
    assert_int_equal(proc_child_count(daemon_pid(daemon)), 3);
    for (int i = 0; i < 3; i++) { /* held, so that each takes another worker */
        int client = client_connect(address);

        client_send(client, "pid\n");
        pids[i] = client_receive_line(client);
        for (int j = 0; j < i; j++)
            assert_string_not_equal(pids[i], pids[j]);
    }
    client_close_all();
    daemon_expect_stop(daemon);
}

static void
many_deaths_leave_no_descriptor_behind(void **state)
{
    struct daemon *daemon = daemon_serve("tcp", "threading", "good_command", "");
    const char *address = daemon_address(daemon, "test");
    size_t before = proc_fd_count(daemon_pid(daemon));

    (void)state;
    for (size_t i = 1; i <= 3; i++) {
        assert_return_code(kill(daemon_worker(daemon), SIGKILL), errno);
        (void)daemon_wait_log_times(daemon, "starting another", i);
        assert_string_equal(client_ask(address, "echo hi\n"), "hi\n");
    }
    WAIT_UNTIL(proc_fd_count(daemon_pid(daemon)) == before);
    daemon_expect_stop(daemon);
}

RUN_TESTS(TEST_EACH_SERVER(a_worker_inherits_what_is_declared_and_no_more),
          TEST(a_worker_gets_an_environment_of_its_own),
          TEST_EACH_SERVER(a_client_that_comes_while_the_worker_is_dead_is_answered),
          TEST_CASE(a_dead_worker_hurts_its_own_listener_only, "tcp", "none"),
          TEST_CASE(a_dead_worker_hurts_its_own_listener_only, "unix", "threading"),
          TEST(a_worker_that_keeps_dying_is_started_ever_more_slowly),
          TEST_EACH_SERVER(a_killed_supervisor_leaves_no_process),
          TEST(a_listener_that_cannot_bind_is_tried_again),
          TEST(the_plain_server_may_have_several_workers),
          TEST(many_deaths_leave_no_descriptor_behind))
