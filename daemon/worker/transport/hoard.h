/* SPDX-License-Identifier: MIT */
/*
 * hoard.h - clients of a Unix datagram socket that leave many answers unread
 */
#ifndef SOCKSERVERD_WORKER_TRANSPORT_HOARD_H
#define SOCKSERVERD_WORKER_TRANSPORT_HOARD_H

#include <stdbool.h>
#include <sys/socket.h>

struct ss_server;

/* Whether this answer of a Unix socket must not be sent, so that there is room for those of
 * others. */
bool hoard_refuses(const struct ss_server *server, const struct msghdr *answer);

#endif
