/* SPDX-License-Identifier: MIT */
/*
 * source_limit.h - how many requests a source may have, how fast, and whether it is in disgrace
 */
#ifndef SOCKSERVERD_WORKER_REQUEST_SOURCE_LIMIT_H
#define SOCKSERVERD_WORKER_REQUEST_SOURCE_LIMIT_H

#include "common/sources.h"
#include "worker/request/gate.h"

struct slot;

/* The gate of listeners that limit sources: it judges the peer, of a balancer its penalty only. */
extern const struct gate source_limit_gate;

/* The gate behind `proxy`: it judges the client that was announced. */
extern const struct gate announced_source_gate;

/* Adds the listener's penalty of that kind to what the request's client has. Whoever is in
 * penalty.exempt gets none. From the request's own context. */
void source_penalise(struct ss_request *request, enum source_penalty kind);

/* The process of this slot is dead: what it counted is taken back. If it crashed in a request, the
 * client gets a penalty. For the zygote that has reaped it. */
void source_limit_bury(const struct ss_server *server, const struct slot *slot, bool crashed);

/* For `rate`: takes the listener's turn. Returns 0, or when there is one. */
int64_t source_limit_take_turn(int64_t now);
/* When a request of the listener may begin; 0: now. */
int64_t source_limit_next_turn(int64_t now);

#endif
