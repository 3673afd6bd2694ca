/* SPDX-License-Identifier: MIT */
/*
 * test_metrics_page.c - the page of the plugin `metrics` and what keeps it alive, without a browser
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "http_fixture.h"

/* The page's listener, "test", with these options, beside others. */
static struct daemon *
watch(const struct server_case *server, const char *options, const char *others)
{
    const char *more =
        text_of("control_access = \"read\"; options = { timeout = \"20s\"; %s };", options);
    struct daemon *daemon =
        daemon_start("listeners = {\n%s%s};",
                     listener_text("test", server->scheme, server->mixin, "metrics", more), others);

    (void)daemon_address(daemon, "test");
    return daemon;
}

static const char *
upper_listener(const char *name, const char *more)
{
    return listener_text(name, "tcp", "coroutine", "upper", more);
}

#define ASK(target) "GET " target " HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"

static const char *
live(struct daemon *daemon, const char *query)
{
    const char *answer = answer_to(
        daemon,
        text_of("GET /live.json%s HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n", query));

    expect_status(answer, 200);
    return strstr(answer, "\r\n\r\n") + 4;
}

/* The nonce of the page's policy. */
static const char *
nonce_of(const char *answer)
{
    const char *nonce = strstr(answer, "script-src 'nonce-");

    assert_non_null(nonce);
    return text_of("%.32s", nonce + strlen("script-src 'nonce-"));
}

static size_t
times_of(const char *text, const char *part)
{
    size_t count = 0;

    for (; (text = strstr(text, part)) != NULL; text += strlen(part))
        count++;
    return count;
}

/* ---- the page ------------------------------------------------------------------------------- */

static void
the_page_lets_in_nothing_from_elsewhere(void **state)
{
    struct daemon *daemon = watch(*state, "", "");
    const char *answer = answer_to(daemon, ASK("/")), *nonce = nonce_of(answer);

    expect_status(answer, 200);
    assert_contains(answer, "\r\nContent-Type: text/html; charset=utf-8\r\n");
    assert_contains(answer, "\r\nX-Content-Type-Options: nosniff\r\n");
    assert_contains(answer, "\r\nReferrer-Policy: no-referrer\r\n");
    assert_contains(answer, "\r\nCache-Control: no-store\r\n");
    assert_contains(
        answer,
        text_of("\r\nContent-Security-Policy: default-src 'none'; script-src 'nonce-%s'; style-src "
                "'nonce-%s'; img-src data:; connect-src 'self'; base-uri 'none'; form-action "
                "'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
                "trusted-types 'none'\r\n",
                nonce, nonce));
    assert_int_equal(strspn(nonce, "0123456789abcdef"), 32);
    assert_int_equal(times_of(answer, text_of(" nonce=\"%s\">", nonce)), 2);
    assert_int_equal(times_of(answer, "<script") + times_of(answer, "<style"), 2);
    assert_string_not_equal(nonce_of(answer_to(daemon, ASK("/"))), nonce);
    const char *page = strstr(answer, "\r\n\r\n") + 4;
    assert_lacks(page, " style=");
    assert_lacks(page, " onclick=");
    assert_lacks(page, "https://");
    assert_lacks(page, " src=");
    assert_lacks(page, "{{");
    assert_lacks(page, "\n  ");
    assert_int_equal(strlen(page), length_of(answer));
    daemon_expect_stop(daemon);
}

static void
the_page_is_a_table_before_its_script_runs(void **state)
{
    struct daemon *daemon =
        watch(*state, "", text_of("%s%s", upper_listener("one", ""), upper_listener("two", "")));

    (void)daemon_address(daemon, "two");
    WAIT_UNTIL(strstr(answer_to(daemon, ASK("/")), "3 of 3") != NULL);
    const char *answer = answer_to(daemon, ASK("/"));
    assert_contains(answer, text_of("<tr><th scope=row>one<small>%s</small><td>serving<td>0<td>–"
                                    "<td>–<td>0<td>0<td>0/",
                                    daemon_address(daemon, "one")));
    assert_int_equal(times_of(answer, "<td>serving<td>"), 3);
    assert_contains(answer, "<noscript><meta http-equiv=\"refresh\"");
    assert_contains(answer, "id=\"ready\">ready</span>");
    assert_contains(answer, "iB</dd>"); /* the supervisor's memory */
    assert_true(length_of(answer) < 30000);
    daemon_expect_stop(daemon);
}

/* An answer, the text it holds, and its body; NULL: any. */
struct page_row {
    const char *request;
    int status;
    const char *holds, *body;
};

static const struct page_row rows[] = {
    {"HEAD / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n", 200, "Content-Security", ""},
    {"HEAD /live.json HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n", 200, "/json", ""},
    {ASK("/?x=y"), 200, "text/html", NULL},
    {ASK("/index.html"), 404, NULL, NULL},
    {ASK("/live.json/"), 404, NULL, NULL},
    {ASK("/live.json?since=99999999999999999999999&full=0-99999999999999999999,7&tail=x,-1,,5-"),
     200, "\"full\":{\"0\":[[", NULL},
    {ASK("/live.json?full=5-1,0&tail=0&&="), 200, "\"full\":{\"0\":[[", NULL},
    {"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", 405,
     "\r\nAllow: GET, HEAD\r\n", NULL},
};

static void
each_path_has_its_answer(void **state)
{
    struct daemon *daemon = watch(*state, "", "");

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *answer = answer_to(daemon, rows[i].request);
        expect_status(answer, rows[i].status);
        if (rows[i].holds != NULL)
            assert_contains(answer, rows[i].holds);
        if (rows[i].body != NULL)
            assert_string_equal(strstr(answer, "\r\n\r\n") + 4, rows[i].body);
    }
    daemon_expect_stop(daemon);
}

/* ---- hostile texts -------------------------------------------------------------------------- */

#define EVIL     "x<script>alert(1)<'&b>"
#define HARMLESS "x&lt;script&gt;alert(1)&lt;&#39;&amp;b&gt;"

static void
what_comes_from_outside_is_no_markup(void **state)
{
    const char *served = text_of("good = { address = \"unix://%s\"; plugin = \"upper\"; };\n",
                                 test_path(EVIL ".sock"));
    const char *failed = text_of("bad = { address = \"unix://%s\"; plugin = \"upper\"; };\n",
                                 test_path("none" EVIL "/s"));
    struct daemon *daemon = watch(*state, "", text_of("%s%s", served, failed));

    WAIT_UNTIL(strstr(answer_to(daemon, ASK("/")), "<tr class=bad>") != NULL);
    const char *answer = answer_to(daemon, ASK("/"));
    assert_lacks(answer, EVIL);
    assert_lacks(answer, "<script>");
    assert_contains(answer, "<small>unix://");
    assert_contains(answer, HARMLESS ".sock</small>");
    assert_contains(answer, "<td>failed<td>cannot ");
    assert_contains(answer, "none" HARMLESS);
    answer = answer_to(daemon, ASK("/live.json"));
    assert_contains(answer, "\r\nContent-Type: application/json\r\n");
    assert_contains(answer, "\r\nX-Content-Type-Options: nosniff\r\n");
    assert_contains(answer, "[\"bad\",\"bad\",\"failed\",\"cannot ");
    json_t *json = json_loads(strstr(answer, "\r\n\r\n") + 4, 0, NULL);
    assert_non_null(json);
    json_decref(json);
    daemon_expect_stop(daemon);
}

/* ---- history -------------------------------------------------------------------------------- */

/* The greatest value of a row's series: 0 the rate, 1 p50, 2 p99, 3 the queue, 4 refusals. */
static double
most_of(struct daemon *daemon, const char *row, size_t series)
{
    json_t *json = json_loads(live(daemon, text_of("?full=%s", row)), 0, NULL);
    const json_t *chart = json_object_get(json_object_get(json, "full"), row);
    double most = json_number_value(json_array_get(json_array_get(chart, series), 0));

    assert_int_equal(json_array_size(chart), 5);
    json_decref(json);
    return most;
}

static void
charts_are_there_before_anybody_looks(void **state)
{
    struct daemon *daemon = watch(*state, "history = \"12s\";", upper_listener("one", ""));
    double begin = clock_now();

    while (clock_now() < begin + 2) { /* twenty points, which nobody asks for */
        assert_string_equal(client_ask(daemon_address(daemon, "one"), "a\n"), "A\n");
        clock_pause();
    }
    assert_true(most_of(daemon, "2", 0) > 0);
    assert_true(most_of(daemon, "0", 0) > 0);
    for (int i = 0; i < 50; i++, clock_pause()) /* whatever the thread has learnt meanwhile */
        assert_lacks(live(daemon, ""), "\"rate\":\"0\"");
    WAIT_UNTIL(most_of(daemon, "2", 2) > 0);
    assert_true(most_of(daemon, "2", 1) <= most_of(daemon, "2", 2));
    daemon_expect_stop(daemon);
}

static void
without_a_history_it_begins_with_the_page(void **state)
{
    struct daemon *daemon = watch(*state, "history = 0;", upper_listener("one", ""));
    int client = client_connect(daemon_address(daemon, "one"));

    client_send(client, "a\n");
    client_expect(client, "A\n");
    assert_contains(live(daemon, "?full=2"), "\"interval\":5000,");
    assert_contains(live(daemon, "?full=2"), "\"2\":[[0,\"");
    WAIT_UNTIL(strstr(live(daemon, "?full=2"), "[\"\",1,\"serving\",\"0.1\"") != NULL);
    daemon_expect_stop(daemon);
}

static void
only_what_has_changed_is_told(void **state)
{
    struct daemon *daemon = watch(
        *state, "history = \"1h\";",
        text_of("%s%s", upper_listener("one", ""), upper_listener("two", "max_connections = 2;")));

    (void)daemon_address(daemon, "one"), (void)daemon_address(daemon, "two");
    WAIT_UNTIL(strstr(live(daemon, ""), "3 of 3") != NULL);
    const char *looked = strstr(live(daemon, ""), "\"looked\":");
    const char *query = text_of("?tail=0-2&since=%ld", strtol(looked + 9, NULL, 10));
    int client = client_connect(daemon_address(daemon, "two"));

    client_send(client, "a\n");
    client_expect(client, "A\n");
    WAIT_UNTIL(strstr(live(daemon, query), "[\"\",2,\"serving\",\"0.1\"") != NULL);
    assert_lacks(live(daemon, query), "[\"\",1,\"serving\",");
    assert_contains(live(daemon, query), "\"1/2\"]");
    daemon_expect_stop(daemon);
}

/* Whoever knows the last points gets those behind them; whoever missed too many gets all. */
static void
a_tail_follows_what_is_known(void **state)
{
    struct daemon *daemon = watch(*state, "history = \"12s\";", "");
    double end = clock_now() + DEADLINE;
    const char *answer;

    do { /* until a point has come between two questions, and not twenty */
        const char *looked = strstr(live(daemon, ""), "\"looked\":");
        clock_pause();
        answer = live(daemon, text_of("?tail=0-1&since=%ld", strtol(looked + 9, NULL, 10)));
    } while (strstr(answer, "\"tail\":{\"0\":[[") == NULL && clock_now() < end);
    assert_contains(answer, "\"full\":{},");
    assert_contains(answer, "\"tail\":{\"0\":[[");
    assert_contains(answer, "]],\n\"1\":[[");
    answer = live(daemon, "?tail=0&full=1&since=7");
    assert_contains(answer, "\"full\":{\"1\":[[");
    assert_contains(answer, "]],\n\"0\":[[");
    assert_contains(answer, "\"tail\":{}}");
    daemon_expect_stop(daemon);
}

/* ---- what goes wrong ------------------------------------------------------------------------ */

static void
refusals_are_counted_by_their_reason(void **state)
{
    struct daemon *daemon =
        watch(*state, "history = \"2m\";", upper_listener("one", "deny = [ \"127.0.0.1\" ];"));

    (void)daemon_address(daemon, "one");
    WAIT_UNTIL(strstr(live(daemon, ""), "2 of 2") != NULL);
    (void)client_ask(daemon_address(daemon, "one"), "");
    (void)client_ask(daemon_address(daemon, "one"), "");
    WAIT_UNTIL(strstr(live(daemon, ""), "\"refusals\":[[\"\",\"denied\",\"2\"]]") != NULL);
    assert_contains(live(daemon, ""), ",\"one\",\"refused");
    WAIT_UNTIL(most_of(daemon, "2", 4) >= 1);
    assert_contains(answer_to(daemon, ASK("/")), "<tr><th scope=row>denied<td>2\n");
    daemon_expect_stop(daemon);
}

static void
a_crash_is_told(void **state)
{
    struct daemon *daemon = watch(*state, "history = \"2m\";",
                                  listener_text("one", "tcp", "coroutine", "good_command", ""));

    (void)daemon_address(daemon, "one");
    WAIT_UNTIL(strstr(live(daemon, ""), "2 of 2") != NULL);
    client_send(client_connect(daemon_address(daemon, "one")), "abort\n");
    WAIT_UNTIL(strstr(live(daemon, ""), "\"restarts\":\"1\"") != NULL);
    assert_contains(live(daemon, ""), ",\"one\",\"worker replaced\",\"");
    daemon_expect_stop_after_fault(daemon);
}

static void
a_daemon_that_hangs_is_told_and_comes_back(void **state)
{
    struct daemon *daemon = daemon_start(
        "listeners = {\n%s};",
        listener_text("test", ((const struct server_case *)*state)->scheme,
                      ((const struct server_case *)*state)->mixin, "metrics",
                      "control_access = \"read\"; options = { timeout = \"200ms\"; };"));

    (void)daemon_address(daemon, "test");
    WAIT_UNTIL(strstr(answer_to(daemon, ASK("/")), " 200 ") != NULL);
    assert_int_equal(kill(daemon_pid(daemon), SIGSTOP), 0);
    WAIT_UNTIL(strstr(answer_to(daemon, ASK("/live.json")), " 503 ") != NULL);
    assert_contains(answer_to(daemon, ASK("/")), "the daemon does not answer: ");
    assert_int_equal(kill(daemon_pid(daemon), SIGCONT), 0);
    WAIT_UNTIL(strstr(answer_to(daemon, ASK("/live.json")), " 200 ") != NULL);
    daemon_expect_stop(daemon);
}

static void
a_history_too_short_is_a_mistake(void **state)
{
    const char *file = daemon_configuration(
        "listeners = {\n%s};",
        listener_text("test", "tcp", "coroutine", "metrics",
                      "control_access = \"read\"; options = { history = \"5s\"; };"));
    struct outcome outcome = COMMAND("", "--check", "-c", file);

    (void)state;
    assert_int_equal(outcome.status, 78);
    assert_contains(outcome.errors, "5 s are too short for a chart; expected 0 or 12 s to a day");
}

RUN_TESTS(TEST_EACH_MIXIN(the_page_lets_in_nothing_from_elsewhere, "tcp"),
          TEST_EACH_MIXIN(the_page_is_a_table_before_its_script_runs, "tcp"),
          TEST_EACH_MIXIN(each_path_has_its_answer, "tcp"),
          TEST_CASE(what_comes_from_outside_is_no_markup, "tcp", "coroutine"),
          TEST_CASE(what_comes_from_outside_is_no_markup, "unix", "threading"),
          TEST_CASE(charts_are_there_before_anybody_looks, "tcp", "none"),
          TEST_CASE(charts_are_there_before_anybody_looks, "tcp", "threading"),
          TEST_CASE(charts_are_there_before_anybody_looks, "tcp", "coroutine"),
          TEST_CASE(without_a_history_it_begins_with_the_page, "tcp", "threading"),
          TEST_CASE(without_a_history_it_begins_with_the_page, "tcp", "forking"),
          TEST_CASE(without_a_history_it_begins_with_the_page, "tcp", "coroutine"),
          TEST_CASE(only_what_has_changed_is_told, "tcp", "coroutine"),
          TEST_CASE(a_tail_follows_what_is_known, "tcp", "coroutine"),
          TEST_CASE(refusals_are_counted_by_their_reason, "tcp", "coroutine"),
          TEST_CASE(a_crash_is_told, "tcp", "coroutine"),
          TEST_CASE(a_daemon_that_hangs_is_told_and_comes_back, "tcp", "threading"),
          TEST_CASE(a_daemon_that_hangs_is_told_and_comes_back, "tcp", "coroutine"),
          TEST(a_history_too_short_is_a_mistake))
