/* SPDX-License-Identifier: MIT */
/*
 * test_exec_ends.c - the plugin `exec`: how a program ends, by itself and otherwise
 */
#include "exec_fixture.h"

#include <signal.h>

#define MANY 100

/* ---- how it ends ---------------------------------------------------------------------------- */

static void
the_access_line_tells_the_exit_status(void **state)
{
    const size_t ways = ways_under(*state);

    for (size_t i = 0; i < ways; i++) {
        struct daemon *daemon =
            serve_shell(*state, "exit 3", text_of("stderr = \"%s\";", way_texts[i]), "");

        assert_string_equal(ask(daemon, ""), "");
        assert_contains(daemon_wait_log(daemon, ": exited with status 3, "), "127.0.0.1:");
        daemon_expect_stop(daemon);
    }
}

static void
the_access_line_tells_the_signal(void **state)
{
    const size_t ways = ways_under(*state);

    for (size_t i = 0; i < ways; i++) {
        struct daemon *daemon =
            serve_shell(*state, "kill -KILL $$", text_of("stderr = \"%s\";", way_texts[i]), "");

        client_expect_gone(connect_to(daemon));
        (void)daemon_wait_log(daemon, ": was killed by signal 9 (SIGKILL), ");
        (void)daemon_wait_log_times(daemon, " was killed by signal 9 (SIGKILL)", 2);
        daemon_expect_stop(daemon);
    }
}

static void
request_timeout_ends_a_program(void **state)
{
    const size_t ways = ways_under(*state);

    for (size_t i = 0; i < ways; i++) {
        struct daemon *daemon =
            serve_shell(*state, "echo $$; exec sleep 1000",
                        text_of("stderr = \"%s\";", way_texts[i]), "request_timeout = \"300ms\";");
        int client = connect_to(daemon);
        pid_t program = told_pid(client);

        client_expect_gone(client);
        (void)daemon_wait_log(daemon, ": request_timeout is over, ");
        WAIT_UNTIL(proc_state(program) == 0);
        daemon_expect_stop(daemon);
    }
}

static void
a_program_that_ignores_sigterm_is_killed(void **state)
{
    const size_t ways = ways_under(*state);

    for (size_t i = 0; i < ways; i++) {
        struct daemon *daemon =
            serve_shell(*state, "trap '' TERM; echo $$; while :; do sleep 0.05; done",
                        text_of("stderr = \"%s\"; kill_timeout = \"200ms\";", way_texts[i]),
                        "request_timeout = \"300ms\";");
        int client = connect_to(daemon);
        pid_t program = told_pid(client);

        WAIT_UNTIL(proc_state(program) == 0);
        (void)daemon_wait_log(daemon, "did not end by SIGTERM within 0.2 s: killing it");
        client_expect_gone(client);
        daemon_expect_stop(daemon);
    }
}

/* A child that goes on after request_timeout is killed by its zygote, two seconds later. */
static void
kill_timeout_outlasts_the_request(void **state)
{
    struct daemon *daemon =
        serve_shell(*state, "trap '' TERM; echo $$; while :; do sleep 0.05; done",
                    "kill_timeout = \"2500ms\";", "request_timeout = \"100ms\";");
    int client = connect_to(daemon);
    pid_t program = told_pid(client);

    client_expect_gone(client);
    WAIT_UNTIL(proc_state(program) == 0);
    (void)daemon_wait_log(daemon, "did not end by SIGTERM within 2.5 s: killing it");
    daemon_expect_stop(daemon);
}

/* Nothing holds up the next request meanwhile. */
static void
a_program_that_ends_slowly_holds_up_nobody(void **state)
{
    struct daemon *daemon = serve_shell(*state,
                                        "read way; test \"$way\" = quick && { echo done; exit; };"
                                        "trap '' TERM; echo $$; while :; do sleep 0.05; done",
                                        "kill_timeout = \"600s\";", "request_timeout = \"300ms\";");
    int client = connect_to(daemon);

    client_send(client, "slow\n");
    pid_t program = told_pid(client);
    client_expect_gone(client);
    assert_string_equal(ask(daemon, "quick\n"), "done\n");
    assert_int_not_equal(proc_state(program), 0);
    (void)kill(-program, SIGKILL);
    daemon_expect_stop(daemon);
}

static void
a_drain_waits_for_a_program_and_cuts_it_at_last(void **state)
{
    const size_t ways = ways_under(*state);

    for (size_t i = 0; i < ways; i++) {
        struct daemon *daemon =
            serve_shell(*state, "echo $$; exec sleep 1000",
                        text_of("stderr = \"%s\";", way_texts[i]), "drain_timeout = \"300ms\";");
        int client = connect_to(daemon);
        pid_t program = told_pid(client);

        daemon_expect_stop(daemon);
        client_expect_gone(client);
        WAIT_UNTIL(proc_state(program) == 0);
    }
}

static void
a_drain_lets_a_program_finish(void **state)
{
    const size_t ways = ways_under(*state);

    for (size_t i = 0; i < ways; i++) {
        struct daemon *daemon = serve_shell(*state, "echo $$; read line; echo bye $line",
                                            text_of("stderr = \"%s\";", way_texts[i]), "");
        int client = connect_to(daemon);

        (void)told_pid(client);
        daemon_signal(daemon, SIGTERM);
        (void)daemon_wait_log(daemon, "stopping");
        client_send(client, "all\n");
        assert_string_equal(client_receive_all(client), "bye all\n");
        daemon_expect_exit(daemon, 0);
    }
}

static void
a_client_that_vanishes_is_the_end_of_input(void **state)
{
    struct daemon *daemon = serve_shell(*state, "echo $$; exec cat", "", "");
    int client = connect_to(daemon);
    pid_t program = told_pid(client);

    client_reset(client);
    WAIT_UNTIL(proc_state(program) == 0);
    (void)daemon_wait_log(daemon, ": exited with status ");
    daemon_expect_stop(daemon);
}

static void
a_hundred_programs_run_at_a_time(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon =
        daemon_start("log = { target = \"stderr\"; access = true; };\nlisteners = {\n%s};",
                     listener_text("test", server->scheme, server->mixin, "exec",
                                   "max_connections = 120; options = { command = \"/bin/cat\";"
                                   " stderr = \"null\"; };"));
    int clients[MANY];

    for (size_t i = 0; i < MANY; i++) {
        clients[i] = connect_to(daemon);
        client_send(clients[i], "ready\n");
    }
    for (size_t i = 0; i < MANY; i++)
        client_expect(clients[i], "ready\n");
    for (size_t i = 0; i < MANY; i++) {
        client_half_close(clients[i]);
        client_expect_end(clients[i]);
    }
    (void)daemon_wait_log_times(daemon, ": exited with status 0, ", MANY);
    daemon_expect_stop(daemon);
}

static void
a_worker_keeps_nothing_of_programs_that_have_ended(void **state)
{
    struct daemon *daemon = serve_shell(*state, "echo one >&2; echo two", "", "");
    pid_t worker = daemon_worker(daemon);

    (void)ask(daemon, "");
    (void)daemon_wait_log_times(daemon, ": exited with status 0, ", 1);
    WAIT_UNTIL(proc_zombie_count(worker) == 0);
    size_t before = proc_fd_count(worker);
    for (size_t i = 0; i < 5; i++)
        (void)ask(daemon, "");
    (void)daemon_wait_log_times(daemon, ": exited with status 0, ", 6);
    WAIT_UNTIL(proc_zombie_count(worker) == 0);
    assert_int_equal(proc_fd_count(worker), before);
    daemon_expect_stop(daemon);
}

/* ---- a child that becomes the program -------------------------------------------------------- */

static const struct server_case forking = {"tcp", "forking"};
static const struct server_case forking_unix = {"unix", "forking"};

static void
a_forked_child_becomes_the_program(void **state)
{
    static const char *const places[] = {"client", "null"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct daemon *daemon =
            serve_shell(&forking, "echo $$; exec cat", text_of("stderr = \"%s\";", places[i]), "");
        int client = connect_to(daemon);

        assert_int_equal(proc_parent(told_pid(client)), daemon_worker(daemon));
        client_half_close(client);
        client_expect_end(client);
        (void)daemon_wait_log(daemon, ": exited with status 0, ");
        daemon_expect_stop(daemon);
    }
}

static void
the_zygote_knows_the_client_of_a_program(void **state)
{
    (void)state;
    struct daemon *daemon = serve_shell(&forking_unix, "true", "stderr = \"null\";", "");

    (void)ask(daemon, "");
    (void)daemon_wait_log(daemon, text_of("[test/1]: pid %d uid %u: exited with status 0, ",
                                          (int)getpid(), getuid()));
    daemon_expect_stop(daemon);
}

/* It is not a handler that does not come to its end. */
static void
a_program_may_compute_for_long(void **state)
{
    (void)state;
    struct daemon *daemon =
        serve_shell(&forking, "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; echo done",
                    "stderr = \"null\";", "spin_limit = \"100ms\";");

    assert_string_equal(ask(daemon, ""), "done\n");
    daemon_expect_stop(daemon);
    assert_null(strstr(daemon_log(daemon), "spin"));
}

RUN_TESTS(TEST_EACH_MIXIN(the_access_line_tells_the_exit_status, "tcp"),
          TEST_EACH_MIXIN(the_access_line_tells_the_signal, "tcp"),
          TEST_EACH_MIXIN(request_timeout_ends_a_program, "tcp"),
          TEST_EACH_MIXIN(a_program_that_ignores_sigterm_is_killed, "tcp"),
          TEST_CASE(kill_timeout_outlasts_the_request, "tcp", "forking"),
          TEST_CASE(a_program_that_ends_slowly_holds_up_nobody, "tcp", "none"),
          TEST_CASE(a_program_that_ends_slowly_holds_up_nobody, "tcp", "coroutine"),
          TEST_EACH_MIXIN(a_drain_waits_for_a_program_and_cuts_it_at_last, "tcp"),
          TEST_EACH_MIXIN(a_drain_lets_a_program_finish, "tcp"),
          TEST_EACH_MIXIN(a_client_that_vanishes_is_the_end_of_input, "tcp"),
          TEST_CASE(a_hundred_programs_run_at_a_time, "tcp", "threading"),
          TEST_CASE(a_hundred_programs_run_at_a_time, "tcp", "forking"),
          TEST_CASE(a_hundred_programs_run_at_a_time, "tcp", "coroutine"),
          TEST_EACH_MIXIN(a_worker_keeps_nothing_of_programs_that_have_ended, "tcp"),
          TEST(a_forked_child_becomes_the_program), TEST(the_zygote_knows_the_client_of_a_program),
          TEST(a_program_may_compute_for_long))
