/* SPDX-License-Identifier: MIT */
/*
 * test_agent.c - plugins that look into the daemon, and the one that answers HAProxy
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/client.h"
#include "support/command.h"
#include "support/control.h"
#include "support/daemon.h"
#include "support/peer.h"
#include "support/proc.h"
#include "support/test.h"

#define METHOD(name) "{\"method\":\"org.sockserver.Control." name "\",\"parameters\":"

/* The listener "test", and an agent that tells of it. */
static struct daemon *
serve_agent(const struct server_case *server, const char *more, const char *options)
{
    return daemon_start(
        "pre_stop_delay = \"1h\";\nlisteners = {\n%s%s};",
        listener_text("test", "tcp", "threading", "good_command", more),
        listener_text("agent", server->scheme, server->mixin, "agent",
                      text_of("control_access = \"read\"; options = { %s };", options)));
}

static const char *
answer_of(struct daemon *daemon)
{
    int client = client_connect(daemon_address(daemon, "agent")); /* it need not send anything */
    const char *answer = client_receive_all(client);

    client_close(client);
    return answer;
}

/* The drain of "test" begins; it does not accept any more when pre_stop_delay is over. */
static void
announce_drain(struct daemon *daemon)
{
    int control = control_connect(daemon);

    assert_starts(
        control_ask(control, METHOD("Drain") "{\"listener\":\"test\",\"announce\":true}}"),
        "{\"parameters\":");
    client_close(control);
}

static void
the_answer_follows_the_listener(void **state)
{
    struct daemon *daemon =
        serve_agent(*state, "max_connections = 4;", "listener = \"test\"; maxconn = true;");

    (void)daemon_address(daemon, "test");
    assert_string_equal(answer_of(daemon), "up ready 100% maxconn:4\n");
    (void)client_busy(daemon_address(daemon, "test"), "");
    assert_string_equal(answer_of(daemon), "up ready 75% maxconn:4\n");
    for (int i = 0; i < 3; i++)
        (void)client_busy(daemon_address(daemon, "test"), "");
    assert_string_equal(answer_of(daemon), "up ready 0% maxconn:4\n");
    client_close_all();
    WAIT_UNTIL(strcmp(answer_of(daemon), "up ready 100% maxconn:4\n") == 0);
    announce_drain(daemon); /* for an hour */
    assert_string_equal(answer_of(daemon), "drain\n");
    assert_string_equal(client_ask(daemon_address(daemon, "test"), "echo well\n"), "well\n");
    assert_int_equal(CTL(daemon, "resume", "test").status, 0);
    WAIT_UNTIL(strcmp(answer_of(daemon), "up ready 100% maxconn:4\n") == 0);
    assert_int_equal(CTL(daemon, "stop", "test").status, 0);
    assert_string_equal(answer_of(daemon), "down #stopped\n");
    assert_int_equal(CTL(daemon, "start", "test").status, 0);
    daemon_signal(daemon, SIGTERM);
    (void)daemon_wait_log(daemon, "not ready any more");
    assert_string_equal(answer_of(daemon), "drain\n");
    daemon_signal(daemon, SIGTERM);
    daemon_expect_exit(daemon, 0);
}

/* Whoever asks hears that they drain, as long as they do. */
static void
a_drain_of_all_leaves_the_agent(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon = daemon_start(
        "listeners = {\n%s%s};", listener_text("test", "tcp", "threading", "good_command", ""),
        listener_text("agent", server->scheme, server->mixin, "agent",
                      "control_access = \"read\"; options = { listener = \"test\"; };"));

    (void)daemon_address(daemon, "test");
    assert_string_equal(answer_of(daemon), "up ready 100%\n");
    assert_int_equal(CTL(daemon, "drain", "--all", "--wait").status, 0);
    assert_string_equal(answer_of(daemon), "drain\n");
    assert_int_equal(CTL(daemon, "resume", "--all").status, 0);
    assert_string_equal(answer_of(daemon), "up ready 100%\n");
    assert_int_equal(CTL(daemon, "drain", "agent").status, 0); /* by its name */
    assert_int_equal(CTL(daemon, "resume", "--all").status, 0);
    assert_string_equal(answer_of(daemon), "up ready 100%\n");
    daemon_expect_stop(daemon);
}

static void
an_unknown_listener_is_down(void **state)
{
    struct daemon *daemon = serve_agent(*state, "", "listener = \"tset\";");

    for (int i = 0; i < 3; i++)
        assert_string_equal(answer_of(daemon), "down #there is no listener tset\n");
    (void)daemon_wait_log(daemon, "there is no listener \"tset\", so HAProxy is told");
    assert_int_equal(daemon_count_log(daemon, "there is no listener \"tset\""), 1);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(CTL(daemon, "upgrade").status, 0);
        assert_string_equal(answer_of(daemon), "down #there is no listener tset\n");
    }
    (void)daemon_wait_log_times(daemon, "reloaded: ", 3);
    daemon_signal(daemon, SIGTERM);
    (void)daemon_wait_log(daemon, "not ready any more");
    daemon_expect_stop(daemon);
}

static void
without_the_key_it_is_a_mistake(void **state)
{
    const char *file = daemon_configuration(
        "listeners = {\n%s};",
        listener_text("agent", "tcp", "threading", "agent", "options = { listener = \"x\"; };"));
    struct outcome outcome = COMMAND("", "--check", "--config", file);

    (void)state;
    assert_int_not_equal(outcome.status, 0);
    assert_contains(outcome.errors,
                    "listeners.agent: plugin agent asks the daemon how its listeners "
                    "are; let it, with control_access = \"read\"");
}

/* ---- what such a plugin may -------------------------------------------------------------- */

static struct daemon *
serve_control(const struct server_case *server)
{
    return daemon_serve(server->scheme, server->mixin, "good_control",
                        "control_access = \"read\";");
}

static void
a_plugin_may_look_and_change_nothing(void **state)
{
    static const char *const changes[] = {METHOD("Drain") "{\"listener\":\"test\"}}",
                                          METHOD("Reload") "{}}", METHOD("Upgrade") "{}}",
                                          METHOD("SetLogLevel") "{\"level\":\"debug\"}}"};
    struct daemon *daemon = serve_control(*state);
    const char *address = daemon_address(daemon, "test");

    assert_contains(client_ask(address, METHOD("GetHealth") "{}}\n"), "\"ready\"");
    assert_contains(client_ask(address, METHOD("GetStatus") "{}}\n"), "good_control");
    for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++)
        assert_contains(client_ask(address, text_of("%s\n", changes[i])), "PermissionDenied");
    assert_string_equal(client_ask(address, "nonsense\n"), "\n");
    daemon_expect_stop(daemon);
}

/* One that keeps all of a plugin's places, or asks without end, holds up nobody but plugins. */
static void
a_greedy_plugin_holds_up_nobody(void **state)
{
    struct daemon *daemon = serve_control(*state);
    const char *address = daemon_address(daemon, "test");
    int flood = client_connect(address);

    assert_string_equal(client_ask(address, "open 60\n"), "opened\n");
    assert_int_equal(CTL(daemon, "health").status, 0);
    client_send(flood, "flood\nflood\nflood\n");
    for (int i = 0; i < 5; i++)
        assert_int_equal(CTL(daemon, "status").status, 0);
    client_expect(flood, "flooded and was refused\n");
    client_close_all();
    WAIT_UNTIL(strstr(client_ask(address, METHOD("GetHealth") "{}}\n"), "\"ready\"") != NULL);
    daemon_expect_stop(daemon);
    assert_lacks(daemon_log(daemon), "killed");
}

/* ---- HAProxy ------------------------------------------------------------------------------- */

static const char *
start_haproxy(const char *program, struct daemon *const daemons[2])
{
    const char *servers = "", *place = test_path("front.sock");

    for (int i = 0; i < 2; i++)
        servers =
            text_of("%s server s%d %s weight 100 agent-check agent-addr 127.0.0.1 agent-port %s "
                    "agent-inter 100ms\n",
                    servers, i, daemon_address(daemons[i], "test") + strlen("tcp://"),
                    strrchr(daemon_address(daemons[i], "agent"), ':') + 1);
    const char *file = test_file(
        "haproxy.cfg", text_of("global\n stats socket %s level admin\ndefaults\n mode tcp\n"
                               " timeout connect 5s\n timeout client 20s\n timeout server 20s\n"
                               "listen test\n bind unix@%s\n balance roundrobin\n%s",
                               test_path("stats.sock"), place, servers));
    (void)PEER_START(program, "-db", "-f", file);
    WAIT_UNTIL(access(place, F_OK) == 0 && access(test_path("stats.sock"), F_OK) == 0);
    return text_of("unix://%s", place);
}

/* Whether HAProxy answers the command with such a text. */
static bool
haproxy_says(const char *command, const char *text)
{
    const char *address = text_of("unix://%s", test_path("stats.sock"));

    return strstr(client_ask(address, text_of("%s\n", command)), text) != NULL;
}

static void
ask_times(const char *address, int times)
{
    for (int i = 0; i < times; i++)
        assert_string_equal(client_ask(address, "echo hello\nquit\n"), "hello\n");
}

static void
haproxy_weighs_and_drains_without_a_failure(void **state)
{
    const char *program = need_program("haproxy");
    struct daemon *daemons[2];

    for (int i = 0; i < 2; i++)
        daemons[i] = serve_agent(*state, "max_connections = 4;", "listener = \"test\";");
    const char *front = start_haproxy(program, daemons);
    ask_times(front, 10);
    WAIT_UNTIL(haproxy_says("get weight test/s0", "100 (initial 100)"));
    int one = client_busy(daemon_address(daemons[0], "test"), ""),
        two = client_busy(daemon_address(daemons[0], "test"), "");
    WAIT_UNTIL(haproxy_says("get weight test/s0", "50 (initial 100)"));
    client_close(one), client_close(two);
    WAIT_UNTIL(haproxy_says("get weight test/s0", "100 (initial 100)"));
    daemon_signal(daemons[0], SIGTERM); /* it goes on serving: clients come until HAProxy knows */
    WAIT_UNTIL((ask_times(front, 1),
                haproxy_says("show stat", "s0,") && haproxy_says("show stat", "DRAIN")));
    ask_times(front, 10);
    daemon_signal(daemons[0], SIGTERM);
    daemon_expect_exit(daemons[0], 0);
    ask_times(front, 10);
    assert_true(haproxy_says("get weight test/s1", "100 (initial 100)"));
    daemon_signal(daemons[1], SIGTERM);
    (void)daemon_wait_log(daemons[1], "not ready any more");
    daemon_expect_stop(daemons[1]);
}

RUN_TESTS(TEST_EACH_STREAM(the_answer_follows_the_listener),
          TEST_CASE(a_drain_of_all_leaves_the_agent, "tcp", "coroutine"),
          TEST_CASE(an_unknown_listener_is_down, "tcp", "forking"),
          TEST_CASE(an_unknown_listener_is_down, "tcp", "threading"),
          TEST(without_the_key_it_is_a_mistake),
          TEST_EACH_MIXIN(a_plugin_may_look_and_change_nothing, "tcp"),
          TEST_CASE(a_greedy_plugin_holds_up_nobody, "tcp", "threading"),
          TEST_CASE(a_greedy_plugin_holds_up_nobody, "tcp", "forking"),
          TEST_CASE(haproxy_weighs_and_drains_without_a_failure, "tcp", "threading"))
