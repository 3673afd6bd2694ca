/* SPDX-License-Identifier: MIT */
/*
 * request.h - one request, and the context that serves one request after another
 *
 * A serving context (the worker's only thread, a thread, a forked child, a
 * coroutine) has one struct ss_request and uses it again and again.
 */
#ifndef SOCKSERVERD_WORKER_REQUEST_REQUEST_H
#define SOCKSERVERD_WORKER_REQUEST_REQUEST_H

#include <netinet/in.h>
#include <sockserver/plugin.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "common/counters.h"
#include "common/log.h"
#include "worker/request/buffers.h"
#include "worker/request/server.h"

/* Why a request ended, for its access line. */
enum close_reason {
    CLOSE_DONE,
    CLOSE_REFUSED,  /* by a gate or verify_request */
    CLOSE_FAILED,   /* setup or handle failed */
    CLOSE_VANISHED, /* the client went away */
    CLOSE_IDLE,   /* the client sent nothing for read_timeout, or took nothing for write_timeout */
    CLOSE_SLOW,   /* a line or block took longer than message_timeout and min_rate allow */
    CLOSE_LATE,   /* by the handler's own deadline */
    CLOSE_UNSENT, /* a datagram's answer was dropped: its receiver does not read */
    CLOSE_CUT,    /* by the drain's deadline */
    CLOSE_OVERTIME,  /* by request_timeout */
    CLOSE_SPUN,      /* by spin_limit */
    CLOSE_CANCELLED, /* by an operator */
    CLOSE_ABANDONED, /* the handler ended its own thread */
    CLOSE_ASIDE      /* by a gate: it was no client */
};

/* Who sent it. */
struct peer {
    struct sockaddr_storage address;
    socklen_t size;
    struct ss_credentials credentials;
    int credentials_state; /* 0: not asked, 1: known, negative: errno */
    char name[128];        /* "" until asked for */
};

/* Who announced that it speaks for the client: a balancer. */
struct announcer {
    struct sockaddr_storage address;
    socklen_t size;
};

/* The datagram that a request is, apart from its bytes, which are in the input buffer. */
struct datagram {
    size_t size;
    bool truncated;
    bool mute;                     /* nobody to answer */
    struct in6_pktinfo reply_from; /* IPv4 as a mapped address */
    bool reply_from_known;
};

struct ss_request {
    /*
     * What every receive and send looks at stands here, close together, and not
     * in a struct by whose it is: among many requests, each is cold.
     */
    struct ss_server *server;
    struct slot *slot;
    int fd;             /* the connection; a datagram: the listening socket; -1: none */
    int output_fd;      /* where that is another one (--stdio), else fd */
    short turns;        /* receives and sends left until others get their turn */
    short wanted;       /* what to wait for before the next receive; 0: for nothing */
    bool ended;         /* end of input was seen */
    const char *failed; /* the hook that failed and that no handle_error was told of; or NULL */
    bool idle;          /* a read or a write has waited for as long as it may */
    bool vanished;      /* an error said that the client is gone */
    bool drained;       /* there is nothing to receive: wait before trying again */
    bool filled;        /* the last receive used all its room: there may be more */
    bool slow;          /* a wait ended because a line or block takes too long */
    int64_t deadline;   /* of every wait: the earliest of those that hold; FOREVER: none */
    int64_t overtime;   /* by request_timeout; FOREVER: none */
    int64_t aged;       /* by max_connection_age; FOREVER: never */
    int64_t due;        /* by ss_set_deadline(); FOREVER: none */
    bool truncated;     /* a connection that ended without saying that it is the end */
    bool broken;        /* a relay's other side failed: what the client has got is not all of it */
    uint64_t bytes_in, bytes_out;
    struct input input;
    struct output output;
    ino_t inode;                        /* of fd, once the plugin has asked for fd; else 0 */
    dev_t device;                       /* the same */
    double receive_timeout;             /* SO_RCVTIMEO as set on fd */
    double read_timeout, write_timeout; /* seconds; 0: none. ss_set_timeouts() */
    struct waker *waker;                /* once ss_waker() was called; else NULL */
    bool wakeable;                      /* its present wait ends at an ss_wake() */
    bool told; /* by a wait's -ECANCELED that a drain has begun, or that it is old */
    bool shut; /* by ss_shutdown() or a relay: nothing more is written */
    bool over; /* a wait has ended because request_timeout is */

    /* how it goes */
    uint64_t number;
    int64_t started; /* monotonic, ns */
    int error;
    enum close_reason reason;
    void *data;    /* the plugin's */
    char *outcome; /* allocated; instead of "done" in the access line; or NULL */
    struct log_context log;
    uint32_t gates_entered;        /* the first so many of the server's */
    const struct refusal *refusal; /* a gate's; meaningful if the server has gates */
    const char *refusal_detail;    /* what else there is to say of it, a constant; or NULL */
    const struct gate *foreseen;   /* the gate that will refuse it, or NULL */

    /* its context */
    const char *kind;     /* "thread" */
    int context_number;   /* 0: it is the only one in its process */
    char worker_name[96]; /* of kind and context_number, "" until asked for */

    struct tls_connection *tls; /* the transport's, while the connection is encrypted; else NULL */
    struct peer client;
    struct announcer *announcer; /* the peer, where it is not the client; else NULL */
    struct datagram datagram;    /* a connection does not look at it */
};

/* The request that the calling thread (coroutine) runs, or NULL. */
extern _Thread_local struct ss_request *request_current;

/* Whether something can be read without the client: what has come, or that its stream has ended. */
static inline bool
request_has_input(const struct ss_request *request)
{
    return request->input.start < request->input.end || request->ended;
}

/* What the operator sees of it: how far it has got. */
static inline void
request_show_bytes(const struct ss_request *request)
{
    counter_set(request->slot->received, request->bytes_in);
    counter_set(request->slot->sent, request->bytes_out);
}

/* The present stage begins now, roughly: with a wait in it, or after one. */
static inline void
request_enter_wait(const struct ss_request *request)
{
    counter_set(request->slot->since, monotonic_roughly());
    request_show_bytes(request);
}

/* Another stage begins. */
static inline void
request_enter(const struct ss_request *request, enum slot_stage stage)
{
    counter_set(request->slot->stage, stage);
    request_enter_wait(request);
}

/* The same around a call of the transport, which takes no time unless this context may block. */
static inline void
request_enter_call(const struct ss_request *request, enum slot_stage stage)
{
    if (request->server->calls_block)
        request_enter(request, stage);
    else
        counter_set(request->slot->stage, stage);
}

/* Bytes have come or gone, or the handler has slept: it does not spin. */
static inline void
request_moved(const struct ss_request *request)
{
    counter_bump(request->slot->moves, 1);
    request_show_bytes(request);
}

/* Makes the context's request. kind and number name it: "thread", 3. 0 or -ENOMEM. */
int request_new(struct ss_server *server, struct slot *slot, const char *kind, int number,
                struct ss_request **ret);
void request_free(struct ss_request *request);

/* The same in memory that the caller has; request_done() frees the buffers. */
void request_init(struct ss_request *request, struct ss_server *server, struct slot *slot,
                  const char *kind, int number);
void request_done(struct ss_request *request);

/*
 * Waits for a request. 0: there is one, for request_process(). -EINTR: woken,
 * look at server->due. -ECANCELED: this context shall not accept any more.
 * Another error: the listening socket is broken.
 */
int request_get(struct ss_request *request);

/*
 * One attempt at it. More results: -EAGAIN, there is none; -ENOBUFS, out of
 * descriptors or memory (it has been logged): pause; -EBUSY, pause until
 * source_limit_next_turn(); -ECONNABORTED, try again.
 */
int request_try(struct ss_request *request);
void request_note_starvation(struct ss_server *server, int error);
#define REQUEST_STARVED_PAUSE 100000000 /* ns */

/* Gives the request that was just got its number, and tells the counters. */
void request_take(struct ss_request *request);

/* Sees the request through, from its first gate to close_request. */
void request_process(struct ss_request *request);

/* Why the slot's request is cancelled, which it is. */
enum close_reason request_reason_of_cut(const struct slot *slot);

/* It is over: counts it and tells of it, unless it was no client. */
void request_account(struct ss_request *request);

/* The handler ended its thread with pthread_exit(): close, leave the gates, call no hook. */
void request_abandon(struct ss_request *request);

/* Whether a drain has begun, or begins as soon as those in the socket's queue are accepted: they
 * may wait for the place of a request that could end. */
bool server_ends(const struct ss_server *server);

/* Whether that is so, and the request waits in ss_wait_input(), which ends then. */
bool request_leaves(const struct ss_request *request);
/* Whether it is older than max_connection_age: it is to end as at a drain. */
bool request_is_aged(const struct ss_request *request);

/* Whether it must end now: its waits return -ECANCELED. */
bool request_is_cut(const struct ss_request *request);

/* Whether fd is still its connection: the handler may have closed it, and the number may be another
 * request's by now. Async-signal-safe. */
bool request_owns_fd(const struct ss_request *request);

#endif
