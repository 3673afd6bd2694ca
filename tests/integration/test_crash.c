/* SPDX-License-Identifier: MIT */
/*
 * test_crash.c - workers that die or hang, with clients of theirs and of others beside
 *
 * TORTURE=1 in the environment: the long form.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "support/client.h"
#include "support/daemon.h"
#include "support/load.h"
#include "support/proc.h"
#include "support/test.h"

#define KILLS_MAX 30

static size_t
kills(void)
{
    return LONG_FORM ? KILLS_MAX : 6;
}

/* The worker of the listener "test", as it (under forking, its child) says itself. */
static pid_t
worker_of(struct daemon *daemon, const struct server_case *server)
{
    bool child = strcmp(server->mixin, "forking") == 0;
    const char *answer = client_ask(daemon_address(daemon, "test"), child ? "parent\n" : "pid\n");
    pid_t worker = atoi(strchr(answer, ' ') + 1);

    assert_true(worker > 1);
    assert_int_equal(proc_parent(worker), daemon_pid(daemon));
    return worker;
}

/* ---- kill -9 under load ------------------------------------------------------------------ */

struct death {
    double began, seen; /* of the kill; its effect */
};

/* Only who was being served at a death may have lost something; nobody was refused. */
static void
expect_losses_at_deaths_only(const struct load *load, const struct death *deaths, size_t count)
{
    const struct load_entry *history;
    size_t size = load_history(load, &history);

    for (size_t i = 0; i < size; i++) {
        bool at_death = false;

        if (history[i].result == LOAD_ANSWERED)
            continue;
        for (size_t j = 0; j < count; j++)
            at_death |= history[i].began <= deaths[j].seen && history[i].ended >= deaths[j].began;
        if (!at_death || history[i].result != LOAD_LOST)
            fail_msg("exchange %zu failed (%d, %s) without a death", i, (int)history[i].result,
                     strerror(history[i].error));
    }
}

/* A good reload makes each death the first one again. */
static void
heal(struct daemon *daemon)
{
    size_t done = daemon_count_log(daemon, "reloaded: ");

    daemon_signal(daemon, SIGHUP);
    (void)daemon_wait_log_times(daemon, "reloaded: ", done + 1);
}

static struct daemon *
serve_beside(const struct server_case *server, struct load **ret_other)
{
    struct daemon *daemon = daemon_start(
        "listeners = {\n%s%s};", listener_text("other", "tcp", "threading", "good_command", ""),
        listener_text("test", server->scheme, server->mixin, "good_command", ""));

    *ret_other = load_start(daemon_address(daemon, "other"), 1, "echo ");
    return daemon;
}

/* How long after the death the first answer came to a question that was asked after it. */
static double
gap_after(const struct load *load, const struct death *death)
{
    const struct load_entry *history;
    size_t size = load_history(load, &history);
    double first = 1e9;

    for (size_t i = 0; i < size; i++)
        if (history[i].result == LOAD_ANSWERED && history[i].began >= death->seen &&
            history[i].ended < first)
            first = history[i].ended;
    return first - death->began;
}

/* The machine may be busy for a moment; in the long form nothing else runs. */
static void
expect_quick_returns(const struct load *load, const struct death *deaths, size_t count)
{
    size_t quick = 0;

    for (size_t i = 0; i < count; i++)
        quick += gap_after(load, &deaths[i]) <= 0.1;
    if (quick < count / 2)
        fail_msg("only %zu of %zu times it answered again within 100 ms", quick, count);
}

static void
a_killed_worker_costs_its_own_requests_only(void **state)
{
    const struct server_case *server = *state;
    struct death deaths[KILLS_MAX];
    struct load *other, *load;
    struct daemon *daemon = serve_beside(server, &other);

    load = load_start(daemon_address(daemon, "test"), 2, "echo ");
    for (size_t i = 0; i < kills(); i++) {
        pid_t worker = worker_of(daemon, server);

        deaths[i].began = clock_now();
        assert_return_code(kill(worker, SIGKILL), errno);
        WAIT_UNTIL(!proc_alive(worker));
        deaths[i].seen = clock_now();
        (void)daemon_wait_log_times(daemon, "starting another", i + 1);
        load_wait_more(load, 10);
        heal(daemon);
    }
    load_stop(load);
    load_stop(other);
    load_expect_answered(other, kills());
    expect_losses_at_deaths_only(load, deaths, kills());
    if (LONG_FORM)
        expect_quick_returns(load, deaths, kills());
    assert_lacks(daemon_log(daemon), "starting another in "); /* but at once */
    daemon_expect_stop(daemon);
}

/* ---- kinds of crashes ---------------------------------------------------------------------- */

static const struct {
    const char *command, *fate, *child_fate;
} faults[] = {
    {"segv", "was killed by signal 11 (SIGSEGV)", "signal 11 (SIGSEGV)"},
    {"abort", "was killed by signal 6 (SIGABRT)", "signal 6 (SIGABRT)"},
    {"kill", "was killed by signal 9 (SIGKILL)", "signal 9 (SIGKILL)"},
    {"exit 3", "exited with status 3", "exited with status 3"},
    {"_exit 4", "exited with status 4", "exited with status 4"},
    {"overflow", "was killed by signal 11 (SIGSEGV)", "signal 11 (SIGSEGV)"},
};

static void
each_crash_is_told_with_its_request(void **state)
{
    const struct server_case *server = *state;
    bool child = strcmp(server->mixin, "forking") == 0;
    struct load *other;
    struct daemon *daemon = serve_beside(server, &other);
    const char *address = daemon_address(daemon, "test");

    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        int client = client_connect(address);
        const char *name, *line;

        client_send(client, "client\n");
        name = client_receive_line(client) + strlen("client ");
        client_send(client, text_of("%s\n", faults[i].command));
        client_expect_gone(client);
        line = daemon_wait_log(daemon, text_of(" of %.*s", (int)strcspn(name, "\n"), name));
        if (!SANITIZED) /* a sanitizer reports a signal, and exits */
            assert_contains(line, child ? faults[i].child_fate : faults[i].fate);
        assert_contains(line, child ? " while it served request " : " while it ran request ");
        client_close(client);
        assert_string_equal(client_ask(address, "echo again\n"), "again\n");
        heal(daemon);
    }
    load_wait_more(other, 10);
    load_stop(other);
    load_expect_answered(other, 10);
    assert_int_equal(daemon_stop(daemon), 0); /* a sanitizer has reported the crashes */
}

static void
a_crash_counts_those_beside_it(void **state)
{
    struct daemon *daemon = daemon_serve("tcp", "threading", "good_command", "");
    int clients[4];

    (void)state;
    for (int i = 0; i < 4; i++) {
        clients[i] = client_connect(daemon_address(daemon, "test"));
        client_send(clients[i], "echo hi\n");
        client_expect(clients[i], "hi\n");
    }
    client_send(clients[3], "segv\n");
    client_expect_gone(clients[3]);
    (void)daemon_wait_log(daemon, "(and 3 others); starting another");
    client_close_all();
    daemon_expect_stop(daemon);
}

static void
a_child_that_crashes_takes_nobody_with_it(void **state)
{
    struct daemon *daemon = daemon_serve("tcp", "forking", "good_command", "");
    const char *address = daemon_address(daemon, "test");
    struct load *load = load_start(address, 2, "echo ");

    (void)state;
    for (int i = 0; i < 5; i++) {
        int client = client_connect(address);
        client_send(client, "segv\n");
        client_expect_gone(client);
        client_close(client);
    }
    load_wait_more(load, 5);
    load_stop(load);
    load_expect_answered(load, 5);
    assert_lacks(daemon_log(daemon), "starting another");
    daemon_expect_stop(daemon);
}

/* Its pings are not answered for ten seconds; then it is ended, with force if it must be. */
static void
a_worker_that_hangs_is_replaced(void **state)
{
    const struct server_case *server = *state;
    struct load *other;
    struct daemon *daemon = serve_beside(server, &other);
    double give_up = clock_now() + 40;
    pid_t worker = worker_of(daemon, server);

    assert_return_code(kill(worker, SIGSTOP), errno);
    while (proc_alive(worker) && clock_now() < give_up)
        clock_pause();
    (void)daemon_wait_log(daemon, "has not answered for 10 s: killing it");
    assert_int_not_equal(worker_of(daemon, server), worker);
    load_wait_more(other, 10);
    load_stop(other);
    load_expect_answered(other, 50);
    daemon_expect_stop(daemon);
}

/* A machine, or a container, that is paused: the pings of all that time have no answer. */
static void
a_daemon_that_was_paused_kills_nobody(void **state)
{
    const struct server_case *server = *state;
    struct load *other;

    if (!LONG_FORM) {
        print_message("skipped: TORTURE=1 runs it, for longer than a ping is waited for\n");
        skip();
    }
    struct daemon *daemon = serve_beside(server, &other);
    pid_t worker = worker_of(daemon, server);
    load_wait_more(other, 10);
    load_stop(other);
    daemon_signal(daemon, SIGSTOP);
    assert_return_code(kill(worker, SIGSTOP), errno);
    double end = clock_now() + 13;
    while (clock_left(end) > 0)
        clock_pause();
    daemon_signal(daemon, SIGCONT);
    assert_return_code(kill(worker, SIGCONT), errno);
    end = clock_now() + 3;
    while (clock_left(end) > 0)
        clock_pause();
    assert_int_equal(worker_of(daemon, server), worker);
    assert_lacks(daemon_log(daemon), "killing it");
    daemon_expect_stop(daemon);
}

/* ---- a crash loop ---------------------------------------------------------------------------- */

/* 100 ms, 200 ms, ... 30 s: ten starts in the first minute. Here the first seconds of it. */
static void
a_crash_loop_is_slow_and_ends_with_a_good_reload(void **state)
{
    const char *good = text_of("%s/good_command.so", FIXTURES), *place = test_path("p.so");
    struct load *other;
    struct daemon *daemon;
    double began, cpu;

    (void)state;
    if (system(text_of("cp %s/bad_constructor_crash.so %s", FIXTURES, place)) != 0)
        fail_msg("cannot copy the plugin");
    daemon = daemon_start("listeners = {\n%s%s};",
                          listener_text("other", "tcp", "threading", "good_command", ""),
                          listener_text("test", "tcp", "none", place, ""));
    other = load_start(daemon_address(daemon, "other"), 1, "echo ");
    began = clock_now();
    cpu = proc_cpu_seconds(daemon_pid(daemon));
    (void)daemon_wait_log(daemon, "before it was ready (next try in 6.4 s)");
    if (LONG_FORM)
        (void)daemon_wait_log(daemon, "(next try in 30.0 s)");
    assert_int_equal(daemon_count_log(daemon, "before it was ready"), LONG_FORM ? 10 : 7);
    cpu = proc_cpu_seconds(daemon_pid(daemon)) - cpu;
    assert_true(SANITIZED || cpu < (clock_now() - began) * 0.05);

    if (system(text_of("cp %s %s.new && mv %s.new %s", good, place, place, place)) != 0)
        fail_msg("cannot copy the plugin");
    began = clock_now();
    heal(daemon);
    assert_string_equal(client_ask(daemon_address(daemon, "test"), "echo well\n"), "well\n");
    assert_true(clock_now() - began < 6); /* not when it would have been tried anyway */
    load_wait_more(other, 10);
    load_stop(other);
    load_expect_answered(other, 50);
    daemon_expect_stop(daemon);
}

RUN_TESTS(TEST_CASE(a_killed_worker_costs_its_own_requests_only, "tcp", "none"),
          TEST_CASE(a_killed_worker_costs_its_own_requests_only, "tcp", "threading"),
          TEST_CASE(a_killed_worker_costs_its_own_requests_only, "tcp", "forking"),
          TEST_CASE(a_killed_worker_costs_its_own_requests_only, "unix", "coroutine"),
          TEST_CASE(each_crash_is_told_with_its_request, "tcp", "none"),
          TEST_CASE(each_crash_is_told_with_its_request, "tcp", "threading"),
          TEST_CASE(each_crash_is_told_with_its_request, "tcp", "coroutine"),
          TEST_CASE(each_crash_is_told_with_its_request, "tcp", "forking"),
          TEST(a_crash_counts_those_beside_it), TEST(a_child_that_crashes_takes_nobody_with_it),
          TEST_CASE(a_worker_that_hangs_is_replaced, "tcp", "threading"),
          TEST_CASE(a_daemon_that_was_paused_kills_nobody, "tcp", "threading"),
          TEST(a_crash_loop_is_slow_and_ends_with_a_good_reload))
