/* SPDX-License-Identifier: MIT */
/*
 * once.c - a process for one request on standard input and output: --stdio
 *
 * For inetd, for authors, for fuzzers. There is no supervisor and no worker: a
 * child of the process that was started loads the plugin, serves once and ends.
 *
 * Runs in:  that child, so that its parent can say how it ended
 *           (common/apart.c).
 * Owns:     the server and its one request.
 * Failures: printed on standard error; the exit status tells.
 */
#include "worker/once.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/errors.h"
#include "common/log.h"
#include "worker/mixin/mixins.h"
#include "worker/request/request.h"
#include "worker/request/wait.h"
#include "worker/transport/transports.h"

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
    server->wishes = -1;
    request->deadline = request->overtime = request->aged = request->due = FOREVER;
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
load_and_serve(struct ss_server *server, bool datagram, struct errors *errors)
{
    if (plugin_load(server->settings.plugin_file, &server->plugin, errors) < 0)
        return complain(errors, 1);
    bool stream = !datagram && (server->plugin.record.transports & SS_STREAM) != 0;
    if (datagram && (server->plugin.record.transports & SS_DATAGRAM) == 0)
        errors_add(errors, NULL, 0,
                   "--datagram: plugin %s serves streams only (.transports = SS_STREAM); leave "
                   "--datagram out, or add SS_DATAGRAM where its ss_packet() is read",
                   server->plugin.record.name);
    server->transport = stream ? &stdio_transport : &stdio_packet_transport;
    int error = options_resolve(&server->plugin, &server->settings, &server->options, errors);
    if (error < 0 || errors_any(errors))
        return complain(errors, error < 0 ? 1 : 78);
    return serve_one(server);
}

int
once_main(const struct settings *settings, bool datagram)
{
    static struct ss_server server = {.socket = -1, .channel = -1, .wakeup = -1};
    struct errors errors = {0};
    int memory;

    broken_pipes_survive();
    log_set_listener(settings->name);
    server.settings = *settings; /* the strings stay the caller's, who waits for us */
    if (counters_create(1, &server.counters, &memory) < 0)
        return 1;
    (void)close(memory);
    server.slot_count = 1;
    server.settings.mixin = MIXIN_NONE; /* one request in one process: every plugin is safe so */
    server.mixin = &mixin_none;
    server.address = (char *)"stdio:";
    counter_set(server.counters->phase, PHASE_SERVING);
    int status = load_and_serve(&server, datagram, &errors);
    options_free(server.options, server.plugin.option_count);
    plugin_done(&server.plugin);
    counters_detach(server.counters, 1);
    errors_done(&errors);
    return status;
}
