/* SPDX-License-Identifier: MIT */
/*
 * housekeeping.h - the worker's control loop: the supervisor's word, and time
 *
 * Runs in one thread of the worker: the main one, or beside it under "none".
 * Under "coroutine" the main thread's event loop drives it.
 */
#ifndef SOCKSERVERD_WORKER_HOUSEKEEPING_H
#define SOCKSERVERD_WORKER_HOUSEKEEPING_H

#include <stdint.h>

#include "worker/request/server.h"

struct control {
    struct ss_server *server;
    int signals;          /* signalfd: SIGTERM, and SIGCHLD under forking; or -1 */
    bool stop_told;       /* ss_server_stop() was passed on: MESSAGE_STOP */
    bool stopped_told;    /* the drain's MESSAGE_STOPPED was sent */
    bool child_ended;     /* SIGCHLD: one or more; the mixin clears it */
    bool log_replaced;    /* children with the old log may be left */
    bool given_up;        /* requests were cut and did not end: leave without them */
    int64_t drain_until;  /* when running requests are cut */
    int64_t give_up_at;   /* when those that do not end are left behind */
    int64_t next_service; /* service_actions */
    int64_t next_timeout; /* handle_timeout, if no request comes until then */
    int64_t next_scan;    /* request_timeout */
    int64_t next_trim;    /* idle surplus */
    int64_t next_retry;   /* the mixin's own: what failed is tried again */
};

/* Blocks the signals it reads; before any thread is started. 0 or a negative errno. */
int control_init(struct control *control, struct ss_server *server);
void control_done(struct control *control);

/* Waits for MESSAGE_SERVE. True, or false if the worker shall end instead. */
bool control_wait_serve(struct control *control);

/*
 * One turn: waits for a message, a signal, server_wake() or the next point in
 * time, and acts. Sets server->due; the caller runs it where its mixin wants.
 * Returns false when the worker may end, whatever still runs.
 */
bool control_turn(struct control *control);

/*
 * The same for a loop that waits itself: for any of the descriptors to be
 * readable, until the time of control_next(); then control_dispatch().
 */
#define CONTROL_DESCRIPTORS 3
void control_descriptors(const struct control *control, int ret[CONTROL_DESCRIPTORS]);
int64_t control_next(struct control *control);
bool control_dispatch(struct control *control);

#endif
