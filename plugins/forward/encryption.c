/* SPDX-License-Identifier: MIT */
/*
 * encryption.c - TLS to the target, whose certificate is verified
 *
 * No call of OpenSSL waits or is interrupted by another coroutine: it returns, and then the daemon
 * waits. Where the plugin was built without OpenSSL, the option `tls` is refused.
 *
 * Runs in:  server_activate and server_close; a handler thread, child or coroutine.
 * Owns:     the context, and the sessions of targets.
 * Failures: logged here where the reason would be lost; else returned.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "../regular_file.h"
#include "forward.h"

#ifdef FORWARD_TLS

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

/* ---- options -------------------------------------------------------------------------------- */

static const char *
reason(void)
{
    const char *text = ERR_reason_error_string(ERR_peek_last_error());

    return text == NULL ? "no reason given" : text;
}

/* The host of "tcp://HOST:PORT"; NULL: no memory, or it has none. */
static char *
host_of(const char *address)
{
    const char *host = strstr(address, "://");
    const char *end = strrchr(address, ':');

    if (host == NULL || strncmp(address, "tcp://", 6) != 0)
        return NULL;
    host += 3;
    if (*host == '[') {
        host++;
        end = strchr(host, ']');
    }
    return end == NULL ? NULL : strndup(host, (size_t)(end - host));
}

static int
find_names(struct ss_server *server, struct service *service)
{
    const char *given = ss_option_string(server, "tls_name");

    for (size_t i = 0; i < service->count; i++) {
        struct target *target = &service->targets[i];
        target->tls_name = given[0] != '\0' ? strdup(given) : host_of(target->address);
        if (target->tls_name != NULL)
            continue;
        if (given[0] != '\0' || strncmp(target->address, "tcp://", 6) == 0)
            return -ENOMEM;
        ss_complain(server, "to",
                    "\"%s\" has no host that its certificate could be for; set tls_name",
                    target->address);
        return -EINVAL;
    }
    return 0;
}

static int
read_authorities(struct ss_server *server, SSL_CTX *context)
{
    const char *path = ss_option_string(server, "tls_ca");

    ERR_clear_error();
    if (path[0] == '\0') {
        (void)SSL_CTX_set_default_verify_paths(context);
        return 0;
    }
    int fd = regular_file_open(path);
    if (fd >= 0)
        (void)close(fd); /* OpenSSL opens it again, which does not wait either */
    if (fd >= 0 && SSL_CTX_load_verify_file(context, path) == 1)
        return 0;
    ss_complain(server, "tls_ca",
                "%s: %s; name a file with certificates (PEM) that the listener's user may read",
                path, fd < 0 ? strerror(-fd) : reason());
    return -EINVAL;
}

static SSL_CTX *
new_context(void)
{
    (void)OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, NULL); /* threads may run until the end */
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());

    if (context == NULL)
        return NULL;
    (void)SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    (void)SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                        SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                        SSL_MODE_RELEASE_BUFFERS);
    (void)SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    return context;
}

int
encryption_prepare(struct ss_server *server, struct service *service)
{
    if (!ss_option_boolean(server, "tls")) {
        for (size_t i = 0; i < 2; i++) {
            const char *name = i == 0 ? "tls_ca" : "tls_name";
            if (ss_option_string(server, name)[0] == '\0')
                continue;
            ss_complain(server, name, "it has no meaning without `tls = true`");
            return -EINVAL;
        }
        return 0;
    }
    service->tls = new_context();
    int error = service->tls == NULL ? -ENOMEM : read_authorities(server, service->tls);
    return error < 0 ? error : find_names(server, service);
}

void
encryption_done(struct service *service)
{
    for (size_t i = 0; service->targets != NULL && i < service->count; i++)
        free(service->targets[i].tls_name);
    SSL_CTX_free(service->tls);
}

/* ---- the handshake -------------------------------------------------------------------------- */

static int
expect_name(SSL *session, const char *name)
{
    unsigned char number[sizeof(struct in6_addr)];

    if (inet_pton(AF_INET, name, number) == 1 || inet_pton(AF_INET6, name, number) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session), name);
    return SSL_set1_host(session, name) == 1 && SSL_set_tlsext_host_name(session, name) == 1;
}

/* What it means that a call returned result, which is no success. */
static int
judge(SSL *session, int result, short *wanted)
{
    switch (SSL_get_error(session, result)) {
    case SSL_ERROR_WANT_READ:
        *wanted = POLLIN;
        return -EAGAIN;
    case SSL_ERROR_WANT_WRITE:
        *wanted = POLLOUT;
        return -EAGAIN;
    case SSL_ERROR_SYSCALL:
        return errno > 0 ? -errno : -ECONNRESET;
    default:
        return -EPROTO;
    }
}

static int
complain(const struct target *target, SSL *session)
{
    long verified = SSL_get_verify_result(session);

    if (verified != X509_V_OK)
        ss_log(LOG_WARNING, "%s: its certificate is refused: %s (see tls_ca and tls_name)",
               target->address, X509_verify_cert_error_string(verified));
    else
        ss_log(LOG_WARNING, "%s: the TLS handshake has failed: %s", target->address, reason());
    return -EPROTO;
}

static int
shake_hands(struct ss_request *request, const struct service *service, const struct target *target,
            SSL *session, int fd)
{
    int64_t until = now_ns() + (int64_t)(service->connect_timeout * 1e9);
    short wanted = POLLIN;

    for (;;) {
        ERR_clear_error();
        errno = 0;
        int result = SSL_connect(session);
        int error = result == 1 ? 0 : judge(session, result, &wanted);
        if (error == -EPROTO)
            error = complain(target, session);
        ERR_clear_error();
        if (error != -EAGAIN)
            return error;
        double left = (double)(until - now_ns()) / 1e9;
        if (service->connect_timeout < 0)
            left = -1;
        else if (left <= 0)
            return -ETIMEDOUT;
        int ready = ss_wait(request, fd, wanted, left);
        if (ready < 0)
            return ready;
    }
}

int
encryption_begin(struct ss_request *request, const struct service *service,
                 const struct target *target, int fd, struct ssl_st **ret)
{
    SSL *session = SSL_new(service->tls);
    int error = -ENOMEM;

    if (session != NULL && SSL_set_fd(session, fd) == 1 &&
        expect_name(session, target->tls_name) == 1)
        error = shake_hands(request, service, target, session, fd);
    if (error < 0)
        SSL_free(session);
    else
        *ret = session;
    return error;
}

void
encryption_end(struct ssl_st *session)
{
    SSL_free(session);
}

/* ---- its bytes ------------------------------------------------------------------------------ */

static ssize_t
read_target(void *userdata, void *buffer, size_t size, short *wanted)
{
    SSL *session = userdata;
    size_t got = 0;

    ERR_clear_error();
    errno = 0;
    int result = SSL_read_ex(session, buffer, size, &got);
    if (result == 1)
        return (ssize_t)got;
    if (SSL_get_error(session, result) == SSL_ERROR_ZERO_RETURN)
        return 0;
    int error = judge(session, result, wanted);
    return error == -EPROTO &&
                   ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING
               ? -ECONNRESET
               : error;
}

static ssize_t
write_target(void *userdata, const void *data, size_t size, short *wanted)
{
    size_t put = 0;

    ERR_clear_error();
    errno = 0;
    int result = SSL_write_ex(userdata, data, size, &put);
    return result == 1 ? (ssize_t)put : judge(userdata, result, wanted);
}

static int
end_target(void *userdata, short *wanted)
{
    ERR_clear_error();
    errno = 0;
    int result = SSL_shutdown(userdata);
    return result >= 0 ? 0 : judge(userdata, result, wanted);
}

struct ss_stream
encryption_stream(struct ssl_st *session, int fd)
{
    return (struct ss_stream){.size = sizeof(struct ss_stream),
                              .fd = fd,
                              .read = read_target,
                              .write = write_target,
                              .end = end_target,
                              .userdata = session};
}

#else /* without OpenSSL */

int
encryption_prepare(struct ss_server *server, struct service *service)
{
    (void)service;
    if (!ss_option_boolean(server, "tls"))
        return 0;
    ss_complain(server, "tls",
                "this plugin was built without OpenSSL; install libssl-dev (>= 3) and "
                "build it again");
    return -ENOTSUP;
}

void
encryption_done(struct service *service)
{
    (void)service;
}

int
encryption_begin(struct ss_request *request, const struct service *service,
                 const struct target *target, int fd, struct ssl_st **ret)
{
    (void)request, (void)service, (void)target, (void)fd, (void)ret;
    return -ENOTSUP;
}

void
encryption_end(struct ssl_st *session)
{
    (void)session;
}

struct ss_stream
encryption_stream(struct ssl_st *session, int fd)
{
    (void)session;
    return (struct ss_stream){.fd = fd};
}

#endif
