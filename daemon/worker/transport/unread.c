/* SPDX-License-Identifier: MIT */
/*
 * unread.c - receivers of datagrams that do not read
 *
 * A Unix socket takes about ten datagrams that nobody has read. Whoever sends
 * in a burst and then reads shall lose nothing, so a receiver without room is
 * waited for, but only for a moment: otherwise one that never reads would hold
 * up everybody else. What is known of it lies in memory that all children share.
 *
 * Runs in:  a serving context of a worker.
 * Owns:     nothing.
 * Failures: none.
 */
#include "worker/transport/unread.h"

#include <stdint.h>

#include "common/clock.h"
#include "common/log.h"
#include "worker/request/server.h"

#define IMPATIENCE INT64_C(100000000) /* ns */

bool
unread_patient(const struct ss_server *server)
{
    return monotonic_now() >= counter_get(server->counters->impatient_until);
}

void
unread_note(struct ss_server *server)
{
    counter_set(server->counters->impatient_until, monotonic_now() + IMPATIENCE);
}

void
unread_warn(struct ss_server *server)
{
    if (server_may_warn(&server->counters->unread_silent_until))
        log_warning("answers are dropped, because their receiver does not read them; they are "
                    "counted as unsent");
}
