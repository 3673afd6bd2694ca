/* SPDX-License-Identifier: MIT */
/*
 * test_sources_killed.c - a process that dies at any instruction leaves no count behind
 *
 * The program has a copy of sources.c of its own, which can end the process at
 * each step.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

static void pass_step(void);
#define SOURCES_STEP() pass_step()

#include "common/sources.c" /* NOLINT */

#include "sources_fixture.h"

static int steps_left = -1; /* until the process ends; negative: it does not */

static void
pass_step(void)
{
    if (steps_left >= 0 && steps_left-- == 0)
        _exit(1);
}

static const struct source_limits three = {.most = 3};

/* What a process may be at when it dies. */
struct scene {
    struct source_key key;
    bool leaves;   /* it has the request, and ends it */
    bool contends; /* another process changes the same count all the time */
};

/* In a child: plays the scene, and ends in the midst of it. Returns whether it came to its end. */
static bool
play(const struct scene *scene, int steps)
{
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        if (scene->leaves)
            (void)sources_enter(sources, 7, scene->key, &three, 5);
        steps_left = steps;
        if (scene->leaves)
            sources_leave(sources, 7);
        else
            (void)sources_enter(sources, 7, scene->key, &three, 5);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WEXITSTATUS(status) == 0;
}

/* Comes and goes until it is killed. */
static pid_t
start_contender(uint32_t claim, struct source_key key)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid > 0)
        return pid;
    for (;;) {
        (void)sources_enter(sources, claim, key, &(struct source_limits){0}, 5);
        sources_leave(sources, claim);
    }
}

static void
kill_and_reap(pid_t pid)
{
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* Dies at the first step, at the second, and so on until it comes to the end; each time, whoever
 * finds it dead makes the count right. */
static int
die_at_each_step(const struct scene *scene)
{
    int steps = 0;
    bool ended;

    do {
        pid_t contender = scene->contends ? start_contender(8, scene->key) : 0;
        ended = play(scene, steps++);
        if (contender > 0)
            kill_and_reap(contender);
        (void)sources_sweep(sources, 0, 100);
        assert_int_equal(active_of(scene->key), 1);
    } while (!ended);
    return steps;
}

static void
death_at_each_step_leaves_no_count(void **state)
{
    const struct scene scenes[] = {
        {source_number(1), false, false},
        {source_number(1), true, false},
        {source_number(1), false, true},
        {source_number(1), true, true},
    };

    (void)state;
    assert_int_equal(sources_enter(sources, 1, source_number(1), &three, 1), SOURCE_ADMITTED);
    for (size_t i = 0; i < 4; i++)
        for (int round = 0; round < (scenes[i].contends ? 5 : 1); round++)
            assert_true(die_at_each_step(&scenes[i]) > 4);
    assert_int_equal(sources_uncounted(sources), 0);
}

/* A place that was being given away is somebody's or nobody's afterwards, and can be used. */
static void
death_while_a_place_is_given_away_loses_no_place(void **state)
{
    uint32_t number = 0;
    struct source_state found;

    (void)state;
    for (int steps = 0; steps < 20; steps++) {
        const struct scene scene = {.key = source_number(number++)};

        (void)play(&scene, steps);
        (void)sources_sweep(sources, 0, 100);
        assert_int_equal(active_of(scene.key), 0);
        for (uint32_t i = 0; i < SOURCES_MOST; i++) {
            assert_false(atomic_load(&sources->places[i].word) & MARK);
            assert_false(sources_read(sources, i, 5, &found) && found.active > 0);
        }
    }
}

/* The repairer dies as well: the next one finishes. */
static void
death_of_the_repairer_leaves_no_count(void **state)
{
    const struct scene scene = {source_number(1), false, false};

    (void)state;
    assert_int_equal(sources_enter(sources, 1, scene.key, &three, 1), SOURCE_ADMITTED);
    for (int steps = 0; steps < 16; steps++)
        for (int repairs = 0; repairs < 12; repairs++) {
            (void)play(&scene, steps);
            pid_t pid = fork();
            if (pid == 0) {
                steps_left = repairs;
                sources_repair(sources, 7);
                _exit(0);
            }
            assert_int_equal(waitpid(pid, NULL, 0), pid);
            sources_repair(sources, 7);
            assert_int_equal(active_of(scene.key), 1);
        }
}

/* While somebody comes and goes, others are killed wherever they are. */
static void
many_are_killed_at_random(void **state)
{
    enum { PROCESSES = 6, ROUNDS = 120 };
    pid_t pids[PROCESSES];

    (void)state;
    srandom(1);
    for (uint32_t i = 0; i < PROCESSES; i++)
        pids[i] = start_contender(i, source_number(i % 2));
    for (int round = 0; round < ROUNDS; round++) {
        uint32_t i = (uint32_t)random() % PROCESSES;

        (void)nanosleep(&(struct timespec){.tv_nsec = random() % 3000000}, NULL);
        kill_and_reap(pids[i]);
        sources_repair(sources, i);
        pids[i] = start_contender(i, source_number(i % 2));
    }
    for (uint32_t i = 0; i < PROCESSES; i++)
        kill_and_reap(pids[i]);
    assert_int_equal(sources_sweep(sources, 0, PROCESSES), 0);
    assert_int_equal(active_of(source_number(0)), 0);
    assert_int_equal(active_of(source_number(1)), 0);
    assert_int_equal(sources_sweep(sources, 0, PROCESSES), 0);
}

/* Without a limit on it, a source that many processes meet at once has one count. */
static void
the_living_keep_their_counts(void **state)
{
    struct source_key key = source_number(3);
    pid_t pid;

    (void)state;
    assert_int_equal(sources_enter(sources, 0, key, &three, 1), SOURCE_ADMITTED);
    pid = fork();
    if (pid == 0) {
        (void)sources_enter(sources, 1, key, &three, 1);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(active_of(key), 2);
    assert_int_equal(sources_sweep(sources, 0, 10), 1);
    assert_int_equal(active_of(key), 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(death_at_each_step_leaves_no_count, make_sources,
                                        drop_sources),
        cmocka_unit_test_setup_teardown(death_while_a_place_is_given_away_loses_no_place,
                                        make_sources, drop_sources),
        cmocka_unit_test_setup_teardown(death_of_the_repairer_leaves_no_count, make_sources,
                                        drop_sources),
        cmocka_unit_test_setup_teardown(many_are_killed_at_random, make_sources, drop_sources),
        cmocka_unit_test_setup_teardown(the_living_keep_their_counts, make_sources, drop_sources),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
