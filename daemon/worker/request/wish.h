/* SPDX-License-Identifier: MIT */
/*
 * wish.h - asking the supervisor to keep something, or for what it keeps
 */
#ifndef SOCKSERVERD_WORKER_REQUEST_WISH_H
#define SOCKSERVERD_WORKER_REQUEST_WISH_H

#include "common/channel.h"
#include "worker/request/server.h"

/*
 * Sends the message and waits for its answer, five seconds at most. fd is
 * attached and stays the caller's, -1: none. Returns 0, or a negative errno:
 * the supervisor's, or one of wish.c. *ret_fd is what the answer has attached,
 * which is the caller's, or -1.
 */
int wish(const struct ss_server *server, enum message_type type, uint64_t value, const char *text,
         int fd, int *ret_fd);

#endif
