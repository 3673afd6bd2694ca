/* SPDX-License-Identifier: MIT */
/*
 * view.h - what the page and its script's questions need of the daemon
 */
#ifndef SOCKSERVERD_PLUGINS_METRICS_VIEW_H
#define SOCKSERVERD_PLUGINS_METRICS_VIEW_H

#include "metrics.h"

/* Begins as {0}. */
struct replies {
    json_t *requests, *sources;
};

/* Brings the history up to date, and asks who is served. 0 or a negative errno. */
int replies_ask(struct exchange *exchange, struct replies *ret);
void replies_done(struct replies *replies);

#endif
