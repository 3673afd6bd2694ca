/* SPDX-License-Identifier: MIT */
/*
 * test_supervisor_deadlines.c - workers that are late, and those that are to take another's place
 *
 * A worker has half a second to become ready here, instead of half a minute, and the supervisor's
 * event loop may be short of memory.
 */
#include "supervisor_fixture.h"

#include "common/array.h"
#include "supervisor/listener/process.h"

int __real_process_new(const struct process_setup *setup, struct process **ret);
int __wrap_process_new(const struct process_setup *setup, struct process **ret);

int
__wrap_process_new(const struct process_setup *setup, struct process **ret)
{
    struct process_setup impatient = *setup;

    impatient.start_usec = 500000;
    return __real_process_new(&impatient, ret);
}

/* Without memory for its events the loop returns, and may be called again. */
int __real_sd_event_loop(sd_event *event);
int __wrap_sd_event_loop(sd_event *event);
static unsigned shortages;

int
__wrap_sd_event_loop(sd_event *event)
{
    if (shortages == 0)
        return __real_sd_event_loop(event);
    shortages--;
    return -ENOMEM;
}

/* ---- late ------------------------------------------------------------------------------- */

static void
worker_that_is_not_ready_in_time_is_killed_and_replaced(void **state)
{
    struct fixture *fixture = *state;

    (void)add(fixture, "mute", "tcp://127.0.0.1:0");
    start(fixture);
    (void)expect(fixture, "did not become ready within 0 s: killing it");
    (void)expect(fixture, "was killed by signal 6 (SIGABRT)");
    (void)expect(fixture, "before it was ready (next try in 0.1 s)");
    (void)expect(fixture, "[mute]: listening on");
    assert_int_equal(stop(fixture), 0);
}

static void
worker_that_a_debugger_holds_has_all_the_time(void **state)
{
    struct fixture *fixture = *state;

    (void)add(fixture, "traced", "tcp://127.0.0.1:0");
    start(fixture);
    (void)expect(fixture, "[traced]: listening on");
    refute(fixture, "killing it");
    assert_non_null(strstr(fixture->text, " traces it: leaving it alone until that ends"));
    assert_int_equal(stop(fixture), 0);
}

static void
worker_that_does_not_end_its_drain_is_killed(void **state)
{
    struct fixture *fixture = *state;

    add(fixture, "stubborn", "tcp://127.0.0.1:0")->drain_timeout = 0.05;
    start(fixture);
    (void)expect(fixture, "[stubborn]: listening on");
    assert_int_equal(stop(fixture), 0);
    fixture->seen = 0;
    (void)expect(fixture, "did not end by the end of its drain: killing it");
}

static void
event_loop_goes_on_after_a_shortage_of_memory(void **state)
{
    struct fixture *fixture = *state;

    shortages = 3;
    (void)add(fixture, "good", "tcp://127.0.0.1:0");
    start(fixture);
    shortages = 0;
    (void)expect(fixture, "[good]: listening on");
    assert_int_equal(stop(fixture), 0);
}

/* ---- a mistake that is found late -------------------------------------------------------- */

static void
mistake_found_at_a_second_try_is_told_once_and_the_listener_is_tried_again(void **state)
{
    struct fixture *fixture = *state;

    (void)add(fixture, "second-bad", "tcp://127.0.0.1:0");
    (void)add(fixture, "good", "tcp://127.0.0.1:0");
    start(fixture);
    (void)expect(fixture, "[second-bad]: no luck today (next try in 0.1 s)");
    (void)expect(fixture, "[second-bad]: x.conf:3: bad\n");
    const char *told = expect(fixture, "[second-bad]: x.conf:4: worse\n");
    (void)usleep(900000);
    assert_int_equal(stop(fixture), 0);
    assert_null(strstr(told + 1, "[second-bad]: x.conf:4: worse"));
    fixture->seen = 0;
    (void)expect(fixture, "[good]: listening on");
}

/* ---- beside a handler that spins ------------------------------------------------------------ */

static void
replacement_of_a_worker_that_spins_may_fail(void **state)
{
    static const char *const rows[][2] = {
        {"spins-misconfigured", "cannot replace the worker whose handler spins: x.conf:3: bad"},
        {"spins-dies", "exited with status 5 although nobody asked it to"},
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        (void)add(fixture, rows[i][0], "tcp://127.0.0.1:0");
    start(fixture);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        fixture->seen = 0;
        (void)expect(fixture, rows[i][1]);
    }
    assert_int_equal(stop(fixture), 0);
}

static void
spinning_handler_ends_a_listener_that_serves_once(void **state)
{
    struct fixture *fixture = *state;

    fixture->options.once = fixture->options.end_when_idle = true;
    (void)add(fixture, "spins", "tcp://127.0.0.1:0");
    start(fixture);
    assert_int_equal(wait_end(fixture), 1);
    (void)expect(fixture, "has a handler that spins\n");
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        with_fixture(worker_that_is_not_ready_in_time_is_killed_and_replaced),
        with_fixture(worker_that_a_debugger_holds_has_all_the_time),
        with_fixture(worker_that_does_not_end_its_drain_is_killed),
        with_fixture(event_loop_goes_on_after_a_shortage_of_memory),
        with_fixture(mistake_found_at_a_second_try_is_told_once_and_the_listener_is_tried_again),
        with_fixture(replacement_of_a_worker_that_spins_may_fail),
        with_fixture(spinning_handler_ends_a_listener_that_serves_once),
    };

    return run_tests_or_play(argc, argv, tests, ARRAY_SIZE(tests));
}
