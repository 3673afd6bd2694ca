/* SPDX-License-Identifier: MIT */
/*
 * test_tls_clients.c - clients that cut, stall, change and end what they send, under every mixin
 *
 * The clients are Python's: tests/tls/clients.py has a function for each scenario.
 */
#include "tls_fixture.h"

#include <signal.h>

#define PYTHON  "/usr/bin/python3"
#define CLIENTS SOURCE_DIR "/tests/tls/clients.py"

static const char *
run_clients(struct daemon *daemon, const char *scenario, const char *argument)
{
    const char *address = host_and_port(daemon), *colon = strrchr(address, ':');
    struct outcome outcome = command_run(
        PYTHON, "",
        (const char *const[]){CLIENTS, scenario, text_of("%.*s", (int)(colon - address), address),
                              colon + 1, text_of("%s.pem", test_path("own")), argument, NULL});

    if (outcome.status != 0)
        fail_msg("%s: %s\n%s", scenario, outcome.errors, daemon_log(daemon));
    return outcome.output;
}

/* One scenario under one mixin. */
struct row {
    const char *scenario, *mixin;
    const char *more; /* of the listener */
};

static void
clients_get_what_they_should(void **state)
{
    const struct row *row = *state;

    need_program(PYTHON);
    struct daemon *daemon = serve_tls(row->mixin, "", row->more);
    (void)run_clients(daemon, row->scenario, NULL);
    daemon_expect_stop(daemon);
}

static void
stalled_handshakes_hold_up_nobody(void **state)
{
    const char *count = "1000";

    (void)state;
    need_program(PYTHON);
    struct daemon *daemon = serve_tls("coroutine", "handshake_timeout = \"3s\";",
                                      "max_connections = 2000; request_queue_size = 2000;");
    print_message("%s", run_clients(daemon, "stalled", count));
    (void)daemon_wait_log(daemon, "it took longer than tls.handshake_timeout");
    WAIT_UNTIL(control_figure(daemon, "test", "handshakes_failed") == 1000);
    daemon_expect_stop(daemon);
}

/* They hold nothing for the handler, and cost the server a key each. */
static void
new_keys_without_end_hold_up_nobody(void **state)
{
    (void)state;
    struct daemon *daemon = serve_tls("coroutine", "", "");
    struct outcome outcome =
        command_run(BUILD_DIR "/tests/tls_updates", "",
                    (const char *const[]){strrchr(host_and_port(daemon), ':') + 1,
                                          SANITIZED ? "20000" : "60000", NULL});

    if (outcome.status != 0)
        fail_msg("status %d: %s%s", outcome.status, outcome.output, outcome.errors);
    daemon_expect_stop(daemon);
}

/* Requests that are in a handshake end when the drain's time is up. */
static void
a_drain_cuts_stalled_handshakes(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon = serve_tls(server->mixin, "", "drain_timeout = \"300ms\";");
    int client = client_connect(daemon_address(daemon, "test"));

    client_send(client, "\x16\x03\x01");
    WAIT_UNTIL(control_figure(daemon, "test", "active") == 1);
    daemon_signal(daemon, SIGTERM);
    client_expect_gone(client);
    daemon_expect_exit(daemon, 0);
}

static void
curl_gets_an_answer(void **state)
{
    (void)state;
    need_program("/usr/bin/curl");
    struct daemon *daemon = serve_tls("threading", "", "");
    const char *port = strrchr(host_and_port(daemon), ':') + 1;
    struct outcome outcome =
        command_run("/usr/bin/curl", "",
                    (const char *const[]){"--http0.9", "--silent", "--max-time", "30", "--cacert",
                                          text_of("%s.pem", test_path("own")), "--resolve",
                                          text_of("localhost:%s:127.0.0.1", port), "--request",
                                          "echo from curl\nquit\n",
                                          text_of("https://localhost:%s/", port), NULL});
    assert_contains(outcome.output, "from curl\n");
    daemon_expect_stop(daemon);
}

#define PROXY "proxy = { trusted = [ \"127.0.0.1\" ]; };"
#define ROW(scenario, mixin, more)                                                                 \
    TEST_ROW(clients_get_what_they_should, (&(const struct row){scenario, mixin, more}),           \
             scenario ", " mixin)
#define EACH_MIXIN(scenario, more)                                                                 \
    ROW(scenario, "none", more), ROW(scenario, "threading", more), ROW(scenario, "forking", more), \
        ROW(scenario, "coroutine", more)

RUN_TESTS(ROW("cut_hello", "coroutine", ""), EACH_MIXIN("dribbled_hello", ""),
          ROW("garbage", "threading", ""), ROW("garbage", "coroutine", ""),
          ROW("alerts", "coroutine", ""), ROW("alerts", "none", ""), EACH_MIXIN("half_close", ""),
          EACH_MIXIN("truncated", ""), EACH_MIXIN("pipelined", ""), EACH_MIXIN("wait_client", ""),
          ROW("bad_record", "threading", ""), ROW("bad_record", "coroutine", ""),
          EACH_MIXIN("trickled_record", "message_timeout = \"400ms\";"),
          EACH_MIXIN("behind_proxy", PROXY), TEST(stalled_handshakes_hold_up_nobody),
          TEST(new_keys_without_end_hold_up_nobody),
          TEST_EACH_MIXIN(a_drain_cuts_stalled_handshakes, "tcp"), TEST(curl_gets_an_answer))
