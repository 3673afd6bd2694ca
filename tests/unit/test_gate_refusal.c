/* SPDX-License-Identifier: MIT */
/*
 * test_gate_refusal.c - what becomes of a request that a gate turns away, and who it is behind the
 * gates
 */
#include "gate_fixture.h"

/* ---- being turned away ------------------------------------------------------------------ */

static const struct outcome {
    const char *name;
    int (*outer)(struct ss_request *);
    int (*inner)(struct ss_request *);
    const char *steps;
    enum close_reason reason;
    const char *refusal; /* NULL: none */
} outcomes[] = {
    {"refused by the first", refuse_rudely, NULL, "outer shutdown close", CLOSE_REFUSED, "rude"},
    {"refused by the second", NULL, refuse_politely, "outer inner shutdown close -outer",
     CLOSE_REFUSED, "polite"},
    {"no client", NULL, put_aside, "outer inner shutdown close -outer", CLOSE_ASIDE, "aside"},
    {"waited in vain", NULL, wait_in_vain, "outer inner shutdown close -outer", CLOSE_REFUSED,
     "inner failed"},
    {"the first one waited in vain", wait_in_vain, NULL, "outer shutdown close", CLOSE_REFUSED,
     "outer failed"},
    {"client went away", NULL, lose_the_client, "outer inner shutdown close -outer", CLOSE_VANISHED,
     NULL},
    {"cut", NULL, be_cut, "outer inner shutdown close -outer", CLOSE_CUT, NULL},
};

static void
request_ends_as_the_gate_says(void **state)
{
    const struct outcome *outcome = *state;

    (void)open_it(NULL);
    outer.enter = outcome->outer;
    inner.enter = outcome->inner;
    request_process(request);
    assert_string_equal(trace, outcome->steps);
    assert_int_equal(request->reason, outcome->reason);
    if (outcome->refusal == NULL)
        assert_null(request->refusal);
    else
        assert_string_equal(request->refusal->reason, outcome->refusal);
    assert_int_equal(sums().accepted, outcome->reason != CLOSE_ASIDE);
    assert_int_equal(sums().refused, outcome->reason == CLOSE_REFUSED);
    assert_int_equal(sums().cut, outcome->reason == CLOSE_CUT);
    assert_int_equal(sums().vanished, outcome->reason == CLOSE_VANISHED);
    assert_int_equal(sums().failed, 0);
    assert_true(counter_get(fixture.slot->ended) >= request->started);
    assert_null(request_current);
    (void)close_it(NULL);
}

static void
one_put_aside_leaves_no_trace_in_the_figures(void **state)
{
    uint64_t times = 0;

    (void)state;
    outer.enter = put_aside;
    assert_int_equal(send(client, "hello", 5, 0), 5);
    request_process(request);
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        times += sums().handling.buckets[i];
    assert_int_equal(times, 0);
    assert_int_equal(sums().busy_ns, 0);
    assert_int_equal(sums().bytes_in, 0);
}

/* A client that goes on sending would hold a context for a second. */
static void
only_a_polite_refusal_waits_for_what_comes(void **state)
{
    int64_t before;

    for (int i = 0; i < 2; i++) {
        outer.enter = i == 0 ? refuse_rudely : refuse_politely;
        assert_int_equal(send(client, "hello", 5, 0), 5);
        before = monotonic_now();
        request_process(request);
        int64_t took = monotonic_now() - before;
        assert_true(i == 0 ? took < 900000000 : took >= 900000000);
        (void)close(client);
        accept_client();
    }
    traced_transport.close_request(request);
    (void)state;
}

static void
request_timeout_bounds_a_gate_too(void **state)
{
    (void)state;
    fixture.server.settings.request_timeout = 0.02;
    inner.enter = wait_for_ever;
    request_process(request);
    assert_string_equal(trace, "outer inner shutdown close -outer");
    assert_int_equal(request->reason, CLOSE_OVERTIME);
}

static int
limit_and_pass(struct ss_request *given)
{
    gate_limit(given, 0.01);
    assert_true(given->deadline < FOREVER);
    return 0;
}

static int
ask_for_more_than_there_is(struct ss_request *given)
{
    int64_t deadline = given->deadline;

    gate_limit(given, 3600);
    assert_true(given->deadline == deadline);
    return 0;
}

static void
a_gates_limit_is_its_own_and_no_longer_than_the_requests(void **state)
{
    (void)state;
    outer.enter = limit_and_pass;
    inner.enter = see_the_whole_deadline;
    request_process(request);
    assert_int_equal(request->reason, CLOSE_DONE);
    (void)close(client);
    accept_client();
    fixture.server.settings.request_timeout = 60;
    inner.enter = ask_for_more_than_there_is;
    request_process(request);
    assert_int_equal(request->reason, CLOSE_DONE);
}

/* ---- who it is -------------------------------------------------------------------------- */

static void
client_is_published_behind_the_gates(void **state)
{
    (void)state;
    memset(fixture.slot->client, 7, sizeof(fixture.slot->client)); /* the last one's */
    outer.enter = see_no_client_yet;
    inner.enter = announce_another_client;
    request_process(request);
    assert_string_equal(seen_client, "192.0.2.7:4711");
    assert_int_equal(request->reason, CLOSE_DONE);
}

static void
what_a_gate_has_not_read_is_the_plugins(void **state)
{
    (void)state;
    outer.enter = read_a_header;
    fixture.server.plugin.hooks = (struct plugin_hooks){.handle = handle_the_rest};
    assert_int_equal(send(client, "header\nrest", 11, 0), 11);
    request_process(request);
    assert_string_equal(trace, "outer inner rest shutdown close -inner -outer");
}

#define OUTCOMES (sizeof(outcomes) / sizeof(outcomes[0]))

static const struct CMUnitTest other_tests[] = {
    TEST(one_put_aside_leaves_no_trace_in_the_figures),
    TEST(only_a_polite_refusal_waits_for_what_comes),
    TEST(request_timeout_bounds_a_gate_too),
    TEST(a_gates_limit_is_its_own_and_no_longer_than_the_requests),
    TEST(client_is_published_behind_the_gates),
    TEST(what_a_gate_has_not_read_is_the_plugins),
};
#define OTHERS (sizeof(other_tests) / sizeof(other_tests[0]))

int
main(void)
{
    struct CMUnitTest tests[OUTCOMES + OTHERS];

    for (size_t i = 0; i < OUTCOMES; i++)
        tests[i] = (struct CMUnitTest){outcomes[i].name, request_ends_as_the_gate_says, NULL, NULL,
                                       (void *)(uintptr_t)&outcomes[i]};
    memcpy(tests + OUTCOMES, other_tests, sizeof(other_tests));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
