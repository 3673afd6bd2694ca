/* SPDX-License-Identifier: MIT */
/*
 * listener_limit.h - `rate` and `on_full`: what a listener takes from all of its clients together
 */
#ifndef SOCKSERVERD_WORKER_REQUEST_LISTENER_LIMIT_H
#define SOCKSERVERD_WORKER_REQUEST_LISTENER_LIMIT_H

#include <stdint.h>

#include "worker/request/gate.h"

/* on_full = "refuse": turns away who comes while max_connections requests run. */
extern const struct gate full_gate;

/* rate: holds back what was accepted beyond it. */
extern const struct gate rate_gate;

/* Counts the slots that run a request whose number is below this one; each is looked at. */
uint32_t listener_count_busy(const struct ss_server *server, uint64_t below);

/* Returns how many contexts a worker may have: one more than max_connections if it shall refuse
 * whoever comes then. */
uint32_t listener_contexts(const struct ss_server *server);

#endif
