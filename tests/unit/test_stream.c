/* SPDX-License-Identifier: MIT */
/*
 * test_stream.c - a connection's bytes: timeouts, being cut, slow clients, and a good end
 */
#include "worker_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "common/clock.h"
#include "worker/request/wait.h"

static struct fixture fixture;
static struct ss_request *request; /* the fixture's */
static int client;

#define MS      1000000ll
#define LONG_MS 30000

static int
connect_client(void **state)
{
    int pair[2];

    (void)state;
    fixture_open(&fixture, &stream_transport);
    request = fixture.request;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    request->fd = request->output_fd = pair[0];
    client = pair[1];
    request_take(request);
    return 0;
}

static int
close_it(void **state)
{
    (void)state;
    if (client >= 0)
        (void)close(client);
    if (request->fd >= 0)
        stream_transport.close_request(request);
    fixture_close(&fixture);
    return 0;
}

/* How long it takes that nothing comes, in ms; on a busy machine longer than was asked for. */
static int
wait_in_vain(void)
{
    int64_t before = monotonic_now();
    char byte;

    assert_int_equal(stream_transport.receive(request, &byte, 1), -ETIMEDOUT);
    return (int)((monotonic_now() - before) / MS);
}

static void
read_timeout_bounds_one_wait(void **state)
{
    (void)state;
    request->read_timeout = 0.05;
    for (int i = 0; i < 2; i++)
        assert_in_range(wait_in_vain(), 49, LONG_MS);
}

static void
request_timeout_bounds_all_waits_together(void **state)
{
    int64_t before = monotonic_now();

    (void)state;
    request->read_timeout = 60;
    request->deadline = before + 80 * MS;
    assert_in_range(wait_in_vain(), 0, LONG_MS);
    assert_true(monotonic_now() >= request->deadline - MS);
    assert_in_range(wait_in_vain(), 0, LONG_MS); /* nothing is left of it */
}

static void
shorter_of_the_two_limits_counts(void **state)
{
    (void)state;
    request->read_timeout = 0.03;
    request->deadline = monotonic_now() + 60000 * MS;
    assert_in_range(wait_in_vain(), 29, LONG_MS);
}

/* A client that sends a byte now and then stays within read_timeout, not within request_timeout. */
static void
trickle_ends_at_the_deadline(void **state)
{
    char byte;
    ssize_t got;

    (void)state;
    request->read_timeout = 60;
    request->deadline = monotonic_now() + 60 * MS;
    do
        assert_int_equal(send(client, "x", 1, 0), 1);
    while ((got = stream_transport.receive(request, &byte, 1)) == 1);
    assert_int_equal(got, -ETIMEDOUT);
    assert_true(monotonic_now() >= request->deadline);
}

static ssize_t line_size;

static void *
read_line(void *ret_line)
{
    line_size = ss_readline(request, ret_line);
    return NULL;
}

/* Waits longer than the buffers are kept, and goes on with what then comes. */
static void
silence_costs_the_empty_buffers_only(void **state)
{
    const struct timespec pause = {.tv_nsec = 5 * MS};
    int64_t before = monotonic_now();
    pthread_t thread;
    char *line;

    (void)state;
    request->read_timeout = 60;
    assert_int_equal(pthread_create(&thread, NULL, read_line, &line), 0);
    while (!atomic_load(&fixture.server.freed))
        (void)nanosleep(&pause, NULL);
    assert_in_range((monotonic_now() - before) / MS, 990, 9000);
    assert_int_equal(send(client, "hel", 3, 0), 3);
    while (counter_get(fixture.slot->stage) != STAGE_READING)
        (void)nanosleep(&pause, NULL);
    assert_int_equal(send(client, "lo\n", 3, 0), 3);
    (void)pthread_join(thread, NULL);
    assert_int_equal(line_size, 6);
    assert_string_equal(line, "hello\n");
}

static void
read_timeout_goes_on_beyond_the_buffers(void **state)
{
    int64_t before = monotonic_now();
    char *line;

    (void)state;
    request->read_timeout = RECEIVE_PATIENCE + 0.2;
    assert_int_equal(ss_readline(request, &line), -ETIMEDOUT);
    assert_in_range((monotonic_now() - before) / MS, 1190, 9000);
    request->read_timeout = RECEIVE_PATIENCE;
    before = monotonic_now();
    assert_int_equal(ss_readline(request, &line), -ETIMEDOUT);
    assert_in_range((monotonic_now() - before) / MS, 990, 9000);
}

static void
end_and_reset_are_told_apart(void **state)
{
    char byte;

    (void)state;
    assert_int_equal(shutdown(client, SHUT_WR), 0);
    assert_int_equal(stream_transport.receive(request, &byte, 1), 0);
    assert_int_equal(send(request->fd, "unread", 6, 0), 6);
    (void)close(client);
    client = -1;
    assert_int_equal(stream_transport.receive(request, &byte, 1), -ECONNRESET);
}

/* What the housekeeping does to a context that is to leave: again and again, until it has. */
static void *
interrupt_until_cut(void *thread_id)
{
    const struct timespec pause = {.tv_nsec = 5 * MS};

    counter_set(fixture.slot->cancelled, counter_get(fixture.slot->request));
    while (counter_get(fixture.slot->stage) != STAGE_NONE) {
        (void)syscall(SYS_tgkill, getpid(), *(pid_t *)thread_id, SIGURG);
        (void)nanosleep(&pause, NULL);
    }
    return NULL;
}

static void
expect_cut(ssize_t (*act)(void))
{
    pid_t self = gettid();
    pthread_t thread;

    interrupts_install(NULL);
    request_current = request;
    counter_set(fixture.slot->stage, STAGE_HANDLING);
    assert_int_equal(pthread_create(&thread, NULL, interrupt_until_cut, &self), 0);
    assert_int_equal(act(), -ECANCELED);
    counter_set(fixture.slot->stage, STAGE_NONE);
    (void)pthread_join(thread, NULL);
    request_current = NULL;
}

static ssize_t
receive_byte(void)
{
    char byte;

    return stream_transport.receive(request, &byte, 1);
}

static ssize_t
transmit_more_than_fits(void)
{
    static char bytes[8 << 20];
    struct iovec part = {.iov_base = bytes, .iov_len = sizeof(bytes)};

    return stream_transport.transmit(request, &part, 1);
}

static ssize_t
sleep_for_ever(void)
{
    return ss_sleep(request, -1);
}

static ssize_t
wait_for_the_client(void)
{
    return ss_wait(request, client, POLLIN, -1);
}

static void
every_wait_ends_when_the_request_is_cut(void **state)
{
    static ssize_t (*const waits[])(void) = {receive_byte, transmit_more_than_fits, sleep_for_ever,
                                             wait_for_the_client};

    for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
        expect_cut(waits[i]);
        (void)close_it(state);
        (void)connect_client(state);
    }
}

static void *
read_slowly(void *ret_size)
{
    char bytes[997];
    ssize_t got;

    while ((got = recv(client, bytes, sizeof(bytes), 0)) > 0) {
        for (ssize_t i = 0; i < got; i++)
            if ((unsigned char)bytes[i] != (*(size_t *)ret_size + (size_t)i) % 251)
                return "wrong byte";
        *(size_t *)ret_size += (size_t)got;
    }
    return NULL;
}

static void
slow_reader_gets_every_byte_of_all_parts(void **state)
{
    static char bytes[3 << 20];
    size_t received = 0;
    pthread_t thread;
    void *complaint;
    struct iovec parts[] = {{.iov_base = bytes, .iov_len = 1},
                            {.iov_base = bytes + 1, .iov_len = 1 << 20},
                            {.iov_base = bytes + 1 + (1 << 20), .iov_len = (2 << 20) - 1}};

    (void)state;
    request->write_timeout = 10;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)(unsigned char)(i % 251);
    assert_int_equal(pthread_create(&thread, NULL, read_slowly, &received), 0);
    assert_int_equal(stream_transport.transmit(request, parts, 3), 0);
    assert_int_equal(request->bytes_out, sizeof(bytes));
    stream_transport.close_request(request);
    (void)pthread_join(thread, &complaint);
    assert_null(complaint);
    assert_int_equal(received, sizeof(bytes));
}

static void
client_that_does_not_read_times_out(void **state)
{
    int64_t before = monotonic_now();

    (void)state;
    request->write_timeout = 0.05;
    assert_int_equal(transmit_more_than_fits(), -ETIMEDOUT);
    assert_in_range((monotonic_now() - before) / MS, 49, LONG_MS);
}

static void
writing_to_a_client_that_is_gone_is_epipe(void **state)
{
    (void)state;
    (void)close(client);
    client = -1;
    assert_int_equal(transmit_more_than_fits(), -EPIPE);
}

/* Closing with unread input would reset the connection and lose the answer. */
static void
answer_survives_input_that_nobody_read(void **state)
{
    char bytes[8] = "";

    (void)state;
    assert_int_equal(send(client, "never read", 10, 0), 10);
    assert_int_equal(shutdown(client, SHUT_WR), 0);
    assert_int_equal(send(request->fd, "answer", 6, 0), 6);
    stream_transport.shutdown_request(request);
    stream_transport.close_request(request);
    assert_int_equal(recv(client, bytes, sizeof(bytes), MSG_DONTWAIT), 6);
    assert_int_equal(recv(client, bytes, sizeof(bytes), MSG_DONTWAIT), 0);
}

static void
endless_input_does_not_hold_up_the_end(void **state)
{
    static char bytes[256 * 1024];
    int64_t before = monotonic_now();

    (void)state;
    (void)send(client, bytes, sizeof(bytes), MSG_DONTWAIT);
    stream_transport.shutdown_request(request);
    assert_in_range((monotonic_now() - before) / MS, 0, LONG_MS);
}

static void
sendfile_sends_what_was_written_first(void **state)
{
    char bytes[16] = "", name[] = "/tmp/sockserverd-unit-XXXXXX";
    int file = mkstemp(name);

    (void)state;
    (void)unlink(name);
    assert_int_equal(write(file, "0123456789", 10), 10);
    assert_int_equal(ss_write(request, "head ", 5), 0);
    assert_int_equal(ss_sendfile(request, file, 3, 4), 0);
    assert_int_equal(recv(client, bytes, sizeof(bytes), MSG_DONTWAIT), 9);
    assert_string_equal(bytes, "head 3456");
    assert_int_equal(request->bytes_out, 9);
    (void)close(file);
}

static void *
read_now_and_then(void *unused)
{
    const struct timespec pause = {.tv_nsec = MS};
    char bytes[4096];

    while (recv(client, bytes, sizeof(bytes), 0) > 0)
        (void)nanosleep(&pause, NULL);
    return unused;
}

/* Who takes a little now and then stays within write_timeout, not within the deadline. */
static void
sendfile_ends_at_the_deadline(void **state)
{
    char name[] = "/tmp/sockserverd-unit-XXXXXX";
    int file = mkstemp(name);
    pthread_t thread;

    (void)state;
    (void)unlink(name);
    assert_int_equal(ftruncate(file, 32 << 20), 0);
    request->write_timeout = 60;
    request->deadline = monotonic_now() + 60 * MS;
    assert_int_equal(pthread_create(&thread, NULL, read_now_and_then, NULL), 0);
    assert_int_equal(ss_sendfile(request, file, 0, 32 << 20), -ETIMEDOUT);
    assert_true(monotonic_now() >= request->deadline);
    assert_false(fcntl(request->fd, F_GETFL) & O_NONBLOCK);
    stream_transport.close_request(request);
    assert_int_equal(pthread_join(thread, NULL), 0);
    (void)close(file);
}

static void
file_that_ends_early_fails_and_sticks(void **state)
{
    char name[] = "/tmp/sockserverd-unit-XXXXXX";
    int file = mkstemp(name);

    (void)state;
    (void)unlink(name);
    assert_int_equal(write(file, "short", 5), 5);
    assert_int_equal(ss_sendfile(request, file, 0, 6), -EIO);
    assert_int_equal(ss_write(request, "x", 1), -EIO);
    output_reset(&request->output);
    fixture.server.transport = &datagram_transport; /* no part of a reply either */
    assert_int_equal(ss_sendfile(request, file, 0, 6), -EIO);
    assert_int_equal(ss_write(request, "x", 1), -EIO);
    assert_int_equal(request->output.used, 0);
    fixture.server.transport = &stream_transport;
    (void)close(file);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, connect_client, close_it)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(read_timeout_bounds_one_wait),
        TEST(silence_costs_the_empty_buffers_only),
        TEST(read_timeout_goes_on_beyond_the_buffers),
        TEST(request_timeout_bounds_all_waits_together),
        TEST(shorter_of_the_two_limits_counts),
        TEST(trickle_ends_at_the_deadline),
        TEST(end_and_reset_are_told_apart),
        TEST(every_wait_ends_when_the_request_is_cut),
        TEST(slow_reader_gets_every_byte_of_all_parts),
        TEST(client_that_does_not_read_times_out),
        TEST(writing_to_a_client_that_is_gone_is_epipe),
        TEST(answer_survives_input_that_nobody_read),
        TEST(endless_input_does_not_hold_up_the_end),
        TEST(sendfile_sends_what_was_written_first),
        TEST(sendfile_ends_at_the_deadline),
        TEST(file_that_ends_early_fails_and_sticks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
