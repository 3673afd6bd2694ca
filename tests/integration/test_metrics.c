/* SPDX-License-Identifier: MIT */
/*
 * test_metrics.c - the plugin `metrics`: what it counts, whether it says who is ready, and how it
 * speaks HTTP
 */
#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "metrics_fixture.h"

#include "common/clock.h"
#include "support/clock.h"
#include "support/proc.h"

/* ---- counts ---------------------------------------------------------------------------------- */

static void
ask_test(struct daemon *daemon, const char *text, int times)
{
    for (int i = 0; i < times; i++)
        (void)client_ask(daemon_address(daemon, "test"), text);
}

static void
each_end_is_counted(void **state)
{
    struct daemon *daemon = serve_metrics(*state, "threading", "read_timeout = \"300ms\";");
    int idle = client_connect(daemon_address(daemon, "test"));

    ask_test(daemon, "echo hello\nquit\n", 5);
    ask_test(daemon, "fail 5\n", 3);
    client_expect_gone(idle);
    WAIT_UNTIL(ended(daemon, "done") == 5 && ended(daemon, "failed") == 3 &&
               ended(daemon, "idle") == 1);
    assert_figure(of_test(daemon, "received_bytes_total"),
                  5 * strlen("echo hello\nquit\n") + 3 * 7);
    assert_figure(of_test(daemon, "sent_bytes_total"), 5 * strlen("hello\n"));
    int gone = client_busy(daemon_address(daemon, "test"), "sleep 0.1\necho");
    client_reset(gone);
    WAIT_UNTIL(ended(daemon, "vanished") == 1);
    const char *text = body_of(fetch(daemon, "/metrics"));
    assert_figure(sample_in(text, "accepted_total{listener=\"test\"}"), 10);
    assert_figure(sample_in(text, "requests_total{listener=\"test\",end=\"refused\"}"), 0);
    assert_figure(sample_in(text, "request_duration_seconds_count{listener=\"test\"}"), 10);
    assert_figure(sample_in(text, "request_duration_seconds_bucket{listener=\"test\",le=\"+Inf\"}"),
                  10);
    assert_figure(
        sample_in(text, "request_duration_seconds_bucket{listener=\"test\",le=\"0.067108864\"}"),
        8);
    assert_true(sample_in(text, "request_duration_seconds_sum{listener=\"test\"}") > 0.3);
    daemon_expect_stop(daemon);
}

static void
each_refusal_is_counted(void **state)
{
    struct daemon *daemon = daemon_start(
        "listeners = {\n%s%s%s%s};",
        listener_text("test", "tcp", "threading", "good_command", "deny = [ \"local\" ];"),
        listener_text("full", "tcp", "threading", "good_command",
                      "max_connections = 1; on_full = \"refuse\";"),
        listener_text("proxied", "tcp", "threading", "good_command",
                      "proxy = { trusted = [ \"192.0.2.1\" ]; };"),
        metrics_listener(*state, PATIENT));

    for (int i = 0; i < 4; i++)
        client_expect_gone(client_connect(daemon_address(daemon, "test")));
    (void)client_busy(daemon_address(daemon, "full"), "");
    client_expect_gone(client_connect(daemon_address(daemon, "full")));
    client_expect_gone(client_connect(daemon_address(daemon, "proxied")));
    WAIT_UNTIL(refused(daemon, "denied") == 4);
    assert_figure(ended(daemon, "refused"), 4);
    assert_figure(refused(daemon, "rejected"), 0);
    WAIT_UNTIL(sample(daemon, "refused_total{listener=\"full\",reason=\"full\"}") == 1);
    WAIT_UNTIL(sample(daemon, "refused_total{listener=\"proxied\",reason=\"no_proxy_header\"}") ==
               1);
    client_close_all();
    daemon_expect_stop(daemon);
}

static void
who_verify_request_refuses_is_rejected(void **state)
{
    struct daemon *daemon =
        daemon_start("listeners = {\n%s%s};",
                     listener_text("test", "tcp", "threading", "good_trace",
                                   text_of("options = { trace = \"%s\"; verify = false; };",
                                           test_path("trace"))),
                     metrics_listener(*state, PATIENT));

    client_expect_gone(client_connect(daemon_address(daemon, "test")));
    WAIT_UNTIL(refused(daemon, "rejected") == 1);
    assert_figure(ended(daemon, "refused"), 1);
    daemon_expect_stop(daemon);
}

/* What the counters have in common: none of them may ever fall. */
static const char *const counters[] = {
    "accepted_total{listener=\"test\"}",
    "requests_total{listener=\"test\",end=\"done\"}",
    "received_bytes_total{listener=\"test\"}",
    "sent_bytes_total{listener=\"test\"}",
    "cpu_seconds_total{listener=\"test\"}",
    "request_duration_seconds_count{listener=\"test\"}",
    "request_duration_seconds_sum{listener=\"test\"}",
    "request_duration_seconds_bucket{listener=\"test\",le=\"68.719476736\"}",
    "worker_restarts_total{listener=\"test\"}",
    "supervisor_cpu_seconds_total",
};

#define COUNTERS (sizeof(counters) / sizeof(counters[0]))

/* Looks at all of them, which may not be less than they were. */
static void
look(struct daemon *daemon, double were[COUNTERS])
{
    const char *text = body_of(fetch(daemon, "/metrics"));

    for (size_t i = 0; i < COUNTERS; i++) {
        double is = sample_in(text, counters[i]);
        if (!(is >= were[i]))
            fail_msg("%s fell from %f to %f", counters[i], were[i], is);
        were[i] = is;
    }
}

static void
counters_never_fall(void **state)
{
    struct daemon *daemon = serve_metrics(*state, "threading", "");
    double were[COUNTERS] = {0};

    ask_test(daemon, "spin 0.2\nquit\n", 1);
    ask_test(daemon, "echo hello\nquit\n", 9);
    WAIT_UNTIL(ended(daemon, "done") == 10);
    WAIT_UNTIL(of_test(daemon, "cpu_seconds_total") >= 0.02);
    look(daemon, were);
    assert_figure(CTL(daemon, "restart", "test").status, 0);
    WAIT_UNTIL(of_test(daemon, "generation") == 2 && of_test(daemon, "generations_draining") == 0);
    look(daemon, were);
    (void)client_ask(daemon_address(daemon, "test"), "segv\n");
    WAIT_UNTIL(of_test(daemon, "worker_restarts_total") == 1);
    look(daemon, were);
    ask_test(daemon, "echo hello\nquit\n", 1);
    WAIT_UNTIL(ended(daemon, "done") == 11);
    assert_figure(CTL(daemon, "upgrade").status, 0);
    look(daemon, were);
    daemon_signal(daemon, SIGHUP);
    (void)daemon_wait_log_times(daemon, "reloaded: ", 2);
    look(daemon, were);
    ask_test(daemon, "echo hello\nquit\n", 1);
    WAIT_UNTIL(ended(daemon, "done") == 12);
    look(daemon, were);
    daemon_expect_stop_after_fault(daemon);
}

/* What a worker has computed is known when it has ended, though it had no time to tell. */
static void
what_a_worker_computed_outlives_it(void **state)
{
    struct daemon *daemon = serve_metrics(*state, "threading", "");

    (void)client_ask(daemon_address(daemon, "test"), "spin 0.5\nsegv\n");
    WAIT_UNTIL(of_test(daemon, "worker_restarts_total") == 1);
    assert_true(of_test(daemon, "cpu_seconds_total") >= 0.04);
    daemon_expect_stop_after_fault(daemon);
}

static void
what_is_now_is_told(void **state)
{
    struct daemon *daemon = serve_metrics(*state, "threading", "max_connections = 3;");

    (void)client_busy(daemon_address(daemon, "test"), "");
    const char *text = body_of(fetch(daemon, "/metrics"));
    assert_figure(sample_in(text, "requests_active{listener=\"test\"}"), 1);
    assert_figure(sample_in(text, "requests_limit{listener=\"test\"}"), 3);
    assert_figure(sample_in(text, "workers{listener=\"test\"}"), 1);
    assert_figure(sample_in(text, "generation{listener=\"test\"}"), 1);
    assert_figure(sample_in(text, "queue_connections{listener=\"test\"}"), 0);
    assert_true(sample_in(text, "queue_limit{listener=\"test\"}") > 0);
    assert_figure(sample_in(text, "listener_ready{listener=\"test\"}"), 1);
    assert_figure(sample_in(text, "listener_state{listener=\"test\",state=\"serving\"}"), 1);
    assert_figure(sample_in(text, "listener_state{listener=\"test\",state=\"drained\"}"), 0);
    assert_figure(sample_in(text, "certificate_expiry_timestamp_seconds{listener=\"test\"}"), -1);
    assert_figure(sample_in(text, "ready"), 1);
    assert_figure(sample_in(text, "stopping"), 0);
    assert_figure(sample_in(text, "build_info{version=\"" SOCKSERVERD_VERSION "\"}"), 1);
    assert_true(sample_in(text, "start_time_seconds") > 1.7e9);
    assert_contains(text, "plugin=\"good_command\",mixin=\"threading\"} 1\n");
    WAIT_UNTIL(of_test(daemon, "memory_bytes") > 100000);
    assert_true(sample(daemon, "supervisor_memory_bytes") > 100000);
    client_close_all();
    daemon_expect_stop(daemon);
}

/* ---- who is ready ---------------------------------------------------------------------------- */

static void
readyz_follows_the_listener(void **state)
{
    struct daemon *daemon = serve_metrics(*state, "threading", "max_connections = 1;");

    WAIT_UNTIL(status_of(fetch(daemon, "/readyz")) == 200);
    assert_string_equal(body_of(fetch(daemon, "/readyz")), "ready\n");
    assert_string_equal(body_of(fetch(daemon, "/readyz/test")), "ready\n");
    int client = client_busy(daemon_address(daemon, "test"), "");
    assert_int_equal(status_of(fetch(daemon, "/readyz/test")), 503);
    assert_string_equal(body_of(fetch(daemon, "/readyz/test")), "test: full\n");
    assert_int_equal(status_of(fetch(daemon, "/readyz")), 503);
    assert_int_equal(status_of(fetch(daemon, "/healthz")), 200);
    client_close(client);
    WAIT_UNTIL(status_of(fetch(daemon, "/readyz/test")) == 200);
    assert_int_equal(CTL(daemon, "drain", "test").status, 0);
    assert_int_equal(status_of(fetch(daemon, "/readyz/test")), 503);
    assert_starts(body_of(fetch(daemon, "/readyz")), "test: drain");
    assert_figure(of_test(daemon, "listener_draining"), 1);
    assert_int_equal(CTL(daemon, "stop", "test").status, 0);
    assert_string_equal(body_of(fetch(daemon, "/readyz")), "test: stopped\n");
    assert_int_equal(CTL(daemon, "start", "test").status, 0);
    assert_int_equal(status_of(fetch(daemon, "/readyz/test")), 200);
    assert_int_equal(status_of(fetch(daemon, "/readyz/tset")), 404);
    assert_int_equal(status_of(fetch(daemon, "/readyz/")), 404);
    assert_int_equal(status_of(fetch(daemon, "/readyz/%ff")), 404);
    daemon_expect_stop(daemon);
}

/* Clients still come, but nobody shall send more. */
static void
readyz_says_no_before_a_stop(void **state)
{
    struct daemon *daemon = daemon_start("pre_stop_delay = \"1h\";\nlisteners = {\n%s%s};",
                                         listener_text("test", "tcp", "threading", "upper", ""),
                                         metrics_listener(*state, PATIENT));

    (void)daemon_address(daemon, "test");
    WAIT_UNTIL(status_of(fetch(daemon, "/readyz")) == 200);
    daemon_signal(daemon, SIGTERM);
    (void)daemon_wait_log(daemon, "not ready any more");
    assert_int_equal(status_of(fetch(daemon, "/readyz")), 503);
    assert_starts(body_of(fetch(daemon, "/readyz")), "the daemon stops\n");
    assert_int_equal(status_of(fetch(daemon, "/readyz/test")), 503);
    assert_int_equal(status_of(fetch(daemon, "/healthz")), 200);
    assert_figure(sample(daemon, "stopping"), 1);
    assert_string_equal(client_ask(daemon_address(daemon, "test"), "hello\n"), "HELLO\n");
    daemon_signal(daemon, SIGTERM);
    daemon_expect_exit(daemon, 0);
}

/* A supervisor that hangs is waited for no longer than the option says. */
static void
a_deaf_daemon_is_told_in_time(void **state)
{
    static const char *const paths[] = {"/healthz", "/readyz", "/readyz/test", "/metrics",
                                        "/status.json"};
    struct daemon *daemon =
        daemon_start("listeners = {\n%s};", metrics_listener(*state, "timeout = \"300ms\";"));

    WAIT_UNTIL(status_of(fetch(daemon, "/healthz")) == 200);
    daemon_signal(daemon, SIGSTOP);
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        double began = clock_now();
        const char *answer = fetch(daemon, paths[i]);
        assert_int_equal(status_of(answer), 503);
        assert_starts(body_of(answer), "the daemon does not answer: ");
        assert_true(clock_now() - began < 20);
    }
    daemon_signal(daemon, SIGCONT);
    WAIT_UNTIL(status_of(fetch(daemon, "/healthz")) == 200);
    daemon_expect_stop(daemon);
}

#define CROWD 400

/* More ask at once than the daemon has places for plugins, and than it can hear while it hangs. */
static void
many_ask_at_once(void **state)
{
    struct daemon *daemon = serve_metrics(*state, "threading", "");
    int clients[CROWD];

    for (size_t i = 0; i < CROWD; i++)
        clients[i] = client_connect(daemon_address(daemon, "metrics"));
    daemon_signal(daemon, SIGSTOP);
    for (size_t i = 0; i < CROWD; i++)
        client_send(clients[i], "GET /metrics HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    assert_false(client_readable(clients[0], 0.3));
    daemon_signal(daemon, SIGCONT);
    for (size_t i = 0; i < CROWD; i++)
        assert_contains(client_receive_all(clients[i]), "sockserverd_stopping 0\n");
    daemon_expect_stop(daemon);
}

static void
without_the_key_it_is_a_mistake(void **state)
{
    const char *file = daemon_configuration(
        "listeners = {\n%s};", listener_text("metrics", "tcp", "threading", "metrics", ""));
    struct outcome outcome = COMMAND("", "--check", "--config", file);

    (void)state;
    assert_int_not_equal(outcome.status, 0);
    assert_contains(outcome.errors, "let it, with control_access = \"read\"");
}

static void
the_example_is_a_good_file(void **state)
{
    const char *example = SOURCE_DIR "/conf/examples/metrics.conf";
    struct outcome outcome =
        COMMAND("", "--plugin-path", SHIPPED_PLUGINS, "--check", "-c", example);

    (void)state;
    assert_string_equal(outcome.errors, "");
    assert_int_equal(outcome.status, 0);
}

/* ---- /status.json ---------------------------------------------------------------------------- */

static void
status_is_json_with_all_that_is_known(void **state)
{
    struct daemon *daemon = serve_metrics(*state, "threading", "");

    ask_test(daemon, "echo hello\nquit\n", 2);
    (void)client_busy(daemon_address(daemon, "test"), "");
    WAIT_UNTIL(ended(daemon, "done") == 2);
    const char *answer = fetch(daemon, "/status.json");
    assert_contains(answer, "\r\nContent-Type: application/json\r\n");
    json_t *status = json_loads(body_of(answer), JSON_REJECT_DUPLICATES, NULL);
    const json_t *listener = json_array_get(json_object_get(status, "listeners"), 0);
    const json_t *request = json_array_get(json_object_get(status, "requests"), 0);
    assert_non_null(status);
    assert_int_equal(json_integer_value(json_object_get(status, "format")), 1);
    assert_true(json_is_true(json_object_get(status, "ready")));
    assert_int_equal(json_integer_value(json_object_get(listener, "done")), 2);
    assert_int_equal(json_integer_value(json_object_get(listener, "active")), 1);
    assert_true(json_is_true(json_object_get(listener, "ready")));
    assert_true(json_is_null(json_object_get(listener, "reason")));
    assert_true(json_is_null(json_object_get(listener, "expires")));
    assert_true(json_is_number(json_object_get(listener, "p99_us")));
    assert_int_equal(json_array_size(json_object_get(listener, "times")),
                     json_array_size(json_object_get(status, "bounds_ns")) + 1);
    assert_string_equal(json_string_value(json_object_get(request, "listener")), "test");
    json_decref(status);
    client_close_all();
    daemon_expect_stop(daemon);
}

/* The manual and the answer name the same members of a listener. */
static void
the_manual_has_each_member(void **state)
{
    struct daemon *daemon = serve_metrics(*state, "threading", "");
    const char *manual = file_text(SOURCE_DIR "/plugins/metrics/sockserverd-metrics.7");
    json_t *status = json_loads(body_of(fetch(daemon, "/status.json")), 0, NULL);
    const char *name;
    json_t *value;

    assert_non_null(status);
    assert_int_equal(json_object_del(status, "format"), 0); /* the text tells of it */
    json_object_foreach(status, name, value) assert_listed(manual, name);
    json_object_foreach(json_array_get(json_object_get(status, "listeners"), 0), name, value)
        assert_listed(manual, name);
    json_object_foreach(json_object_get(status, "daemon"), name, value)
        assert_contains(manual, name);
    json_decref(status);
    daemon_expect_stop(daemon);
}

/* ---- HTTP ------------------------------------------------------------------------------------ */

static void
other_methods_and_paths_are_refused(void **state)
{
    struct daemon *daemon = serve_metrics(*state, "threading", "");
    const char *address = daemon_address(daemon, "metrics");
    const char *posted =
        client_ask(address, "POST /metrics HTTP/1.1\r\nHost: test\r\nContent-Length: 2\r\n\r\nab"
                            "DELETE /healthz HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");

    assert_starts(posted, "HTTP/1.1 405 ");
    assert_contains(posted, "\r\nAllow: GET, HEAD\r\n");
    assert_non_null(strstr(posted + 1, "HTTP/1.1 405 "));
    assert_int_equal(status_of(fetch(daemon, "/nothing")), 404);
    assert_int_equal(status_of(fetch(daemon, "/metrics/")), 404);
    assert_int_equal(status_of(fetch(daemon, "/metrics/x")), 404);
    assert_int_equal(status_of(fetch(daemon, "/metrics?name=x")), 200);
    assert_int_equal(status_of(fetch(daemon, "//metrics")), 200);
    assert_int_equal(status_of(fetch(daemon, text_of("/%09000d", 0))), 414);
    assert_int_equal(status_of(fetch_with(daemon, "/healthz", text_of("X: %09000d\r\n", 0))), 431);
    assert_int_equal(status_of(client_ask(address, "nonsense\r\n\r\n")), 400);
    daemon_expect_stop(daemon);
}

static void
requests_follow_each_other_on_a_connection(void **state)
{
    struct daemon *daemon = serve_metrics(*state, "threading", "");
    int client = client_connect(daemon_address(daemon, "metrics"));

    for (int i = 0; i < 3; i++)
        client_send(client, "HEAD /metrics HTTP/1.1\r\nHost: test\r\n\r\n"
                            "GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n");
    client_half_close(client);
    const char *answers = client_receive_all(client), *place = answers;
    for (int i = 0; i < 3; i++) {
        assert_starts(place, "HTTP/1.1 200 OK\r\n");
        place = body_of(place); /* of HEAD there is none */
        assert_starts(place, "HTTP/1.1 200 OK\r\n");
        place = body_of(place);
        assert_starts(place, "alive\n");
        place += strlen("alive\n");
    }
    assert_string_equal(place, "");
    daemon_expect_stop(daemon);
}

static void
a_slow_head_is_given_up(void **state)
{
    struct daemon *daemon = serve_metrics(*state, "threading", "");
    int slow = client_connect(daemon_address(daemon, "metrics"));

    client_send(slow, "GET /metrics HTTP/1.1\r\nHo");
    assert_int_equal(status_of(fetch(daemon, "/healthz")), 200);
    assert_starts(client_receive_all(slow), "HTTP/1.1 408 ");
    daemon_expect_stop(daemon);
}

static void
open_metrics_are_for_who_accepts_them(void **state)
{
    static const struct {
        const char *accept;
        bool open;
    } rows[] = {
        {"", false},
        {"Accept: */*\r\n", false},
        {"Accept: application/openmetrics-text\r\n", true},
        {"Accept: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n", true},
        {"Accept: application/openmetrics-text;q=0\r\n", false},
        {"Accept: text/plain;version=0.0.4, application/openmetrics-text;q=0.5\r\n", false},
        {"Accept: application/openmetrics-text;version=1.0.0,"
         "application/openmetrics-text;version=0.0.1;q=0.75,"
         "text/plain;version=0.0.4;q=0.5,*/*;q=0.1\r\n",
         true},
    };
    struct daemon *daemon = serve_metrics(*state, "threading", "");

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *answer = fetch_with(daemon, "/metrics", rows[i].accept);
        assert_int_equal(status_of(answer), 200);
        assert_contains(answer, rows[i].open ? "\r\nContent-Type: application/openmetrics-text; "
                                               "version=1.0.0; charset=utf-8\r\n"
                                             : "\r\nContent-Type: text/plain; version=0.0.4; "
                                               "charset=utf-8\r\n");
        assert_int_equal(strstr(answer, "\n# EOF\n") != NULL, rows[i].open);
    }
    daemon_expect_stop(daemon);
}

RUN_TESTS(TEST_EACH_STREAM(each_end_is_counted),
          TEST_CASE(each_refusal_is_counted, "tcp", "coroutine"),
          TEST_CASE(who_verify_request_refuses_is_rejected, "tcp", "coroutine"),
          TEST_EACH_MIXIN(counters_never_fall, "tcp"),
          TEST_CASE(what_a_worker_computed_outlives_it, "tcp", "coroutine"),
          TEST_CASE(what_is_now_is_told, "tcp", "coroutine"),
          TEST_EACH_STREAM(readyz_follows_the_listener),
          TEST_EACH_MIXIN(readyz_says_no_before_a_stop, "tcp"),
          TEST_EACH_MIXIN(a_deaf_daemon_is_told_in_time, "tcp"),
          TEST_CASE(many_ask_at_once, "tcp", "coroutine"), TEST(without_the_key_it_is_a_mistake),
          TEST(the_example_is_a_good_file),
          TEST_CASE(status_is_json_with_all_that_is_known, "tcp", "coroutine"),
          TEST_CASE(the_manual_has_each_member, "tcp", "coroutine"),
          TEST_CASE(other_methods_and_paths_are_refused, "tcp", "coroutine"),
          TEST_CASE(requests_follow_each_other_on_a_connection, "tcp", "coroutine"),
          TEST_CASE(requests_follow_each_other_on_a_connection, "tcp", "threading"),
          TEST_CASE(a_slow_head_is_given_up, "tcp", "coroutine"),
          TEST_CASE(open_metrics_are_for_who_accepts_them, "tcp", "coroutine"))
