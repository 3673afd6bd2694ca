/* SPDX-License-Identifier: MIT */
/*
 * test_metrics_peers.c - the plugin `metrics` and those who read it: Prometheus, its promtool, its
 * client library for Python; and the rules and the dashboard that come with it
 *
 * Who is not installed is skipped by its name.
 */
#include <regex.h>
#include <time.h>

#include "metrics_fixture.h"

#include "support/peer.h"
#include "support/tls.h"

#define PACKAGING SOURCE_DIR "/packaging/prometheus/"
#define OPEN      "Accept: application/openmetrics-text\r\n"
#define PYTHON    "/usr/bin/python3"

static struct outcome
promtool(const char *input, const char *const *arguments)
{
    return command_run(need_program("promtool"), input, arguments);
}

#define PROMTOOL(input, ...) promtool(input, (const char *const[]){__VA_ARGS__, NULL})

static void
promtool_finds_no_fault(void **state)
{
    (void)need_program("promtool");
    struct daemon *daemon = serve_metrics(*state, "threading", "");

    (void)client_ask(daemon_address(daemon, "test"), "echo hello\nquit\n");
    struct outcome outcome = PROMTOOL(body_of(fetch(daemon, "/metrics")), "check", "metrics");
    assert_string_equal(outcome.errors, "");
    assert_int_equal(outcome.status, 0);
    daemon_expect_stop(daemon);
}

/* ---- the client library ---------------------------------------------------------------------- */

/* Prints how many families there are, and each sample, however it is written. */
static const char script[] =
    "import sys\n"
    "try:\n"
    "    import prometheus_client\n"
    "except ImportError:\n"
    "    sys.exit(77)\n"
    "if sys.argv[1] == 'open':\n"
    "    from prometheus_client.openmetrics.parser import text_string_to_metric_families as read\n"
    "else:\n"
    "    from prometheus_client.parser import text_string_to_metric_families as read\n"
    "families = list(read(sys.stdin.read()))\n"
    "print(len(families))\n"
    "for family in families:\n"
    "    for sample in family.samples:\n"
    "        print(sample.name, sorted(sample.labels.items()))\n";

static struct outcome
read_by_python(const char *form, const char *text)
{
    struct outcome outcome =
        command_run(need_program(PYTHON), text, (const char *const[]){"-c", script, form, NULL});

    if (outcome.status == 77)
        (void)need_program("python3-prometheus-client"); /* which is none: the test is skipped */
    assert_string_equal(outcome.errors, "");
    assert_int_equal(outcome.status, 0);
    return outcome;
}

/* Both forms mean the same. */
static void
the_client_library_reads_both_forms(void **state)
{
    (void)need_program(PYTHON);
    struct daemon *daemon = serve_metrics(*state, "threading", "");

    WAIT_UNTIL(of_test(daemon, "memory_bytes") > 0);
    const char *plain = fetch(daemon, "/metrics"), *open = fetch_with(daemon, "/metrics", OPEN);
    struct outcome one = read_by_python("plain", body_of(plain)),
                   other = read_by_python("open", body_of(open));
    assert_string_equal(one.output, other.output);
    assert_true(atoi(one.output) > 25);
    daemon_expect_stop(daemon);
}

/* ---- Prometheus --------------------------------------------------------------------------- */

static const char *
port_of(struct daemon *daemon)
{
    return strrchr(daemon_address(daemon, "metrics"), ':') + 1;
}

/* Scrapes that daemon every second; returns the port at which it answers questions. */
static unsigned
start_prometheus(const char *program, struct daemon *daemon)
{
    unsigned port = peer_free_port();
    const char *file =
        test_file("prometheus.yml",
                  text_of("global: {scrape_interval: 1s, scrape_timeout: 1s}\n"
                          "rule_files: [ \"" PACKAGING "sockserverd.rules.yml\" ]\n"
                          "scrape_configs:\n  - job_name: sockserverd\n    static_configs:\n"
                          "      - targets: [ \"127.0.0.1:%s\" ]\n",
                          port_of(daemon)));
    const char *arguments[] = {
        program,
        text_of("--config.file=%s", file),
        text_of("--storage.tsdb.path=%s", test_path("data")),
        text_of("--web.listen-address=127.0.0.1:%u", port),
        "--log.level=error",
        NULL,
    };

    (void)peer_start(program, arguments, port);
    return port;
}

/* Whether its answer holds that text. */
static bool
prometheus_says(unsigned port, const char *query, const char *text)
{
    const char *answer = client_ask(
        text_of("tcp://127.0.0.1:%u", port),
        text_of("GET /api/v1/%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", query));

    return strstr(answer, text) != NULL;
}

/* Whether the value that it has for this is that text. */
static bool
prometheus_has(unsigned port, const char *metric, const char *value)
{
    return prometheus_says(port, text_of("query?query=%s", metric), text_of(",\"%s\"]", value));
}

static void
prometheus_scrapes_it(void **state)
{
    const char *program = need_program("prometheus");
    struct daemon *daemon = serve_metrics(*state, "threading", "");
    unsigned port = start_prometheus(program, daemon);

    for (int i = 0; i < 7; i++)
        (void)client_ask(daemon_address(daemon, "test"), "echo hello\nquit\n");
    WAIT_UNTIL(prometheus_has(port, "up", "1"));
    WAIT_UNTIL(prometheus_has(
        port, "sockserverd_requests_total%7Blistener=%22test%22,end=%22done%22%7D", "7"));
    WAIT_UNTIL(prometheus_has(
        port, "sockserverd_request_duration_seconds_count%7Blistener=%22test%22%7D", "7"));
    WAIT_UNTIL(prometheus_has(port,
                              "sockserverd_request_duration_seconds_bucket%7Blistener=%22test%22,"
                              "le=%2268.719476736%22%7D",
                              "7"));
    WAIT_UNTIL(prometheus_has(port, "sockserverd_ready", "1"));
    WAIT_UNTIL(
        prometheus_says(port, "metadata?metric=sockserverd_requests", "\"type\":\"counter\""));
    WAIT_UNTIL(prometheus_says(port, "metadata?metric=sockserverd_request_duration_seconds",
                               "\"type\":\"histogram\""));
    WAIT_UNTIL(prometheus_says(port, "targets", "\"lastError\":\"\""));
    WAIT_UNTIL(prometheus_says(port, "rules", "SockserverdListenerNotReady"));
    assert_false(prometheus_says(port, "rules", "\"health\":\"err\""));
    daemon_expect_stop(daemon);
}

/* ---- certificates --------------------------------------------------------------------------- */

static void
a_certificate_has_its_day(void **state)
{
    (void)need_program(CERTIFICATE_PROGRAM);
    const char *name = test_path("own");

    TLS_MAKE(name, "ec", "localhost", "-1", "30", "-", "DNS:localhost");
    struct daemon *daemon = serve_metrics(
        *state, "threading",
        text_of("tls = { certificate = \"%s.pem\"; key = \"%s.key\"; };", name, name));
    double expires = of_test(daemon, "certificate_expiry_timestamp_seconds");
    double left = (expires - (double)time(NULL)) / 86400;
    assert_true(left > 29 && left < 30.1);
    assert_figure(of_test(daemon, "refused_total"), -1);
    daemon_expect_stop(daemon);
}

/* ---- what comes with it ------------------------------------------------------------------- */

static void
rules_and_configuration_are_good(void **state)
{
    (void)state;
    struct outcome rules = PROMTOOL("", "check", "rules", PACKAGING "sockserverd.rules.yml");
    struct outcome configuration = PROMTOOL("", "check", "config", PACKAGING "prometheus.yml");

    assert_int_equal(rules.status, 0);
    assert_int_equal(configuration.status, 0);
}

/* Who is stopped or drained has been told to, by the configuration or by an operator. */
static void
only_who_cannot_serve_calls_for_help(void **state)
{
    static const char *const states[] = {"failed", "stopped", "drained", "serving"};
    static const char *const values[][3] = {/* ready, draining, stopped */
                                            {"0", "0", "0"},
                                            {"0", "0", "1"},
                                            {"0", "1", "0"},
                                            {"1", "0", "0"}};
    const char *series = "";

    (void)state;
    for (size_t i = 0; i < 4; i++)
        series = text_of(
            "%s      - {series: 'sockserverd_listener_ready{listener=\"%s\"}', values: '%sx9'}\n"
            "      - {series: 'sockserverd_listener_draining{listener=\"%s\"}', values: '%sx9'}\n"
            "      - {series: 'sockserverd_listener_state{listener=\"%s\",state=\"stopped\"}',"
            " values: '%sx9'}\n",
            series, states[i], values[i][0], states[i], values[i][1], states[i], values[i][2]);
    const char *file = test_file(
        "alerts.yml",
        text_of("rule_files: [ \"" PACKAGING "sockserverd.rules.yml\" ]\n"
                "tests:\n  - interval: 1m\n    input_series:\n%s    promql_expr_test:\n"
                "      - expr: ALERTS{alertname=\"SockserverdListenerNotReady\"}\n"
                "        eval_time: 5m\n        exp_samples:\n"
                "          - {labels: 'ALERTS{alertname=\"SockserverdListenerNotReady\",alertstate="
                "\"firing\",listener=\"failed\",severity=\"critical\"}', value: 1}\n",
                series));
    struct outcome outcome = PROMTOOL("", "test", "rules", file);
    assert_string_equal(outcome.errors, "");
    assert_int_equal(outcome.status, 0);
}

/* Fails if the file names a metric that the daemon does not tell; returns how many it names. */
static size_t
check_names(const char *path, const char *text)
{
    const char *place = file_text(path);
    size_t count = 0;
    regex_t name;
    regmatch_t match;

    assert_int_equal(regcomp(&name, "sockserverd_[a-z_]*", REG_EXTENDED), 0);
    for (; regexec(&name, place, 1, &match, 0) == 0; place += match.rm_eo) {
        const char *found = text_of("%.*s", (int)(match.rm_eo - match.rm_so), place + match.rm_so);
        const char *sample = text_of("\n%s{", found), *type = text_of("\n# TYPE %s ", found);
        if (strstr(text, sample) == NULL && strstr(text, type) == NULL)
            fail_msg("%s names %s, which is no metric", path, found);
        count++;
    }
    regfree(&name);
    return count;
}

static void
they_name_only_metrics_that_there_are(void **state)
{
    struct daemon *daemon = serve_metrics(*state, "threading", "");
    const char *text = body_of(fetch(daemon, "/metrics"));

    assert_true(check_names(PACKAGING "sockserverd.rules.yml", text) > 10);
    assert_true(check_names(PACKAGING "dashboard.json", text) > 20);
    daemon_expect_stop(daemon);
}

/* Each metric is in the manual, by its name without the prefix. */
static void
the_manual_has_each_metric(void **state)
{
    const char *manual = file_text(SOURCE_DIR "/plugins/metrics/sockserverd-metrics.7");
    struct daemon *daemon = serve_metrics(*state, "threading", "");
    const char *line = body_of(fetch(daemon, "/metrics"));

    while ((line = strstr(line, "# TYPE sockserverd_")) != NULL) {
        line += strlen("# TYPE sockserverd_");
        assert_listed(manual, text_of("%.*s", (int)strcspn(line, " "), line));
    }
    daemon_expect_stop(daemon);
}

RUN_TESTS(TEST_CASE(promtool_finds_no_fault, "tcp", "coroutine"),
          TEST_CASE(the_client_library_reads_both_forms, "tcp", "coroutine"),
          TEST_CASE(prometheus_scrapes_it, "tcp", "coroutine"),
          TEST_CASE(prometheus_scrapes_it, "tcp", "threading"),
          TEST_CASE(a_certificate_has_its_day, "tcp", "coroutine"),
          TEST(rules_and_configuration_are_good), TEST(only_who_cannot_serve_calls_for_help),
          TEST_CASE(they_name_only_metrics_that_there_are, "tcp", "coroutine"),
          TEST_CASE(the_manual_has_each_metric, "tcp", "coroutine"))
