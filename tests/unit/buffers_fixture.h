/* SPDX-License-Identifier: MIT */
/*
 * buffers_fixture.h - a request whose transport is made of memory
 */
#ifndef TESTS_UNIT_BUFFERS_FIXTURE_H
#define TESTS_UNIT_BUFFERS_FIXTURE_H

#include "worker_fixture.h"

/* What the client sends, in pieces of so many bytes; what it got, and in how many pieces. */
static struct {
    const char *data;
    size_t size, given, piece;
    int receives, end; /* end: what the receive behind the last byte returns */
    char sent[1 << 20];
    size_t sent_size;
    int transmits, transmit_error;
} client;

static inline ssize_t
fake_receive(struct ss_request *request, void *buffer, size_t size)
{
    size_t left = client.size - client.given;
    size_t part = size < client.piece ? size : client.piece;

    (void)request;
    assert_true(size > 0);
    client.receives++;
    if (left == 0)
        return client.end;
    part = part < left ? part : left;
    memcpy(buffer, client.data + client.given, part);
    client.given += part;
    return (ssize_t)part;
}

static inline int
fake_transmit(struct ss_request *request, struct iovec *parts, int count)
{
    (void)request;
    client.transmits++;
    if (client.transmit_error < 0)
        return client.transmit_error;
    for (int i = 0; i < count; i++) {
        assert_true(client.sent_size + parts[i].iov_len <= sizeof(client.sent));
        memcpy(client.sent + client.sent_size, parts[i].iov_base, parts[i].iov_len);
        client.sent_size += parts[i].iov_len;
    }
    return 0;
}

static const struct transport fake_stream = {
    .stream = true, .receive = fake_receive, .transmit = fake_transmit};
static const struct transport fake_datagram = {
    .stream = false, .receive = fake_receive, .transmit = fake_transmit};

static struct fixture fixture;
static struct ss_request *request; /* the fixture's */

static inline void
client_sends(const char *data, size_t size, size_t piece)
{
    client.data = data;
    client.size = size;
    client.given = 0;
    client.piece = piece;
    client.receives = client.end = 0;
    request->ended = request->vanished = false;
    request->input.start = request->input.end = 0;
    request->input.patched = false;
}

static inline int
open_stream(void **state)
{
    (void)state;
    memset(&client, 0, sizeof(client));
    fixture_open(&fixture, &fake_stream);
    request = fixture.request;
    client_sends("", 0, SIZE_MAX);
    return 0;
}

static inline int
open_datagram(void **state)
{
    (void)open_stream(state);
    fixture.server.transport = &fake_datagram;
    return 0;
}

static inline int
close_it(void **state)
{
    (void)state;
    fixture_close(&fixture);
    return 0;
}

/* A packet as datagram_get_request() leaves it. */
static inline void
packet_is(const char *data)
{
    size_t size = strlen(data);

    assert_int_equal(input_reserve(&request->input, 65535), 0);
    memcpy(request->input.data, data, size);
    request->input.start = 0;
    request->input.end = request->datagram.size = size;
    request->ended = true;
}

static inline void
expect_line(const char *expected)
{
    char *line = NULL;

    assert_int_equal(ss_readline(request, &line), strlen(expected));
    assert_string_equal(line, expected);
}

static inline void
expect_sent(const char *expected, int transmits)
{
    assert_int_equal(client.sent_size, strlen(expected));
    assert_memory_equal(client.sent, expected, client.sent_size);
    assert_int_equal(client.transmits, transmits);
}

#define STREAM(function)   cmocka_unit_test_setup_teardown(function, open_stream, close_it)
#define DATAGRAM(function) cmocka_unit_test_setup_teardown(function, open_datagram, close_it)

#endif
