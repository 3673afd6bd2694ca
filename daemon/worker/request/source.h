/* SPDX-License-Identifier: MIT */
/*
 * source.h - datagrams whose source nobody may be answered at
 */
#ifndef SOCKSERVERD_WORKER_REQUEST_SOURCE_H
#define SOCKSERVERD_WORKER_REQUEST_SOURCE_H

#include <sys/socket.h>

#include "worker/request/gate.h"

struct ss_server;

/* The gate of UDP listeners. */
extern const struct gate source_gate;

/* Warns that datagrams are dropped because of such a source, at most once in ten seconds. */
void source_warn(struct ss_server *server, const char *reason,
                 const struct sockaddr_storage *source, socklen_t size);

/* The kernel refuses an answer to such an address. */
#define SOURCE_IS_BROADCAST "its source is a broadcast address"

#endif
