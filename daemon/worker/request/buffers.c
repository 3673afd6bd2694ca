/* SPDX-License-Identifier: MIT */
/*
 * buffers.c - buffered reading and writing: ss_read() and ss_write() and their kin
 *
 * The output buffer is sent when it is full, when the request is about to
 * wait for input, at ss_flush() and at the end. So a request/response protocol
 * costs one receive and one send a turn, and pipelined requests are answered
 * together.
 *
 * Runs in:  a serving context, called by the plugin.
 * Owns:     the request's buffers, kept for the next request.
 * Failures: returned; a failed send sticks in the output buffer.
 */
#include "worker/request/buffers.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "common/cleanup.h"
#include "worker/request/mixin.h"
#include "worker/request/request.h"
#include "worker/request/transport.h"
#include "worker/request/wait.h"

#define DATAGRAM_MAX 65535u
#define SHELF_SIZE   32

/* A read of so many bytes needs no buffer; the smaller one only while there may be more to come. */
#define LARGE_READ  4096
#define MEDIUM_READ 1024

/* ---- buffers that no coroutine of this thread needs just now -------------- */

/* All of one capacity: a listener's have only one. */
struct shelf {
    char *buffers[SHELF_SIZE];
    unsigned count;
    size_t capacity;
};

/* Allocated, as most threads have none: each pays for all thread-local variables with its stack. */
static _Thread_local struct shelves {
    struct shelf inputs, outputs;
} * pool;

static char *
shelf_take(struct shelf *shelf, size_t capacity)
{
    if (shelf->count == 0 || shelf->capacity != capacity)
        return NULL;
    return shelf->buffers[--shelf->count];
}

/* shelf: NULL if the thread keeps none. */
static void
give_away(struct ss_server *server, struct shelf *shelf, char *buffer, size_t capacity,
          size_t usual)
{
    if (shelf == NULL || capacity != usual || shelf->count == SHELF_SIZE) {
        free(buffer);
        counter_set(server->freed, true);
        return;
    }
    shelf->capacity = capacity;
    shelf->buffers[shelf->count++] = buffer;
}

static void
shelf_clear(struct shelf *shelf)
{
    while (shelf->count > 0)
        free(shelf->buffers[--shelf->count]);
}

void
buffers_release(struct ss_request *request)
{
    struct ss_server *server = request->server;
    const struct settings *settings = &server->settings;
    struct input *input = &request->input;
    struct output *output = &request->output;

    if (pool == NULL && !server->mixin->blocking)
        pool = calloc(1, sizeof(*pool));
    if (input->data != NULL && input->start == input->end && !input->patched) {
        give_away(server, pool != NULL ? &pool->inputs : NULL, input->data, input->capacity,
                  (size_t)settings->read_buffer);
        *input = (struct input){0};
    }
    if (output->data != output->lent && output->used == 0) {
        give_away(server, pool != NULL ? &pool->outputs : NULL, output->data, output->capacity,
                  (size_t)settings->write_buffer);
        output_lend(output, output->lent, output->lent_size);
    }
}

void
buffers_shrink(struct ss_request *request)
{
    struct ss_server *server = request->server;
    struct input *input = &request->input;

    if (!server->transport->stream || input->capacity <= (size_t)server->settings.read_buffer)
        return;
    free(input->data);
    *input = (struct input){0};
    counter_set(server->freed, true);
}

void
buffers_done_thread(void)
{
    if (pool == NULL)
        return;
    shelf_clear(&pool->inputs);
    shelf_clear(&pool->outputs);
    free(pool);
    pool = NULL;
}

/* ---- input -------------------------------------------------------------- */

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
    if (input->data == NULL && pool != NULL &&
        (input->data = shelf_take(&pool->inputs, capacity)) != NULL) {
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
time_left(const struct ss_server *server)
{
    double limit = server->settings.read_timeout;

    return limit > 0 && server->mixin->blocking ? limit - RECEIVE_PATIENCE : limit;
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
    counter_set(request->slot->stage, STAGE_READING);
    int error = wait_io(request, request->fd, request->wanted, time_left(request->server));
    counter_set(request->slot->stage, STAGE_HANDLING);
    request->drained = false;
    return error;
}

/* One receive. -EAGAIN: there was nothing, go and wait for it. */
static ssize_t
receive(struct ss_request *request, void *buffer, size_t size)
{
    const struct transport *transport = request->server->transport;

    counter_set(request->slot->stage, STAGE_READING);
    ssize_t got = transport->receive(request, buffer, size);
    counter_set(request->slot->stage, STAGE_HANDLING);
    if (got > 0) {
        request->bytes_in += (uint64_t)got;
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

/* Receives into the buffer, behind what is there. */
static ssize_t
fill(struct ss_request *request)
{
    struct input *input = &request->input;
    ssize_t got = 0;

    if (request->ended)
        return 0;
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

/* Receives into the caller's memory. */
static ssize_t
receive_directly(struct ss_request *request, void *buffer, size_t size)
{
    ssize_t got = 0;

    if (request->ended)
        return 0;
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

ssize_t
ss_read_full(struct ss_request *request, void *buffer, size_t size)
{
    size_t done = 0;

    while (done < size) {
        ssize_t got = ss_read(request, (char *)buffer + done, size - done);
        if (got < 0)
            return got;
        if (got == 0)
            break;
        done += (size_t)got;
    }
    return (ssize_t)done;
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

ssize_t
ss_readline(struct ss_request *request, char **line)
{
    struct input *input = &request->input;
    size_t max_line = (size_t)request->server->settings.max_line;
    size_t searched = 0;

    if (request->output.error < 0)
        return request->output.error;
    input_restore(input);
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
        ssize_t got = fill(request);
        if (got < 0)
            return got;
        if (got == 0)
            return held == 0 ? 0 : give_line(input, held, line);
    }
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
    return request->datagram.truncated;
}

/* ---- output ------------------------------------------------------------- */

void
output_reset(struct output *output)
{
    output->used = 0;
    output->error = 0;
}

void
output_lend(struct output *output, char *memory, size_t size)
{
    output->data = output->lent = memory;
    output->capacity = output->lent_size = size;
}

void
output_free(struct output *output)
{
    if (output->data != output->lent)
        free(output->data);
    output_lend(output, output->lent, output->lent_size);
}

int
output_reserve(struct output *output, size_t capacity)
{
    if (output->capacity >= capacity)
        return 0;
    if (output->data == NULL && pool != NULL &&
        (output->data = shelf_take(&pool->outputs, capacity)) != NULL) {
        output->capacity = capacity;
        return 0;
    }
    bool lent = output->data == output->lent;
    char *data = realloc(lent ? NULL : output->data, capacity);
    if (data == NULL)
        return -ENOMEM;
    if (lent && output->used > 0)
        memcpy(data, output->lent, output->used);
    output->data = data;
    output->capacity = capacity;
    return 0;
}

int
output_fail(struct ss_request *request, int error)
{
    request->output.error = error;
    request->output.used = 0;
    if (error == -EPIPE || error == -ECONNRESET)
        request->vanished = true;
    return error;
}

/* Sends what is gathered and then size bytes of data, and forgets both. */
static int
output_send(struct ss_request *request, const void *data, size_t size)
{
    struct output *output = &request->output;
    struct iovec parts[] = {
        {.iov_base = output->data, .iov_len = output->used},
        {.iov_base = (void *)data, .iov_len = size},
    };
    int first = output->used == 0, last = size == 0 ? 1 : 2;

    if (first == last)
        return 0;
    counter_set(request->slot->stage, STAGE_WRITING);
    int error = request->server->transport->transmit(request, parts + first, last - first);
    counter_set(request->slot->stage, STAGE_HANDLING);
    output->used = 0;
    return error < 0 ? output_fail(request, error) : 0;
}

int
output_flush(struct ss_request *request)
{
    if (request->output.error < 0)
        return request->output.error;
    if (!request->server->transport->stream)
        return 0;
    return output_send(request, NULL, 0);
}

/* A datagram's reply grows to what one datagram can hold. */
static int
gather_reply(struct ss_request *request, const void *data, size_t size)
{
    struct output *output = &request->output;
    size_t wanted = output->used + size;

    if (size > DATAGRAM_MAX || wanted > DATAGRAM_MAX)
        return output_fail(request, -EMSGSIZE);
    if (wanted > output->capacity) {
        size_t capacity = wanted < 2048 ? 2048 : wanted * 2;
        if (output_reserve(output, capacity < DATAGRAM_MAX ? capacity : DATAGRAM_MAX) < 0)
            return output_fail(request, -ENOMEM);
    }
    memcpy(output->data + output->used, data, size);
    output->used = wanted;
    return 0;
}

int
ss_write(struct ss_request *request, const void *data, size_t size)
{
    struct output *output = &request->output;
    size_t limit = (size_t)request->server->settings.write_buffer;

    if (output->error < 0)
        return output->error;
    if (size == 0)
        return 0;
    if (!request->server->transport->stream)
        return gather_reply(request, data, size);
    if (size >= limit - output->used)
        return output_send(request, data, size);
    if (output->used + size > output->capacity && output_reserve(output, limit) < 0)
        return output_send(request, data, size);
    memcpy(output->data + output->used, data, size);
    output->used += size;
    return 0;
}

int
ss_printf(struct ss_request *request, const char *format, ...)
{
    _cleanup_free_ char *text = NULL;
    char small[512];
    va_list arguments;

    va_start(arguments, format);
    int size = vsnprintf(small, sizeof(small), format, arguments);
    va_end(arguments);
    if (size < 0)
        return -EINVAL;
    if ((size_t)size < sizeof(small))
        return ss_write(request, small, (size_t)size);
    va_start(arguments, format);
    size = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (size < 0) {
        text = NULL;
        return -ENOMEM;
    }
    return ss_write(request, text, (size_t)size);
}

int
ss_flush(struct ss_request *request)
{
    return output_flush(request);
}
