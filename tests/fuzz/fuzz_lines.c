/* SPDX-License-Identifier: MIT */
/*
 * fuzz_lines.c - any bytes of a client, read by ss_readline(), ss_read() and ss_read_full()
 *
 * A libFuzzer target. The client's bytes come over a socket pair in pieces, and
 * are read by a sequence of calls; the head of the input chooses the pieces,
 * the calls, max_line, read_buffer and whether the mixin waits. Every call must
 * give what a reader gives that has all bytes in one array: nothing is lost,
 * doubled or changed, and no line is longer than max_line.
 */
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/array.h"
#include "common/counters.h"
#include "expect.h"
#include "worker/mixin/mixins.h"
#include "worker/request/buffers.h"
#include "worker/request/mixin.h"
#include "worker/request/request.h"
#include "worker/request/server.h"
#include "worker/request/wait.h"
#include "worker/transport/transports.h"

#define LIMIT   8192 /* bytes of an input: a socket pair takes as many */
#define HEAD    3
#define LARGEST 6000 /* of one read */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
    const uint8_t *choices; /* the low bits choose a call, the others a piece's size */
    size_t choice_count, next_call, next_piece;
    const char *text;
    size_t size, sent, taken; /* taken: by the calls so far */
    int end;                  /* the client's */
} play;

static struct ss_server server = {.socket = -1, .channel = -1, .wakeup = -1};
static struct ss_request *request;

/* ---- the client ----------------------------------------------------------------------------- */

static void
send_piece(void)
{
    size_t left = play.size - play.sent;
    size_t size = 1 + (play.choices[play.next_piece++ % play.choice_count] >> 3);

    if (size > 24)
        size *= 100; /* large pieces, too */
    size = size < left ? size : left;
    expect(send(play.end, play.text + play.sent, size, MSG_NOSIGNAL) == (ssize_t)size);
    play.sent += size;
    if (play.sent == play.size)
        (void)shutdown(play.end, SHUT_WR);
}

/* A blocking receive finds at least a piece. */
static ssize_t
receive(struct ss_request *receiver, void *buffer, size_t size)
{
    if (server.mixin->blocking && play.sent < play.size)
        send_piece();
    return stream_transport.receive(receiver, buffer, size);
}

static int
wait_for_piece(struct ss_request *waiter, int fd, short events, int64_t until)
{
    if (play.sent < play.size)
        send_piece();
    return wait_blocking(waiter, fd, events, until);
}

/* ---- the calls ------------------------------------------------------------------------------ */

static size_t
size_left(void)
{
    return play.size - play.taken;
}

static void
expect_taken(const char *bytes, ssize_t size)
{
    expect(size >= 0 && (size_t)size <= size_left());
    expect(size == 0 || memcmp(bytes, play.text + play.taken, (size_t)size) == 0);
    play.taken += (size_t)size;
}

static void
read_a_line(void)
{
    const char *from = play.text + play.taken;
    const char *newline = size_left() > 0 ? memchr(from, '\n', size_left()) : NULL;
    size_t size = newline != NULL ? (size_t)(newline - from) + 1 : size_left();
    char *line = NULL;
    ssize_t got = ss_readline(request, &line);

    if (size > (size_t)server.settings.max_line) {
        expect(got == -EMSGSIZE && line == NULL);
        return;
    }
    expect(got == (ssize_t)size);
    if (size == 0)
        return;
    expect(line[size] == '\0');
    expect_taken(line, got);
    line[0] ^= 1; /* the plugin's to change */
}

static void
read_some(size_t size)
{
    static char buffer[LARGEST];
    ssize_t got = ss_read(request, buffer, size);

    expect(got <= (ssize_t)size && (got > 0) == (size > 0 && size_left() > 0));
    expect_taken(buffer, got);
}

static void
read_all_of(size_t size)
{
    static char buffer[LARGEST];
    ssize_t got = ss_read_full(request, buffer, size);

    expect(got == (ssize_t)(size < size_left() ? size : size_left()));
    expect_taken(buffer, got);
}

static void
call(uint8_t choice)
{
    static const size_t sizes[] = {0, 1, 2, 15, 64, 1023, 1024, 4095, 4096, LARGEST};
    size_t size = sizes[(choice >> 2) % ARRAY_SIZE(sizes)];

    if ((choice & 3) < 2)
        read_a_line();
    else if ((choice & 3) == 2)
        read_some(size);
    else
        read_all_of(size);
}

/* ---- one input ------------------------------------------------------------------------------ */

static void
prepare(void)
{
    static struct transport transport;
    int memory;

    transport = stream_transport;
    transport.receive = receive;
    server.settings.name = (char *)"fuzz";
    server.settings.write_buffer = 4096;
    server.settings.drain_timeout = 30;
    server.transport = &transport;
    server.slot_count = 1;
    expect(counters_create(1, &server.counters, &memory) == 0);
    (void)close(memory);
    counter_set(server.counters->phase, PHASE_SERVING);
}

static void
open_request(void)
{
    int pair[2];

    expect(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    expect(request_new(&server, &server.counters->slots[0], "main", 0, &request) == 0);
    request->fd = request->output_fd = pair[0];
    request->client.address.ss_family = AF_UNIX;
    request->client.size = sizeof(sa_family_t);
    request->deadline = FOREVER;
    play.end = pair[1];
    request_take(request);
    if (play.size == 0)
        (void)shutdown(play.end, SHUT_WR);
}

static void
read_to_the_end(void)
{
    char *line;

    for (size_t i = 0; i < play.choice_count; i++)
        call(play.choices[i]);
    while (size_left() > 0)
        read_all_of(LARGEST);
    expect(ss_readline(request, &line) == 0);
    expect(request->bytes_in == play.size);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct mixin waits, shares;

    if (size <= HEAD || size > LIMIT || size - HEAD < (size_t)(data[2] % 64) + 1)
        return 0;
    if (server.counters == NULL)
        prepare();
    waits = shares = mixin_none;
    shares.blocking = false;
    shares.wait = wait_for_piece;
    server.mixin = data[0] & 1 ? &shares : &waits;
    server.settings.max_line = data[0] < 128 ? 1 + data[0] : 16 * data[0];
    server.settings.read_buffer = data[1] < 128 ? 1 + data[1] : 32 * data[1];
    memset(&play, 0, sizeof(play));
    play.choices = data + HEAD;
    play.choice_count = (size_t)(data[2] % 64) + 1;
    play.text = (const char *)play.choices + play.choice_count;
    play.size = size - HEAD - play.choice_count;
    open_request();
    read_to_the_end();
    (void)close(play.end);
    (void)close(request->fd);
    request->fd = -1;
    request_free(request);
    buffers_done_thread(); /* those that it keeps are of this read_buffer */
    return 0;
}
