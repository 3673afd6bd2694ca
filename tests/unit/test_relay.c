/* SPDX-License-Identifier: MIT */
/*
 * test_relay.c - ss_relay() and ss_relay_stream() in small steps: few bytes, turned away, ended
 */
#include "request_fixture.h"

#include <sys/eventfd.h>

/* ---- a stream that takes little and gives little --------------------------------------------- */

#define MUCH 5000

static struct {
    char written[MUCH + 1];
    size_t written_size;
    const char *gives; /* what is left to read */
    unsigned calls;
    int failure; /* of the read behind the last byte; 0: the end */
    bool ended;
    const void *last; /* what was turned away, to be offered again */
    size_t last_size;
} far;

static ssize_t
far_read(void *userdata, void *buffer, size_t size, short *wanted)
{
    assert_ptr_equal(userdata, &far);
    assert_true(size > 2);
    *wanted = POLLIN;
    if (++far.calls % 3 == 0)
        return -EAGAIN;
    size_t left = strlen(far.gives);
    if (left == 0)
        return far.failure;
    left = left < 2 ? left : 2;
    memcpy(buffer, far.gives, left);
    far.gives += left;
    return (ssize_t)left;
}

static ssize_t
far_write(void *userdata, const void *data, size_t size, short *wanted)
{
    assert_ptr_equal(userdata, &far);
    if (far.last != NULL)
        assert_int_equal(size, far.last_size); /* the same bytes again */
    far.last = NULL;
    if (++far.calls % 2 == 0) {
        far.last = data;
        far.last_size = size;
        *wanted = POLLOUT;
        return -EAGAIN;
    }
    size = size < 7 ? size : 7;
    assert_true(far.written_size + size <= MUCH);
    memcpy(far.written + far.written_size, data, size);
    far.written_size += size;
    return (ssize_t)size;
}

static int
far_end(void *userdata, short *wanted)
{
    assert_ptr_equal(userdata, &far);
    *wanted = POLLOUT;
    if (++far.calls % 2 == 0)
        return -EAGAIN;
    assert_false(far.ended);
    far.ended = true;
    return 0;
}

/* Ready for everything, always. */
static struct ss_stream
far_stream(const char *gives)
{
    memset(&far, 0, sizeof(far));
    far.gives = gives;
    return (struct ss_stream){.size = sizeof(struct ss_stream),
                              .fd = eventfd(1, EFD_CLOEXEC),
                              .read = far_read,
                              .write = far_write,
                              .end = far_end,
                              .userdata = &far};
}

/* ---- the tests ------------------------------------------------------------------------------ */

static void
begin_request(void)
{
    request->overtime = request->due = request->deadline = FOREVER;
}

static void
every_byte_passes_a_stream_that_takes_few(void **state)
{
    struct ss_stream stream = far_stream("an answer in many pieces");
    char sent[MUCH];

    (void)state;
    begin_request();
    for (size_t i = 0; i < MUCH; i++)
        sent[i] = (char)('a' + i % 23);
    assert_int_equal(send(other_end, sent, MUCH, 0), MUCH);
    assert_int_equal(shutdown(other_end, SHUT_WR), 0);
    assert_int_equal(ss_relay_stream(request, &stream, 10), 0);
    assert_int_equal(far.written_size, MUCH);
    assert_memory_equal(far.written, sent, MUCH);
    assert_true(far.ended);
    expect_sent("an answer in many pieces");
    assert_int_equal(recv(other_end, sent, 1, MSG_DONTWAIT), 0);
    assert_int_equal(request->bytes_in, MUCH);
    assert_int_equal(request->bytes_out, strlen("an answer in many pieces"));
    (void)close(stream.fd);
}

static void
what_was_read_ahead_and_written_before_goes_first(void **state)
{
    struct ss_stream stream = far_stream("third");
    char first[5];

    (void)state;
    begin_request();
    assert_int_equal(send(other_end, "first second", 12, 0), 12);
    assert_int_equal(ss_read(request, first, 5), 5);
    assert_int_equal(ss_buffered(request), 7);
    assert_int_equal(ss_write(request, "before ", 7), 0);
    assert_int_equal(shutdown(other_end, SHUT_WR), 0);
    assert_int_equal(ss_relay_stream(request, &stream, 10), 0);
    assert_string_equal(far.written, " second");
    expect_sent("before third");
    (void)close(stream.fd);
}

static void
a_failure_of_the_other_side_is_told_from_the_clients(void **state)
{
    struct ss_stream stream = far_stream("some");

    (void)state;
    begin_request();
    far.failure = -EPROTO;
    assert_int_equal(ss_relay_stream(request, &stream, 10), -EREMOTEIO);
    assert_int_equal(errno, EPROTO);
    assert_false(request->vanished);
    expect_sent("some");
    (void)close(stream.fd);
}

static void
a_client_that_is_gone_is_noted(void **state)
{
    struct ss_stream stream = far_stream("nobody reads this");

    (void)state;
    begin_request();
    (void)close(other_end);
    other_end = -1;
    assert_int_equal(ss_relay_stream(request, &stream, 10), -EPIPE);
    assert_true(request->vanished);
    (void)close(stream.fd);
}

static void
silence_ends_it(void **state)
{
    int pair[2];

    (void)state;
    begin_request();
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(ss_relay(request, pair[0], 0.02), -ETIMEDOUT);
    assert_true(request->idle);
    assert_int_equal(ss_set_deadline(request, 0.02), 0);
    assert_int_equal(ss_relay(request, pair[0], 10), -ETIMEDOUT);
    (void)close(pair[0]);
    (void)close(pair[1]);
}

static void
what_is_no_stream_socket_is_refused(void **state)
{
    int datagrams = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ss_stream stream = {.size = 1};

    (void)state;
    begin_request();
    assert_int_equal(ss_relay(request, datagrams, 1), -ENOTSUP);
    assert_int_equal(ss_relay(request, -1, 1), -EBADF);
    assert_int_equal(ss_relay_stream(request, &stream, 1), -EINVAL);
    (void)close(datagrams);
}

static void
no_descriptor_is_left(void **state)
{
    int pair[2], before = open_descriptors();

    (void)state;
    begin_request();
    for (int i = 0; i < 3; i++) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        assert_int_equal(ss_relay(request, pair[0], 0.001), -ETIMEDOUT);
        assert_false(fcntl(request->fd, F_GETFL) & O_NONBLOCK);
        (void)close(pair[0]);
        (void)close(pair[1]);
    }
    assert_int_equal(open_descriptors(), before);
}

#define ROW(function) cmocka_unit_test_setup_teardown(function, open_request, close_it)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(every_byte_passes_a_stream_that_takes_few),
        ROW(what_was_read_ahead_and_written_before_goes_first),
        ROW(a_failure_of_the_other_side_is_told_from_the_clients),
        ROW(a_client_that_is_gone_is_noted),
        ROW(silence_ends_it),
        ROW(what_is_no_stream_socket_is_refused),
        ROW(no_descriptor_is_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
