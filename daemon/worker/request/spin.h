/* SPDX-License-Identifier: MIT */
/*
 * spin.h - finding handlers that use the processor and never wait
 */
#ifndef SOCKSERVERD_WORKER_REQUEST_SPIN_H
#define SOCKSERVERD_WORKER_REQUEST_SPIN_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/counters.h"

struct ss_request;
struct ss_server;

/* ---- measuring ------------------------------------------------------------------------ */

/* What a thread had done at some time. In nanoseconds; -1: not known. */
struct spin_mark {
    int64_t cpu;
    int64_t waits; /* a number: how often it gave the processor away because it had to wait */
    int64_t queued, wall;
};

/*
 * Whether the thread (of a child: its only one) has used `limit` ns of processor
 * time since the mark without a wait. After a wait, and at first (mark->cpu is
 * -1), the mark is made anew. *ret_used: how much it has used. Async-signal-safe.
 */
bool spin_check(struct spin_mark *mark, pid_t process, pid_t thread, int64_t limit,
                int64_t *ret_used);

/* How long a request that was cut because of its spinning may spin on, in ns of processor time. */
int64_t spin_grace(const struct ss_server *server);

/* ---- saying where --------------------------------------------------------------------- */

/* Writes down where the calling thread was interrupted. Async-signal-safe. */
void sighting_write(struct sighting *sighting, const siginfo_t *info, const void *context,
                    uintptr_t top);

/* In the handler of the signal that interrupts: answers if this thread was asked. */
void spin_answer(struct ss_server *server, const siginfo_t *info, const void *context);

/* Lets the request end because it spins. Async-signal-safe. */
void spin_cut(struct slot *slot, uint64_t request);

/* Logs that it does, after so many seconds; place may be "". request 0: a hook of the server. */
void spin_report(const struct slot *slot, uint64_t request, double seconds, const char *place);

/* ---- the guard of threads and children -------------------------------------------------- */

struct spin_watch;

struct spin_guard {
    struct ss_server *server;
    int64_t limit;              /* ns; 0: there is no guard */
    int64_t period;             /* ns between two looks while somebody computes */
    int64_t next;               /* a look is due at this time, if anybody is awake then */
    int64_t cpu;                /* of the process, at the last look */
    bool hot;                   /* somebody computes: wake up for the next look */
    bool replace;               /* a context that was cut spins on: this worker must be replaced */
    struct spin_watch *watches; /* by slot; NULL until somebody computes */
};

void spin_guard_init(struct spin_guard *guard, struct ss_server *server);
void spin_guard_done(struct spin_guard *guard);

/* A look, if one is due. */
void spin_guard_look(struct spin_guard *guard, int64_t now);

/* When the housekeeping must wake up for a look; FOREVER: it need not. While nobody computes, the
 * pings wake it often enough, unless the limit is very short. */
int64_t spin_guard_next(const struct spin_guard *guard);

/* Whether nothing is left in the worker but contexts that were cut and spin on. */
bool spin_guard_alone(const struct spin_guard *guard);

#endif
