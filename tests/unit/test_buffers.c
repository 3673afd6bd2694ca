/* SPDX-License-Identifier: MIT */
/*
 * test_buffers.c - reading through a request's buffers, on a transport made of memory
 */
#include "buffers_fixture.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>

#define LONGEST 4096

/* ---- lines ---------------------------------------------------------------- */

static void
readline_joins_segments_of_every_size(void **state)
{
    static const char text[] = "one\n\ntwo three\r\nfour";

    (void)state;
    for (size_t piece = 1; piece <= sizeof(text); piece++) {
        char *line;
        client_sends(text, strlen(text), piece);
        expect_line("one\n");
        expect_line("\n");
        expect_line("two three\r\n");
        expect_line("four"); /* the end stands for its newline */
        assert_int_equal(ss_readline(request, &line), 0);
        assert_int_equal(ss_readline(request, &line), 0);
    }
}

static void
nul_behind_a_line_spoils_nothing(void **state)
{
    char byte, *line;

    (void)state;
    client_sends("ab\ncd\nef", 8, SIZE_MAX);
    expect_line("ab\n");
    assert_int_equal(ss_read(request, &byte, 1), 1);
    assert_int_equal(byte, 'c');
    expect_line("d\n");
    assert_int_equal(ss_readline(request, &line), 2);
    assert_string_equal(line, "ef");
}

static void
lines_may_hold_nuls(void **state)
{
    char *line;

    (void)state;
    client_sends("a\0b\n\0\n", 6, 1);
    assert_int_equal(ss_readline(request, &line), 4);
    assert_memory_equal(line, "a\0b\n", 5);
    assert_int_equal(ss_readline(request, &line), 2);
    assert_memory_equal(line, "\0\n", 3);
}

/* What a line of so many bytes gives when max_line is 20. */
static void
line_limit_is_exact(void **state)
{
    static const struct {
        size_t before_newline;
        bool newline;
        ssize_t expected;
    } rows[] = {
        {18, true, 19},  {19, true, 20},  {20, true, -EMSGSIZE},  {21, true, -EMSGSIZE},
        {19, false, 19}, {20, false, 20}, {21, false, -EMSGSIZE}, {500, false, -EMSGSIZE},
    };
    static const size_t buffers[] = {1, 7, 19, 20, 21, 100};
    char text[512], *line;

    (void)state;
    fixture.server.settings.max_line = 20;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        for (size_t piece = 1; piece < 40; piece++)
            for (size_t b = 0; b < sizeof(buffers) / sizeof(buffers[0]); b++) {
                size_t size = rows[i].before_newline;
                memset(text, 'x', sizeof(text));
                text[size] = '\n';
                fixture.server.settings.read_buffer = buffers[b];
                free(request->input.data);
                request->input = (struct input){0};
                client_sends(text, size + rows[i].newline, piece);
                assert_int_equal(ss_readline(request, &line), rows[i].expected);
            }
}

static void
too_long_line_is_not_consumed(void **state)
{
    char text[101], *line;

    (void)state;
    fixture.server.settings.max_line = 20;
    fixture.server.settings.read_buffer = 16;
    memset(text, 'x', 99);
    text[99] = '\n';
    client_sends(text, 100, 7);
    for (int i = 0; i < 3; i++)
        assert_int_equal(ss_readline(request, &line), -EMSGSIZE);
    assert_int_equal(ss_read_full(request, text, sizeof(text)), 100);
    for (int i = 0; i < 99; i++)
        assert_int_equal(text[i], 'x');
    assert_int_equal(text[99], '\n');
}

static void
line_can_be_as_long_as_max_line_whatever_the_buffer(void **state)
{
    char *text = malloc(64 * 1024), *line;

    (void)state;
    memset(text, 'y', 64 * 1024);
    text[64 * 1024 - 1] = '\n';
    client_sends(text, 64 * 1024, 1000);
    assert_int_equal(ss_readline(request, &line), 64 * 1024);
    assert_memory_equal(line, text, 64 * 1024);
    assert_int_equal(ss_readline(request, &line), 0);
    free(text);
}

/* Small messages are not copied; a client that sends more than a read takes is buffered. */
static void
medium_reads_need_a_buffer_only_for_more_than_they_hold(void **state)
{
    static char text[9 * 1024];
    char part[1024];

    (void)state;
    client_sends(text, 300, 100);
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(ss_read(request, part, sizeof(part)), 100);
        assert_int_equal(client.receives, i);
    }
    assert_null(request->input.data);
    client_sends(text, sizeof(text), SIZE_MAX);
    for (int i = 0; i < 9; i++)
        assert_int_equal(ss_read(request, part, sizeof(part)), sizeof(part));
    assert_int_equal(client.receives, 2);
    assert_non_null(request->input.data);
}

/* The context's own memory serves as long as it is enough, and again when more is not needed. */
static void
lent_output_is_outgrown_and_taken_up_again(void **state)
{
    char own[8], bytes[100];

    (void)state;
    memset(bytes, 'x', sizeof(bytes));
    output_lend(&request->output, own, sizeof(own));
    assert_int_equal(ss_write(request, "1234567", 7), 0);
    assert_ptr_equal(request->output.data, own);
    assert_int_equal(ss_write(request, bytes, sizeof(bytes)), 0);
    assert_ptr_not_equal(request->output.data, own);
    assert_int_equal(ss_flush(request), 0);
    assert_int_equal(client.sent_size, 107);
    assert_memory_equal(client.sent, "1234567xxx", 10);
    buffers_release(request);
    assert_ptr_equal(request->output.data, own);
}

static void
a_buffer_for_a_long_line_does_not_outlive_its_request(void **state)
{
    char *text = calloc(1, 40 * 1024), *line;

    (void)state;
    text[40 * 1024 - 1] = '\n';
    client_sends(text, 40 * 1024, SIZE_MAX);
    assert_int_equal(ss_readline(request, &line), 40 * 1024);
    assert_true(request->input.capacity > 16 * 1024);
    buffers_shrink(request);
    assert_null(request->input.data);
    client_sends("short\n", 6, SIZE_MAX);
    expect_line("short\n");
    buffers_shrink(request);
    assert_non_null(request->input.data);
    free(text);
}

static void
failed_receive_keeps_what_was_read(void **state)
{
    char *line;

    (void)state;
    client_sends("half a", 6, SIZE_MAX);
    client.end = -ETIMEDOUT;
    assert_int_equal(ss_readline(request, &line), -ETIMEDOUT);
    client.data = " line\n";
    client.size = 6;
    client.given = 0;
    expect_line("half a line\n");
}

static void
reset_is_noted(void **state)
{
    char byte;

    (void)state;
    client.end = -EIO;
    assert_int_equal(ss_read(request, &byte, 1), -EIO);
    assert_false(request->vanished);
    client.end = -ECONNRESET;
    assert_int_equal(ss_read(request, &byte, 1), -ECONNRESET);
    assert_true(request->vanished);
}

/* ---- reading ---------------------------------------------------------------- */

static void
small_reads_are_served_from_one_receive(void **state)
{
    char bytes[3];

    (void)state;
    client_sends("abcdefg", 7, SIZE_MAX);
    assert_int_equal(ss_read(request, bytes, 3), 3);
    assert_memory_equal(bytes, "abc", 3);
    assert_int_equal(ss_read(request, bytes, 3), 3);
    assert_int_equal(ss_read(request, bytes, 3), 1);
    assert_int_equal(bytes[0], 'g');
    assert_int_equal(client.receives, 1);
    assert_int_equal(ss_read(request, bytes, 3), 0);
    assert_int_equal(ss_read(request, bytes, 0), 0);
    assert_int_equal(request->bytes_in, 7);
}

static void
big_read_goes_past_the_buffer(void **state)
{
    char bytes[100];

    (void)state;
    fixture.server.settings.read_buffer = 100;
    client_sends("abcdefg", 7, SIZE_MAX);
    assert_int_equal(ss_read(request, bytes, 100), 7);
    assert_null(request->input.data);
}

static void
end_is_asked_for_once(void **state)
{
    char byte, *line;

    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ss_read(request, &byte, 1), 0);
        assert_int_equal(ss_readline(request, &line), 0);
    }
    assert_int_equal(client.receives, 1);
}

static void
read_full_is_short_only_at_the_end(void **state)
{
    char bytes[16];

    (void)state;
    for (size_t piece = 1; piece < 12; piece++) {
        client_sends("0123456789", 10, piece);
        assert_int_equal(ss_read_full(request, bytes, 4), 4);
        assert_memory_equal(bytes, "0123", 4);
        assert_int_equal(ss_read_full(request, bytes, 16), 6);
        assert_memory_equal(bytes, "456789", 6);
        assert_int_equal(ss_read_full(request, bytes, 16), 0);
    }
    client_sends("01", 2, 1);
    client.end = -ETIMEDOUT;
    assert_int_equal(ss_read_full(request, bytes, 4), -ETIMEDOUT);
}

/* A generator of its own, so that a failure is the same everywhere. */
static uint32_t
next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/* What ss_readline() must give at this place of the text. */
static ssize_t
naive_line(const char *text, size_t size, size_t max_line)
{
    const char *newline = memchr(text, '\n', size);
    size_t length = newline != NULL ? (size_t)(newline - text) + 1 : size;

    return length > max_line ? -EMSGSIZE : (ssize_t)length;
}

static void
compare_with_naive_reader(uint32_t *seed)
{
    char text[LONGEST], bytes[LONGEST], *line;
    size_t size = next_random(seed) % LONGEST, at = 0, max_line = 1 + next_random(seed) % 300;

    for (size_t i = 0; i < size; i++)
        text[i] = next_random(seed) % 20 == 0 ? '\n' : (char)(next_random(seed) % 256);
    fixture.server.settings.max_line = max_line;
    fixture.server.settings.read_buffer = 1 + next_random(seed) % 400;
    client_sends(text, size, 1 + next_random(seed) % 500);
    while (at < size) {
        ssize_t got;
        if (next_random(seed) % 3 != 0) {
            got = ss_readline(request, &line);
            assert_int_equal(got, naive_line(text + at, size - at, max_line));
            if (got > 0) {
                assert_memory_equal(line, text + at, (size_t)got);
                assert_int_equal(line[got], '\0');
                memset(line, '#', (size_t)got); /* a handler may write to it */
            }
        } else {
            size_t wanted = 1 + next_random(seed) % 600;
            got = ss_read(request, bytes, wanted);
            assert_in_range(got, 1, wanted);
            assert_memory_equal(bytes, text + at, (size_t)got);
        }
        at += got > 0 ? (size_t)got : 0;
    }
    assert_int_equal(ss_readline(request, &line), 0);
    assert_int_equal(ss_read(request, bytes, 1), 0);
}

static void
reading_agrees_with_a_naive_reader(void **state)
{
    uint32_t seed = 20240607;

    (void)state;
    for (int i = 0; i < 400; i++)
        compare_with_naive_reader(&seed);
}

/* ---- what a receive waits for ----------------------------------------------- */

static short waited_for[4]; /* the events of each wait */
static unsigned waits;

static int
noted_wait(struct ss_request *given, int fd, short events, int64_t until)
{
    (void)fd;
    (void)until;
    assert_ptr_equal(given, request);
    assert_true(waits < 4);
    waited_for[waits++] = events;
    client.size += 4; /* something came */
    client.end = 0;
    return events;
}

static const struct mixin waiting_mixin = {.wait = noted_wait};

static void
start_waiting(short wanted, size_t there)
{
    fixture.server.mixin = &waiting_mixin;
    client_sends("01234567", there, SIZE_MAX);
    client.end = -EAGAIN;
    request->wanted = wanted;
    waits = 0;
}

static void
read_four(void)
{
    char bytes[64];

    assert_int_equal(ss_read(request, bytes, sizeof(bytes)), 4);
}

static void
receive_is_waited_for_as_the_transport_wants(void **state)
{
    static const short wanted[] = {POLLIN, POLLOUT, POLLIN | POLLOUT};

    (void)state;
    assert_int_equal(request->wanted, POLLIN); /* of one that says nothing */
    for (size_t i = 0; i < 3; i++) {
        start_waiting(wanted[i], 0);
        read_four();
        assert_int_equal(waits, 1);
        assert_int_equal(waited_for[0], wanted[i]);
    }
}

/* It may hold what the kernel no longer has: then nothing would ever be readable. */
static void
transport_that_holds_more_is_not_waited_for(void **state)
{
    (void)state;
    start_waiting(POLLIN, 4);
    read_four(); /* less than was asked for */
    read_four();
    assert_int_equal(waits, 1);
    start_waiting(0, 4);
    read_four();
    client.size += 4;
    read_four();
    assert_int_equal(waits, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        STREAM(receive_is_waited_for_as_the_transport_wants),
        STREAM(transport_that_holds_more_is_not_waited_for),
        STREAM(readline_joins_segments_of_every_size),
        STREAM(nul_behind_a_line_spoils_nothing),
        STREAM(lines_may_hold_nuls),
        STREAM(line_limit_is_exact),
        STREAM(too_long_line_is_not_consumed),
        STREAM(line_can_be_as_long_as_max_line_whatever_the_buffer),
        STREAM(medium_reads_need_a_buffer_only_for_more_than_they_hold),
        STREAM(lent_output_is_outgrown_and_taken_up_again),
        STREAM(a_buffer_for_a_long_line_does_not_outlive_its_request),
        STREAM(failed_receive_keeps_what_was_read),
        STREAM(reset_is_noted),
        STREAM(small_reads_are_served_from_one_receive),
        STREAM(big_read_goes_past_the_buffer),
        STREAM(end_is_asked_for_once),
        STREAM(read_full_is_short_only_at_the_end),
        STREAM(reading_agrees_with_a_naive_reader),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
