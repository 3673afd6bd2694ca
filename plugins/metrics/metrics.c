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
#include "sampler.h"

static const struct ss_option options[] = {
    {.name = "timeout",
     .type = SS_DURATION,
     .fallback = "900ms",
     .min = 0.01,
     .max = 60,
     .help = "longest wait for the daemon; who asks then hears that it does not answer"},
    {.name = "history",
     .type = SS_DURATION,
     .fallback = "10m",
     .max = 86400,
     .help = "how far the page's charts go back; 0: to when it was opened"},
    {.name = "log_requests", .type = SS_BOOLEAN, .help = "log each request, not only connections"},
    {0},
};

SS_PLUGIN(.name = "metrics", .summary = "tells how the daemon is, by HTTP/1.1",
          .transports = SS_STREAM, .mixins = SS_THREADING | SS_COROUTINE, .options = options,
          .needs = SS_CONTROL)

/* ---- what there is -------------------------------------------------------------------------- */

static int
answer_all_ready(struct exchange *exchange)
{
    return answer_ready(exchange, NULL);
}

static const struct {
    const char *path;
    int (*answer)(struct exchange *exchange);
} routes[] = {
    {"metrics", answer_metrics},    {"healthz", answer_health}, {"readyz", answer_all_ready},
    {"status.json", answer_status}, {"live.json", answer_live},
};

static int
serve(struct exchange *exchange, const struct target *target)
{
    static const char listener[] = "readyz/";

    if (*target->path == '\0')
        return answer_page(exchange);
    if (target->folder)
        return response_plain(exchange, HTTP_STATUS_NOT_FOUND);
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
        if (strcmp(target->path, routes[i].path) == 0)
            return routes[i].answer(exchange);
    if (strncmp(target->path, listener, strlen(listener)) == 0)
        return answer_ready(exchange, target->path + strlen(listener));
    return response_plain(exchange, HTTP_STATUS_NOT_FOUND);
}

/* ---- hooks ----------------------------------------------------------------------------------- */

#define INTERVAL      5.0  /* seconds between two points, where nobody has said */
#define LEAST_HISTORY 12.0 /* seconds: ten points in one */

int
check_options(struct ss_server *server)
{
    double history = ss_option_duration(server, "history");

    if (history > 0 && history < LEAST_HISTORY)
        ss_complain(server, "history",
                    "%g s are too short for a chart; expected 0 or 12 s to a day", history);
    return 0;
}

/* The history's thread. A process that forks has none, and a page without it works, too. */
static struct sampler *
start_sampler(struct ss_server *server, struct history *history)
{
    if (ss_option_duration(server, "history") == 0 ||
        strcmp(ss_server_mixin(server), "forking") == 0)
        return NULL;
    struct sampler *sampler = sampler_start(server, history);
    if (sampler == NULL)
        ss_log(LOG_WARNING, "the page's charts begin when it is opened: no thread: %m");
    return sampler;
}

int
server_activate(struct ss_server *server)
{
    struct watcher *watcher = malloc(sizeof(*watcher));
    double span = ss_option_duration(server, "history");
    struct history *history = history_new(span > 0 ? span / HISTORY_POINTS : INTERVAL);

    if (watcher == NULL || history == NULL) {
        free(watcher);
        history_free(history);
        return -ENOMEM;
    }
    *watcher = (struct watcher){
        .history = history,
        .sampler = start_sampler(server, history),
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
    struct watcher *watcher = ss_server_data(server);

    if (watcher == NULL)
        return;
    sampler_stop(watcher->sampler);
    history_free(watcher->history);
    free(watcher);
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
