/* SPDX-License-Identifier: MIT */
/*
 * test_health.c - one of many: health, pre_stop_delay, and drain and resume of all listeners
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/array.h"
#include "common/clock.h"
#include "support/client.h"
#include "support/command.h"
#include "support/control.h"
#include "support/daemon.h"
#include "support/manager.h"
#include "support/test.h"

/* Two listeners, "test" and "other", and so many seconds of pre_stop_delay. */
static const char *
two_listeners(const struct server_case *server, const char *delay, const char *more)
{
    return text_of("pre_stop_delay = \"%s\";\nlisteners = {\n%s%s};", delay,
                   listener_text("test", server->scheme, server->mixin, "good_command", more),
                   listener_text("other", server->scheme, server->mixin, "upper", ""));
}

static void
expect_health(struct outcome outcome, int status, const char *output)
{
    assert_string_equal(outcome.output, output);
    assert_int_equal(outcome.status, status);
    assert_string_equal(outcome.errors, "");
}

static void
health_follows_what_a_listener_does(void **state)
{
    struct daemon *daemon = daemon_start("%s", two_listeners(*state, "0s", "max_connections = 2;"));

    (void)daemon_address(daemon, "test"), (void)daemon_address(daemon, "other");
    WAIT_UNTIL(CTL(daemon, "health").status == 0);
    expect_health(CTL(daemon, "health", "test"), 0, "test: ready, 0 of 2 requests\n");
    (void)client_busy(daemon_address(daemon, "test"), "");
    expect_health(CTL(daemon, "health", "test"), 0, "test: ready, 1 of 2 requests\n");
    (void)client_busy(daemon_address(daemon, "test"), "");
    expect_health(CTL(daemon, "health", "test"), 1, "test: not ready: full\n");
    assert_int_equal(CTL(daemon, "health").status, 1);
    assert_int_equal(CTL(daemon, "health", "other").status, 0);
    client_close_all();
    WAIT_UNTIL(CTL(daemon, "health", "test").status == 0);
    assert_int_equal(CTL(daemon, "drain", "test", "--wait").status, 0);
    expect_health(CTL(daemon, "health", "test"), 1, "test: not ready: drained\n");
    assert_int_equal(CTL(daemon, "stop", "other").status, 0);
    expect_health(CTL(daemon, "health"), 1,
                  "test: not ready: drained\nother: not ready: stopped\n");
    struct outcome json = CTL(daemon, "health", "test", "--json");
    assert_int_equal(json.status, 1);
    assert_contains(json.output, "\"draining\": true");
    assert_int_equal(CTL(daemon, "resume", "test").status, 0);
    assert_int_equal(CTL(daemon, "health", "test").status, 0);
    struct outcome unknown = CTL(daemon, "health", "tset");
    assert_int_equal(unknown.status, 1);
    assert_contains(unknown.errors, "did you mean \"test\"?");
    daemon_expect_stop(daemon);
    assert_int_equal(CTL(daemon, "health").status, 69);
}

/* Under "none" the next client waits in the queue: one that runs does not make the listener full.
 */
static void
one_at_a_time_is_never_full(void **state)
{
    struct daemon *daemon = daemon_start("%s", two_listeners(*state, "0s", ""));
    int client = client_busy(daemon_address(daemon, "test"), "");

    expect_health(CTL(daemon, "health", "test"), 0, "test: ready, 1 of 1 requests\n");
    client_close(client);
    daemon_expect_stop(daemon);
}

static void
a_reload_and_an_upgrade_leave_it_ready(void **state)
{
    struct daemon *daemon = daemon_start("%s", two_listeners(*state, "0s", ""));

    (void)daemon_address(daemon, "test"), (void)daemon_address(daemon, "other");
    WAIT_UNTIL(CTL(daemon, "health").status == 0);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(CTL(daemon, "restart", "test").status, 0);
        assert_int_equal(CTL(daemon, "health").status, 0);
    }
    assert_int_equal(CTL(daemon, "upgrade").status, 0);
    assert_int_equal(CTL(daemon, "health").status, 0);
    daemon_expect_stop(daemon);
}

static void
all_drain_and_resume(void **state)
{
    struct daemon *daemon = daemon_start("%s", two_listeners(*state, "0s", ""));
    int client = client_busy(daemon_address(daemon, "test"), "");

    (void)daemon_address(daemon, "other");
    struct outcome outcome = CTL(daemon, "drain", "--all", "--wait=2");
    assert_int_equal(outcome.status, 1);
    assert_string_equal(outcome.errors,
                        "sockserverctl: drain: requests of test still run; the drain goes on\n");
    expect_health(CTL(daemon, "health"), 1,
                  "test: not ready: draining\nother: not ready: drained\n");
    client_send(client, "quit\n");
    assert_int_equal(CTL(daemon, "drain", "--all", "--wait").status, 0);
    assert_int_equal(CTL(daemon, "stop", "other").status, 0);
    assert_int_equal(CTL(daemon, "resume", "--all").status, 0);
    expect_health(
        CTL(daemon, "health"), 1,
        text_of("test: ready, 0 of %d requests\nother: not ready: stopped\n",
                strcmp(((const struct server_case *)*state)->mixin, "none") == 0 ? 1 : 512));
    daemon_expect_stop(daemon);
}

/* Who has drained is not said to run, even if no time was left to wait for it. */
static void
the_drained_do_not_run(void **state)
{
    struct daemon *daemon = daemon_start("%s", two_listeners(*state, "0s", ""));
    int client = client_busy(daemon_address(daemon, "test"), "");

    (void)daemon_address(daemon, "other");
    assert_int_equal(CTL(daemon, "drain", "test").status, 0);
    for (int i = 0; i < 5; i++) { /* the time is up before "other" is asked */
        assert_string_equal(
            CTL(daemon, "drain", "--all", "--wait=0.5").errors,
            "sockserverctl: drain: requests of test still run; the drain goes on\n");
        assert_int_equal(CTL(daemon, "resume", "other").status, 0);
    }
    client_send(client, "quit\n");
    daemon_expect_stop(daemon);
}

static void
it_serves_on_while_it_is_not_ready(void **state)
{
    struct daemon *daemon = daemon_start("%s", two_listeners(*state, "500ms", ""));
    const char *address = daemon_address(daemon, "test");
    int64_t before = monotonic_now();

    (void)daemon_address(daemon, "other");
    WAIT_UNTIL(CTL(daemon, "health").status == 0);
    daemon_signal(daemon, SIGTERM);
    (void)daemon_wait_log(daemon, "SIGTERM: not ready any more, stopping in 0.5 s");
    assert_string_equal(client_ask(address, "echo hello\n"), "hello\n");
    struct outcome outcome = CTL(daemon, "health", "test");
    if (outcome.status != 69) /* on a slow machine it may have ended */
        expect_health(outcome, 1, "test: not ready: the daemon stops\n");
    daemon_expect_exit(daemon, 0);
    assert_true(monotonic_now() - before >= 500000000);
    assert_contains(daemon_log(daemon), "pre_stop_delay is over: running requests may finish");
}

#define DRAIN(more)                                                                                \
    "{\"method\":\"org.sockserver.Control.Drain\",\"parameters\":{\"listener\":\"test\"" more "}}"

/* Balancers hear of a drain before it begins; who comes meanwhile is served. */
static void
a_drain_is_announced(void **state)
{
    struct daemon *daemon = daemon_start("%s", two_listeners(*state, "1500ms", ""));
    const char *address = daemon_address(daemon, "test");
    int64_t before = monotonic_now();
    int control = control_connect(daemon);

    (void)daemon_address(daemon, "other");
    assert_starts(control_ask(control, DRAIN(",\"announce\":true")), "{\"parameters\":");
    (void)daemon_wait_log(daemon, "sockserverd[test]: not ready any more, draining in 1.5 s");
    struct outcome outcome = CTL(daemon, "health", "test");
    if (monotonic_now() - before < 1000000000) /* else it may have drained */
        expect_health(outcome, 1, "test: not ready: about to drain\n");
    assert_string_equal(client_ask(address, "echo hello\n"), "hello\n");
    assert_int_equal(CTL(daemon, "drain", "--all", "--wait").status, 0);
    assert_true(monotonic_now() - before >= 1500000000);
    expect_health(CTL(daemon, "health"), 1,
                  "test: not ready: drained\nother: not ready: drained\n");
    assert_int_equal(CTL(daemon, "resume", "--all").status, 0);
    assert_int_equal(CTL(daemon, "health").status, 0);
    client_close(control);
    daemon_expect_stop(daemon);
}

/* By resume and start; who waits for the drain hears of it. stop does not wait. */
static void
an_announced_drain_is_taken_back(void **state)
{
    struct daemon *daemon = daemon_start("%s", two_listeners(*state, "1h", ""));
    const char *const commands[] = {"resume", "start"};

    (void)daemon_address(daemon, "test"), (void)daemon_address(daemon, "other");
    for (unsigned i = 0; i < ARRAY_SIZE(commands); i++) {
        int control = control_connect(daemon);
        control_send(control, DRAIN(""));
        (void)daemon_wait_log_times(daemon, "draining in 3600 s", i + 1);
        assert_int_equal(CTL(daemon, "health", "test").status, 1);
        assert_int_equal(CTL(daemon, commands[i], "test").status, 0);
        assert_contains(control_receive(control), "it was told to go on meanwhile");
        assert_int_equal(CTL(daemon, "health", "test").status, 0);
        client_close(control);
    }
    int control = control_connect(daemon);
    control_send(control, DRAIN(",\"wait\":true"));
    (void)daemon_wait_log_times(daemon, "draining in 3600 s", 3);
    assert_int_equal(CTL(daemon, "stop", "test").status, 0);
    assert_starts(control_receive(control), "{\"parameters\":");
    client_close(control);
    daemon_signal(daemon, SIGTERM);
    (void)daemon_wait_log(daemon, "stopping in 3600 s");
    daemon_expect_stop(daemon);
}

/* The new program is not told of it, but who waits for it asks again. If nobody does, it begins
 * before. */
static void
an_announced_drain_survives_an_upgrade(void **state)
{
    struct daemon *daemon = daemon_start("%s", two_listeners(*state, "1h", ""));
    int control = control_connect(daemon);

    (void)daemon_address(daemon, "test"), (void)daemon_address(daemon, "other");
    assert_starts(control_ask(control, DRAIN(",\"announce\":true")), "{\"parameters\":");
    assert_int_equal(CTL(daemon, "upgrade").status, 0);
    WAIT_UNTIL(CTL(daemon, "health", "other").status == 0);
    expect_health(CTL(daemon, "health", "test"), 1, "test: not ready: drained\n");
    assert_int_equal(CTL(daemon, "resume", "test").status, 0);
    assert_int_equal(CTL(daemon, "health").status, 0);
    client_close(control);
    daemon_signal(daemon, SIGTERM);
    (void)daemon_wait_log(daemon, "stopping in 3600 s");
    daemon_expect_stop(daemon);
}

/* Nothing new begins; what an operator does to a listener, and a new worker for a dead one, does.
 */
static void
pre_stop_delay_has_its_rules(void **state)
{
    struct daemon *daemon = daemon_start("%s", two_listeners(*state, "1h", ""));
    const char *address = daemon_address(daemon, "test");

    (void)daemon_address(daemon, "other");
    WAIT_UNTIL(CTL(daemon, "health").status == 0);
    daemon_signal(daemon, SIGTERM);
    (void)daemon_wait_log(daemon, "stopping in 3600 s");
    daemon_signal(daemon, SIGHUP);
    struct outcome outcome = CTL(daemon, "reload");
    assert_int_equal(outcome.status, 1);
    assert_contains(outcome.errors, "the daemon is stopping");
    outcome = CTL(daemon, "upgrade");
    assert_int_equal(outcome.status, 1);
    assert_contains(outcome.errors, "the daemon is stopping");
    assert_int_equal(CTL(daemon, "drain", "other", "--wait").status, 0);
    assert_int_equal(CTL(daemon, "restart", "test").status, 0);
    assert_string_equal(client_ask(address, "echo hello\n"), "hello\n");
    expect_health(CTL(daemon, "health"), 1,
                  "test: not ready: the daemon stops\nother: not ready: the daemon stops\n");
    int client = client_busy(daemon_address(daemon, "test"), "");
    daemon_signal(daemon, SIGTERM);
    (void)daemon_wait_log(daemon, "SIGTERM again: stopping, running requests may finish");
    client_send(client, "echo well\nquit\n");
    client_expect(client, "well\n");
    daemon_expect_exit(daemon, 0);
    assert_lacks(daemon_log(daemon), "reloading");
}

static void
a_third_signal_cuts(void **state)
{
    struct daemon *daemon =
        daemon_start("%s", two_listeners(*state, "1h", "drain_timeout = \"1h\";"));

    (void)client_busy(daemon_address(daemon, "test"), "");
    (void)daemon_address(daemon, "other");
    WAIT_UNTIL(CTL(daemon, "health").status == 0);
    daemon_signal(daemon, SIGTERM);
    (void)daemon_wait_log(daemon, "stopping in 3600 s");
    daemon_signal(daemon, SIGINT);
    (void)daemon_wait_log(daemon, "SIGINT again: stopping");
    daemon_signal(daemon, SIGTERM);
    (void)daemon_wait_log(daemon, "SIGTERM again: ending running requests");
    daemon_expect_exit(daemon, 0);
}

/* A value that a reload brings holds, and the manager gives the whole time. */
static void
the_service_manager_is_told(void **state)
{
    struct manager *manager = manager_new();
    const char *text = two_listeners(*state, "1h", "drain_timeout = \"100s\";");
    struct daemon *daemon = manager_start(manager, daemon_configuration("%s", text));

    manager_wait(manager, "READY=1");
    daemon_signal(daemon, SIGTERM);
    manager_wait(manager, "STOPPING=1");
    manager_wait(manager, "EXTEND_TIMEOUT_USEC=3710000000");
    daemon_signal(daemon, SIGTERM);
    manager_wait(manager, "EXTEND_TIMEOUT_USEC=110000000");
    daemon_expect_exit(daemon, 0);
}

static void
a_reload_changes_the_delay(void **state)
{
    struct daemon *daemon = daemon_start("%s", two_listeners(*state, "0s", ""));
    const char *text = file_text(daemon_file(daemon)), *at = strstr(text, "\"0s\"");
    FILE *file = fopen(daemon_file(daemon), "we");

    assert_non_null(file);
    assert_true(fprintf(file, "%.*s\"1h\"%s", (int)(at - text), text, at + 4) > 0);
    assert_int_equal(fclose(file), 0);
    (void)daemon_address(daemon, "test"), (void)daemon_address(daemon, "other");
    WAIT_UNTIL(CTL(daemon, "health").status == 0);
    assert_int_equal(CTL(daemon, "reload").status, 0);
    assert_int_equal(CTL(daemon, "upgrade").status, 0); /* the new program has it, too */
    daemon_signal(daemon, SIGTERM);
    (void)daemon_wait_log(daemon, "stopping in 3600 s");
    daemon_signal(daemon, SIGTERM);
    daemon_expect_exit(daemon, 0);
}

RUN_TESTS(TEST_CASE(health_follows_what_a_listener_does, "tcp", "threading"),
          TEST_CASE(health_follows_what_a_listener_does, "unix", "forking"),
          TEST_CASE(health_follows_what_a_listener_does, "tcp", "coroutine"),
          TEST_CASE(one_at_a_time_is_never_full, "tcp", "none"),
          TEST_CASE(a_reload_and_an_upgrade_leave_it_ready, "tcp", "threading"),
          TEST_CASE(all_drain_and_resume, "tcp", "threading"),
          TEST_CASE(all_drain_and_resume, "unix", "none"),
          TEST_CASE(the_drained_do_not_run, "tcp", "threading"),
          TEST_CASE(it_serves_on_while_it_is_not_ready, "tcp", "threading"),
          TEST_CASE(a_drain_is_announced, "tcp", "threading"),
          TEST_CASE(a_drain_is_announced, "unix", "none"),
          TEST_CASE(an_announced_drain_is_taken_back, "tcp", "coroutine"),
          TEST_CASE(an_announced_drain_survives_an_upgrade, "tcp", "threading"),
          TEST_CASE(pre_stop_delay_has_its_rules, "tcp", "threading"),
          TEST_CASE(a_third_signal_cuts, "tcp", "threading"),
          TEST_CASE(the_service_manager_is_told, "tcp", "threading"),
          TEST_CASE(a_reload_changes_the_delay, "tcp", "threading"))
