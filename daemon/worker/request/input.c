/* SPDX-License-Identifier: MIT */
/*
 * input.c - buffered reading: ss_read() and its kin
 *
 * Before a request waits for input, its output is sent: so a request/response
 * protocol costs one receive and one send a turn, and pipelined requests are
 * answered together.
 *
 * Runs in:  a serving context, called by the plugin.
 * Owns:     the request's input buffer, kept for the next request.
 * Failures: returned.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "common/clock.h"
#include "worker/request/buffers.h"
#include "worker/request/mixin.h"
#include "worker/request/request.h"
#include "worker/request/transport.h"
#include "worker/request/wait.h"

/* A read of so many bytes needs no buffer; the smaller one only while there may be more to come. */
#define LARGE_READ  4096
#define MEDIUM_READ 1024

#define LONGEST_MESSAGE 1e9 /* seconds; what is longer would be too long for the clock */

#define FIRST_BYTES 0.25 /* seconds, after a drain has begun */

void
input_restore(struct input *input)
{
    if (input->patched) {
        input->data[input->start] = input->original;
        input->patched = false;
    }
}

int
input_reserve(struct input *input, size_t capacity)
{
    if (input->capacity >= capacity)
        return 0;
    if (input->data == NULL && (input->data = buffers_reuse_input(capacity)) != NULL) {
        input->capacity = capacity;
        return 0;
    }
    char *data = realloc(input->data, capacity + 1);
    if (data == NULL)
        return -ENOMEM;
    input->data = data;
    input->capacity = capacity;
    return 0;
}

/* What is left of read_timeout (0: no limit) when a receive has returned -EAGAIN. */
static double
time_left(const struct ss_request *request)
{
    double limit = request->read_timeout;

    if (limit > RECEIVE_PATIENCE && request->server->mixin->blocking)
        return limit - RECEIVE_PATIENCE;
    return limit;
}

/*
 * Sends what the client may be waiting for. Where a wait does not happen in
 * the receive itself, or has been a long one there, waits until there is
 * something, and holds no empty buffer meanwhile: most connections idle most
 * of the time.
 */
static int
await_input(struct ss_request *request)
{
    if (request->server->transport->stream && request->output.used > 0) {
        int error = output_flush(request);
        if (error < 0)
            return error;
    }
    if (!request->drained || request->wanted == 0)
        return 0;
    buffers_release(request);
    counter_set(request->slot->stage, STAGE_READING); /* wait_io() notes the times */
    int error = wait_io(request, request->fd, request->wanted, time_left(request));
    counter_set(request->slot->stage, STAGE_HANDLING);
    request->drained = false;
    return error;
}

/* One receive. -EAGAIN: there was nothing, go and wait for it. */
static ssize_t
receive(struct ss_request *request, void *buffer, size_t size)
{
    const struct transport *transport = request->server->transport;

    request_enter_call(request, STAGE_READING);
    ssize_t got = transport->receive(request, buffer, size);
    request_enter_call(request, STAGE_HANDLING);
    if (got > 0) {
        request->bytes_in += (uint64_t)got;
        request_moved(request);
        request->filled = (size_t)got == size;
        request->drained = !request->filled && !request->server->mixin->blocking;
    } else if (got == 0)
        request->ended = true;
    else if (got == -EAGAIN)
        request->drained = true;
    else if (got == -ECONNRESET || got == -EPIPE)
        request->vanished = true;
    return got;
}

/* What is said at the end of input, again and again if need be: unless the request was cut. */
static int
say_end(const struct ss_request *request)
{
    return request_is_cut(request) ? -ECANCELED : 0;
}

/*
 * A line or block of which some bytes are there. The rest must come in time, or
 * a client that sends a byte now and then would stay as long as it likes.
 */
struct message {
    int64_t began;    /* 0: it has not */
    int64_t deadline; /* the request's without it */
};

/* Bounds the waits for the rest of a message of which so many bytes are there. */
static void
message_limit(struct ss_request *request, struct message *message, size_t size)
{
    const struct settings *settings = &request->server->settings;
    double seconds = settings->message_timeout;

    if (size == 0 || seconds == 0 || !request->server->transport->stream)
        return;
    if (message->began == 0) {
        message->began = monotonic_now();
        message->deadline = request->deadline;
    }
    if (settings->min_rate > 0)
        seconds += (double)size / (double)settings->min_rate;
    int64_t until =
        message->began + (int64_t)((seconds < LONGEST_MESSAGE ? seconds : LONGEST_MESSAGE) * 1e9);
    request->deadline = until < message->deadline ? until : message->deadline;
}

/* Ends that, with what the last wait returned. */
static ssize_t
message_end(struct ss_request *request, const struct message *message, ssize_t result)
{
    int64_t until = request->deadline;

    if (message->began == 0)
        return result;
    request->deadline = message->deadline;
    if (result == -ETIMEDOUT && until < message->deadline && monotonic_now() >= until)
        request->slow = true;
    return result;
}

/* Receives into the buffer, behind what is there. */
static ssize_t
fill(struct ss_request *request)
{
    struct input *input = &request->input;
    ssize_t got = 0;

    if (request->ended)
        return say_end(request);
    do {
        int error = await_input(request);
        if (error < 0)
            return error;
        if (input->start == input->end)
            input->start = input->end = 0;
        if (input_reserve(input, (size_t)request->server->settings.read_buffer) < 0)
            return -ENOMEM;
        got = receive(request, input->data + input->end, input->capacity - input->end);
    } while (got == -EAGAIN);
    if (got > 0)
        input->end += (size_t)got;
    return got;
}

int
input_wait_events(struct ss_request *request, short events, int64_t until)
{
    const struct mixin *mixin = request->server->mixin;
    bool known = events == POLLIN && request->drained; /* that there is nothing */

    /* Under *coroutine* what has come is told once, so who does not know looks. */
    if (!mixin->blocking && !known) {
        int result = mixin->wait(request, request->fd, events, 0);
        if (result != 0)
            return result;
        if (events == POLLIN)
            request->drained = true;
    }
    return mixin->wait(request, request->fd, events, until);
}

int
input_wait(struct ss_request *request, int64_t until)
{
    const struct ss_server *server = request->server;
    const struct transport *transport = server->transport;
    int result = POLLIN;

    if (transport->ready == NULL)
        result = input_wait_events(request, POLLIN, until);
    else
        while (result > 0 && transport->ready(request) == 0)
            result = server->mixin->wait(request, request->fd, request->wanted, until);
    if (result > 0)
        request->drained = false; /* under *coroutine* it is told once: do not wait again */
    return result;
}

bool
input_await_first(struct ss_request *request, int64_t until)
{
    int64_t patience = monotonic_after(FIRST_BYTES);

    if (request->bytes_in > 0 || request_is_cut(request))
        return false;
    return input_wait(request, patience < until ? patience : until) > 0;
}

/* A process for this connection alone would pay for new pages only to wait there. Where bytes of
 * the connection need not be the client's, only receiving tells whether there are any. */
static bool
serves_it_alone(const struct ss_server *server)
{
    return server->mixin->processes && server->settings.recycle_after == 1 &&
           server->transport->ready == NULL;
}

static ssize_t
wait_without_buffer(struct ss_request *request)
{
    int error = output_flush(request);

    if (error == 0) {
        counter_set(request->slot->stage, STAGE_READING); /* wait_io() notes the times */
        error = wait_io(request, request->fd, request->wanted, request->read_timeout);
        counter_set(request->slot->stage, STAGE_HANDLING);
    }
    return error;
}

/* fill() or a wait, which ends as at a drain when the request is old enough. */
static ssize_t
await_until_aged(struct ss_request *request)
{
    int64_t deadline = request->deadline;

    if (!request->told && request->aged < deadline)
        request->deadline = request->aged;
    ssize_t got = serves_it_alone(request->server) ? wait_without_buffer(request) : fill(request);
    request->deadline = deadline;
    if (got != -ETIMEDOUT || request->told || !request_is_aged(request))
        return got;
    request->idle = false;
    return -ECANCELED;
}

int
input_await(struct ss_request *request)
{
    struct slot *slot = request->slot;

    input_restore(&request->input);
    if (request_has_input(request))
        return 1;
    ssize_t got = 0;
    if (!request->told)
        counter_set(slot->leaves, 1);
    /* What has come before the drain is served still. */
    if (!request->told && (request_leaves(request) || request_is_aged(request)))
        got = input_wait(request, 0) > 0 ? 0 : -ECANCELED;
    if (got == 0)
        got = await_until_aged(request);
    counter_set(slot->leaves, 0);
    if (got == -ECANCELED && input_await_first(request, FOREVER))
        got = fill(request);
    return got < 0 ? leave_told(request, (int)got) : 1;
}

ssize_t
input_more(struct ss_request *request, size_t capacity)
{
    if (input_reserve(&request->input, capacity) < 0)
        return -ENOMEM;
    return fill(request);
}

/* Receives into the caller's memory. */
static ssize_t
receive_directly(struct ss_request *request, void *buffer, size_t size)
{
    ssize_t got = 0;

    if (request->ended)
        return say_end(request);
    do {
        int error = await_input(request);
        if (error < 0)
            return error;
        got = receive(request, buffer, size);
    } while (got == -EAGAIN);
    return got;
}

/* Takes up to size buffered bytes. */
static size_t
take(struct input *input, void *buffer, size_t size)
{
    size_t there = input->end - input->start;
    size_t taken = size < there ? size : there;

    memcpy(buffer, input->data + input->start, taken);
    input->start += taken;
    return taken;
}

/*
 * Into the caller's memory if that is large: no copy, and no page of ours is touched. If it is
 * not, a client that sends more than it holds would cost more calls than with a buffer.
 */
static bool
needs_no_buffer(const struct ss_request *request, size_t size)
{
    return size >= LARGE_READ || (size >= MEDIUM_READ && !request->filled) ||
           size >= request->server->settings.read_buffer;
}

ssize_t
ss_read(struct ss_request *request, void *buffer, size_t size)
{
    struct input *input = &request->input;

    if (request->output.error < 0)
        return request->output.error;
    if (size == 0)
        return 0;
    input_restore(input);
    if (input->start == input->end) {
        if (needs_no_buffer(request, size))
            return receive_directly(request, buffer, size);
        ssize_t got = fill(request);
        if (got <= 0)
            return got;
    }
    return (ssize_t)take(input, buffer, size);
}

size_t
ss_buffered(struct ss_request *request)
{
    return request->input.end - request->input.start;
}

ssize_t
ss_read_full(struct ss_request *request, void *buffer, size_t size)
{
    struct message message = {0};
    size_t done = 0;
    ssize_t got = 1;

    while (done < size && got > 0) {
        message_limit(request, &message, done);
        got = ss_read(request, (char *)buffer + done, size - done);
        done += got > 0 ? (size_t)got : 0;
    }
    return message_end(request, &message, got < 0 ? got : (ssize_t)done);
}

/* Makes room behind the data for more of the line that begins at start. */
static int
make_room(struct input *input, size_t max_line)
{
    size_t held = input->end - input->start;

    if (input->end < input->capacity)
        return 0;
    if (input->start > 0) {
        memmove(input->data, input->data + input->start, held);
        input->start = 0;
        input->end = held;
        return 0;
    }
    /* One byte more than a line may have: it tells a line's end from its excess. */
    size_t capacity = input->capacity * 2;
    return input_reserve(input, capacity <= max_line ? capacity : max_line + 1);
}

/* Hands out size bytes from start as a line, with a NUL in place of the byte behind it. */
static ssize_t
give_line(struct input *input, size_t size, char **line)
{
    *line = input->data + input->start;
    input->start += size;
    input->original = input->data[input->start];
    input->data[input->start] = '\0';
    input->patched = true;
    return (ssize_t)size;
}

static ssize_t
read_line(struct ss_request *request, struct message *message, char **line)
{
    struct input *input = &request->input;
    size_t max_line = (size_t)request->server->settings.max_line;
    size_t searched = 0;

    for (;;) {
        size_t held = input->end - input->start;
        const char *from = held > searched ? input->data + input->start + searched : NULL;
        const char *newline = from != NULL ? memchr(from, '\n', held - searched) : NULL;
        size_t size = newline != NULL ? (size_t)(newline - input->data) - input->start + 1 : held;

        if (size > max_line)
            return -EMSGSIZE;
        if (newline != NULL)
            return give_line(input, size, line);
        searched = held;
        if (held > 0 && !request->ended && make_room(input, max_line) < 0)
            return -ENOMEM;
        message_limit(request, message, held);
        ssize_t got = fill(request);
        if (got < 0)
            return got;
        if (got == 0)
            return held == 0 ? 0 : give_line(input, held, line);
    }
}

ssize_t
ss_readline(struct ss_request *request, char **line)
{
    struct message message = {0};

    if (request->output.error < 0)
        return request->output.error;
    input_restore(&request->input);
    return message_end(request, &message, read_line(request, &message, line));
}

const void *
ss_packet(struct ss_request *request, size_t *size)
{
    bool stream = request->server->transport->stream;

    input_restore(&request->input);
    *size = stream ? 0 : request->datagram.size;
    return stream ? NULL : request->input.data;
}

bool
ss_truncated(struct ss_request *request)
{
    return request->datagram.truncated || request->truncated;
}
