/* SPDX-License-Identifier: MIT */
/*
 * watchdog.h - noticing a handler that holds up its event loop
 */
#ifndef SOCKSERVERD_WORKER_WATCHDOG_H
#define SOCKSERVERD_WORKER_WATCHDOG_H

#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

struct loop;
struct ss_server;

/* What it knows of one loop. */
struct watched_loop {
    struct loop *loop;
    _Atomic pid_t thread; /* set by its thread; 0: not there yet */
    uint64_t beat;        /* when looked at last */
};

/*
 * Starts a thread that says once where a handler keeps one of the loops for
 * more than a tenth of a second. The loops must outlive watchdog_stop(). 0 or
 * a negative errno.
 */
int watchdog_start(const struct ss_server *server, struct watched_loop *loops, uint32_t count);
void watchdog_stop(void);

/* A loop has work. Costs something only after a rest. */
void watchdog_wake(void);

#endif
