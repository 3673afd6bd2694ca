/* SPDX-License-Identifier: MIT */
/*
 * forward.h - what the files of the plugin share
 */
#ifndef SOCKSERVERD_PLUGINS_FORWARD_H
#define SOCKSERVERD_PLUGINS_FORWARD_H

#include <sockserver/plugin.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TARGETS_MOST 64

enum proxy_protocol { PROXY_NONE, PROXY_V1, PROXY_V2 };

/* How a target is; in memory that forked children share. */
struct target_state {
    _Atomic uint32_t active;      /* connections to it */
    _Atomic int64_t failed_until; /* monotonic, ns; 0: it works as far as is known */
};

struct target {
    const char *address;
    char outcome[160]; /* for access lines, which want texts that last */
    struct target_state *state;
    char *tls_name; /* that its certificate must be for; NULL without TLS */
};

/* The listener's options, as server_activate() has read them. It lasts as long as the worker. */
struct service {
    struct target *targets;
    size_t count;
    struct target_state *states;
    bool datagrams;
    bool least; /* balance: to the target with the fewest connections, not to each in turn */
    enum proxy_protocol proxy;
    double connect_timeout, idle_timeout, fail_timeout, session_timeout; /* negative: none */
    _Atomic uint32_t turn;
    void *tls;                 /* struct ssl_ctx_st; or NULL */
    struct sessions *sessions; /* of datagrams; or NULL */
};

/* ---- service.c ---------------------------------------------------------------------------- */

/* Reads and judges the options. 0, or a negative errno after it has said what is wrong. */
int service_new(struct ss_server *server, struct service **ret);
void service_free(struct service *service);

/* ---- targets.c ---------------------------------------------------------------------------- */

int64_t now_ns(void);

/*
 * Connects to one target after another until one answers, and opens it: open (or NULL) does what
 * comes before the client's bytes. Returns the descriptor, and the target in *ret, whose use
 * target_leave() ends; or a negative errno after it has said what failed.
 */
int targets_connect(struct ss_request *request, struct service *service,
                    int (*open)(struct ss_request *request, const struct service *service,
                                const struct target *target, int fd, void *userdata),
                    void *userdata, struct target **ret);
void target_leave(struct target *target);
/* It does not work: others are tried for fail_timeout. */
void target_note_failure(const struct service *service, struct target *target, int error);

/* ---- header.c ----------------------------------------------------------------------------- */

#define HEADER_MOST 256

/* Writes the PROXY header that announces the client. Returns its size. */
int header_write(struct ss_request *request, enum proxy_protocol version, char buffer[HEADER_MOST]);

/* ---- encryption.c ------------------------------------------------------------------------- */

struct ssl_st;

/* Reads tls_ca, and finds the name for each target. 0, or a negative errno after it has said what
 * is wrong. */
int encryption_prepare(struct ss_server *server, struct service *service);
void encryption_done(struct service *service);

/* The handshake. 0 and the session, or a negative errno after it has said what failed, if nobody
 * else can. */
int encryption_begin(struct ss_request *request, const struct service *service,
                     const struct target *target, int fd, struct ssl_st **ret);
void encryption_end(struct ssl_st *session);

/* How a relay reads and writes it. */
struct ss_stream encryption_stream(struct ssl_st *session, int fd);

/* ---- sessions.c --------------------------------------------------------------------------- */

int sessions_new(size_t most, struct sessions **ret);
void sessions_free(struct sessions *sessions);

/* Passes the request's datagram on. The first one of a peer stays and passes answers back. */
int sessions_serve(struct ss_request *request, struct service *service);

#endif
