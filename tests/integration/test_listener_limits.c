/* SPDX-License-Identifier: MIT */
/*
 * test_listener_limits.c - `rate` and `on_full`: what a listener takes from all clients together
 */
#include <signal.h>
#include <stdio.h>

#include "access_fixture.h"
#include "support/client.h"
#include "support/clock.h"
#include "support/control.h"
#include "support/daemon.h"
#include "support/test.h"

/* ---- on_full --------------------------------------------------------------------------- */

static void
a_full_listener_refuses(void **state)
{
    const struct server_case *row = *state;
    struct daemon *daemon = daemon_serve("tcp", row->mixin, "good_command",
                                         "max_connections = 2; on_full = \"refuse\";");
    const char *address = daemon_address(daemon, "test");

    int first = client_busy(address, ""), second = client_busy(address, "");

    for (int i = 0; i < 4; i++)
        client_expect_gone(client_connect(address));
    WAIT_UNTIL(figure(daemon, "full") == 4);
    client_close(first);
    WAIT_UNTIL(figure(daemon, "active") == 1);
    first = client_busy(address, ""); /* there is room again */
    client_expect_gone(client_connect(address));
    WAIT_UNTIL(figure(daemon, "full") == 5);
    assert_int_equal(figure(daemon, "refused"), 5);
    client_close(first);
    client_close(second);
    WAIT_UNTIL(figure(daemon, "active") == 0);
    client_close(client_busy(address, ""));
    assert_contains(daemon_wait_log(daemon, "turned away by"), "max_connections");
    daemon_expect_stop(daemon);
}

/* The places of all event loops together are as many as there may be, and one of them refuses. */
static void
event_loops_refuse_together(void **state)
{
    struct daemon *daemon = daemon_serve("tcp", "coroutine", "good_command",
                                         "cpus = 3; max_connections = 4; on_full = \"refuse\";");
    const char *address = daemon_address(daemon, "test");

    (void)state;
    for (int i = 0; i < 4; i++)
        (void)client_busy(address, "");
    for (int i = 0; i < 6; i++)
        client_expect_gone(client_connect(address));
    WAIT_UNTIL(figure(daemon, "full") == 6);
    client_close_all();
    WAIT_UNTIL(figure(daemon, "active") == 0);
    client_close(client_busy(address, ""));
    daemon_expect_stop(daemon);
}

/* ---- rate -------------------------------------------------------------------------------- */

/* All come at once; nobody is lost, and the last has waited. */
static void
expect_held_back(const char *address)
{
    double begin = clock_now();
    int clients[12];

    for (int i = 0; i < 12; i++) {
        clients[i] = client_connect(address);
        client_send(clients[i], "echo here\n");
    }
    for (int i = 0; i < 12; i++) { /* under "none" each waits for the end of the one before */
        client_expect(clients[i], "here\n");
        client_close(clients[i]);
    }
    assert_true(clock_now() - begin > 0.45);
}

static void
a_rate_makes_clients_wait(void **state)
{
    const struct server_case *row = *state;
    struct daemon *daemon =
        daemon_serve(row->scheme, row->mixin, "good_command", "rate = \"8/s\";");
    const char *address = daemon_address(daemon, "test");

    expect_held_back(address);
    assert_string_equal(client_ask(address, "echo on\n"), "on\n");
    daemon_expect_stop(daemon);
}

/* Several workers share it, and a stop does not wait for the next turn. */
static void
workers_share_the_rate(void **state)
{
    struct daemon *daemon =
        daemon_serve("tcp", "none", "good_command", "cpus = 3; rate = \"8/s\";");

    (void)state;
    expect_held_back(daemon_address(daemon, "test"));
    daemon_expect_stop(daemon);
}

static void
a_stop_does_not_wait_for_the_next_turn(void **state)
{
    const struct server_case *row = *state;
    struct daemon *daemon = daemon_serve("tcp", row->mixin, "good_command",
                                         "rate = \"1/h\"; drain_timeout = \"200ms\";");

    client_close(client_busy(daemon_address(daemon, "test"), ""));
    (void)client_connect(daemon_address(daemon, "test"));
    daemon_expect_stop(daemon);
}

RUN_TESTS(TEST_CASE(a_full_listener_refuses, "tcp", "threading"),
          TEST_CASE(a_full_listener_refuses, "tcp", "forking"),
          TEST_CASE(a_full_listener_refuses, "tcp", "coroutine"), TEST(event_loops_refuse_together),
          TEST_EACH_MIXIN(a_rate_makes_clients_wait, "tcp"),
          TEST_EACH_MIXIN(a_rate_makes_clients_wait, "udp"), TEST(workers_share_the_rate),
          TEST_EACH_MIXIN(a_stop_does_not_wait_for_the_next_turn, "tcp"))
