/* SPDX-License-Identifier: MIT */
/*
 * server.h - the listener as its worker process sees it: a plugin's struct ss_server
 *
 * There is one in a worker. It is filled in before the first request and then
 * only read, except for what is marked.
 */
#ifndef SOCKSERVERD_WORKER_REQUEST_SERVER_H
#define SOCKSERVERD_WORKER_REQUEST_SERVER_H

#include <signal.h>
#include <sockserver/plugin.h>
#include <stdint.h>

#include "common/counters.h"
#include "common/settings.h"
#include "worker/plugin/options.h"
#include "worker/plugin/plugin.h"
#include "worker/request/gate.h"

/* How far this worker is. Kept in the counters, where forked children see it change. */
enum server_phase {
    PHASE_STARTING,
    PHASE_SERVING,
    PHASE_DRAINING, /* accepts nothing, lets requests end */
    PHASE_CUT       /* the drain's time is up: requests must end now */
};

/* What the housekeeping found due. It runs between requests or beside them, as the mixin wants. */
#define DUE_SERVICE 1u /* service_actions */
#define DUE_TIMEOUT 2u /* handle_timeout */

struct ss_server {
    struct settings settings;
    struct plugin plugin;
    struct option_value *options; /* one for each row of the plugin's table */
    const struct transport *transport;
    const struct mixin *mixin;
    struct counters *counters;
    uint32_t gate_count;                 /* 0 for most */
    const struct gate *gates[GATES_MAX]; /* those that apply to this listener */
    uint32_t slot_count;
    int socket;                /* listening, or -1 (--stdio) */
    int channel;               /* to the supervisor, or -1 (--stdio, a forked child) */
    int wishes;                /* a channel to ask the supervisor: wish.h; or -1 */
    int wakeup;                /* eventfd: something for the housekeeping to look at */
    bool once;                 /* --once: one request, then stop */
    bool access;               /* write access lines */
    bool ipv6;                 /* of the listening socket */
    bool rated;                /* `rate`: accepting may have to pause */
    bool calls_block;          /* a receive or send waits itself, as long as it must */
    bool hands_over;           /* requests are the listening socket itself: ss_server_hand_over() */
    struct errors *complaints; /* in check_options: what it has said; else NULL */
    char *address;             /* real, as text */
    void *data;                /* the plugin's */
    void *shared;              /* memory that the plugin has asked for; NULL: none */
    size_t shared_size;

    /* changes while serving */
    unsigned pending; /* datagrams that were received and wait for the one context of "none" */
    volatile sig_atomic_t terminated; /* a forked child whose worker died: finish and leave */
    _Atomic unsigned due;             /* DUE_* */
    _Atomic bool freed;               /* buffers were: the heap may have shrunk */
};

static inline enum server_phase
server_phase(const struct ss_server *server)
{
    return (enum server_phase)atomic_load(&server->counters->phase); /* a plain load on most */
}

/* Whether this process should accept another request. */
static inline bool
server_accepts(const struct ss_server *server)
{
    return server_phase(server) == PHASE_SERVING && !server->terminated;
}

/* The stack of a thread or coroutine: stack_size, and more where sanitizers make frames larger. */
size_t server_stack_size(const struct ss_server *server);

/* Lets the housekeeping look around. Async-signal-safe. */
void server_wake(struct ss_server *server);

/* Asks the supervisor for a graceful stop of this listener. From any context. */
void server_ask_stop(struct ss_server *server);
/* Whether a warning may be written now that could be due at each request: it may once in ten
 * seconds for all contexts of the worker that share the counter. */
bool server_may_warn(_Atomic int64_t *silent_until);

/* Runs what is due, in the calling thread. */
void server_run_due(struct ss_server *server);

/*
 * Ends the process. Plugins' exit handlers and destructors are not run: they
 * may belong to code that other threads still use.
 */
_Noreturn void server_end_process(int status);

#endif
