/* SPDX-License-Identifier: MIT */
/*
 * @NAME@.c - greets, then answers each line: what a plugin may begin with
 *
 * Every hook stands here; only handle() is required, delete what you do not
 * need. sockserver-plugin(3) says when each is called and what it may do.
 *
 * Runs in:  under "threading" several threads at once: what they share needs a
 *           lock or an atomic. Everything here is safe under every mixin.
 * Owns:     `struct shared` from server_activate() to server_close(),
 *           `struct visit` from setup() to finish().
 * Failures: a negative errno goes back to the daemon, which logs it.
 */
#include <errno.h>
#include <sockserver/plugin.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* What a user may set in the listener's `options` group, or with -o NAME=VALUE. */
static const struct ss_option options[] = {
    {"greeting", SS_STRING, .fallback = "hello", .max = 200, .help = "sent to a client first"},
    {"limit", SS_INTEGER, .fallback = "100", .min = 1, .max = 1000000,
     .help = "lines a client may send"},
    {"pause", SS_DURATION, .fallback = "0", .min = 0, .max = 60, .help = "wait before each answer"},
    {0},
};

SS_PLUGIN(.name = "@NAME@", .summary = "greets, then answers each line",
          .transports = SS_STREAM | SS_DATAGRAM, /* delete what makes no sense for you */
          .mixins = SS_THREADING | SS_COROUTINE, /* promises: keep only what is true */
          .options = options)

/* One per worker process; under forking each child has a copy. */
struct shared {
    atomic_ulong visits;
};

/* One per request, touched by that request alone. */
struct visit {
    int64_t lines;
};

/* ---- for each worker process, in its main thread ---- */

/* Before the first request. A failure: the listener is tried again later. */
int
server_activate(struct ss_server *server)
{
    struct shared *shared = calloc(1, sizeof(*shared));

    if (!shared)
        return -ENOMEM;
    ss_server_set_data(server, shared);
    ss_log(LOG_DEBUG, "%s serves %s", ss_server_name(server), ss_server_address(server));
    return 0;
}

/* After the last request. */
void
server_close(struct ss_server *server)
{
    free(ss_server_data(server));
}

/* Every `service_interval`: what has to be done now and then. Keep it short. */
void
service_actions(struct ss_server *server)
{
    (void)server;
}

/* When no request has come for `timeout`. */
void
handle_timeout(struct ss_server *server)
{
    ss_log(LOG_DEBUG, "%s has nothing to do", ss_server_name(server));
}

/* ---- for each request, in this order ---- */

/* false: the client is refused, nothing below is called. */
bool
verify_request(struct ss_request *request)
{
    (void)request;
    return true;
}

/* Prepares. After a failure neither handle() nor finish() is called. */
int
setup(struct ss_request *request)
{
    struct shared *shared = ss_server_data(ss_server(request));
    struct visit *visit = calloc(1, sizeof(*visit));

    if (!visit)
        return -ENOMEM;
    ss_set_data(request, visit);
    atomic_fetch_add(&shared->visits, 1);
    return 0;
}

/* Does the work. Writes need no check: an error comes back from the next read. */
int
handle(struct ss_request *request)
{
    struct ss_server *server = ss_server(request);
    struct visit *visit = ss_data(request);
    int64_t limit = ss_option_integer(server, "limit");
    double pause = ss_option_duration(server, "pause");
    char *line;
    ssize_t size;

    (void)ss_printf(request, "%s\n", ss_option_string(server, "greeting"));
    while (visit->lines < limit) {
        size = ss_wait_input(request, -1); /* ends when the daemon drains */
        if (size > 0)
            size = ss_readline(request, &line);
        if (size <= 0)
            return (int)size;
        if (pause > 0 && ss_sleep(request, pause) < 0)
            return -ECANCELED;
        visit->lines++;
        (void)ss_printf(request, "%lld: %s", (long long)visit->lines, line);
        if (ss_cancelled(request)) /* the daemon drains: end at a good moment */
            break;
    }
    return 0;
}

/* Cleans up what setup() made, however handle() ended. */
void
finish(struct ss_request *request)
{
    free(ss_data(request));
    ss_set_data(request, NULL);
}

/* Is told of a failed setup() or handle(), after finish(). Without it the daemon logs the error. */
void
handle_error(struct ss_request *request, int error)
{
    ss_log(LOG_ERR, "%s: cannot serve: %s", ss_client_name(request), strerror(-error));
}
