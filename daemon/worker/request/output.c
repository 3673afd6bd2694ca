/* SPDX-License-Identifier: MIT */
/*
 * output.c - buffered writing: ss_write() and its kin
 *
 * The buffer is sent when it is full, when the request is about to wait for
 * input, at ss_flush() and at the end. A datagram's reply only gathers here.
 *
 * Runs in:  a serving context, called by the plugin.
 * Owns:     the request's output buffer, kept for the next request.
 * Failures: returned; a failed send sticks in the buffer.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "worker/request/buffers.h"
#include "worker/request/request.h"
#include "worker/request/transport.h"
#include "worker/request/wait.h"

#define DATAGRAM_MAX 65535u

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
    if (output->data == NULL && (output->data = buffers_reuse_output(capacity)) != NULL) {
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

int
output_refuse(struct ss_request *request)
{
    request->output.used = 0;
    return request->output.error = -EPIPE;
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
    if (request->shut)
        return output_refuse(request);
    request_enter_call(request, STAGE_WRITING);
    int error = request->server->transport->transmit(request, parts + first, last - first);
    request_enter_call(request, STAGE_HANDLING);
    output->used = 0;
    if (error < 0)
        return output_fail(request, error);
    request_moved(request);
    return 0;
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

int
ss_shutdown(struct ss_request *request)
{
    const struct ss_server *server = request->server;
    short wanted = POLLOUT;

    if (!server->transport->stream)
        return -ENOTSUP;
    int error = output_flush(request);
    while (error == 0 && !request->shut) {
        error = server->transport->end_output(request, &wanted);
        if (error != -EAGAIN) {
            request->shut = error == 0;
            break;
        }
        counter_set(request->slot->stage, STAGE_WRITING); /* wait_io() notes the times */
        error = wait_io(request, request->fd, wanted, request->write_timeout);
        counter_set(request->slot->stage, STAGE_HANDLING);
    }
    return error;
}
