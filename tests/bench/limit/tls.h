/* SPDX-License-Identifier: MIT */
/*
 * tls.h - what the limit servers for TLS share: OpenSSL with as little around it as will do
 */
#ifndef BENCH_LIMIT_TLS_H
#define BENCH_LIMIT_TLS_H

#include "limit.h"

#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#define PIECE 65536 /* of a download */

_Noreturn static inline void
tls_fatal(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, ERR_reason_error_string(ERR_peek_last_error()));
    exit(1);
}

/*
 * TLS 1.3, tickets that need no memory here, and one receive for a record and its header.
 * Room that is free again is given back only if the server is told to: it costs time.
 */
static inline SSL_CTX *
tls_context(const char *certificate, const char *key, bool release)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());

    if (context == NULL || SSL_CTX_use_certificate_chain_file(context, certificate) != 1)
        tls_fatal(certificate);
    if (SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1)
        tls_fatal(key);
    SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(context, SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  (release ? SSL_MODE_RELEASE_BUFFERS : 0));
    SSL_CTX_set_read_ahead(context, 1);
    return context;
}

/* A listening socket whose connections do not wait for acknowledgements: tickets and an answer are
 * sends of their own, and the second would wait for 40 ms. */
static inline int
tls_server(const char *address, int flags)
{
    int fd = open_server(address, flags);

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    return fd;
}

/* The server's end on a connected socket. */
static inline SSL *
tls_open(SSL_CTX *context, int fd)
{
    SSL *ssl = SSL_new(context);

    if (ssl == NULL || SSL_set_fd(ssl, fd) != 1)
        tls_fatal("SSL_new");
    SSL_set_accept_state(ssl);
    return ssl;
}

/* Says goodbye, as the protocol asks of both sides, and closes. */
static inline void
tls_close(SSL *ssl)
{
    int fd = SSL_get_fd(ssl);

    if (SSL_is_init_finished(ssl))
        SSL_shutdown(ssl);
    ERR_clear_error();
    SSL_free(ssl);
    close(fd);
}

/* Whether the last call, which returned `result`, has only to wait for its socket. */
static inline bool
tls_waits(SSL *ssl, int result)
{
    int error = SSL_get_error(ssl, result);

    ERR_clear_error();
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
}

/* Sends it all, waiting for room; false when the peer is gone. */
static inline bool
tls_send_all(SSL *ssl, const char *bytes, size_t size)
{
    while (size > 0) {
        int sent = SSL_write(ssl, bytes, (int)size);
        if (sent > 0) {
            bytes += sent;
            size -= (size_t)sent;
        } else if (tls_waits(ssl, sent)) {
            poll(&(struct pollfd){.fd = SSL_get_fd(ssl), .events = POLLOUT}, 1, -1);
        } else {
            return false;
        }
    }
    return true;
}

/* The bytes that the line of a download asks for: "WORD BYTES\n". */
static inline uint64_t
tls_wanted(const char *line, size_t size)
{
    char text[64];
    uint64_t wanted = 0;

    snprintf(text, sizeof(text), "%.*s", (int)size, line);
    return sscanf(text, "%*s %lu", &wanted) == 1 ? wanted : 0;
}

#endif
