/* SPDX-License-Identifier: MIT */
/*
 * housekeeping.h - what a worker does beside serving: the supervisor's orders, and time
 *
 * Runs in one thread of the worker: the main one, or beside it under "none".
 * Under "coroutine" the main thread's event loop drives it.
 */
#ifndef SOCKSERVERD_WORKER_HOUSEKEEPING_H
#define SOCKSERVERD_WORKER_HOUSEKEEPING_H

#include <stdint.h>

#include "worker/request/server.h"
#include "worker/request/spin.h"

struct housekeeping {
    struct ss_server *server;
    bool stop_told;       /* ss_server_stop() was passed on: MESSAGE_STOP */
    bool stopped_told;    /* the drain's MESSAGE_STOPPED was sent */
    int children;         /* forking: a signalfd of SIGCHLD; -1: none */
    bool child_ended;     /* SIGCHLD: one or more; the mixin clears it */
    bool orphaned;        /* the supervisor is gone, and its address is still ours */
    bool given_up;        /* requests were cut and did not end: leave without them */
    int64_t drain_until;  /* when running requests are cut */
    int64_t give_up_at;   /* when those that do not end are left behind */
    int64_t next_service; /* service_actions */
    int64_t next_timeout; /* handle_timeout, if no request comes until then */
    int64_t next_scan;    /* request_timeout */
    int64_t next_trim;    /* idle surplus */
    int64_t next_retry;   /* the mixin's own: what failed is tried again */
    int64_t next_replace; /* when the supervisor is asked (again) to replace this worker */
    int64_t next_order;   /* what the supervisor has ordered of requests is not done yet */
    int64_t next_weigh;   /* not before then its memory is looked at again */
    struct spin_guard spin;
};

/* Installs the handler of SIGTERM, which is caught rather than blocked: a program that a plugin
 * executes then finds it as it usually is. Returns 0 or a negative errno. */
int housekeeping_init(struct housekeeping *housekeeping, struct ss_server *server);
/* Makes it follow SIGCHLD, which is blocked from then on: a handler would write to pages that a
 * zygote must copy after each fork. Plugin code runs with the signal unblocked. Returns 0 or a
 * negative errno. */
int housekeeping_follow_children(struct housekeeping *housekeeping);
/* Frees what it holds. A worker that ends need not. */
void housekeeping_done(struct housekeeping *housekeeping);
/* The handler of SIGTERM. In a child that a plugin has forked it does what the signal would
 * do there without it. */
void housekeeping_note_signal(int number);

/* Waits for MESSAGE_SERVE. True, or false if the worker shall end instead. */
bool housekeeping_wait_serve(struct housekeeping *housekeeping);

/*
 * One turn: waits for a message, a signal, server_wake() or the next point in
 * time, and acts. Sets server->due; the caller runs it where its mixin wants.
 * Returns false when the worker may end, whatever still runs.
 */
bool housekeeping_turn(struct housekeeping *housekeeping);

/*
 * The same for a loop that waits itself: for any of the descriptors to be
 * readable, until the time of housekeeping_next(); then housekeeping_dispatch().
 */
#define HOUSEKEEPING_DESCRIPTORS 3
void housekeeping_descriptors(const struct housekeeping *housekeeping,
                              int ret[HOUSEKEEPING_DESCRIPTORS]);
int64_t housekeeping_next(struct housekeeping *housekeeping);
bool housekeeping_dispatch(struct housekeeping *housekeeping);

#endif
