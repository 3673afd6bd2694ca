/* SPDX-License-Identifier: MIT */
/*
 * tls.c - TLS 1.3 on the client's side
 *
 * One cipher suite and one group, so that every server does the same work.
 * Nobody is asked who the server is: certificates are not verified, only that
 * the server has the key of the one that it shows, which OpenSSL always checks.
 */
#ifdef WITH_TLS
#include "tls.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATIENCE 10000 /* milliseconds, for the first session */

struct tls {
    SSL *ssl;
    bool wants_input;
};

static SSL_CTX *context;
static SSL_SESSION *first;

/* The reference that comes with a session is ours. */
static int
keep(SSL *ssl, SSL_SESSION *session)
{
    (void)ssl;
    SSL_SESSION_free(first);
    first = session;
    return 1;
}

void
tls_prepare(void)
{
    context = SSL_CTX_new(TLS_client_method());
    if (context == NULL || SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) != 1 ||
        SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256") != 1 ||
        SSL_CTX_set1_groups_list(context, "X25519") != 1)
        die("OpenSSL: %s", ERR_reason_error_string(ERR_get_error()));
    SSL_CTX_set_options(context, SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(context, 1);
    if (strcmp(options.mode, "idle") == 0)
        options.echo_once = true; /* there is no other handshake */
    if (!options.resume)
        return;
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, keep);
}

struct tls *
tls_open(int fd)
{
    struct tls *tls = calloc(1, sizeof(*tls));

    if (tls == NULL || (tls->ssl = SSL_new(context)) == NULL || SSL_set_fd(tls->ssl, fd) != 1)
        die("out of memory");
    SSL_set_connect_state(tls->ssl);
    if (first != NULL && SSL_set_session(tls->ssl, first) != 1)
        die("OpenSSL: %s", ERR_reason_error_string(ERR_get_error()));
    return tls;
}

void
tls_close(struct tls *tls)
{
    if (SSL_is_init_finished(tls->ssl)) {
        counts.resumed += SSL_session_reused(tls->ssl) == 1;
        SSL_shutdown(tls->ssl);
    }
    ERR_clear_error();
    SSL_free(tls->ssl);
    free(tls);
}

/* What a call of OpenSSL returned, as a system call would have. */
static ssize_t
outcome(struct tls *tls, int result)
{
    if (result > 0)
        return result;
    int error = errno;
    switch (SSL_get_error(tls->ssl, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        errno = EAGAIN;
        break;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    case SSL_ERROR_SYSCALL:
        errno = error != 0 ? error : ECONNRESET;
        break;
    default:
        errno = EPROTO;
    }
    ERR_clear_error();
    return -1;
}

ssize_t
tls_send(struct tls *tls, const char *bytes, size_t size)
{
    errno = 0;
    int result = SSL_write(tls->ssl, bytes, (int)size);
    tls->wants_input = result <= 0 && SSL_want_read(tls->ssl);
    ssize_t sent = outcome(tls, result);
    if (sent == 0) { /* the server has closed before the handshake was over */
        errno = ECONNRESET;
        return -1;
    }
    return sent;
}

ssize_t
tls_receive(struct tls *tls, char *bytes, size_t size)
{
    errno = 0;
    return outcome(tls, SSL_read(tls->ssl, bytes, (int)size));
}

bool
tls_wants_input(const struct tls *tls)
{
    return tls->wants_input;
}

bool
tls_pending(const struct tls *tls)
{
    return SSL_has_pending(tls->ssl);
}

/* Waits until the socket is ready for the call that has just returned `result`. */
static bool
again(struct tls *tls, int fd, int result)
{
    bool input = SSL_want_read(tls->ssl);

    if (outcome(tls, result) >= 0 || errno != EAGAIN)
        return false;
    return poll(&(struct pollfd){.fd = fd, .events = input ? POLLIN : POLLOUT}, 1, PATIENCE) == 1;
}

void
tls_first_session(void)
{
    char bytes[CHUNK];
    int fd = dial(), result;

    if (fd < 0)
        die("connect: %s", strerror(errno));
    struct tls *tls = tls_open(fd);
    while ((result = SSL_write(tls->ssl, out_bytes, (int)options.size)) <= 0)
        if (!again(tls, fd, result))
            die("no handshake for the first session");
    for (long got = 0; got<options.size; got += result> 0 ? result : 0) {
        result = SSL_read(tls->ssl, bytes, sizeof(bytes));
        if (result <= 0 && !again(tls, fd, result))
            die("no answer on the first session");
    }
    tls_close(tls);
    close(fd);
    if (first == NULL)
        die("the server gave no ticket: nothing to resume");
    /* All resume this one. With its cache on, OpenSSL takes a ticket for spent once it was used. */
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
}
#endif
