/* SPDX-License-Identifier: MIT */
/*
 * metrics.c - how the daemon is, by HTTP/1.1: for Prometheus, for probes, for scripts and for
 * people
 *
 * The manual is sockserverd-metrics(7). All of it is asked of the daemon when
 * somebody wants to know, through the control socket; nothing can be changed.
 *
 * Runs in:  a handler thread, child or coroutine.
 * Owns:     the options, as long as the worker lives.
 * Failures: returned, and told of by handle_error().
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "metrics.h"

static const struct ss_option options[] = {
    {.name = "timeout",
     .type = SS_DURATION,
     .fallback = "900ms",
     .min = 0.01,
     .max = 60,
     .help = "longest wait for the daemon; who asks then hears that it does not answer"},
    {.name = "log_requests", .type = SS_BOOLEAN, .help = "log each request, not only connections"},
    {0},
};

SS_PLUGIN(.name = "metrics", .summary = "tells how the daemon is, by HTTP/1.1",
          .transports = SS_STREAM, .mixins = SS_THREADING | SS_COROUTINE, .options = options,
          .needs = SS_CONTROL)

/* ---- what there is ------------------------------------------------------------------------ */

static int
answer_all_ready(struct exchange *exchange)
{
    return answer_ready(exchange, NULL);
}

static const struct {
    const char *path;
    int (*answer)(struct exchange *exchange);
} routes[] = {
    {"metrics", answer_metrics},
    {"healthz", answer_health},
    {"readyz", answer_all_ready},
    {"status.json", answer_status},
};

static int
serve(struct exchange *exchange, const struct target *target)
{
    static const char listener[] = "readyz/";

    if (target->folder && *target->path != '\0')
        return response_plain(exchange, HTTP_STATUS_NOT_FOUND);
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
        if (strcmp(target->path, routes[i].path) == 0)
            return routes[i].answer(exchange);
    if (strncmp(target->path, listener, strlen(listener)) == 0)
        return answer_ready(exchange, target->path + strlen(listener));
    return response_plain(exchange, HTTP_STATUS_NOT_FOUND);
}

/* ---- hooks
 * --------------------------------------------------------------------------------------- */

int
server_activate(struct ss_server *server)
{
    struct watcher *watcher = malloc(sizeof(*watcher));

    if (watcher == NULL)
        return -ENOMEM;
    *watcher = (struct watcher){
        .timeout = ss_option_duration(server, "timeout"),
        .web =
            {
                .head_timeout = 10,
                .idle_timeout = 120, /* longer than the pause between two scrapes */
                .max_head = 8192,
                .max_body = 65536,
                .min_rate = 500,
                .max_requests = 100000,
                .log_requests = ss_option_boolean(server, "log_requests"),
                .data = watcher,
                .serve = serve,
            },
    };
    ss_server_set_data(server, watcher);
    return 0;
}

void
server_close(struct ss_server *server)
{
    free(ss_server_data(server));
    ss_server_set_data(server, NULL);
}

int
handle(struct ss_request *request)
{
    const struct watcher *watcher = ss_server_data(ss_server(request));

    return web_serve(request, &watcher->web);
}

void
handle_error(struct ss_request *request, int error)
{
    web_failed(request, error);
}
