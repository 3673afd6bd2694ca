/* SPDX-License-Identifier: MIT */
/*
 * tls.h - the same tests once more, over TLS
 *
 * With TESTS_OVER_TLS in the environment, every stream listener of a test's
 * configuration has `tls`, and the descriptors of its clients lead through a
 * tunnel, a process beside the test. The tests know nothing of it. Those that
 * cannot mean anything there are named in tests/tls/skipped.
 */
#ifndef TESTS_SUPPORT_TLS_H
#define TESTS_SUPPORT_TLS_H

#include <stdbool.h>

#define CERTIFICATE_PROGRAM BUILD_DIR "/tests/tls_certificate"
#define TUNNEL_PROGRAM      BUILD_DIR "/tests/tls_tunnel"

bool tests_over_tls(void);

/* The configuration, with `tls` in each listener that has an address of a stream. */
const char *tls_add(const char *configuration);

/* Clients of this address shall speak TLS, if tls_add() has added any. */
void tls_note_address(const char *address);

/* A connection to the address: the descriptor to use for it, which the caller closes in place of
 * fd. It is fd itself if nothing is to be encrypted. */
int tls_client(const char *address, int fd);

/* Makes a certificate; see tests/tls/certificate.c, whose arguments these are. NULL at the end. */
void tls_make(const char *const *arguments);
#define TLS_MAKE(...) tls_make((const char *const[]){CERTIFICATE_PROGRAM, __VA_ARGS__, NULL})

/* Why this test of this program is skipped over TLS, or NULL. */
const char *tls_skips(const char *test);

/* The end of a test, and of the program. */
void tls_end(void);
void tls_done(void);

#endif
