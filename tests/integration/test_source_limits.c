/* SPDX-License-Identifier: MIT */
/*
 * test_source_limits.c - limits by source, penalties, and who has them
 *
 * Each address of 127.0.0.0/8 is a source here. As these are local, limits are
 * given, and nobody is exempt.
 */
#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access_fixture.h"
#include "reload_fixture.h"
#include "support/client.h"
#include "support/command.h"
#include "support/control.h"
#include "support/daemon.h"
#include "support/proc.h"
#include "support/test.h"
#include "upgrade_fixture.h"

#define STRICT "penalty = { exempt = [ ]; }; "

/* One figure of one source of the listener "test"; -1: it is not known. */
static json_int_t
source_figure(struct daemon *daemon, const char *source, const char *member)
{
    int fd = control_connect(daemon);
    const char *text = control_ask(fd, "{\"method\": \"org.sockserver.Control.GetSources\", "
                                       "\"parameters\": {\"listener\": \"test\"}}");
    json_t *reply = json_loads(text, 0, NULL), *one;
    const json_t *sources = json_object_get(json_object_get(reply, "parameters"), "sources");
    json_int_t found = -1;
    size_t i;

    assert_non_null(sources);
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(reply, "parameters"), "uncounted")), 0);
    json_array_foreach(sources, i, one)
    {
        if (strcmp(json_string_value(json_object_get(one, "source")), source) == 0)
            found = json_integer_value(json_object_get(one, member));
    }
    json_decref(reply);
    client_close(fd);
    return found;
}

/* A client that is being served. */
static int
busy_client(const char *source, const char *address)
{
    int client = client_connect_from(source, address);

    client_send(client, "echo here\n");
    client_expect(client, "here\n");
    return client;
}

/* ---- how many ------------------------------------------------------------------------- */

static void
a_source_has_no_more_requests_than_it_may(void **state)
{
    const struct server_case *row = *state;
    struct daemon *daemon =
        daemon_serve("tcp", row->mixin, "good_command", "max_per_source = 2; " STRICT);
    const char *address = daemon_address(daemon, "test");
    int first = busy_client("127.0.0.2", address), second = busy_client("127.0.0.2", address);

    client_expect_gone(client_connect_from("127.0.0.2", address));
    client_close(busy_client("127.0.0.3", address));
    assert_int_equal(source_figure(daemon, "127.0.0.2", "active"), 2);
    WAIT_UNTIL(figure(daemon, "limited") == 1 && figure(daemon, "refused") == 1);
    (void)daemon_wait_log(daemon, "127.0.0.2:");
    assert_contains(daemon_wait_log(daemon, "was turned away by"), "max_per_source");
    client_close(first);
    WAIT_UNTIL(source_figure(daemon, "127.0.0.2", "active") == 1);
    client_close(busy_client("127.0.0.2", address));
    client_close(second);
    WAIT_UNTIL(source_figure(daemon, "127.0.0.2", "active") == 0);
    daemon_expect_stop(daemon);
}

/* The workers of "none" share one table. */
static void
workers_share_the_limit(void **state)
{
    struct daemon *daemon =
        daemon_serve("tcp", "none", "good_command", "cpus = 3; max_per_source = 2; " STRICT);
    const char *address = daemon_address(daemon, "test");
    int first = busy_client("127.0.0.2", address), second = busy_client("127.0.0.2", address);

    (void)state;
    client_expect_gone(client_connect_from("127.0.0.2", address));
    client_close(first);
    client_close(second);
    daemon_expect_stop(daemon);
}

/* Of the default, "local" sources know nothing. */
static void
local_sources_have_no_limit_unless_it_is_given(void **state)
{
    struct daemon *daemon =
        daemon_serve("tcp", "threading", "good_command", "max_connections = 20;");
    const char *address = daemon_address(daemon, "test");
    int clients[18];

    (void)state;
    for (int i = 0; i < 18; i++)
        clients[i] = busy_client("127.0.0.2", address);
    assert_contains(CTL(daemon, "explain", "test", "127.0.0.2").output,
                    "max_per_source = 16 (default): not for local sources");
    assert_contains(CTL(daemon, "explain", "test", "192.0.2.2").output,
                    "max_per_source = 16 (default): 0 requests now");
    for (int i = 0; i < 18; i++)
        client_close(clients[i]);
    daemon_expect_stop(daemon);
}

static void
a_unix_peer_is_a_source_by_its_user(void **state)
{
    struct daemon *daemon =
        daemon_serve("unix", "threading", "good_command", "max_per_source = 1;");
    const char *address = daemon_address(daemon, "test");
    int client = client_connect(address);

    (void)state;
    client_send(client, "echo here\n");
    client_expect(client, "here\n");
    client_expect_gone(client_connect(address));
    assert_int_equal(source_figure(daemon, text_of("uid %u", geteuid()), "active"), 1);
    client_close(client);
    daemon_expect_stop(daemon);
}

/* Behind a balancer the announced clients are the sources; the balancer has no limit itself, and
 * no penalty for a bad header unless somebody says so. */
static void
a_balancers_clients_are_the_sources(void **state)
{
    const struct server_case *row = *state;
    struct daemon *daemon =
        daemon_serve("tcp", row->mixin, "good_command",
                     "max_per_source = 1; penalty = { exempt = [ ]; }; proxy = { trusted = "
                     "\"127.0.0.1\"; };");
    const char *address = daemon_address(daemon, "test");
    int clients[4];

    client_send(clients[0] = client_connect(address), "nonsense\r\n");
    client_expect_gone(clients[0]);
    for (int i = 0; i < 3; i++) {
        clients[i] = client_connect(address);
        client_send(clients[i],
                    text_of("PROXY TCP4 192.0.2.%d 192.0.2.99 1 2\r\necho on\n", i + 1));
        client_expect(clients[i], "on\n");
    }
    client_send(clients[3] = client_connect(address),
                "PROXY TCP4 192.0.2.1 192.0.2.99 1 2\r\necho on\n");
    client_expect_gone(clients[3]);
    WAIT_UNTIL(figure(daemon, "limited") == 1);
    assert_int_equal(source_figure(daemon, "192.0.2.2", "active"), 1);
    assert_int_equal(source_figure(daemon, "127.0.0.1", "active"), -1);
    client_close_all();
    daemon_expect_stop(daemon);
}

static void
a_bad_header_is_punished_where_that_is_asked_for(void **state)
{
    struct daemon *daemon =
        daemon_serve("tcp", "threading", "good_command",
                     "penalty = { handshake = \"50s\"; exempt = [ ]; }; proxy = { trusted = "
                     "\"127.0.0.0/8\"; };");
    const char *address = daemon_address(daemon, "test");
    int client = client_connect_from("127.0.0.2", address);

    (void)state;
    client_send(client, "nonsense\r\n");
    client_expect_gone(client);
    client_expect_gone(client_connect_from("127.0.0.2", address));
    WAIT_UNTIL(figure(daemon, "penalised") == 1);
    assert_contains(CTL(daemon, "explain", "test", "127.0.0.2").output,
                    "penalty.handshake = 50s (");
    daemon_expect_stop(daemon);
}

/* ---- how fast --------------------------------------------------------------------------- */

static void
a_rate_holds_a_source_back(void **state)
{
    const struct server_case *row = *state;
    struct daemon *daemon =
        daemon_serve("tcp", row->mixin, "good_command",
                     "rate_per_source = \"10/h\"; burst_per_source = 3; " STRICT);
    const char *address = daemon_address(daemon, "test");

    for (int i = 0; i < 3; i++)
        client_close(busy_client("127.0.0.2", address));
    for (int i = 0; i < 3; i++)
        client_expect_gone(client_connect_from("127.0.0.2", address));
    client_close(busy_client("127.0.0.3", address));
    WAIT_UNTIL(figure(daemon, "limited") == 3);
    assert_int_equal(source_figure(daemon, "127.0.0.2", "refused"), 3);
    daemon_expect_stop(daemon);
}

static void
a_rate_drops_datagrams(void **state)
{
    const struct server_case *row = *state;
    struct daemon *daemon =
        daemon_serve("udp", row->mixin, "good_command",
                     "rate_per_source = \"10/h\"; burst_per_source = 2; " STRICT);
    const char *address = daemon_address(daemon, "test");
    int client = client_connect_from("127.0.0.2", address);

    for (int i = 0; i < 2; i++) {
        client_send(client, "echo here\n");
        client_expect(client, "here\n");
    }
    client_send(client, "echo here\n");
    WAIT_UNTIL(figure(daemon, "limited") == 1);
    assert_false(client_readable(client, 0.05));
    expect_served(client_connect_from("127.0.0.3", address));
    daemon_expect_stop(daemon);
}

/* One source comes at many times its limit, another one loses nothing. */
static void
an_abuser_is_limited_alone(void **state)
{
    const struct server_case *row = *state;
    struct daemon *daemon = daemon_serve("tcp", row->mixin, "good_command",
                                         "max_per_source = 3; rate_per_source = \"20/s\"; " STRICT);
    const char *address = daemon_address(daemon, "test");
    int abusers[30];

    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 30; i++)
            abusers[i] = client_connect_from("127.0.0.2", address);
        expect_served(client_connect_from("127.0.0.3", address));
        for (int i = 0; i < 30; i++)
            client_close(abusers[i]);
    }
    WAIT_UNTIL(figure(daemon, "limited") >= 50);
    assert_int_equal(source_figure(daemon, "127.0.0.3", "refused"), 0);
    daemon_expect_stop(daemon);
}

/* ---- penalties ----------------------------------------------------------------------------- */

static void
a_plugin_turns_a_source_away(void **state)
{
    const struct server_case *row = *state;
    struct daemon *daemon = daemon_serve("tcp", row->mixin, "good_command", STRICT);
    const char *address = daemon_address(daemon, "test");
    int client = client_connect_from("127.0.0.2", address);

    client_send(client, "penalise 50 no manners\n");
    client_expect(client, "penalised\n");
    client_send(client, "echo on\n"); /* what runs goes on */
    client_expect(client, "on\n");
    client_close(client);
    client_expect_gone(client_connect_from("127.0.0.2", address));
    WAIT_UNTIL(figure(daemon, "penalised") == 1);
    expect_served(client_connect_from("127.0.0.3", address));
    assert_contains(CTL(daemon, "sources").output, "handler: no manners");
    assert_contains(CTL(daemon, "explain", "test", "127.0.0.2").output,
                    "penalty.handler = 10s (default): turned away for ");
    assert_int_equal(CTL(daemon, "pardon", "test", "127.0.0.2").status, 0);
    expect_served(client_connect_from("127.0.0.2", address));
    assert_contains(CTL(daemon, "pardon", "test", "127.0.0.2").output, "had no penalty");
    assert_int_not_equal(CTL(daemon, "pardon", "test", "user:1").status, 0);
    daemon_expect_stop(daemon);
}

static void
who_is_exempt_gets_no_penalty(void **state)
{
    struct daemon *daemon = daemon_serve("tcp", "threading", "good_command",
                                         "penalty = { exempt = [ \"127.0.0.2\" ]; };");
    const char *address = daemon_address(daemon, "test");
    const char *const sources[] = {"127.0.0.2", "127.0.0.3"};

    (void)state;
    for (int i = 0; i < 2; i++) {
        int client = client_connect_from(sources[i], address);
        client_send(client, "penalise 50\n");
        client_expect(client, "penalised\n");
        client_close(client);
    }
    expect_served(client_connect_from("127.0.0.2", address));
    client_expect_gone(client_connect_from("127.0.0.3", address));
    daemon_expect_stop(daemon);
}

/* Under *forking* it is the child's client; else the worker's, as far as that is known. */
static void
who_a_process_crashed_for_is_turned_away(void **state)
{
    const struct server_case *row = *state;

    if (SANITIZED) {
        print_message("skipped: a sanitizer makes an exit of the crash\n");
        skip();
    }
    struct daemon *daemon =
        daemon_serve("tcp", row->mixin, "good_command", "max_per_source = 3; " STRICT);
    const char *address = daemon_address(daemon, "test");
    int other = busy_client("127.0.0.3", address);
    int client = client_connect_from("127.0.0.2", address);

    client_send(client, "overflow\n");
    client_expect_gone(client);
    WAIT_UNTIL(source_figure(daemon, "127.0.0.2", "penalty_us") > 80000000);
    WAIT_UNTIL(source_figure(daemon, "127.0.0.2", "active") == 0);
    client_expect_gone(client_connect_from("127.0.0.2", address));
    client_close(other);
    expect_served(client_connect_from("127.0.0.3", address));
    WAIT_UNTIL(source_figure(daemon, "127.0.0.3", "active") == 0);
    daemon_expect_stop_after_fault(daemon);
}

/* ---- what is kept, and what is not ----------------------------------------------------------- */

/* Neither children nor workers that are killed leave a count behind. */
static void
the_dead_have_no_requests(void **state)
{
    const struct server_case *row = *state;
    struct daemon *daemon =
        daemon_serve("tcp", row->mixin, "good_command", "max_per_source = 5; " STRICT);
    const char *address = daemon_address(daemon, "test");

    for (int round = 0; round < 3; round++) {
        int client = client_connect_from("127.0.0.2", address);

        (void)busy_client("127.0.0.2", address);
        client_send(client, "pid\n");
        pid_t pid = (pid_t)atoi(client_receive_line(client) + strlen("pid "));
        assert_return_code(kill(round == 2 ? daemon_worker(daemon) : pid, SIGKILL), errno);
        client_close_all();
        WAIT_UNTIL(source_figure(daemon, "127.0.0.2", "active") == 0);
        WAIT_UNTIL(strcmp(control_state(daemon, "test"), "serving") == 0);
    }
    client_close(busy_client("127.0.0.2", address));
    daemon_expect_stop_after_fault(daemon);
}

#define MORE "max_per_source = 2; drain_timeout = \"50s\"; " STRICT

/* Requests of an older generation count, and penalties stay. */
static void
expect_kept(const char *address, int old_client)
{
    int client = busy_client("127.0.0.2", address);

    client_expect_gone(client_connect_from("127.0.0.2", address));
    client_expect_gone(client_connect_from("127.0.0.3", address));
    client_close(old_client);
    for (bool served = false; !served;) { /* the old worker notices it a moment later */
        int next = client_connect_from("127.0.0.2", address);
        char byte;
        (void)send(next, "echo here\n", 10, MSG_NOSIGNAL);
        served = recv(next, &byte, 1, 0) == 1;
        client_close(next);
    }
    client_close(client);
}

static int
begin_with_penalty(const char *address)
{
    int client = busy_client("127.0.0.2", address),
        other = client_connect_from("127.0.0.3", address);

    client_send(other, "penalise 50\n");
    client_expect(other, "penalised\n");
    client_close(other);
    return client;
}

static void
a_reload_keeps_counts_and_penalties(void **state)
{
    const struct server_case *row = *state;
    struct daemon *daemon = daemon_serve("tcp", row->mixin, "good_command", MORE);
    const char *address = daemon_address(daemon, "test");
    int client = begin_with_penalty(address);

    file = daemon_file(daemon);
    REWRITE("listeners = { %s };",
            listener_text("test", "tcp", row->mixin, "good_command", MORE "max_line = 999;"));
    reload(daemon);
    expect_kept(address, client);
    client_close_all();
    daemon_expect_stop(daemon);
}

static void
an_upgrade_keeps_counts_and_penalties(void **state)
{
    const struct server_case *row = *state;
    struct daemon *daemon = start(daemon_configuration(
        "listeners = { %s };", listener_text("test", "tcp", row->mixin, "good_command", MORE)));
    const char *address = daemon_address(daemon, "test");
    int client = begin_with_penalty(address);

    daemon_signal(daemon, SIGUSR2);
    (void)daemon_wait_log(daemon, "reloaded: ");
    expect_kept(address, client);
    client_close_all();
    daemon_expect_stop(daemon);
}

#define TEST_CONCURRENT(function)                                                                  \
    TEST_CASE(function, "tcp", "threading"), TEST_CASE(function, "tcp", "forking"),                \
        TEST_CASE(function, "tcp", "coroutine")

/* Too slow with a line: it counts for all that come from there. */
static void
a_slow_client_is_turned_away(void **state)
{
    const struct server_case *row = *state;
    struct daemon *daemon = daemon_serve("tcp", row->mixin, "good_command",
                                         "message_timeout = \"200ms\"; penalty = { slow = \"50s\"; "
                                         "exempt = [ ]; };");
    const char *address = daemon_address(daemon, "test");
    int client = client_connect_from("127.0.0.2", address);

    client_send(client, "ec");
    client_expect_gone(client);
    client_close(client);
    WAIT_UNTIL(source_figure(daemon, "127.0.0.2", "penalty_us") > 40000000);
    client_expect_gone(client_connect_from("127.0.0.2", address));
    expect_served(client_connect_from("127.0.0.3", address));
    daemon_expect_stop(daemon);
}

/* The default: many sources that take what they can get leave a place for the next one. (Each alone
 * may have half of the places.) */
static void
many_greedy_sources_leave_a_place_for_the_next(void **state)
{
    const struct server_case *row = *state;
    struct daemon *daemon =
        daemon_serve("tcp", row->mixin, "good_command",
                     "max_connections = 60; proxy = { trusted = \"127.0.0.1\"; };");
    const char *address = daemon_address(daemon, "test");
    int greedy[200];

    for (int i = 0; i < 200; i++) {
        greedy[i] = client_connect(address);
        client_send(greedy[i], text_of("PROXY TCP4 192.0.2.%d 192.0.2.99 1 2\r\ne", i % 10 + 1));
    }
    WAIT_UNTIL(figure(daemon, "active") + figure(daemon, "limited") == 200);
    assert_in_range(figure(daemon, "active"), 40, 59);
    for (int i = 0; i < 3; i++) {
        int next = client_connect(address);
        client_send(next, "PROXY TCP4 203.0.113.7 192.0.2.99 1 2\r\necho served\n");
        client_expect(next, "served\n");
        client_close(next);
    }
    client_close_all();
    WAIT_UNTIL(figure(daemon, "active") == 0);
    for (int i = 0; i < 30; i++) { /* alone, one of them gets half */
        greedy[i] = client_connect(address);
        client_send(greedy[i], "PROXY TCP4 192.0.2.1 192.0.2.99 1 2\r\necho mine\n");
        client_expect(greedy[i], "mine\n");
    }
    client_close_all();
    daemon_expect_stop(daemon);
}

RUN_TESTS(TEST_CONCURRENT(a_source_has_no_more_requests_than_it_may), TEST(workers_share_the_limit),
          TEST(local_sources_have_no_limit_unless_it_is_given),
          TEST(a_unix_peer_is_a_source_by_its_user),
          TEST_CONCURRENT(a_balancers_clients_are_the_sources),
          TEST(a_bad_header_is_punished_where_that_is_asked_for),
          TEST_EACH_MIXIN(a_rate_holds_a_source_back, "tcp"),
          TEST_EACH_MIXIN(a_rate_drops_datagrams, "udp"),
          TEST_CONCURRENT(an_abuser_is_limited_alone),
          TEST_EACH_MIXIN(a_plugin_turns_a_source_away, "tcp"), TEST(who_is_exempt_gets_no_penalty),
          TEST_CONCURRENT(who_a_process_crashed_for_is_turned_away),
          TEST_CONCURRENT(the_dead_have_no_requests),
          TEST_EACH_MIXIN(a_slow_client_is_turned_away, "tcp"),
          TEST_CONCURRENT(many_greedy_sources_leave_a_place_for_the_next),
          TEST_CONCURRENT(a_reload_keeps_counts_and_penalties),
          TEST_CONCURRENT(an_upgrade_keeps_counts_and_penalties))
