/* SPDX-License-Identifier: MIT */
/*
 * tls.h - TLS 1.3 on the client's side, in load-tls
 *
 * The program "load" has none of it, so that plain works cost what they cost.
 */
#ifndef BENCH_LOAD_TLS_H
#define BENCH_LOAD_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "load.h"

struct tls;

#ifdef WITH_TLS
void tls_prepare(void);

/* Connects once, and keeps the session that later connections resume. */
void tls_first_session(void);

/* A client's end on a connecting socket, which stays the caller's; the first tls_send() begins the
 * handshake. */
struct tls *tls_open(int fd);
void tls_close(struct tls *tls); /* with a close_notify */

/* As send() and recv(), handshake included. After EAGAIN from tls_send(), tls_wants_input() says
 * whether it waits for the server or for room. */
ssize_t tls_send(struct tls *tls, const char *bytes, size_t size);
ssize_t tls_receive(struct tls *tls, char *bytes, size_t size);
bool tls_wants_input(const struct tls *tls);
bool tls_pending(const struct tls *tls); /* received, and not yet asked for */
#else
static inline void
tls_prepare(void)
{
    die("this program was built without TLS: load-tls has it");
}
#define tls_first_session()        ((void)0)
#define tls_open(fd)               ((struct tls *)NULL)
#define tls_close(tls)             ((void)(tls))
#define tls_send(tls, bytes, size) (-1)
#define tls_receive(tls, b, size)  (-1)
#define tls_wants_input(tls)       (false)
#define tls_pending(tls)           (false)
#endif

#endif
