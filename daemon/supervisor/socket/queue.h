/* SPDX-License-Identifier: MIT */
/*
 * queue.h - what waits in a listening socket
 */
#ifndef SOCKSERVERD_SUPERVISOR_SOCKET_QUEUE_H
#define SOCKSERVERD_SUPERVISOR_SOCKET_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

struct accept_queue {
    bool in_bytes;          /* datagrams: the memory they take; else connections */
    uint64_t length, limit; /* limit 0: not known */
};

/* Looks at the queue of a listening socket; it never waits. Returns 0, or a negative errno if the
 * kernel does not say. */
int queue_look(int fd, struct accept_queue *ret);

#endif
