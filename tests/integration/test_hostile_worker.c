/* SPDX-License-Identifier: MIT */
/*
 * test_hostile_worker.c - what a plugin can do to others with what its worker holds: nothing
 *
 * The log is the daemon's, other processes are out of reach, and a listening
 * socket that was shut down listens again.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/client.h"
#include "support/command.h"
#include "support/control.h"
#include "support/daemon.h"
#include "support/proc.h"
#include "support/test.h"

static const char *
ask(struct daemon *daemon, const char *text)
{
    return client_ask(daemon_address(daemon, "test"), text);
}

/* ---- the log -------------------------------------------------------------------- */

static void
what_is_printed_carries_the_listener(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon = daemon_serve(server->scheme, server->mixin, "good_programs", "");

    assert_string_equal(ask(daemon, "print sockserverd[other]: \x1b[31mhello\n"), "ok\n");
    assert_string_equal(daemon_wait_log(daemon, "hello"),
                        "sockserverd[test]: sockserverd[other]: \\x1b[31mhello");
    /* A record of a worker's own says no more than what its worker may say. */
    assert_string_equal(ask(daemon, "print \x1e"
                                    "3 77 forged\n"),
                        "ok\n");
    assert_string_equal(daemon_wait_log(daemon, "forged"), "sockserverd[test/77]: forged");
    daemon_expect_stop(daemon);
}

static void
nobody_rewrites_the_log(void **state)
{
    const struct server_case *server = *state;
    const char *path = test_path("daemon.log");
    struct daemon *daemon =
        daemon_start("log = { target = \"%s\"; };\nlisteners = {\n%s};", path,
                     listener_text("test", "unix", server->mixin, "good_programs", ""));
    const char *address = address_for("unix", "test");

    WAIT_UNTIL(access(path, R_OK) == 0 && strstr(file_text(path), "listening on ") != NULL);
    assert_string_equal(client_ask(address, "rewrite\n"), "ok\n");
    assert_string_equal(client_ask(address, "print behind it\n"), "ok\n");
    WAIT_UNTIL(strstr(file_text(path), "sockserverd[test]: behind it\n") != NULL);
    assert_contains(file_text(path), "listening on ");
    assert_lacks(file_text(path), "\nforged");
    daemon_expect_stop(daemon);
}

static void
last_words_are_logged(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon = daemon_serve(server->scheme, server->mixin, "good_programs", "");

    for (unsigned i = 1; i <= 3; i++) {
        int client = client_connect(daemon_address(daemon, "test"));

        client_send(client, text_of("crash last word %u\n", i));
        client_expect_gone(client);
        (void)daemon_wait_log(daemon, text_of("sockserverd[test]: last word %u", i));
        client_close(client);
    }
    daemon_expect_stop_after_fault(daemon);
}

/* ---- other processes ------------------------------------------------------------- */

static bool
has_scopes(struct daemon *daemon)
{
    const char *line = daemon_wait_log(daemon, "Landlock");
    const char *abi = strstr(line, "Landlock ABI ");

    return abi != NULL && strtol(abi + strlen("Landlock ABI "), NULL, 10) >= 6;
}

static void
other_processes_of_its_user_are_out_of_reach(void **state)
{
    struct daemon *daemon = daemon_start(
        "listeners = {\n%s%s};", listener_text("test", "tcp", "threading", "good_programs", ""),
        listener_text("other", "tcp", "none", "good_programs", ""));
    pid_t children[PROC_CHILDREN];

    (void)state;
    (void)daemon_address(daemon, "other");
    if (!has_scopes(daemon)) {
        print_message("skipped: this kernel's Landlock has no scopes\n");
        skip();
    }
    WAIT_UNTIL(proc_children(daemon_pid(daemon), children) == 2);
    for (size_t i = 0; i < 2; i++) /* one of them is itself */
        if (strcmp(client_ask(daemon_address(daemon, "test"),
                              text_of("exec kill -0 %d && echo $PPID\n", children[i])),
                   text_of("%d\n", children[i])) != 0)
            assert_string_equal(ask(daemon, text_of("kill %d\n", children[i])), "EPERM\n");
    assert_string_equal(ask(daemon, text_of("kill %d\n", daemon_pid(daemon))), "EPERM\n");
    daemon_expect_stop(daemon);
}

static void
workers_change_nothing_through_the_control_socket(void **state)
{
    const struct server_case *server = *state;
    const char *as = getuid() == 0 ? "user = \"root\";" : "";
    struct daemon *daemon = daemon_serve(server->scheme, server->mixin, "good_programs", as);
    const char *answer = ask(
        daemon, text_of("exec %s --socket %s drain test\n", CTL_PROGRAM, daemon_control(daemon)));

    assert_contains(answer, "drain: only root, the daemon's user and members of control.group may");
    assert_string_equal(ask(daemon, "print still here\n"), "ok\n");
    /* It may look, as anybody. */
    assert_contains(
        ask(daemon, text_of("exec %s --socket %s status\n", CTL_PROGRAM, daemon_control(daemon))),
        "test");
    daemon_expect_stop(daemon);
}

/* ---- the listening socket ---------------------------------------------------------- */

/* Under forking, the child that serves a connection does not hold the socket. */
static void
a_socket_that_was_shut_down_listens_again(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon = daemon_serve(server->scheme, server->mixin, "good_programs", "");
    const char *address = daemon_address(daemon, "test");
    int client = client_connect(address), again;

    client_send(client, "shut\n");
    (void)client_receive(client);
    client_close(client);
    (void)daemon_wait_log(daemon,
                          text_of("its socket was shut down: listening on %s again", address));
    WAIT_UNTIL(client_try_connect(address, true, &again) == 0);
    client_close(again);
    assert_string_equal(client_ask(address, "print here\n"), "ok\n");
    daemon_expect_stop_after_fault(daemon);
}

/* ---- its counters --------------------------------------------------------------------- */

static const char *const sums[] = {"accepted",   "refused",   "failed",   "vanished",
                                   "cut",        "truncated", "bytes_in", "bytes_out",
                                   "idle_ended", "unsent",    "busy_us"};

static void
expect_plausible(struct daemon *daemon)
{
    for (size_t i = 0; i < sizeof sums / sizeof *sums; i++) {
        long figure = control_figure(daemon, "test", sums[i]);
        if (figure < 0 || figure > 1000000000)
            fail_msg("%s is %ld", sums[i], figure);
    }
}

static void
scribble(const char *address, char byte)
{
    int client = client_connect(address);

    client_send_bytes(client, &byte, 1);
    client_expect(client, "done\n");
    client_close(client);
}

/* Whatever they are filled with, also in the totals that a dead worker leaves behind. */
static void
scribbled_counters_never_count(void **state)
{
    static const char bytes[] = {'\xff', '\x01', '\x80', '\x00', '\x40', '\x7f'};
    struct daemon *daemon = daemon_serve("tcp", "threading", "bad_scribble", "");
    const char *address = daemon_address(daemon, "test");

    (void)state;
    assert_string_equal(client_ask(address, ""), "");
    WAIT_UNTIL(control_figure(daemon, "test", "accepted") == 1);
    for (size_t i = 0; i < sizeof bytes; i++) {
        scribble(address, bytes[i]);
        expect_plausible(daemon);
    }
    assert_return_code(kill(daemon_worker(daemon), SIGKILL), errno);
    (void)daemon_wait_log(daemon, "was killed by signal 9");
    expect_plausible(daemon);
    scribble(address, '\x40'); /* by the next worker, of which nobody has asked yet */
    assert_return_code(kill(daemon_worker(daemon), SIGKILL), errno);
    (void)daemon_wait_log_times(daemon, "was killed by signal 9", 2);
    expect_plausible(daemon);
    assert_true(control_figure(daemon, "test", "accepted") >= 1); /* this was true */
    daemon_expect_stop(daemon);
}

/* ---- its channel ---------------------------------------------------------------------- */

static void
a_flood_of_messages_ends_its_worker_alone(void **state)
{
    struct daemon *daemon = daemon_start(
        "listeners = {\n%s%s};", listener_text("test", "tcp", "threading", "good_programs", ""),
        listener_text("other", "tcp", "threading", "echo", ""));
    const char *address = daemon_address(daemon, "test"), *other = daemon_address(daemon, "other");
    int client = client_connect(address);
    double before;

    (void)state;
    client_send(client, "flood\n");
    (void)daemon_wait_log(daemon, "messages a second: reading no more of them");
    before = proc_cpu_seconds(daemon_pid(daemon));
    assert_string_equal(client_ask(other, "hello"), "hello");
    assert_int_equal(control_figure(daemon, "test", "active"), 1);
    assert_string_equal(control_state(daemon, "other"), "serving");
    (void)daemon_wait_log(daemon, "has sent too many messages for 3 s: killing it");
    if (!SANITIZED)
        assert_true(proc_cpu_seconds(daemon_pid(daemon)) - before < 0.3); /* of three seconds */
    (void)daemon_wait_log(daemon, "was killed by signal 9");
    client_expect_gone(client);
    assert_string_equal(client_ask(address, "print back\n"), "ok\n");
    assert_string_equal(client_ask(other, "hello"), "hello");
    daemon_expect_stop(daemon);
    assert_int_equal(daemon_count_log(daemon, "reading no more of them"), 1);
}

/* ---- its wishes ----------------------------------------------------------------------- */

static size_t
memory_files(struct daemon *daemon)
{
    size_t count = 0;

    for (const char *list = proc_fd_list(daemon_pid(daemon));
         (list = strstr(list, "memfd:shared")) != NULL; list++)
        count++;
    return count;
}

/* Nothing of it stays with the supervisor, which answers others meanwhile. */
static void
wishes_without_sense_are_passed_over(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon = daemon_serve(server->scheme, server->mixin, "good_programs", "");
    size_t before = proc_fd_count(daemon_pid(daemon));

    assert_string_equal(ask(daemon, "wish\n"), "0\n");
    assert_string_equal(ask(daemon, "print still here\n"), "ok\n");
    /* One wish of each made sense: a name with a pipe, and a size. */
    WAIT_UNTIL(proc_fd_count(daemon_pid(daemon)) <= before + 2);
    assert_true(memory_files(daemon) <= 1);
    assert_string_equal(control_state(daemon, "test"), "serving");
    daemon_expect_stop(daemon);
}

static void
a_flood_of_wishes_waits_for_itself(void **state)
{
    struct daemon *daemon = daemon_start(
        "listeners = {\n%s%s};", listener_text("test", "tcp", "threading", "good_programs", ""),
        listener_text("other", "tcp", "threading", "echo", ""));
    const char *address = daemon_address(daemon, "test"), *other = daemon_address(daemon, "other");
    int client = client_connect(address);
    size_t before = proc_fd_count(daemon_pid(daemon));

    (void)state;
    const char *worker = client_ask(address, "exec echo $PPID\n");
    client_send(client, "wishes\n");
    WAIT_UNTIL(memory_files(daemon) == 1);
    double cpu = proc_cpu_seconds(daemon_pid(daemon)), since = clock_now();
    while (clock_now() - since < 2) {
        assert_string_equal(client_ask(other, "hello"), "hello");
        assert_string_equal(control_state(daemon, "other"), "serving");
        assert_true(proc_fd_count(daemon_pid(daemon)) < before + 40); /* those kept are devices */
        assert_true(memory_files(daemon) == 1);
    }
    if (!SANITIZED)
        assert_true(proc_cpu_seconds(daemon_pid(daemon)) - cpu < 1); /* of two seconds */
    assert_return_code(kill((pid_t)atoi(worker), SIGKILL), errno);
    (void)daemon_wait_log(daemon, "was killed by signal 9");
    client_expect_gone(client);
    assert_string_equal(client_ask(address, "print back\n"), "ok\n");
    daemon_expect_stop_after_fault(daemon);
}

RUN_TESTS(TEST_EACH_MIXIN(what_is_printed_carries_the_listener, "tcp"),
          TEST_EACH_MIXIN(nobody_rewrites_the_log, "unix"),
          TEST_EACH_MIXIN(last_words_are_logged, "tcp"),
          TEST(other_processes_of_its_user_are_out_of_reach),
          TEST_EACH_MIXIN(workers_change_nothing_through_the_control_socket, "tcp"),
          TEST_CASE(a_socket_that_was_shut_down_listens_again, "tcp", "none"),
          TEST_CASE(a_socket_that_was_shut_down_listens_again, "tcp", "threading"),
          TEST_CASE(a_socket_that_was_shut_down_listens_again, "tcp", "coroutine"),
          TEST_CASE(a_socket_that_was_shut_down_listens_again, "unix", "none"),
          TEST_CASE(a_socket_that_was_shut_down_listens_again, "unix", "threading"),
          TEST_CASE(a_socket_that_was_shut_down_listens_again, "unix", "coroutine"),
          TEST(scribbled_counters_never_count), TEST(a_flood_of_messages_ends_its_worker_alone),
          TEST_EACH_MIXIN(wishes_without_sense_are_passed_over, "tcp"),
          TEST(a_flood_of_wishes_waits_for_itself))
