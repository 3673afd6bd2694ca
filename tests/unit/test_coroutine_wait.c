/* SPDX-License-Identifier: MIT */
/*
 * test_coroutine_wait.c - coroutines that wait for descriptors
 */
#include "common/clock.h"
#include "coroutine_fixture.h"

#define BYTES 20000

static void *
write_bytes(void *argument)
{
    int fd = *(int *)argument;

    for (int i = 0; i < BYTES; i++) {
        if (write(fd, "x", 1) != 1)
            abort();
        for (volatile int pause = 0; pause < i * 13 % 700; pause++)
            ;
    }
    (void)shutdown(fd, SHUT_WR);
    return NULL;
}

/* As a connection is read: a short read means that there is no more, and the next byte an event. */
static void
read_bytes(struct coroutine *coroutine, struct work *work)
{
    char bytes[8];
    ssize_t got;

    for (;;) {
        got = recv(work->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        if (got == 0)
            return;
        if (got > 0)
            work->steps += (int)got;
        if (got == (ssize_t)sizeof(bytes))
            continue;
        work->result = coroutine_wait_connection(coroutine, work->fd, POLLIN,
                                                 monotonic_now() + 60000 * MS, false);
        if (work->result <= 0)
            return;
    }
}

static void
no_wake_up_is_lost(void **state)
{
    struct work work = {.run = read_bytes};
    pthread_t thread;
    int ends[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    work.fd = ends[0];
    start_loop(1);
    assert_int_equal(pthread_create(&thread, NULL, write_bytes, &ends[1]), 0);
    start(&work);
    run_loop();
    (void)pthread_join(thread, NULL);
    assert_int_equal(work.steps, BYTES);
    assert_true(work.done);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

/* The byte that comes while it sleeps is reported to the wait that follows, and no later. */
static void
read_sleep_and_wait(struct coroutine *coroutine, struct work *work)
{
    int64_t limit = monotonic_now() + 60000 * MS;

    work->steps = coroutine_wait_connection(coroutine, work->fd, POLLIN, limit, false);
    (void)recv(work->fd, (char[8]){0}, 8, MSG_DONTWAIT);
    (void)coroutine_wait(coroutine, -1, 0, work->time);
    work->result = coroutine_wait_connection(coroutine, work->fd, POLLIN, limit, false);
}

static void
an_event_during_another_wait_is_kept(void **state)
{
    struct work work = {.run = read_sleep_and_wait, .time = monotonic_now() + 50 * MS};
    int ends[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    work.fd = ends[0];
    start_loop(1);
    start(&work);
    assert_int_equal(write(ends[1], "x", 1), 1);
    loop_turn(&loop, FOREVER);
    assert_int_equal(work.steps & POLLIN, POLLIN);
    assert_int_equal(write(ends[1], "y", 1), 1);
    run_loop();
    assert_int_equal(work.result & POLLIN, POLLIN);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static void
wait_readable(struct coroutine *coroutine, struct work *work)
{
    work->result = coroutine_wait(coroutine, work->fd, POLLIN, work->time);
}

static void
many_may_wait_for_one_descriptor(void **state)
{
    struct work works[3];
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    start_loop(3);
    for (int i = 0; i < 3; i++) {
        works[i] = (struct work){
            .run = wait_readable, .fd = ends[0], .time = monotonic_now() + 60000 * MS};
        start(&works[i]);
        assert_false(works[i].done);
    }
    assert_int_equal(write(ends[1], "x", 1), 1);
    run_loop();
    for (int i = 0; i < 3; i++)
        assert_int_equal(works[i].result, POLLIN);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static void
waits_end_with_files_bad_descriptors_and_time(void **state)
{
    struct work file = {.run = wait_readable, .time = FOREVER}, bad = file, late = file;
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    file.fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    bad.fd = 12345;
    late.fd = ends[0];
    late.time = monotonic_now() + 20 * MS;
    start_loop(3);
    start(&file);
    start(&bad);
    start(&late);
    run_loop();
    assert_int_equal(file.result, POLLIN);
    assert_int_equal(bad.result, -EBADF);
    assert_int_equal(late.result, 0);
    assert_true(monotonic_now() >= late.time);
    (void)close(file.fd);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static void
a_cancelled_wait_ends_at_once(void **state)
{
    struct work sleeper = {.run = sleep_until, .time = FOREVER}, reader = {.run = wait_readable};
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    reader.fd = ends[0];
    reader.time = FOREVER;
    start_loop(2);
    start(&sleeper);
    start(&reader);
    loop_cancel(&loop, NULL);
    run_loop();
    assert_int_equal(sleeper.result, -ECANCELED + 1); /* not at its time, of course */
    assert_int_equal(reader.result, -ECANCELED);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static void *
wake(void *argument)
{
    loop_wake(argument);
    return NULL;
}

static void
a_loop_is_woken_from_another_thread(void **state)
{
    pthread_t thread;

    (void)state;
    start_loop(1);
    assert_int_equal(pthread_create(&thread, NULL, wake, &loop), 0);
    loop_turn(&loop, FOREVER); /* returns */
    (void)pthread_join(thread, NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        LOOP_TEST(no_wake_up_is_lost),
        LOOP_TEST(an_event_during_another_wait_is_kept),
        LOOP_TEST(many_may_wait_for_one_descriptor),
        LOOP_TEST(waits_end_with_files_bad_descriptors_and_time),
        LOOP_TEST(a_cancelled_wait_ends_at_once),
        LOOP_TEST(a_loop_is_woken_from_another_thread),
    };

    return cmocka_run_group_tests_name("coroutine_wait", tests, NULL, NULL);
}
