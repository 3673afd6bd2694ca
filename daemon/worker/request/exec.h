/* SPDX-License-Identifier: MIT */
/*
 * exec.h - children that have become programs (ss_exec()), as their zygote sees them
 *
 * A program has the place of its request's child, and its slot stays busy until it is reaped. It
 * knows nothing of the daemon: what a handler would have noticed itself (that its time is up) it
 * is told by SIGTERM, and what it would have said itself (how it ended) the zygote says.
 */
#ifndef SOCKSERVERD_WORKER_REQUEST_EXEC_H
#define SOCKSERVERD_WORKER_REQUEST_EXEC_H

#include <stdbool.h>

#include "common/counters.h"

struct ss_server;

/* Whether the request of a slot has become a program. */
static inline bool
slot_has_program(const struct slot *slot)
{
    return counter_get(slot->program) != 0;
}

/* Sends SIGTERM to a program whose request must end, and SIGKILL when its time after that is over,
 * too. To be called now and then. */
void exec_end_overtime(const struct ss_server *server, struct slot *slot);

/* A program has ended and was reaped: counts its request, and says how it ended. */
void exec_account(struct ss_server *server, struct slot *slot, int status);

#endif
