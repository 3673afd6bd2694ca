/* SPDX-License-Identifier: MIT */
/*
 * stdio.c - one request on standard input and output: for inetd, authors, fuzzers
 *
 * Standard input may be a pipe, a file, a terminal, or a connected socket from
 * inetd. A plugin that serves datagrams only gets all of standard input as its
 * packet. There is no supervisor and no worker here: one process, one request.
 *
 * Runs in:  the process that was started.
 * Owns:     nothing but the one request.
 * Failures: printed on standard error; the exit status tells.
 */
#include "worker/transport/stdio.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/address.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "worker/request/mixin.h"
#include "worker/request/request.h"
#include "worker/request/transport.h"
#include "worker/worker.h"

/* ---- the transport ------------------------------------------------------------- */

static int
stdio_prepare(struct ss_server *server)
{
    (void)server;
    return 0;
}

static int
stdio_get_request(struct ss_request *request)
{
    request->fd = STDIN_FILENO;
    request->output_fd = STDOUT_FILENO;
    request->client_size = sizeof(request->client);
    if (getpeername(STDIN_FILENO, (struct sockaddr *)&request->client, &request->client_size) < 0) {
        request->client.ss_family = AF_UNSPEC;
        request->client_size = 0;
    }
    address_unmap(&request->client, &request->client_size);
    return 0;
}

static ssize_t
stdio_receive(struct ss_request *request, void *buffer, size_t size)
{
    for (;;) {
        int error = wait_io(request, STDIN_FILENO, POLLIN, request->server->settings.read_timeout);
        if (error < 0)
            return error;
        ssize_t got = read(STDIN_FILENO, buffer, size);
        if (got >= 0)
            return got;
        if (errno != EINTR && errno != EAGAIN)
            return -errno;
    }
}

static int
write_part(struct ss_request *request, const char *data, size_t size)
{
    while (size > 0) {
        int error =
            wait_io(request, STDOUT_FILENO, POLLOUT, request->server->settings.write_timeout);
        if (error < 0)
            return error;
        ssize_t sent = write(STDOUT_FILENO, data, size);
        if (sent < 0 && errno != EINTR && errno != EAGAIN)
            return -errno;
        if (sent > 0) {
            data += sent;
            size -= (size_t)sent;
            request->bytes_out += (uint64_t)sent;
        }
    }
    return 0;
}

static int
stdio_transmit(struct ss_request *request, struct iovec *parts, int count)
{
    int error = 0;

    for (int i = 0; i < count && error == 0; i++)
        error = write_part(request, parts[i].iov_base, parts[i].iov_len);
    return error;
}

static void
stdio_shutdown_request(struct ss_request *request)
{
    (void)shutdown(request->output_fd,
                   SHUT_WR); /* a socket from inetd; anything else ends with us */
}

static void
stdio_close_request(struct ss_request *request)
{
    request->fd = request->output_fd = -1;
}

const struct transport stdio_transport = {
    .stream = true,
    .prepare = stdio_prepare,
    .get_request = stdio_get_request,
    .receive = stdio_receive,
    .transmit = stdio_transmit,
    .shutdown_request = stdio_shutdown_request,
    .close_request = stdio_close_request,
};

/* ---- the same for a plugin that wants a packet ----------------------------------- */

/* All of standard input, up to max_packet_size. */
static int
packet_get_request(struct ss_request *request)
{
    struct input *input = &request->input;
    size_t limit = (size_t)request->server->settings.max_packet_size;

    (void)stdio_get_request(request);
    if (input_reserve(input, limit) < 0)
        return -ENOMEM;
    input->start = input->end = 0;
    while (input->end < limit) {
        ssize_t got = stdio_receive(request, input->data + input->end, limit - input->end);
        if (got < 0)
            return (int)got;
        if (got == 0)
            break;
        input->end += (size_t)got;
    }
    request->truncated = input->end == limit && stdio_receive(request, (char[1]){0}, 1) > 0;
    request->packet_size = input->end;
    request->bytes_in = input->end;
    return 0;
}

static ssize_t
packet_receive(struct ss_request *request, void *buffer, size_t size)
{
    (void)request;
    (void)buffer;
    (void)size;
    return 0;
}

static void
packet_shutdown_request(struct ss_request *request)
{
    const struct output *output = &request->output;

    if (request->reason == CLOSE_DONE && output->error == 0 && output->used > 0)
        request->error = write_part(request, output->data, output->used);
}

static const struct transport packet_transport = {
    .stream = false,
    .prepare = stdio_prepare,
    .get_request = packet_get_request,
    .receive = packet_receive,
    .transmit = stdio_transmit,
    .shutdown_request = packet_shutdown_request,
    .close_request = stdio_close_request,
};

/* ---- the role ----------------------------------------------------------------------- */

static int
complain(const struct errors *errors, int status)
{
    for (size_t i = 0; i < errors->count; i++)
        (void)fprintf(stderr, "%s\n", errors->texts[i]);
    if (errors->exhausted)
        (void)fprintf(stderr, "sockserverd: out of memory\n");
    return status;
}

static int
serve_one(struct ss_server *server)
{
    const struct plugin_hooks *hooks = &server->plugin.hooks;
    struct ss_request *request = NULL;
    int status = 1;

    if (request_new(server, &server->counters->slots[0], "stdio", 0, &request) < 0)
        return 1;
    request->deadline = FOREVER;
    int error = hooks->server_activate != NULL ? hooks->server_activate(server) : 0;
    if (error < 0) {
        log_error("server_activate failed: %s", strerror(-error));
        request_free(request);
        return 1;
    }
    error = server->transport->get_request(request);
    if (error == 0) {
        request_take(request);
        request_process(request);
        status = request->reason == CLOSE_DONE && request->error == 0 ? 0 : 1;
    } else {
        log_error("cannot read standard input: %s", strerror(-error));
    }
    if (hooks->server_close != NULL)
        hooks->server_close(server);
    request_free(request);
    return status;
}

/* Loads the plugin, checks its options and serves. The exit status. */
static int
load_and_serve(struct ss_server *server, struct errors *errors)
{
    if (plugin_load(server->settings.plugin_file, &server->plugin, errors) < 0)
        return complain(errors, 1);
    bool stream = (server->plugin.record.transports & SS_STREAM) != 0;
    server->transport = stream ? &stdio_transport : &packet_transport;
    int error = options_resolve(&server->plugin, &server->settings, &server->options, errors);
    if (error < 0 || errors_any(errors))
        return complain(errors, error < 0 ? 1 : 78);
    return serve_one(server);
}

int
stdio_main(const struct settings *settings)
{
    static struct ss_server server = {.socket = -1, .channel = -1, .wakeup = -1};
    struct errors errors = {0};
    int memory;

    (void)signal(SIGPIPE, SIG_IGN);
    log_set_listener(settings->name);
    server.settings = *settings; /* its strings stay the caller's, who waits for us */
    if (counters_create(1, &server.counters, &memory) < 0)
        return 1;
    (void)close(memory);
    server.slot_count = 1;
    server.settings.mixin = MIXIN_NONE; /* one request in one process: safe for every plugin */
    server.mixin = &mixin_none;
    server.address = (char *)"stdio:";
    counter_set(server.counters->phase, PHASE_SERVING);
    int status = load_and_serve(&server, &errors);
    options_free(server.options, server.plugin.option_count);
    plugin_done(&server.plugin);
    counters_detach(server.counters, 1);
    errors_done(&errors);
    return status;
}
