/* SPDX-License-Identifier: MIT */
/*
 * sampler.h - a thread that looks at the daemon again and again
 */
#ifndef SOCKSERVERD_PLUGINS_METRICS_SAMPLER_H
#define SOCKSERVERD_PLUGINS_METRICS_SAMPLER_H

#include <sockserver/plugin.h>

#include "history.h"

struct sampler;

/* Begins to look into this history; NULL, with errno: it could not begin. */
struct sampler *sampler_start(struct ss_server *server, struct history *history);
/* Returns when the thread has ended. NULL is nothing. */
void sampler_stop(struct sampler *sampler);

#endif
