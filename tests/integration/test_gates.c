/* SPDX-License-Identifier: MIT */
/*
 * test_gates.c - gates that wait, refuse and count, in real workers of every mixin
 *
 * The worker's program is tests/gates/gated_worker.c, the plugin good_trace: both write down what
 * was called. So every test can tell that each gate that was entered was left, once and in reverse.
 */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "support/client.h"
#include "support/control.h"
#include "support/daemon.h"
#include "support/test.h"

#define GATED_DAEMON BUILD_DIR "/tests/gated/bin/sockserverd"

#define PASSED  "first.try first.enter second.try second.enter "
#define LEFT    "second.leave first.leave "
#define HANDLED "verify_request setup handle finish "

/* ---- a daemon with gates, and what became of a request ----------------------------------- */

static const char *
trace_file(void)
{
    return test_path("trace");
}

/* The first words of the trace's lines. */
static const char *
steps(void)
{
    const char *text = access(trace_file(), F_OK) == 0 ? file_text(trace_file()) : "";
    const char *all = "";

    for (; *text != '\0'; text += strcspn(text, "\n") + (strchr(text, '\n') != NULL))
        all = text_of("%s%.*s ", all, (int)strcspn(text, " \n"), text);
    return all;
}

static size_t
count_steps(const char *step)
{
    const char *wanted = text_of("%s ", step);
    size_t count = 0;

    for (const char *place = steps(); (place = strstr(place, wanted)) != NULL; place++)
        count++;
    return count;
}

static bool
reached(const char *step)
{
    return count_steps(step) > 0;
}

/* A listener of this name; more: further settings, options: good_trace's. */
static struct daemon *
serve(void **state, const char *name, const char *more, const char *options)
{
    const struct server_case *server = *state;
    const char *all = text_of("%s options = { trace = \"%s\"; idle = false; reply = \"served\\n\"; "
                              "%s };",
                              more, trace_file(), options);

    daemon_use_program(GATED_DAEMON);
    return daemon_start("log = { target = \"stderr\"; access = true; };\nlisteners = {\n%s};",
                        listener_text(name, server->scheme, server->mixin, "good_trace", all));
}

static bool
is_stream(void **state)
{
    return scheme_is_stream(((const struct server_case *)*state)->scheme);
}

static int
say(struct daemon *daemon, const char *name, const char *text)
{
    int client = client_connect(daemon_address(daemon, name));

    if (*text != '\0')
        client_send(client, text);
    return client;
}

static void
expect_served(struct daemon *daemon, const char *name)
{
    int client = say(daemon, name, "hello\n");

    client_expect(client, "served\n");
    client_close(client);
}

/* All that was ever called, when all processes are gone. */
static void
expect_steps(struct daemon *daemon, const char *between)
{
    daemon_expect_stop(daemon);
    assert_string_equal(steps(), text_of("server_activate %sserver_close ", between));
}

/* One access line, with this text. */
static void
expect_access(struct daemon *daemon, const char *text)
{
    (void)daemon_wait_log(daemon, text_of(": %s, ", text));
    assert_int_equal(daemon_count_log(daemon, " bytes out, "), 1);
}

/* ---- passing ------------------------------------------------------------------------------- */

static void
gates_are_entered_in_order_and_left_in_reverse(void **state)
{
    struct daemon *daemon = serve(state, "test", "", "read = true;");

    expect_served(daemon, "test"); /* the plugin reads what the gates looked at */
    WAIT_UNTIL(reached("first.leave"));
    expect_served(daemon, "test");
    expect_steps(daemon, PASSED HANDLED LEFT PASSED HANDLED LEFT);
    assert_int_equal(daemon_count_log(daemon, ": done, "), 2);
}

static void
gates_are_left_when_setup_failed(void **state)
{
    struct daemon *daemon = serve(state, "test", "", "setup_error = -5;");

    (void)say(daemon, "test", "hello\n");
    expect_access(daemon, "failed");
    expect_steps(daemon, PASSED "verify_request setup handle_error " LEFT);
}

static void
gates_are_left_when_the_plugin_refused(void **state)
{
    struct daemon *daemon = serve(state, "test", "", "verify = false;");

    (void)say(daemon, "test", "hello\n");
    expect_access(daemon, "refused");
    expect_steps(daemon, PASSED "verify_request " LEFT);
}

static void
gates_are_left_when_the_handler_ended_its_thread(void **state)
{
    bool coroutine = strcmp(((const struct server_case *)*state)->mixin, "coroutine") == 0;

    if (CHECKED_THREAD && coroutine)
        skip(); /* the sanitizer knows pthread_exit() on a thread's own stack only */
    struct daemon *daemon = serve(state, "test", "", "fatal = \"handle\";");

    (void)say(daemon, "test", "hello\n");
    WAIT_UNTIL(reached("first.leave"));
    (void)daemon_stop(daemon);
    assert_contains(steps(), "server_activate " PASSED "verify_request setup handle " LEFT);
    assert_int_equal(count_steps("first.leave"), 1);
    assert_int_equal(count_steps("second.leave"), 1);
}

static void
a_gate_may_announce_another_client(void **state)
{
    struct daemon *daemon = serve(state, "test", "", "read = true;");
    int client = say(daemon, "test", "p\n");

    client_expect(client, "served\n");
    client_close(client);
    (void)daemon_wait_log(daemon, "192.0.2.7:4711: done, ");
    expect_steps(daemon, PASSED HANDLED LEFT);
}

static void
a_listener_without_gates_meets_none(void **state)
{
    struct daemon *daemon = serve(state, "free", "", "");

    expect_served(daemon, "free");
    expect_steps(daemon, HANDLED);
}

static void
a_gate_that_cannot_be_prepared_stops_the_worker(void **state)
{
    struct daemon *daemon = serve(state, "broken", "", "");

    (void)daemon_wait_log(daemon, "the gate has lost its hinges");
    (void)daemon_stop(daemon);
    assert_false(reached("server_activate"));
}

/* ---- being turned away ----------------------------------------------------------------------- */

static void
the_first_gate_refuses(void **state)
{
    struct daemon *daemon = serve(state, "test", "", "");
    int client = say(daemon, "test", "r\n");

    if (is_stream(state))
        client_expect_gone(client);
    expect_access(daemon, "refused: it said r");
    assert_int_equal(control_figure(daemon, "test", "refused"), 1);
    expect_steps(daemon, "first.try ");
    assert_int_equal(daemon_count_log(daemon, ": done, "), 0);
}

static void
the_second_gate_refuses_and_the_first_is_left(void **state)
{
    struct daemon *daemon = serve(state, "test", "", "");
    int client = say(daemon, "test", "R");

    if (is_stream(state)) {
        client_half_close(client);
        client_expect_gone(client);
    }
    expect_access(daemon, "refused: it said R");
    expect_steps(daemon, "first.try first.enter second.try first.leave ");
}

static void
one_that_is_no_client_is_not_counted(void **state)
{
    struct daemon *daemon = serve(state, "test", "", "");
    int client = say(daemon, "test", "L");

    if (is_stream(state)) {
        client_half_close(client);
        client_expect_gone(client);
    }
    WAIT_UNTIL(reached("first.leave"));
    expect_served(daemon, "test");
    (void)daemon_wait_log(daemon, ": done, ");
    assert_int_equal(control_figure(daemon, "test", "accepted"), 1);
    expect_steps(daemon, "first.try first.enter second.try first.leave " PASSED HANDLED LEFT);
    assert_int_equal(daemon_count_log(daemon, " bytes out, "), 1);
}

/* ---- while a gate waits ----------------------------------------------------------------- */

static void
the_client_vanishes(void **state)
{
    struct daemon *daemon = serve(state, "test", "", "");
    int client = say(daemon, "test", "");

    WAIT_UNTIL(reached("first.try"));
    client_close(client);
    expect_access(daemon, "client went away");
    expect_steps(daemon, "first.try ");
}

static void
its_own_deadline_comes(void **state)
{
    struct daemon *daemon = serve(state, "hasty", "", "");

    (void)say(daemon, "hasty", is_stream(state) ? "" : "s");
    expect_access(daemon, is_stream(state) ? "refused: no first byte" : "refused: slept too long");
    expect_steps(daemon,
                 is_stream(state) ? "first.try " : "first.try first.enter second.try first.leave ");
}

static void
the_deadline_of_the_second_comes(void **state)
{
    struct daemon *daemon = serve(state, "hasty", "", "");

    (void)say(daemon, "hasty", "s");
    expect_access(daemon, "refused: slept too long");
    expect_steps(daemon, "first.try first.enter second.try first.leave ");
}

static void
request_timeout_comes(void **state)
{
    struct daemon *daemon = serve(state, "test", "request_timeout = \"0.2s\";", "");

    (void)say(daemon, "test", "s");
    expect_access(daemon, "request_timeout is over");
    expect_steps(daemon, "first.try first.enter second.try first.leave ");
}

static void
a_drain_lets_it_pass(void **state)
{
    struct daemon *daemon = serve(state, "test", "drain_timeout = \"60s\";", "read = true;");
    int client = say(daemon, "test", "");

    WAIT_UNTIL(reached("first.try"));
    daemon_signal(daemon, SIGTERM);
    (void)daemon_wait_log(daemon, "running requests may finish");
    client_send(client, "hello\n");
    client_expect(client, "served\n");
    client_close(client);
    daemon_expect_exit(daemon, 0);
    assert_string_equal(steps(), "server_activate " PASSED HANDLED LEFT "server_close ");
}

static void
a_drain_that_is_over_cuts_it(void **state)
{
    struct daemon *daemon = serve(state, "test", "drain_timeout = \"0.2s\";", "");

    (void)say(daemon, "test", "s");
    WAIT_UNTIL(reached("second.try"));
    expect_steps(daemon, "first.try first.enter second.try first.leave ");
    expect_access(daemon, "cut by the drain's deadline");
}

static void
a_drain_that_is_over_cuts_one_that_waits_for_its_client(void **state)
{
    struct daemon *daemon = serve(state, "test", "drain_timeout = \"0.2s\";", "");

    (void)say(daemon, "test", "");
    WAIT_UNTIL(reached("first.try"));
    expect_steps(daemon, "first.try ");
    expect_access(daemon, "cut by the drain's deadline");
}

/* Under "coroutine" they share a thread, which a wait must give away. */
static void
others_are_served_meanwhile(void **state)
{
    struct daemon *daemon = serve(state, "test", "drain_timeout = \"0.2s\";", "");
    int slow = say(daemon, "test", is_stream(state) ? "" : "s");

    WAIT_UNTIL(reached(is_stream(state) ? "first.try" : "second.try"));
    for (int i = 0; i < 3; i++)
        expect_served(daemon, "test");
    client_close(slow);
    daemon_expect_stop(daemon);
    assert_int_equal(daemon_count_log(daemon, ": done, "), 3);
    assert_int_equal(count_steps("first.enter"), count_steps("first.leave"));
}

/* ---- many ------------------------------------------------------------------------------- */

/* Clients of every fate side by side: each enter has its leave. */
static void
every_enter_has_one_leave_among_many(void **state)
{
    static const char *const words[] = {"hello\n", "r\n", "R", "p\n", "L"};
    struct daemon *daemon = serve(state, "test", "", "read = true;");
    int clients[40];

    for (size_t i = 0; i < 40; i++)
        clients[i] = client_connect(daemon_address(daemon, "test"));
    for (size_t i = 0; i < 40; i++)
        client_send(clients[i], words[i % 5]);
    for (size_t i = 0; i < 40; i++) {
        if (i % 5 == 0 || i % 5 == 3)
            client_expect(clients[i], "served\n");
        client_close(clients[i]);
    }
    WAIT_UNTIL(count_steps("first.leave") == 32);
    daemon_expect_stop(daemon);
    assert_int_equal(count_steps("first.try"), 40);
    assert_int_equal(count_steps("first.enter"), 32);
    assert_int_equal(count_steps("first.leave"), 32);
    assert_int_equal(count_steps("second.enter"), 16);
    assert_int_equal(count_steps("second.leave"), 16);
    assert_int_equal(count_steps("handle"), 16);
    assert_int_equal(daemon_count_log(daemon, ": refused: it said r, "), 8);
    assert_int_equal(daemon_count_log(daemon, ": done, "), 16);
}

#define TEST_SIDE_BY_SIDE(function, scheme)                                                        \
    TEST_CASE(function, scheme, "threading"), TEST_CASE(function, scheme, "forking"),              \
        TEST_CASE(function, scheme, "coroutine")

/* To a gate a Unix socket is no other than these. */
#define TEST_BOTH(function) TEST_EACH_MIXIN(function, "tcp"), TEST_EACH_MIXIN(function, "udp")

RUN_TESTS(TEST_EACH_SERVER(gates_are_entered_in_order_and_left_in_reverse),
          TEST_BOTH(gates_are_left_when_setup_failed),
          TEST_BOTH(gates_are_left_when_the_plugin_refused),
          TEST_BOTH(gates_are_left_when_the_handler_ended_its_thread),
          TEST_EACH_SERVER(a_gate_may_announce_another_client),
          TEST_EACH_MIXIN(a_listener_without_gates_meets_none, "tcp"),
          TEST_CASE(a_gate_that_cannot_be_prepared_stops_the_worker, "tcp", "threading"),
          TEST_EACH_SERVER(the_first_gate_refuses),
          TEST_BOTH(the_second_gate_refuses_and_the_first_is_left),
          TEST_BOTH(one_that_is_no_client_is_not_counted), TEST_EACH_STREAM(the_client_vanishes),
          TEST_BOTH(its_own_deadline_comes),
          TEST_EACH_MIXIN(the_deadline_of_the_second_comes, "tcp"),
          TEST_BOTH(request_timeout_comes), TEST_EACH_MIXIN(a_drain_lets_it_pass, "tcp"),
          TEST_BOTH(a_drain_that_is_over_cuts_it),
          TEST_EACH_STREAM(a_drain_that_is_over_cuts_one_that_waits_for_its_client),
          TEST_SIDE_BY_SIDE(others_are_served_meanwhile, "tcp"),
          TEST_SIDE_BY_SIDE(others_are_served_meanwhile, "udp"),
          TEST_EACH_SERVER(every_enter_has_one_leave_among_many))
