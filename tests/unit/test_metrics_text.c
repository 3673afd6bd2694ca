/* SPDX-License-Identifier: MIT */
/*
 * test_metrics_text.c - what the plugin `metrics` writes, of replies that a daemon gives
 */
#include <errno.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "plugins/metrics/metrics.h"

/* A reply with one listener of that name, whose figures are these. */
static json_t *
reply_of(const char *name, const char *columns, const char *figures, const char *times)
{
    char text[2048];

    (void)snprintf(
        text, sizeof(text),
        "{\"daemon\":{\"version\":\"1.2\",\"instance\":1500000,\"cpu_us\":7,\"log_lost\":0},"
        "\"memory\":4096,\"ready\":true,\"stopping\":false,"
        "\"bounds_ns\":[16384,1048576,68719476736],\"columns\":%s,"
        "\"listeners\":[{\"name\":\"%s\",\"state\":\"backing off\",\"address\":"
        "\"unix:///a\\\\\\\"b\\nc\",\"plugin\":\"/lib/x/upper.so\",\"mixin\":\"none\","
        "\"reason\":\"a \\\"reason\\\"\\u0001\",\"figures\":\"%s\",\"times\":\"%s\"}]}",
        columns, name, figures, times);
    json_t *reply = json_loads(text, 0, NULL);
    assert_non_null(reply);
    return reply;
}

#define COLUMNS "[\"accepted\",\"cpu_us\",\"busy_us\",\"memory\",\"done\",\"ready\",\"later\"]"

static struct snapshot
snapshot_of(const char *figures, const char *times)
{
    struct snapshot snapshot;

    assert_int_equal(snapshot_read(reply_of("a", COLUMNS, figures, times), &snapshot), 0);
    return snapshot;
}

/* The whole text; the caller frees it. */
static char *
written(const struct snapshot *snapshot, bool open)
{
    struct text text = TEXT_GROWING;

    exposition_write(&text, snapshot, open);
    text_add(&text, "", 1);
    assert_false(text.failed);
    return text.data;
}

static void
expect(const char *text, const char *line)
{
    if (strstr(text, line) == NULL)
        fail_msg("expected\n%s\nin:\n%s", line, text);
}

static void
figures_become_samples(void **state)
{
    struct snapshot snapshot = snapshot_of("12 1234567 42 - 3 1 9", "1 2 3 4");
    char *text = written(&snapshot, false);

    (void)state;
    expect(text, "# TYPE sockserverd_accepted_total counter\n"
                 "sockserverd_accepted_total{listener=\"a\"} 12\n");
    expect(text, "\nsockserverd_cpu_seconds_total{listener=\"a\"} 1.234567\n");
    expect(text, "\nsockserverd_requests_total{listener=\"a\",end=\"done\"} 3\n");
    expect(text, "\nsockserverd_listener_state{listener=\"a\",state=\"backing off\"} 1\n");
    expect(text, "\nsockserverd_listener_state{listener=\"a\",state=\"serving\"} 0\n");
    expect(text, "\nsockserverd_start_time_seconds 1.500000\n");
    expect(text, "\nsockserverd_supervisor_cpu_seconds_total 0.000007\n");
    expect(text, "\nsockserverd_supervisor_memory_bytes 4096\n");
    expect(text, "\nsockserverd_ready 1\n");
    assert_null(strstr(text, "sockserverd_memory_bytes{")); /* it is not known */
    assert_null(strstr(text, "later"));
    assert_null(strstr(text, "# EOF"));
    free(text);
    snapshot_done(&snapshot);
}

static void
times_become_a_histogram(void **state)
{
    struct snapshot snapshot = snapshot_of("12 0 42 5 3 1 9", "1 2 3 4");
    char *text = written(&snapshot, false);

    (void)state;
    expect(text,
           "# TYPE sockserverd_request_duration_seconds histogram\n"
           "sockserverd_request_duration_seconds_bucket{listener=\"a\",le=\"1.6384e-05\"} 1\n"
           "sockserverd_request_duration_seconds_bucket{listener=\"a\",le=\"0.001048576\"} 2\n"
           "sockserverd_request_duration_seconds_bucket{listener=\"a\",le=\"68.719476736\"} 3\n"
           "sockserverd_request_duration_seconds_bucket{listener=\"a\",le=\"+Inf\"} 4\n"
           "sockserverd_request_duration_seconds_sum{listener=\"a\"} 0.000042\n"
           "sockserverd_request_duration_seconds_count{listener=\"a\"} 4\n");
    free(text);
    snapshot_done(&snapshot);
}

static void
labels_are_escaped(void **state)
{
    struct snapshot snapshot = snapshot_of("1 1 1 1 1 1 1", "1 1 1 1");
    char *text = written(&snapshot, false);

    (void)state;
    expect(text, "\nsockserverd_listener_info{listener=\"a\",address=\"unix:///a\\\\\\\"b\\nc\","
                 "plugin=\"upper\",mixin=\"none\"} 1\n");
    free(text);
    snapshot_done(&snapshot);
}

static void
open_metrics_differ_in_their_heads(void **state)
{
    struct snapshot snapshot = snapshot_of("12 1 42 5 3 1 9", "1 2 3 4");
    char *text = written(&snapshot, true);
    size_t size = strlen(text);

    (void)state;
    expect(text, "# TYPE sockserverd_accepted counter\nsockserverd_accepted_total{");
    expect(text, "# TYPE sockserverd_cpu_seconds counter\n# UNIT sockserverd_cpu_seconds seconds\n"
                 "sockserverd_cpu_seconds_total{");
    expect(text, "# TYPE sockserverd_build info\nsockserverd_build_info{version=\"1.2\"} 1\n");
    assert_string_equal(text + size - strlen("\n# EOF\n"), "\n# EOF\n");
    free(text);
    snapshot_done(&snapshot);
}

static void
status_is_json(void **state)
{
    struct snapshot snapshot = snapshot_of("12 1 42 - 3 0 9.5", "1 2 3 4");
    struct text text = TEXT_GROWING;
    json_error_t error;

    (void)state;
    status_write(&text, &snapshot, NULL, NULL);
    json_t *status = json_loadb(text.data, text.size, JSON_REJECT_DUPLICATES, &error);
    if (status == NULL)
        fail_msg("%s: %.*s", error.text, (int)text.size, text.data);
    const json_t *listener = json_array_get(json_object_get(status, "listeners"), 0);
    assert_string_equal(json_string_value(json_object_get(listener, "address")),
                        "unix:///a\\\"b\nc");
    assert_string_equal(json_string_value(json_object_get(listener, "reason")), "a \"reason\"\1");
    assert_true(json_is_null(json_object_get(listener, "problem")));
    assert_true(json_is_null(json_object_get(listener, "memory")));
    assert_true(json_is_false(json_object_get(listener, "ready")));
    assert_int_equal(json_integer_value(json_object_get(listener, "accepted")), 12);
    assert_true(json_real_value(json_object_get(listener, "later")) > 9.4);
    assert_int_equal(json_array_size(json_object_get(listener, "times")), 4);
    json_decref(status);
    text_done(&text);
    snapshot_done(&snapshot);
}

/* Fewer figures than columns, none at all, junk: unknown, and no more than that. */
static void
figures_that_are_not_there_are_unknown(void **state)
{
    static const char *const rows[][2] = {{"", ""},
                                          {"12", "1"},
                                          {"- - - - - - -", "- - - -"},
                                          {"   ", " "},
                                          {"1 2 3 4 5 6 7 8", "1 2 3 4 5"}};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct snapshot snapshot = snapshot_of(rows[i][0], rows[i][1]);
        char *text = written(&snapshot, i % 2 == 0);
        assert_null(strstr(text, "} \n"));
        assert_null(strstr(text, "  "));
        free(text);
        snapshot_done(&snapshot);
    }
}

static void
what_is_no_reply_is_refused(void **state)
{
    static const char *const texts[] = {
        "{\"listeners\":[{}]}",
        "{\"listeners\":[1]}",
        "{\"columns\":[1]}",
        "{\"bounds_ns\":[5,5]}",
        ("{\"listeners\":[{\"name\":\"a\",\"state\":\"s\",\"address\":1,\"plugin\":\"\",\"mixin\":"
         "\"\"}]}"),
    };
    struct snapshot snapshot;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_int_equal(snapshot_read(json_loads(texts[i], 0, NULL), &snapshot), -EBADMSG);
    assert_int_equal(snapshot_read(json_object(), &snapshot), 0);
    assert_int_equal(snapshot.count, 0);
    free(written(&snapshot, true));
    snapshot_done(&snapshot);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures_become_samples),
        cmocka_unit_test(times_become_a_histogram),
        cmocka_unit_test(labels_are_escaped),
        cmocka_unit_test(open_metrics_differ_in_their_heads),
        cmocka_unit_test(status_is_json),
        cmocka_unit_test(figures_that_are_not_there_are_unknown),
        cmocka_unit_test(what_is_no_reply_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
