/* SPDX-License-Identifier: MIT */
/*
 * hand_over.c - what a plugin asks and says of its listener before it serves
 *
 * The transport that ss_server_hand_over() asks for is transport/handover.c; here is judged
 * whether the listener's settings allow it.
 *
 * Runs in:  a worker's main thread, called by the plugin.
 * Owns:     nothing.
 * Failures: complained of, at an option's place or in the log.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <syslog.h>

#include "common/array.h"
#include "common/cleanup.h"
#include "common/log.h"
#include "worker/request/request.h"
#include "worker/request/transport.h"

void
ss_complain(struct ss_server *server, const char *option, const char *format, ...)
{
    _cleanup_free_ char *text = NULL;
    va_list arguments;

    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0)
        text = NULL;
    va_end(arguments);
    if (server->complaints != NULL)
        options_complain(&server->settings, option, text == NULL ? "out of memory" : text,
                         server->complaints);
    else
        log_message(LOG_ERR, "options.%s: %s", option, text == NULL ? "out of memory" : text);
}

unsigned
ss_server_transport(struct ss_server *server)
{
    if (server->transport == NULL)
        return 0;
    return server->transport->stream ? SS_STREAM : SS_DATAGRAM;
}

bool
ss_draining(struct ss_request *request)
{
    return server_phase(request->server) >= PHASE_DRAINING || request->server->terminated;
}

/* Settings that nobody could keep: the program accepts its clients itself. */
static const struct {
    const char *key;
    bool stream; /* for a datagram, the sender of the first one is known */
} impossible[] = {
    {"tls", false},
    {"proxy", false},
    {"allow", true},
    {"deny", true},
    {"max_per_source", false},
    {"rate_per_source", true},
    {"burst_per_source", true},
    {"on_full", false},
    {"max_connections", false},
    {"cpus", false},
};

int
ss_server_hand_over(struct ss_server *server, const char *option)
{
    const struct settings *settings = &server->settings;
    int error = 0;

    if (settings->mixin != MIXIN_NONE) {
        ss_complain(server, option,
                    "it takes mixin = \"none\", as one program runs at a time; "
                    "found \"%s\"",
                    mixin_names[settings->mixin]);
        error = -EINVAL;
    }
    for (size_t i = 0; i < ARRAY_SIZE(impossible); i++) {
        const struct setting *setting = setting_find(impossible[i].key);
        bool stream = server->transport == NULL || server->transport->stream;
        if (!setting_given(settings, setting) || (impossible[i].stream && !stream))
            continue;
        ss_complain(server, option,
                    "`%s` cannot hold, as the program accepts its clients itself; "
                    "take it out, of `defaults` too",
                    setting->key);
        error = -EINVAL;
    }
    if (error == 0)
        server->hands_over = true;
    return error;
}
