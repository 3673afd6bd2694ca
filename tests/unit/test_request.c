/* SPDX-License-Identifier: MIT */
/*
 * test_request.c - the life of one request: which hooks run, in which order, and what is counted
 */
#include "request_fixture.h"

/* ---- what handle does ---------------------------------------------------------------- */

static void
answer(struct ss_request *given)
{
    assert_int_equal(ss_write(given, "answer", 6), 0);
}

static void
close_own_descriptor(struct ss_request *given)
{
    assert_int_equal(close(ss_fd(given)), 0);
}

static int stranger = -1; /* a descriptor of somebody else, with the number of the closed one */

static void
let_another_take_the_number(struct ss_request *given)
{
    int number = ss_fd(given);

    assert_int_equal(close(number), 0);
    stranger = open("/dev/null", O_RDWR | O_CLOEXEC);
    assert_int_equal(stranger, number);
}

static void
be_cut(struct ss_request *given)
{
    (void)given;
    counter_set(fixture.server.counters->phase, PHASE_CUT);
}

static void
be_overtime(struct ss_request *given)
{
    counter_set(fixture.slot->cancelled, given->number);
}

static void
reach_the_deadline(struct ss_request *given)
{
    given->deadline = given->overtime = monotonic_now();
}

static void
reach_its_own_deadline(struct ss_request *given)
{
    assert_int_equal(ss_set_deadline(given, 1e-9), 0);
}

static void
see_a_slow_client(struct ss_request *given)
{
    given->slow = true;
}

static void
see_the_client_vanish(struct ss_request *given)
{
    given->vanished = true;
}

static void
see_the_data_of_this_request_alone(struct ss_request *given)
{
    assert_null(ss_data(given));
    ss_set_data(given, given);
}

/* ---- the tests -------------------------------------------------------------------------- */

#define NO_ACT NULL

static const struct outcome {
    bool refuse;
    int setup, handle;
    void (*act)(struct ss_request *);
    const char *steps;
    enum close_reason reason;
    int told; /* 0: handle_error is not called */
} outcomes[] = {
    {false, 0, 0, NO_ACT, "verify setup handle finish shutdown close", CLOSE_DONE, 0},
    {false, 7, 9, NO_ACT, "verify setup handle finish shutdown close", CLOSE_DONE, 0},
    {true, 0, 0, NO_ACT, "verify shutdown close", CLOSE_REFUSED, 0},
    {true, -EIO, -EIO, NO_ACT, "verify shutdown close", CLOSE_REFUSED, 0},
    {false, -EACCES, 0, NO_ACT, "verify setup error shutdown close", CLOSE_FAILED, -EACCES},
    {false, -EACCES, -EIO, NO_ACT, "verify setup error shutdown close", CLOSE_FAILED, -EACCES},
    {false, 0, -EIO, NO_ACT, "verify setup handle finish error shutdown close", CLOSE_FAILED, -EIO},
    {false, 0, -ECONNRESET, see_the_client_vanish, "verify setup handle finish shutdown close",
     CLOSE_VANISHED, 0},
    {false, 0, -EPIPE, see_the_client_vanish, "verify setup handle finish shutdown close",
     CLOSE_VANISHED, 0},
    /* Its own trouble with another connection, not the client's. */
    {false, 0, -ECONNRESET, NO_ACT, "verify setup handle finish error shutdown close", CLOSE_FAILED,
     -ECONNRESET},
    {false, 0, -EIO, see_the_client_vanish, "verify setup handle finish error shutdown close",
     CLOSE_FAILED, -EIO},
    {false, 0, 0, see_the_client_vanish, "verify setup handle finish shutdown close", CLOSE_DONE,
     0},
    {false, 0, -ECANCELED, be_cut, "verify setup handle finish shutdown close", CLOSE_CUT, 0},
    {false, 0, -ECANCELED, be_overtime, "verify setup handle finish shutdown close", CLOSE_OVERTIME,
     0},
    {false, 0, -ECANCELED, reach_the_deadline, "verify setup handle finish shutdown close",
     CLOSE_OVERTIME, 0},
    {false, 0, -ETIMEDOUT, reach_the_deadline, "verify setup handle finish error shutdown close",
     CLOSE_OVERTIME, -ETIMEDOUT},
    {false, 0, -ETIMEDOUT, reach_its_own_deadline,
     "verify setup handle finish error shutdown close", CLOSE_LATE, -ETIMEDOUT},
    {false, 0, 0, reach_its_own_deadline, "verify setup handle finish shutdown close", CLOSE_DONE,
     0},
    {false, 0, -ETIMEDOUT, see_a_slow_client, "verify setup handle finish error shutdown close",
     CLOSE_SLOW, -ETIMEDOUT},
    {false, 0, -EIO, reach_the_deadline, "verify setup handle finish error shutdown close",
     CLOSE_FAILED, -EIO},
    {false, 0, -ETIMEDOUT, NO_ACT, "verify setup handle finish error shutdown close", CLOSE_FAILED,
     -ETIMEDOUT},
    {false, 0, -ECANCELED, NO_ACT, "verify setup handle finish error shutdown close", CLOSE_FAILED,
     -ECANCELED},
    {false, 0, 0, close_own_descriptor, "verify setup handle finish", CLOSE_DONE, 0},
    {false, 0, -EIO, close_own_descriptor, "verify setup handle finish error", CLOSE_FAILED, -EIO},
};

static void
hooks_run_as_the_outcome_says(void **state)
{
    const struct outcome *outcome = *state;
    int descriptors = open_descriptors();

    (void)open_request(NULL);
    plugin.refuse = outcome->refuse;
    plugin.setup = outcome->setup;
    plugin.handle = outcome->handle;
    plugin.act = outcome->act;
    request_process(request);
    assert_string_equal(trace, outcome->steps);
    assert_int_equal(request->reason, outcome->reason);
    assert_int_equal(plugin.told, outcome->told);
    assert_int_equal(plugin.times_told, outcome->told != 0);
    assert_null(request_current);
    assert_int_equal(request->fd, -1);
    (void)close_it(NULL);
    assert_int_equal(open_descriptors(), descriptors);
}

/* Every outcome is counted once, under its reason. */
static void
outcomes_are_counted(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(outcomes) / sizeof(outcomes[0]); i++) {
        enum close_reason reason = outcomes[i].reason;
        struct counter_sums sums;

        (void)open_request(NULL);
        plugin.refuse = outcomes[i].refuse;
        plugin.setup = outcomes[i].setup;
        plugin.handle = outcomes[i].handle;
        plugin.act = outcomes[i].act;
        request_process(request);
        counters_sum(fixture.server.counters, 1, &sums);
        assert_int_equal(sums.accepted, 1);
        assert_int_equal(sums.refused, reason == CLOSE_REFUSED);
        assert_int_equal(sums.failed, reason == CLOSE_FAILED);
        assert_int_equal(sums.vanished, reason == CLOSE_VANISHED);
        assert_int_equal(sums.slow_ended, reason == CLOSE_SLOW || reason == CLOSE_LATE);
        assert_int_equal(sums.cut, reason == CLOSE_CUT || reason == CLOSE_OVERTIME);
        (void)close_it(NULL);
    }
}

static void
plugin_with_handle_alone_is_served(void **state)
{
    (void)state;
    fixture.server.plugin.hooks = (struct plugin_hooks){.handle = fake_handle};
    plugin.act = answer;
    request_process(request);
    assert_string_equal(trace, "handle shutdown close");
    expect_sent("answer");
    expect_sent("");
}

static void
answer_leaves_before_the_end_also_when_handle_failed(void **state)
{
    (void)state;
    plugin.act = answer;
    plugin.handle = -EIO;
    request_process(request);
    expect_sent("answer");
    expect_sent("");
    assert_int_equal(counter_get(fixture.slot->bytes_out), 6);
}

static void
bytes_and_times_are_counted_over_requests(void **state)
{
    char bytes[4];

    (void)state;
    for (unsigned i = 1; i <= 3; i++) {
        plugin.act = answer;
        assert_int_equal(send(other_end, "hello", 5, 0), 5);
        request_process(request);
        assert_int_equal(recv(other_end, bytes, 4, 0), 4);
        assert_int_equal(counter_get(fixture.slot->accepted), i);
        assert_int_equal(counter_get(fixture.slot->bytes_out), i * 6);
        assert_int_equal(counter_get(fixture.slot->request), i);
        assert_true(counter_get(fixture.slot->busy_ns) > 0);
        assert_true(counter_get(fixture.slot->ended) >= counter_get(fixture.slot->started));
        (void)close(other_end);
        accept_client();
    }
    request->server->transport->close_request(request);
}

static void
nothing_is_left_for_the_next_request(void **state)
{
    (void)state;
    plugin.act = see_the_data_of_this_request_alone;
    plugin.handle = -EIO;
    request_process(request);
    (void)close(other_end);
    accept_client();
    plugin.handle = 0;
    request->output.error = -EPIPE; /* as a failed flush leaves it */
    request_process(request);
    assert_int_equal(request->reason, CLOSE_DONE);
    assert_int_equal(request->output.error, 0);
    assert_int_equal(plugin.times_told, 1);
}

static void
number_taken_by_another_is_not_closed(void **state)
{
    int descriptors = open_descriptors();

    (void)state;
    plugin.act = let_another_take_the_number;
    request_process(request);
    assert_string_equal(trace, "verify setup handle finish");
    assert_true(fcntl(stranger, F_GETFD) >= 0);
    assert_int_equal(open_descriptors(), descriptors);
    (void)close(stranger);
}

/* A signal to cut the request must not shut down whatever has its number now. */
static void
signal_spares_the_number_taken_by_another(void **state)
{
    struct sigaction before;
    int pair[2];
    char byte;

    (void)state;
    (void)sigaction(SIGURG, NULL, &before);
    interrupts_install(NULL);
    request_current = request;
    assert_true(ss_fd(request) >= 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(dup2(pair[0], request->fd), request->fd);
    counter_set(fixture.slot->cancelled, request->number);
    assert_int_equal(raise(SIGURG), 0);
    assert_int_equal(recv(pair[1], &byte, 1, MSG_DONTWAIT), -1);
    assert_int_equal(errno, EAGAIN); /* not its end */
    request_current = NULL;
    (void)close(request->fd);
    (void)close(pair[0]);
    (void)close(pair[1]);
    (void)sigaction(SIGURG, &before, NULL);
}

static void
signal_shuts_down_a_request_that_is_cut(void **state)
{
    struct sigaction before;
    char byte;

    (void)state;
    (void)sigaction(SIGURG, NULL, &before);
    interrupts_install(NULL);
    assert_int_equal(raise(SIGURG), 0); /* no request runs */
    request_current = request;
    assert_int_equal(raise(SIGURG), 0); /* one runs and may go on */
    assert_int_equal(recv(other_end, &byte, 1, MSG_DONTWAIT), -1);
    counter_set(fixture.slot->cancelled, request->number + 1); /* another's time is up */
    assert_int_equal(raise(SIGURG), 0);
    assert_int_equal(recv(other_end, &byte, 1, MSG_DONTWAIT), -1);
    counter_set(fixture.slot->cancelled, request->number);
    assert_int_equal(raise(SIGURG), 0);
    assert_int_equal(recv(other_end, &byte, 1, MSG_DONTWAIT), 0);
    request_current = NULL;
    request->server->transport->close_request(request);
    (void)sigaction(SIGURG, &before, NULL);
}

static void
abandoned_request_is_closed_and_counted(void **state)
{
    (void)state;
    request_abandon(request); /* none runs */
    assert_string_equal(trace, "");
    request_current = request;
    request_abandon(request);
    assert_string_equal(trace, "shutdown close");
    assert_int_equal(counter_get(fixture.slot->failed), 1);
    assert_null(request_current);
    expect_sent("");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, open_request, close_it)
#define OUTCOMES       (sizeof(outcomes) / sizeof(outcomes[0]))

static const struct CMUnitTest other_tests[] = {
    cmocka_unit_test(outcomes_are_counted),
    TEST(plugin_with_handle_alone_is_served),
    TEST(answer_leaves_before_the_end_also_when_handle_failed),
    TEST(bytes_and_times_are_counted_over_requests),
    TEST(nothing_is_left_for_the_next_request),
    TEST(number_taken_by_another_is_not_closed),
    TEST(signal_spares_the_number_taken_by_another),
    TEST(signal_shuts_down_a_request_that_is_cut),
    TEST(abandoned_request_is_closed_and_counted),
};
#define OTHERS (sizeof(other_tests) / sizeof(other_tests[0]))

int
main(void)
{
    static char names[OUTCOMES][80];
    struct CMUnitTest tests[OUTCOMES + OTHERS];

    for (size_t i = 0; i < OUTCOMES; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "outcome %zu: %s", i, outcomes[i].steps);
        tests[i] = (struct CMUnitTest){names[i], hooks_run_as_the_outcome_says, NULL, NULL,
                                       (void *)(uintptr_t)&outcomes[i]};
    }
    memcpy(tests + OUTCOMES, other_tests, sizeof(other_tests));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
