/* SPDX-License-Identifier: MIT */
/*
 * tls.h - TLS in a worker: its module, and what connections need of it
 */
#ifndef SOCKSERVERD_WORKER_TRANSPORT_TLS_H
#define SOCKSERVERD_WORKER_TRANSPORT_TLS_H

#include <stdbool.h>
#include <sys/types.h>

struct errors;
struct ss_server;
struct tls_context;
struct tls_module;
struct turned_away;

/* What tls_transport works with; it is made once, and then only read. */
struct tls_service {
    const struct tls_module *module;
    struct tls_context *context;
    struct turned_away *failed; /* whose handshakes; in memory that forked children share */
};

extern struct tls_service tls_service;

/*
 * Loads the module, and reads what the supervisor has handed over: certificates
 * with their keys, and the keys of tickets. All of these descriptors are closed
 * afterwards. Tells the supervisor when the first certificate ends. 0, or negative
 * with every mistake in errors.
 */
int tls_load(struct ss_server *server, struct errors *errors);

/* A connection's bytes, for struct tls_host; connection is a struct ss_request. */
ssize_t tls_receive_bytes(void *connection, void *buffer, size_t size);
ssize_t tls_send_bytes(void *connection, const void *bytes, size_t size);

#endif
