/* SPDX-License-Identifier: MIT */
/*
 * coroutine_fixture.h - coroutines on a loop of their own, without any request
 */
#ifndef TESTS_UNIT_COROUTINE_FIXTURE_H
#define TESTS_UNIT_COROUTINE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <fenv.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "worker/coroutine/coroutine.h"
#include "worker/mixin/faults.h"
#include "worker/request/request.h"
#include "worker/request/server.h"

#define STACK (128u * 1024)
#define MS    1000000ll

static struct loop loop;

/* What a coroutine does. */
struct work {
    void (*run)(struct coroutine *coroutine, struct work *work);
    int fd;
    int result;
    int steps;
    int64_t time;
    bool done;
};

static inline struct work *
work_of(struct coroutine *coroutine)
{
    return *(struct work **)coroutine_extra(coroutine);
}

static inline void
serve(struct coroutine *coroutine)
{
    struct work *work = work_of(coroutine);

    work->run(coroutine, work);
    work->done = true;
}

static inline void
abandon(struct coroutine *coroutine)
{
    work_of(coroutine)->result = -ESRCH;
}

static inline void
start_loop(uint32_t limit)
{
    assert_int_equal(loop_init(&loop, limit, STACK, sizeof(struct work *)), 0);
    loop_enter(&loop);
    loop.serve = serve;
    loop.abandon = abandon;
}

static inline void
start(struct work *work)
{
    int error = 0;
    struct coroutine *coroutine = coroutine_take(&loop, &error);

    assert_non_null(coroutine);
    *(struct work **)coroutine_extra(coroutine) = work;
    coroutine_start(coroutine);
}

/* Turns until nobody is busy; fails after a minute. */
static inline void
run_loop(void)
{
    int64_t limit = monotonic_now() + 60000 * MS;

    while (loop.busy > 0) {
        loop_turn(&loop, limit);
        assert_true(monotonic_now() < limit);
    }
}

static inline int
end_loop(void **state)
{
    (void)state;
    loop_done(&loop);
    return 0;
}

static inline void
sleep_until(struct coroutine *coroutine, struct work *work)
{
    work->result = coroutine_wait(coroutine, -1, 0, work->time);
    work->result += monotonic_now() < work->time;
}

#define LOOP_TEST(function) cmocka_unit_test_teardown(function, end_loop)

#endif
