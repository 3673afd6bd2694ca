/* SPDX-License-Identifier: MIT */
/*
 * test_hooks.c - which hook runs when, and what becomes of one that fails
 *
 * The plugin is tests/plugins/good_hooks.c: its hooks log their names and can
 * be made to misbehave while the file "fault" is in the test's folder.
 */
#include <unistd.h>

#include "support/client.h"
#include "support/daemon.h"
#include "support/proc.h"
#include "support/test.h"

static struct daemon *
serve(void **state, const char *more)
{
    const struct server_case *server = *state;

    return daemon_serve(server->scheme, server->mixin, "good_hooks", more);
}

/* A listener whose hook misbehaves as long as the fault is on. */
static struct daemon *
serve_with_fault(void **state, const char *hook, const char *fault)
{
    return serve(state, text_of("options = { fault_in = \"%s\"; fault = \"%s\"; fault_file = "
                                "\"%s\"; };",
                                hook, fault, test_path("fault")));
}

static void
fault_on(void)
{
    (void)test_file("fault", "");
}

static void
fault_off(void)
{
    assert_int_equal(unlink(test_path("fault")), 0);
}

/*
 * A client whose request runs into a hook's fault. A stream's does so when it
 * is accepted, and may be gone before it could send anything; the socket.
 */
static int
visit(const char *address)
{
    int client = client_connect(address);

    if (strncmp(address, "udp:", 4) == 0 || strncmp(address, "unixgram:", 9) == 0)
        client_send(client, "hello\n");
    return client;
}

/* Sends a line without waiting for its echo; the socket. */
static int
send_line(const char *address, const char *line)
{
    int client = client_connect(address);

    client_send(client, line);
    return client;
}

static void
expect_echo(struct daemon *daemon)
{
    assert_string_equal(client_ask(daemon_address(daemon, "test"), "hello\n"), "hello\n");
}

static void
c37_hooks_run_in_pythons_order(void **state)
{
    struct daemon *daemon = serve(state, "service_interval = \"60s\";");
    static const char *const order[] = {
        "hook server_activate", "listening on", "hook verify_request", "hook setup",
        "hook handle\n",        "hook finish",  "hook server_close"};
    const char *place;

    expect_echo(daemon);
    (void)daemon_wait_log(daemon, "hook finish");
    daemon_expect_stop(daemon);
    place = daemon_log(daemon);
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        assert_contains(place, order[i]);
        place = strstr(place, order[i]) + 1;
        assert_lacks(place, order[i]);
    }
}

static void
c20_c22_c24_an_error_reaches_the_hook_once(void **state)
{
    struct daemon *daemon = serve(state, "");
    int client = send_line(daemon_address(daemon, "test"), "fail\n");

    (void)daemon_wait_log(daemon, "told of EIO");
    if (scheme_is_stream(((const struct server_case *)*state)->scheme))
        client_expect_gone(client);
    expect_echo(daemon);
    daemon_expect_stop(daemon);
    assert_int_equal(daemon_count_log(daemon, "told of"), 1);
    assert_int_equal(daemon_count_log(daemon, "hook handle_error"), 1);
}

static void
c32_finish_runs_before_the_error_hook(void **state)
{
    struct daemon *daemon = serve(state, "");

    (void)send_line(daemon_address(daemon, "test"), "fail\n");
    (void)daemon_wait_log(daemon, "hook handle_error");
    assert_contains(strstr(daemon_log(daemon), "hook finish"), "told of EIO");
    daemon_expect_stop(daemon);
    assert_int_equal(daemon_count_log(daemon, "hook finish"), 1);
}

/* Until then, another thread of the process that dies could take the next datagram with it. */
static void
wait_for_death(struct daemon *daemon, const char *mixin, const char *fault)
{
    if (strcmp(fault, "thread_exit") == 0)
        return; /* nothing dies */
    if (strcmp(mixin, "forking") == 0)
        (void)daemon_wait_log(daemon, "while it served request 1");
    else
        (void)daemon_wait_log_times(daemon, " runs as uid ", 2);
}

/* c21, c23, c25: the handler does not return; no hook runs and the service goes on. */
static void
expect_fatal_handler(void **state, const char *fault)
{
    struct daemon *daemon = serve_with_fault(state, "handle", fault);
    const char *address = daemon_address(daemon, "test");
    const char *mixin = ((const struct server_case *)*state)->mixin;
    int client;

    fault_on();
    client = visit(address);
    (void)daemon_wait_log(daemon, "hook handle\n");
    fault_off();
    if (scheme_is_stream(((const struct server_case *)*state)->scheme))
        client_expect_gone(client);
    else
        assert_false(client_readable(client, 0.05));
    wait_for_death(daemon, mixin, fault);
    expect_echo(daemon);
    daemon_expect_stop_after_fault(daemon);
    assert_int_equal(daemon_count_log(daemon, "told of"), 0);
    assert_int_equal(daemon_count_log(daemon, "hook finish"), 1); /* the second client's */
    if (strcmp(mixin, "forking") == 0)
        assert_contains(daemon_log(daemon), "while it served request 1");
}

static void
c21_c23_c25_exit_in_the_handler_ends_its_client_alone(void **state)
{
    expect_fatal_handler(state, "exit");
}

static void
c21_c23_c25_abort_in_the_handler_ends_its_client_alone(void **state)
{
    expect_fatal_handler(state, "abort");
}

static void
c21_c23_c25_thread_exit_in_the_handler_ends_its_client_alone(void **state)
{
    expect_fatal_handler(state, "thread_exit");
}

static void
c23_thread_exit_leaves_the_other_threads_alone(void **state)
{
    struct daemon *daemon = serve_with_fault(state, "handle", "thread_exit");
    const char *address = daemon_address(daemon, "test");
    pid_t worker = daemon_worker(daemon);
    int other = client_connect(address), client;

    client_send(other, "before\n");
    client_expect(other, "before\n");
    fault_on();
    client = client_connect(address);
    client_expect_gone(client);
    fault_off();
    client_send(other, "after\n");
    client_expect(other, "after\n");
    assert_int_equal(daemon_worker(daemon), worker);
    client_close(other);
    daemon_expect_stop_after_fault(daemon);
}

static void
c25_a_fatal_child_takes_nobody_with_it(void **state)
{
    struct daemon *daemon = serve_with_fault(state, "handle", "abort");
    const char *address = daemon_address(daemon, "test");
    pid_t worker = daemon_worker(daemon);
    int other = client_connect(address), client;

    client_send(other, "before\n");
    client_expect(other, "before\n");
    fault_on();
    client = client_connect(address);
    client_expect_gone(client);
    fault_off();
    client_send(other, "after\n");
    client_expect(other, "after\n");
    assert_int_equal(daemon_worker(daemon), worker);
    client_close(other);
    daemon_expect_stop_after_fault(daemon);
}

static void
c29_a_refused_client_is_shut_down_once_and_never_handled(void **state)
{
    const struct server_case *server = *state;
    const char *more = text_of("options = { fault_in = \"verify_request\"; fault_file = \"%s\"; };",
                               test_path("fault"));
    struct daemon *daemon =
        daemon_start("log = { target = \"stderr\"; access = true; };\nlisteners = {\n%s};",
                     listener_text("test", server->scheme, server->mixin, "good_hooks", more));
    const char *address = daemon_address(daemon, "test");
    int client;

    fault_on();
    client = visit(address);
    (void)daemon_wait_log(daemon, "hook verify_request");
    if (scheme_is_stream(server->scheme))
        client_expect_end(client);
    fault_off();
    expect_echo(daemon);
    daemon_expect_stop(daemon);
    assert_int_equal(daemon_count_log(daemon, "hook verify_request"), 2);
    assert_int_equal(daemon_count_log(daemon, "hook setup"), 1);
    assert_int_equal(daemon_count_log(daemon, "hook handle\n"), 1);
    assert_int_equal(daemon_count_log(daemon, "told of"), 0);
    assert_int_equal(daemon_count_log(daemon, ": refused, "), 1);
    assert_int_equal(daemon_count_log(daemon, ": done, "), 1);
}

static void
c31_a_failed_setup_skips_handle_and_finish(void **state)
{
    struct daemon *daemon = serve_with_fault(state, "setup", "fail");
    const char *address = daemon_address(daemon, "test");
    int client;

    fault_on();
    client = visit(address);
    (void)daemon_wait_log(daemon, "told of EACCES");
    if (scheme_is_stream(((const struct server_case *)*state)->scheme))
        client_expect_gone(client);
    assert_lacks(daemon_log(daemon), "hook handle\n");
    assert_lacks(daemon_log(daemon), "hook finish");
    fault_off();
    expect_echo(daemon);
    daemon_expect_stop(daemon);
    assert_int_equal(daemon_count_log(daemon, "told of"), 1);
}

static void
c34_a_failing_verify_hook_denies_and_the_loop_survives(void **state)
{
    struct daemon *daemon = serve_with_fault(state, "verify_request", "thread_exit");
    int client;

    fault_on();
    client = visit(daemon_address(daemon, "test"));
    (void)daemon_wait_log(daemon, "hook verify_request");
    fault_off();
    if (scheme_is_stream(((const struct server_case *)*state)->scheme))
        client_expect_gone(client);
    expect_echo(daemon);
    daemon_expect_stop_after_fault(daemon);
    assert_int_equal(daemon_count_log(daemon, "hook setup"), 1);
}

static void
c35_a_failing_error_hook_and_the_loop_survives(void **state)
{
    struct daemon *daemon = serve_with_fault(state, "handle_error", "thread_exit");
    int client;

    fault_on();
    client = send_line(daemon_address(daemon, "test"), "fail\n");
    (void)daemon_wait_log(daemon, "hook handle_error");
    fault_off();
    if (scheme_is_stream(((const struct server_case *)*state)->scheme))
        client_expect_gone(client);
    expect_echo(daemon);
    daemon_expect_stop_after_fault(daemon);
}

static void
c39_the_service_hook_runs_without_any_client(void **state)
{
    struct daemon *daemon = serve(state, "service_interval = \"50ms\";");

    (void)daemon_wait_log_times(daemon, "hook service_actions", 3);
    daemon_expect_stop(daemon);
}

static void
c39_the_service_hook_runs_beside_a_client(void **state)
{
    struct daemon *daemon = serve(state, "service_interval = \"50ms\";");
    int client = client_connect(daemon_address(daemon, "test"));
    size_t before;

    client_send(client, "hello\n");
    client_expect(client, "hello\n");
    before = daemon_count_log(daemon, "hook service_actions");
    (void)daemon_wait_log_times(daemon, "hook service_actions", before + 3);
    client_close(client);
    daemon_expect_stop(daemon);
}

static void
the_timeout_hook_runs_when_nobody_comes(void **state)
{
    struct daemon *daemon = serve(state, "timeout = \"100ms\";");

    (void)daemon_wait_log_times(daemon, "hook handle_timeout", 2);
    expect_echo(daemon);
    daemon_expect_stop(daemon);
}

/* Serves with a stop from the hook, lets a client fail so that each hook runs, and sees it stop. */
static void
expect_stop_in(void **state, const char *hook)
{
    struct daemon *daemon = serve(state, text_of("timeout = \"100ms\"; service_interval = \"50ms\";"
                                                 " options = { stop_in = \"%s\"; };",
                                                 hook));
    bool by_itself =
        strcmp(hook, "handle_timeout") == 0 || strcmp(hook, "service_actions") == 0 ||
        strcmp(hook, "server_activate") == 0; /* it may be gone before a client comes */

    if (!by_itself)
        (void)send_line(daemon_address(daemon, "test"), "fail\n");
    (void)daemon_wait_log(daemon, text_of("hook %s", hook));
    (void)daemon_wait_log(daemon, "hook server_close");
    WAIT_UNTIL(proc_child_count(daemon_pid(daemon)) == 0);
    daemon_expect_stop(daemon);
}

static void
c41_stop_from_inside_a_hook_does_not_deadlock(void **state)
{
    static const char *const hooks[] = {"verify_request", "setup",          "handle",
                                        "finish",         "handle_error",   "service_actions",
                                        "handle_timeout", "server_activate"};

    for (size_t i = 0; i < sizeof hooks / sizeof hooks[0]; i++)
        expect_stop_in(state, hooks[i]);
}

static void
a_failing_server_activate_is_tried_again(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon;

    fault_on();
    daemon = daemon_start("listeners = {\n%s};",
                          listener_text("test", server->scheme, server->mixin, "good_hooks",
                                        text_of("options = { fault_in = \"server_activate\"; "
                                                "fault_file = \"%s\"; };",
                                                test_path("fault"))));
    (void)daemon_wait_log_times(daemon, "hook server_activate", 2);
    fault_off();
    expect_echo(daemon);
    daemon_expect_stop(daemon);
}

RUN_TESTS(TEST_EACH_SERVER(c37_hooks_run_in_pythons_order),
          TEST_EACH_SERVER(c20_c22_c24_an_error_reaches_the_hook_once),
          TEST_EACH_SERVER(c32_finish_runs_before_the_error_hook),
          TEST_EACH_SERVER(c21_c23_c25_exit_in_the_handler_ends_its_client_alone),
          TEST_EACH_MIXIN(c21_c23_c25_abort_in_the_handler_ends_its_client_alone, "tcp"),
          TEST_EACH_SERVER(c21_c23_c25_thread_exit_in_the_handler_ends_its_client_alone),
          TEST_CASE(c23_thread_exit_leaves_the_other_threads_alone, "tcp", "threading"),
          TEST_CASE(c25_a_fatal_child_takes_nobody_with_it, "tcp", "forking"),
          TEST_EACH_SERVER(c29_a_refused_client_is_shut_down_once_and_never_handled),
          TEST_EACH_SERVER(c31_a_failed_setup_skips_handle_and_finish),
          TEST_EACH_SERVER(c34_a_failing_verify_hook_denies_and_the_loop_survives),
          TEST_EACH_SERVER(c35_a_failing_error_hook_and_the_loop_survives),
          TEST_EACH_SERVER(c39_the_service_hook_runs_without_any_client),
          TEST_CASE(c39_the_service_hook_runs_beside_a_client, "tcp", "threading"),
          TEST_CASE(c39_the_service_hook_runs_beside_a_client, "tcp", "forking"),
          TEST_EACH_SERVER(the_timeout_hook_runs_when_nobody_comes),
          TEST_EACH_MIXIN(c41_stop_from_inside_a_hook_does_not_deadlock, "tcp"),
          TEST_EACH_MIXIN(c41_stop_from_inside_a_hook_does_not_deadlock, "udp"),
          TEST_EACH_MIXIN(a_failing_server_activate_is_tried_again, "tcp"))
