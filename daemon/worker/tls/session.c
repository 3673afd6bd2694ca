/* SPDX-License-Identifier: MIT */
/*
 * session.c - one connection: its handshake, its records, its end
 *
 * The end of the connection without a close_notify is an end like any other for
 * who reads, but it is noted: somebody may have cut the stream off.
 *
 * Runs in:  a serving context of a worker.
 * Owns:     the session. The connection is the host's.
 * Failures: returned.
 */
#include <errno.h>
#include <openssl/err.h>
#include <poll.h>
#include <stdlib.h>

#include "worker/tls/tls_private.h"

static int
session_new(struct tls_context *context, void *connection, struct tls_session **ret)
{
    struct tls_session *session = calloc(1, sizeof(*session));
    BIO *bio = NULL;

    if (session == NULL)
        return -ENOMEM;
    session->context = context;
    session->connection = connection;
    session->ssl = SSL_new(context->sites[0].ctx);
    if (session->ssl != NULL)
        bio = connection_bio(session);
    if (bio == NULL) {
        SSL_free(session->ssl);
        free(session);
        ERR_clear_error();
        return -ENOMEM;
    }
    SSL_set_bio(session->ssl, bio, bio);
    SSL_set_accept_state(session->ssl);
    *ret = session;
    return 0;
}

static void
session_free(struct tls_session *session)
{
    if (session == NULL)
        return;
    session_forget_texts(session);
    SSL_free(session->ssl);
    free(session);
}

/* An alert of the client has ended it, and no mistake in what the client sent. */
static bool
client_gave_up(void)
{
    return is_alert(ERR_peek_error());
}

/* What it means that a call returned result, which is no success. */
static int
judge(struct tls_session *session, int result, short *ret_wanted)
{
    switch (SSL_get_error(session->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        *ret_wanted = POLLIN;
        return -EAGAIN;
    case SSL_ERROR_WANT_WRITE:
        *ret_wanted = POLLOUT;
        return -EAGAIN;
    case SSL_ERROR_SSL:
        return client_gave_up() ? -ECONNRESET : -EPROTO;
    default:
        return -ECONNRESET; /* the host knows more, if it was one of its calls */
    }
}

static int
session_handshake(struct tls_session *session, short *ret_wanted)
{
    ERR_clear_error();
    int result = SSL_accept(session->ssl);
    if (result == 1)
        return 0;
    int error = judge(session, result, ret_wanted);
    if (error == -ECONNRESET && client_gave_up())
        error = -ECONNABORTED;
    if (error == -EPROTO || error == -ECONNABORTED)
        session->failure = failure_text(session->ssl);
    ERR_clear_error();
    return error;
}

/* Whether the result of reading says that nothing more will come. */
static bool
is_end(struct tls_session *session, int result)
{
    if (SSL_get_error(session->ssl, result) != SSL_ERROR_ZERO_RETURN)
        return false;
    if (session->ended)
        session->truncated = true;
    return true;
}

static ssize_t
session_read(struct tls_session *session, void *buffer, size_t size, short *ret_wanted)
{
    size_t got;

    ERR_clear_error();
    int result = SSL_read_ex(session->ssl, buffer, size, &got);
    if (result == 1)
        return (ssize_t)got;
    return is_end(session, result) ? 0 : judge(session, result, ret_wanted);
}

static ssize_t
session_write(struct tls_session *session, const void *bytes, size_t size, short *ret_wanted)
{
    size_t put;

    ERR_clear_error();
    int result = SSL_write_ex(session->ssl, bytes, size, &put);
    return result == 1 ? (ssize_t)put : judge(session, result, ret_wanted);
}

static int
session_goodbye(struct tls_session *session, short *ret_wanted)
{
    ERR_clear_error();
    int result = SSL_shutdown(session->ssl);
    return result >= 0 ? 0 : judge(session, result, ret_wanted);
}

static bool
session_holds(const struct tls_session *session)
{
    return SSL_has_pending(session->ssl) == 1;
}

static bool
session_ready(struct tls_session *session, short *ret_wanted)
{
    size_t got;
    char byte;

    if (SSL_pending(session->ssl) > 0)
        return true;
    ERR_clear_error();
    int result = SSL_peek_ex(session->ssl, &byte, 1, &got);
    return result == 1 || is_end(session, result) || judge(session, result, ret_wanted) != -EAGAIN;
}

static bool
session_truncated(const struct tls_session *session)
{
    return session->truncated;
}

static void
session_rest(struct tls_session *session)
{
    (void)SSL_free_buffers(session->ssl);
}

static const char *
session_failure(const struct tls_session *session)
{
    return session->failure == NULL ? "no reason given" : session->failure;
}

__attribute__((visibility("default"))) const struct tls_module tls_module = {
    .version = TLS_MODULE_VERSION,
    .size = sizeof(struct tls_module),
    .context_new = context_new,
    .context_free = context_free,
    .first_end = context_first_end,
    .session_new = session_new,
    .session_free = session_free,
    .handshake = session_handshake,
    .read = session_read,
    .write = session_write,
    .goodbye = session_goodbye,
    .ready = session_ready,
    .holds = session_holds,
    .truncated = session_truncated,
    .rest = session_rest,
    .failure = session_failure,
    .describe = session_describe,
};
