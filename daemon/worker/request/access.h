/* SPDX-License-Identifier: MIT */
/*
 * access.h - `allow` and `deny`: who may come in
 */
#ifndef SOCKSERVERD_WORKER_REQUEST_ACCESS_H
#define SOCKSERVERD_WORKER_REQUEST_ACCESS_H

#include <stdint.h>

#include "common/networks.h"
#include "worker/request/gate.h"

/* The gate of listeners with `allow` or `deny`: it judges the peer. */
extern const struct gate access_gate;

/* Does what its enter() does, for a gate that stands behind one which has called
 * gate_set_client(): it judges the client that was announced. Everybody passes if the listener has
 * no lists. */
int access_enter(struct ss_request *request);

/* Finds the item of any list that decides about the peer of a Unix stream socket, by its user and
 * groups. Returns 0, or -ENODATA if nobody knows these. */
int access_find_connection(const struct networks *list, int fd, uint32_t *ret_item);

#endif
