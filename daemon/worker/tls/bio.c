/* SPDX-License-Identifier: MIT */
/*
 * bio.c - the connection under a session, as OpenSSL sees it
 *
 * The host receives and sends, because it knows how its contexts wait, and what a
 * cut, a timeout or a byte that was read too early means.
 *
 * Runs in:  a serving context of a worker.
 * Owns:     nothing.
 * Failures: returned to OpenSSL.
 */
#include <errno.h>
#include <limits.h>
#include <pthread.h>

#include "worker/tls/tls_private.h"

/* Whether the same call may work later. */
static bool
is_passing(ssize_t error)
{
    return error == -EAGAIN || error == -ETIMEDOUT || error == -ECANCELED;
}

static int
receive(BIO *bio, char *buffer, int size)
{
    struct tls_session *session = BIO_get_data(bio);
    const struct tls_host *host = &session->context->setup.host;

    BIO_clear_retry_flags(bio);
    if (session->ended)
        return 0;
    ssize_t got = host->receive(session->connection, buffer, (size_t)size);
    if (got == 0)
        session->ended = true;
    if (is_passing(got))
        BIO_set_retry_read(bio);
    return got < 0 ? -1 : (int)got;
}

static int
put(BIO *bio, const char *bytes, int size)
{
    struct tls_session *session = BIO_get_data(bio);
    const struct tls_host *host = &session->context->setup.host;

    BIO_clear_retry_flags(bio);
    ssize_t sent = host->send(session->connection, bytes, (size_t)size);
    if (is_passing(sent))
        BIO_set_retry_write(bio);
    return sent < 0 ? -1 : (int)sent;
}

static long
control(BIO *bio, int command, long number, void *pointer)
{
    const struct tls_session *session = BIO_get_data(bio);

    (void)number;
    (void)pointer;
    if (command == BIO_CTRL_EOF)
        return session->ended;
    return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *method;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void
make_method(void)
{
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "connection");
    if (method == NULL)
        return;
    (void)BIO_meth_set_read(method, receive);
    (void)BIO_meth_set_write(method, put);
    (void)BIO_meth_set_ctrl(method, control);
}

BIO *
connection_bio(struct tls_session *session)
{
    (void)pthread_once(&once, make_method);
    BIO *bio = method == NULL ? NULL : BIO_new(method);
    if (bio == NULL)
        return NULL;
    BIO_set_data(bio, session);
    BIO_set_init(bio, 1);
    return bio;
}
