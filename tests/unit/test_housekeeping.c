/* SPDX-License-Identifier: MIT */
/*
 * test_housekeeping.c - what a worker says to its supervisor, and when
 */
#include "worker_fixture.h"

#include <errno.h>
#include <sys/eventfd.h>

#include "common/channel.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "worker/housekeeping.h"

/* Two ends of a channel, the worker's so full that nothing more gets in. */
static void
fill_channel(int ends[2])
{
    assert_int_equal(channel_create(ends), 0);
    while (channel_send(ends[1], MESSAGE_PONG, 1, NULL, -1) == 0)
        ;
    assert_int_equal(channel_send(ends[1], MESSAGE_PONG, 1, NULL, -1), -EAGAIN);
}

static size_t
count_messages(int channel, enum message_type type)
{
    struct message message;
    size_t count = 0;
    int fd;

    while (channel_receive(channel, &message, &fd) == 1)
        count += message.type == type;
    return count;
}

/* Nothing is lost because the supervisor was slow to read. */
static void
expect_said_once_there_is_room(struct fixture *fixture, enum message_type type)
{
    struct ss_server *server = &fixture->server;
    struct housekeeping housekeeping;
    int ends[2];

    fill_channel(ends);
    server->channel = ends[1];
    server->wakeup = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
    assert_int_equal(housekeeping_init(&housekeeping, server), 0);
    assert_true(housekeeping_next(&housekeeping) != FOREVER); /* it tries again by itself */
    assert_true(housekeeping_dispatch(&housekeeping));
    assert_int_equal(count_messages(ends[0], type), 0);
    assert_true(housekeeping_next(&housekeeping) == FOREVER);
    assert_int_equal(count_messages(ends[0], type), 1);
    assert_true(housekeeping_next(&housekeeping) == FOREVER);
    assert_int_equal(count_messages(ends[0], type), 0);
    (void)close(server->wakeup);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static void
a_stop_is_asked_for_until_there_is_room(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_open(&fixture, NULL);
    counter_set(fixture.server.counters->stop_asked, 1);
    expect_said_once_there_is_room(&fixture, MESSAGE_STOP);
    fixture_close(&fixture);
}

static void
the_end_of_accepting_is_told_until_there_is_room(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_open(&fixture, NULL);
    counter_set(fixture.server.counters->phase, PHASE_DRAINING);
    expect_said_once_there_is_room(&fixture, MESSAGE_STOPPED);
    fixture_close(&fixture);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stop_is_asked_for_until_there_is_room),
        cmocka_unit_test(the_end_of_accepting_is_told_until_there_is_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
