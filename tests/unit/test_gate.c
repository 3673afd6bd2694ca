/* SPDX-License-Identifier: MIT */
/*
 * test_gate.c - which gates a listener gets, and in which order a request enters and leaves them
 */
#include "gate_fixture.h"

/* ---- preparing -------------------------------------------------------------------------- */

static void
only_gates_that_apply_are_entered(void **state)
{
    (void)state;
    outer.applies = 0;
    prepare();
    assert_int_equal(fixture.server.gate_count, 1);
    request_process(request);
    assert_string_equal(trace, "inner verify setup handle shutdown close -inner");
}

static void
no_gate_applies(void **state)
{
    (void)state;
    outer.applies = inner.applies = 0;
    prepare();
    assert_int_equal(fixture.server.gate_count, 0);
    request_process(request);
    assert_string_equal(trace, "verify setup handle shutdown close");
    assert_int_equal(sums().accepted, 1);
}

static void
a_gate_that_cannot_be_prepared_is_told(void **state)
{
    struct errors errors = {0};

    (void)state;
    outer.applies = -EPERM;
    trace[0] = '\0';
    assert_int_equal(gates_prepare(&fixture.server, both, &errors), -EPERM);
    assert_string_equal(trace, "prepare-outer"); /* and no further */
    assert_int_equal(errors.count, 1);
    assert_string_equal(errors.texts[0], "it cannot be");
    errors_done(&errors);
    traced_transport.close_request(request);
}

static void
more_gates_than_there_is_room_for_are_told(void **state)
{
    const struct gate *many[GATES_MAX + 2] = {0};
    struct errors errors = {0};

    (void)state;
    for (size_t i = 0; i <= GATES_MAX; i++)
        many[i] = &inner_gate;
    assert_int_equal(gates_prepare(&fixture.server, many, &errors), -E2BIG);
    assert_int_equal(errors.count, 1);
    assert_int_equal(fixture.server.gate_count, GATES_MAX);
    errors_done(&errors);
    traced_transport.close_request(request);
}

/* ---- entering and leaving --------------------------------------------------------------- */

static void
gates_are_left_in_reverse_when_all_is_over(void **state)
{
    (void)state;
    request_process(request);
    assert_string_equal(trace, "outer inner verify setup handle shutdown close -inner -outer");
    assert_int_equal(request->reason, CLOSE_DONE);
    assert_int_equal(request->gates_entered, 0);
}

static void
the_transport_opens_behind_the_last_gate(void **state)
{
    (void)state;
    traced_transport.open_request = open_request;
    prepare();
    request_process(request);
    assert_string_equal(trace, "outer inner open verify setup handle shutdown close -inner -outer");
}

static void
a_transport_that_cannot_open_is_a_refusal(void **state)
{
    (void)state;
    traced_transport.open_request = open_request;
    opening.enter = wait_in_vain;
    prepare();
    request_process(request);
    assert_string_equal(trace, "outer inner open shutdown close -inner -outer");
    assert_int_equal(request->reason, CLOSE_REFUSED);
    assert_string_equal(request->refusal->reason, "the connection was not opened");
}

static void
gates_are_left_when_setup_failed(void **state)
{
    (void)state;
    setup_result = -EIO;
    request_process(request);
    assert_string_equal(trace, "outer inner verify setup error shutdown close -inner -outer");
}

static void
gates_are_left_when_the_handler_ended_its_thread(void **state)
{
    (void)state;
    request_current = request;
    assert_int_equal(gates_enter(request), 0);
    request_abandon(request);
    assert_string_equal(trace, "outer inner shutdown close -inner -outer");
}

static void
next_request_enters_anew(void **state)
{
    (void)state;
    inner.enter = refuse_politely;
    request_process(request);
    (void)close(client);
    accept_client();
    inner.enter = NULL;
    trace[0] = '\0';
    request_process(request);
    assert_string_equal(trace, "outer inner verify setup handle shutdown close -inner -outer");
    assert_int_equal(request->reason, CLOSE_DONE);
    assert_null(request->refusal);
}

/* ---- asking beforehand ------------------------------------------------------------------ */

static bool
would_pass(const struct ss_request *given)
{
    assert_ptr_equal(given, request);
    note("would");
    return true;
}

static bool
would_not_pass(const struct ss_request *given)
{
    assert_ptr_equal(given, request);
    note("would-not");
    return false;
}

/* Nobody is asked behind a gate that cannot say. */
static void
only_first_gates_that_can_say_are_asked(void **state)
{
    const struct gate yes = {.would_pass = would_pass}, no = {.would_pass = would_not_pass};
    const struct {
        const struct gate *gates[3];
        bool refuses;
        const char *trace;
    } rows[] = {
        {{&yes, &no}, true, "would would-not"}, {{&no, &yes}, true, "would-not"},
        {{&yes, &yes}, false, "would would"},   {{&yes, &inner_gate, &no}, false, "would"},
        {{&inner_gate, &no}, false, ""},        {{NULL}, false, ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint32_t count = 0;
        for (; count < 3 && rows[i].gates[count] != NULL; count++)
            fixture.server.gates[count] = rows[i].gates[count];
        fixture.server.gate_count = count;
        trace[0] = '\0';
        assert_int_equal(gates_will_refuse(request), rows[i].refuses);
        assert_string_equal(trace, rows[i].trace);
    }
    traced_transport.close_request(request);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(only_gates_that_apply_are_entered),
        TEST(no_gate_applies),
        TEST(a_gate_that_cannot_be_prepared_is_told),
        TEST(more_gates_than_there_is_room_for_are_told),
        TEST(gates_are_left_in_reverse_when_all_is_over),
        TEST(the_transport_opens_behind_the_last_gate),
        TEST(a_transport_that_cannot_open_is_a_refusal),
        TEST(gates_are_left_when_setup_failed),
        TEST(gates_are_left_when_the_handler_ended_its_thread),
        TEST(next_request_enters_anew),
        TEST(only_first_gates_that_can_say_are_asked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
