/* SPDX-License-Identifier: MIT */
/*
 * module.h - what a worker gets from its TLS module, lib/sockserverd/tls.so
 *
 * The module is the only part of the daemon that is linked with OpenSSL. A worker opens it
 * where its listener has `tls`, and asks it for one symbol, TLS_MODULE_SYMBOL: the
 * table of functions below. This header includes nothing of OpenSSL.
 *
 * No function waits, unless the host's receive() does. None switches to another
 * coroutine. Contexts of several threads may use one context at once, but each
 * session belongs to one request.
 */
#ifndef SOCKSERVERD_WORKER_TLS_MODULE_H
#define SOCKSERVERD_WORKER_TLS_MODULE_H

#include <sockserver/plugin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/ticket_keys.h"
#include "common/tls_bundle.h"

#define TLS_MODULE_VERSION 1u
#define TLS_MODULE_SYMBOL  "tls_module"
#define TLS_RECORD_SIZE    16384 /* the most bytes of a stream that one record holds */

struct tls_context; /* what all connections of a worker share */
struct tls_session; /* one connection */

/* What the module asks of the worker. */
struct tls_host {
    /*
     * Tells of a mistake in the configuration: in this key below `tls`, at the place
     * of the text, or where the key was given if text is NULL.
     */
    void (*mistake)(void *userdata, const char *key, const struct tls_text *text,
                    const char *message);
    /* The same of what does not keep it from serving, but clients from being served. */
    void (*complain)(void *userdata, const char *key, const struct tls_text *text,
                     const char *message);

    /*
     * Bytes of a connection, as they are on the wire; connection is what
     * session_new() was given. How many, 0 at the end, or a negative errno, of which
     * -EAGAIN, -ETIMEDOUT and -ECANCELED leave the session as it was.
     */
    ssize_t (*receive)(void *connection, void *buffer, size_t size);
    ssize_t (*send)(void *connection, const void *bytes, size_t size);

    /* The keys of session tickets; see ticket_keys.h. Both NULL: there are no tickets. */
    int (*current_key)(void *userdata, struct ticket_key *ret);
    bool (*find_key)(void *userdata, const unsigned char name[16], struct ticket_key *ret,
                     bool *ret_renew);

    void *userdata; /* of all but receive and send */
};

enum tls_verify { TLS_VERIFY_NONE, TLS_VERIFY_OPTIONAL, TLS_VERIFY_REQUIRED };

/* What is set for a listener. It need not live longer than context_new() takes. */
struct tls_setup {
    const struct tls_bundle *bundle;
    enum tls_verify client;
    bool newest_only;                            /* TLS 1.3, and not 1.2 */
    bool strict;                                 /* what has ended is a mistake */
    bool lean;                                   /* sessions that wait hold no buffers */
    const char *ciphers, *ciphersuites, *groups; /* NULL: OpenSSL's own */
    char *const *alpn;                           /* NULL at the end; NULL: none */
    struct tls_host host;
};

struct tls_module {
    uint32_t version; /* TLS_MODULE_VERSION */
    uint32_t size;    /* sizeof(struct tls_module) */

    /* Reads the certificates. 0, -EINVAL after mistakes were told, or -ENOMEM. */
    int (*context_new)(const struct tls_setup *setup, struct tls_context **ret);
    void (*context_free)(struct tls_context *context);

    /* When the first certificate ends, in seconds since 1970; its path lives as long as the
     * context. */
    int64_t (*first_end)(const struct tls_context *context, const char **ret_path);

    /* Begins the server's side of a connection. 0 or -ENOMEM. */
    int (*session_new)(struct tls_context *context, void *connection, struct tls_session **ret);
    void (*session_free)(struct tls_session *session);

    /*
     * These go on as far as they can. -EAGAIN: *ret_wanted (POLLIN or POLLOUT) is to
     * be waited for first, unless the host's own receive() or send() has failed.
     * -ECONNRESET: the client is gone. -EPROTO: it does not keep to the protocol.
     */
    /* 0: done. -ECONNABORTED: the client has broken it off, by an alert. */
    int (*handshake)(struct tls_session *session, short *ret_wanted);
    /* Bytes that were received; 0 at the end of the stream. */
    ssize_t (*read)(struct tls_session *session, void *buffer, size_t size, short *ret_wanted);
    /* Bytes that were sent: at most a record's. */
    ssize_t (*write)(struct tls_session *session, const void *bytes, size_t size,
                     short *ret_wanted);
    /* Says that nothing more will be written. 0: it is said. */
    int (*goodbye)(struct tls_session *session, short *ret_wanted);

    /* Whether a read() now would return something other than -EAGAIN. *ret_wanted: else. */
    bool (*ready)(struct tls_session *session, short *ret_wanted);
    /* Whether the session holds bytes that were received, be it only a part of a record. */
    bool (*holds)(const struct tls_session *session);
    /* Whether the stream ended without the client having said so. */
    bool (*truncated)(const struct tls_session *session);
    /* Lets go of buffers that are empty. */
    void (*rest)(struct tls_session *session);

    /* Why the handshake failed; a constant text. */
    const char *(*failure)(const struct tls_session *session);
    /* Fills in all fields but the size. Texts live as long as the session. False: no memory. */
    bool (*describe)(struct tls_session *session, struct ss_tls *ret);
};

extern const struct tls_module tls_module;

#endif
