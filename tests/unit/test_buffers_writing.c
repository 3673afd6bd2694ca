/* SPDX-License-Identifier: MIT */
/*
 * test_buffers_writing.c - writing through a request's buffers, and those of a datagram
 */
#include "buffers_fixture.h"

#include <errno.h>
#include <stdio.h>

/* ---- writing ---------------------------------------------------------------- */

static void
output_gathers_until_the_buffer_is_full(void **state)
{
    static const struct {
        size_t first, second;
        int transmits; /* after both writes */
    } rows[] = {{1, 1, 0}, {4, 3, 0}, {4, 4, 1}, {7, 1, 1}, {7, 100, 1}, {8, 1, 1}, {9, 8, 2}};
    char data[128], read_back[256];

    (void)state;
    fixture.server.settings.write_buffer = 8;
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (char)('a' + i % 26);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        client.sent_size = 0;
        client.transmits = 0;
        assert_int_equal(ss_write(request, data, rows[i].first), 0);
        assert_int_equal(ss_write(request, data, rows[i].second), 0);
        assert_int_equal(client.transmits, rows[i].transmits);
        assert_int_equal(ss_flush(request), 0);
        memcpy(read_back, data, rows[i].first);
        memcpy(read_back + rows[i].first, data, rows[i].second);
        assert_int_equal(client.sent_size, rows[i].first + rows[i].second);
        assert_memory_equal(client.sent, read_back, client.sent_size);
    }
}

static void
flush_sends_once(void **state)
{
    (void)state;
    assert_int_equal(ss_flush(request), 0);
    assert_int_equal(client.transmits, 0);
    assert_int_equal(ss_write(request, "x", 1), 0);
    assert_int_equal(ss_write(request, "", 0), 0);
    assert_int_equal(ss_flush(request), 0);
    assert_int_equal(ss_flush(request), 0);
    expect_sent("x", 1);
}

static void
without_write_buffer_each_write_is_sent(void **state)
{
    (void)state;
    fixture.server.settings.write_buffer = 0;
    assert_int_equal(ss_write(request, "a", 1), 0);
    expect_sent("a", 1);
    assert_int_equal(ss_write(request, "b", 1), 0);
    expect_sent("ab", 2);
    assert_int_equal(ss_write(request, "", 0), 0);
    expect_sent("ab", 2);
}

static void
output_is_sent_before_waiting_for_input(void **state)
{
    char byte;

    (void)state;
    client_sends("x", 1, 1);
    assert_int_equal(ss_write(request, "question?", 9), 0);
    assert_int_equal(ss_read(request, &byte, 1), 1);
    expect_sent("question?", 1);
}

static void
pipelined_lines_are_answered_in_one_piece(void **state)
{
    char *line;
    ssize_t size;

    (void)state;
    client_sends("a\nb\nc\n", 6, SIZE_MAX);
    while ((size = ss_readline(request, &line)) > 0)
        assert_int_equal(ss_write(request, line, (size_t)size), 0);
    expect_sent("a\nb\nc\n", 1);
}

static void
failed_write_sticks(void **state)
{
    char byte, *line;

    (void)state;
    client_sends("unread\n", 7, SIZE_MAX);
    client.transmit_error = -EPIPE;
    assert_int_equal(ss_write(request, "lost", 4), 0);
    assert_int_equal(ss_flush(request), -EPIPE);
    client.transmit_error = 0;
    assert_int_equal(ss_write(request, "x", 1), -EPIPE);
    assert_int_equal(ss_printf(request, "x"), -EPIPE);
    assert_int_equal(ss_flush(request), -EPIPE);
    assert_int_equal(ss_read(request, &byte, 1), -EPIPE);
    assert_int_equal(ss_readline(request, &line), -EPIPE);
    assert_int_equal(client.transmits, 1);
    assert_int_equal(client.receives, 0);
    assert_true(request->vanished);
}

static void
write_that_fails_while_reading_is_the_reads_error(void **state)
{
    char byte;

    (void)state;
    client_sends("x", 1, 1);
    client.transmit_error = -ETIMEDOUT;
    assert_int_equal(ss_write(request, "lost", 4), 0);
    assert_int_equal(ss_read(request, &byte, 1), -ETIMEDOUT);
    assert_int_equal(client.receives, 0);
    assert_false(request->vanished);
}

static void
printf_writes_short_and_long_texts(void **state)
{
    static char text[1000];

    (void)state;
    for (size_t size = 510; size < 514; size++) {
        client.sent_size = 0;
        client.transmits = 0;
        memset(text, 'p', size);
        text[size] = '\0';
        assert_int_equal(ss_printf(request, "%s", text), 0);
        assert_int_equal(ss_flush(request), 0);
        expect_sent(text, 1);
    }
}

/* ---- datagrams ---------------------------------------------------------------- */

static void
reply_gathers_up_to_what_a_datagram_holds(void **state)
{
    static char part[65535];

    (void)state;
    assert_int_equal(ss_write(request, part, 1), 0);
    assert_int_equal(ss_write(request, part, 65534), 0);
    assert_int_equal(request->output.used, 65535);
    assert_int_equal(ss_flush(request), 0);
    assert_int_equal(request->output.used, 65535); /* never sent by halves */
    assert_int_equal(client.transmits, 0);
    assert_int_equal(ss_write(request, part, 1), -EMSGSIZE);
    assert_int_equal(ss_write(request, part, 1), -EMSGSIZE);
    output_reset(&request->output);
    assert_int_equal(ss_write(request, part, 65536), -EMSGSIZE);
    output_reset(&request->output);
    assert_int_equal(ss_write(request, part, SIZE_MAX), -EMSGSIZE);
}

static void
packet_stays_as_it_came_while_its_lines_are_read(void **state)
{
    const char *packet;
    char *line;
    size_t size;

    (void)state;
    packet_is("one\ntwo\nthree");
    packet = ss_packet(request, &size);
    assert_int_equal(size, 13);
    expect_line("one\n");
    expect_line("two\n");
    assert_ptr_equal(ss_packet(request, &size), packet);
    assert_int_equal(size, 13);
    assert_memory_equal(packet, "one\ntwo\nthree", 13);
    expect_line("three");
    assert_int_equal(ss_readline(request, &line), 0);
    assert_ptr_equal(ss_packet(request, &size), packet);
    assert_memory_equal(packet, "one\ntwo\nthree", 13);
    assert_int_equal(client.receives, 0);
}

static void
packet_is_read_like_a_stream_that_ends(void **state)
{
    char bytes[100000];

    (void)state;
    packet_is("0123456789");
    assert_int_equal(ss_read(request, bytes, 4), 4);
    assert_int_equal(ss_read_full(request, bytes, sizeof(bytes)), 6);
    assert_memory_equal(bytes, "456789", 6);
    assert_int_equal(ss_read(request, bytes, sizeof(bytes)), 0);
    packet_is("");
    assert_int_equal(ss_read(request, bytes, 1), 0);
}

static void
line_of_a_packet_has_the_same_limit(void **state)
{
    char *line;

    (void)state;
    fixture.server.settings.max_line = 4;
    packet_is("four");
    expect_line("four");
    packet_is("five5");
    assert_int_equal(ss_readline(request, &line), -EMSGSIZE);
    packet_is("thr\nfour\n");
    expect_line("thr\n");
    assert_int_equal(ss_readline(request, &line), -EMSGSIZE);
}

static void
stream_has_no_packet(void **state)
{
    size_t size = 5;

    (void)state;
    assert_null(ss_packet(request, &size));
    assert_int_equal(size, 0);
    assert_false(ss_truncated(request));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        STREAM(output_gathers_until_the_buffer_is_full),
        STREAM(flush_sends_once),
        STREAM(without_write_buffer_each_write_is_sent),
        STREAM(output_is_sent_before_waiting_for_input),
        STREAM(pipelined_lines_are_answered_in_one_piece),
        STREAM(failed_write_sticks),
        STREAM(write_that_fails_while_reading_is_the_reads_error),
        STREAM(printf_writes_short_and_long_texts),
        DATAGRAM(reply_gathers_up_to_what_a_datagram_holds),
        DATAGRAM(packet_stays_as_it_came_while_its_lines_are_read),
        DATAGRAM(packet_is_read_like_a_stream_that_ends),
        DATAGRAM(line_of_a_packet_has_the_same_limit),
        STREAM(stream_has_no_packet),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
