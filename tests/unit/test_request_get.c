/* SPDX-License-Identifier: MIT */
/*
 * test_request_get.c - waiting for a request, and what may come of it instead
 */
#include "request_fixture.h"

static int results[8], result_count, result_next;

static int
scripted_get_request(struct ss_request *given)
{
    (void)given;
    assert_true(result_next < result_count);
    int result = results[result_next++];
    if (result == -ECHILD) { /* while it waits, a drain begins */
        atomic_store(&fixture.server.counters->phase, PHASE_DRAINING);
        return -ECONNABORTED;
    }
    return result;
}

static void
script(int count, const int *wanted)
{
    memcpy(results, wanted, (size_t)count * sizeof(int));
    result_count = count;
    result_next = 0;
    traced_transport.get_request = scripted_get_request;
    request->server->transport->close_request(request);
}

struct listening {
    int stderr_before, pipe;
};

static void
one_clients_trouble_is_not_the_listeners(void **state)
{
    (void)state;
    script(4, (int[]){-ECONNABORTED, -EPERM, -EPROTO, 0});
    assert_int_equal(request_get(request), 0);
    assert_int_equal(result_next, 4);
    assert_int_equal(counter_get(fixture.slot->state), SLOT_BUSY);
}

/* The log goes into a pipe until end_listening(). */
static void
begin_listening(struct listening *ret)
{
    int ends[2];

    ret->stderr_before = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 100);
    assert_true(ret->stderr_before >= 0);
    assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    (void)close(ends[1]);
    ret->pipe = ends[0];
    log_set_level(LOG_INFO);
    assert_int_equal(log_open(LOG_TO_STDERR, NULL), 0);
}

/* What was logged meanwhile. */
static const char *
end_listening(struct listening *listening)
{
    static char text[4096];
    ssize_t size = read(listening->pipe, text, sizeof(text) - 1);

    log_close();
    log_set_level(LOG_EMERG);
    assert_int_equal(dup2(listening->stderr_before, STDERR_FILENO), STDERR_FILENO);
    (void)close(listening->stderr_before);
    (void)close(listening->pipe);
    text[size > 0 ? size : 0] = '\0';
    return text;
}

static void
broken_socket_is_told(void **state)
{
    static const int broken[] = {-EBADF, -EINVAL, -ENOTSOCK, -EOPNOTSUPP};

    (void)state;
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        struct listening listening;
        char expected[128];

        script(1, &broken[i]);
        begin_listening(&listening);
        int error = request_get(request);
        const char *said = end_listening(&listening);
        (void)snprintf(expected, sizeof(expected),
                       "cannot accept: %s: the listening socket is broken\n", strerror(-broken[i]));
        assert_int_equal(error, -EBADF);
        assert_non_null(strstr(said, expected));
        assert_ptr_equal(strchr(said, '\n') + 1, said + strlen(said)); /* and nothing else */
    }
}

static void
want_of_descriptors_pauses_and_is_over_by_itself(void **state)
{
    int64_t before = monotonic_now();

    (void)state;
    script(2, (int[]){-EMFILE, 0});
    assert_int_equal(request_get(request), 0);
    assert_true(monotonic_now() - before >= 90000000); /* it did not spin */
    assert_int_equal(counter_get(fixture.server.counters->starved), 0);
}

static void
drain_between_check_and_accept_is_seen(void **state)
{
    (void)state;
    script(1, (int[]){-ECHILD});
    assert_int_equal(request_get(request), -ECANCELED);
    assert_int_equal(request_get(request), -ECANCELED);
    assert_int_equal(result_next, 1);
}

static void
interrupted_wait_returns_to_the_mixin(void **state)
{
    (void)state;
    script(1, (int[]){-EINTR});
    assert_int_equal(request_get(request), -EINTR);
    assert_int_equal(counter_get(fixture.slot->state), SLOT_IDLE);
    atomic_store(&fixture.server.due, DUE_SERVICE);
    assert_int_equal(request_get(request), -EINTR);
}

/* What the housekeeping reads must never make a new request look like the last one. */
static void
busy_slot_has_its_own_requests_time(void **state)
{
    int64_t before = monotonic_now();

    (void)state;
    counter_set(fixture.slot->started, 1);
    counter_set(fixture.slot->cancelled, request->number);
    script(1, (int[]){0});
    assert_int_equal(request_get(request), 0);
    assert_int_equal(counter_get(fixture.slot->state), SLOT_BUSY);
    assert_true(counter_get(fixture.slot->started) >= before);
    assert_false(slot_is_cancelled(fixture.slot));
    assert_false(request_is_cut(request));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, open_request, close_it)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_clients_trouble_is_not_the_listeners),
        TEST(broken_socket_is_told),
        TEST(want_of_descriptors_pauses_and_is_over_by_itself),
        TEST(drain_between_check_and_accept_is_seen),
        TEST(interrupted_wait_returns_to_the_mixin),
        TEST(busy_slot_has_its_own_requests_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
