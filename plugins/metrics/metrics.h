/* SPDX-License-Identifier: MIT */
/*
 * metrics.h - what the files of the plugin share
 */
#ifndef SOCKSERVERD_PLUGINS_METRICS_METRICS_H
#define SOCKSERVERD_PLUGINS_METRICS_METRICS_H

#include <sockserver/plugin.h>
#include <stdbool.h>

#include "../web/web.h"
#include "history.h"
#include "snapshot.h"

/* The listener's options. They last as long as the worker. */
struct watcher {
    struct web web;
    double timeout; /* seconds, for the daemon's answer */
    struct history *history;
    struct sampler *sampler; /* NULL: the history is of the moments in which somebody asked */
};

const struct watcher *watcher_of(const struct exchange *exchange);

/* ---- answer.c ------------------------------------------------------------------------------- */

/* Answers with this body, which must not be kept by whoever is in between. 0 or a negative errno.
 */
int answer_text(struct exchange *exchange, int status, const char *type, const struct text *body);
/* The same with a line as body. */
int answer_line(struct exchange *exchange, int status, const char *line);
/* 503, because the daemon cannot be asked. */
int answer_deaf(struct exchange *exchange, int error);

/* ---- health.c ------------------------------------------------------------------------------- */

/* /healthz: whether the supervisor answers. */
int answer_health(struct exchange *exchange);
/* /readyz; /readyz/NAME, or NULL: all of them. */
int answer_ready(struct exchange *exchange, const char *name);

/* ---- status.c ------------------------------------------------------------------------------- */

/* /status.json */
int answer_status(struct exchange *exchange);
/* The same as text: all of it but who asks longest and who comes most often if these are NULL. */
void status_write(struct text *text, const struct snapshot *snapshot, const json_t *requests,
                  const json_t *sources);

/* ---- exposition.c --------------------------------------------------------------------------- */

/* /metrics */
int answer_metrics(struct exchange *exchange);
/* Whether a client with this field Accept (NULL: none) gets OpenMetrics. */
bool exposition_is_open(const char *accept);
/* All metrics as text, of Prometheus' format 0.0.4 or OpenMetrics 1.0. */
void exposition_write(struct text *text, const struct snapshot *snapshot, bool open);

/* ---- page.c, live.c ------------------------------------------------------------------------- */

/* / */
int answer_page(struct exchange *exchange);
/* /live.json */
int answer_live(struct exchange *exchange);

#endif
