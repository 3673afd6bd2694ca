/* SPDX-License-Identifier: MIT */
/*
 * proxy.c - passes each connection on to another address, both ways
 *
 * The access line tells where to, and how many bytes went each way. The plugin `forward`, which
 * comes with the daemon, has several targets, datagrams, PROXY headers and TLS besides.
 *
 * Runs in:  a handler thread, child or coroutine.
 * Owns:     the connection to the target.
 * Failures: logged with the target's address; the client's connection is closed.
 */
#include <string.h>
#include <unistd.h>

#include <sockserver/plugin.h>

/* clang-format off */
static const struct ss_option options[] = {
    {"to", SS_ADDRESS, .required = true,
     .help = "the target: \"tcp://HOST:PORT\" or \"unix:///PATH\""},
    {"connect_timeout", SS_DURATION, .fallback = "5s", .min = 0.001, .max = 3600,
     .help = "how long the target may take to accept"},
    {"idle_timeout", SS_DURATION, .fallback = "10m", .min = 0.001, .max = 1e7,
     .help = "the end, when nothing has moved for so long"},
    {0},
};

SS_PLUGIN(.name = "proxy", .summary = "passes connections on to another address",
          .transports = SS_STREAM, .mixins = SS_THREADING | SS_COROUTINE, .options = options)
/* clang-format on */

int
handle(struct ss_request *request)
{
    struct ss_server *server = ss_server(request);
    const char *to = ss_option_string(server, "to");
    int target = ss_connect(request, to, ss_option_duration(server, "connect_timeout"));

    if (target < 0)
        return target;
    ss_set_outcome(request, to);
    int result = ss_relay(request, target, ss_option_duration(server, "idle_timeout"));
    (void)close(target);
    return result;
}

void
handle_error(struct ss_request *request, int error)
{
    ss_log(LOG_WARNING, "cannot pass it on to %s: %s", ss_option_string(ss_server(request), "to"),
           strerror(-error));
}
