/* SPDX-License-Identifier: MIT */
/*
 * tls_private.h - what the files of the TLS module share
 */
#ifndef SOCKSERVERD_WORKER_TLS_TLS_PRIVATE_H
#define SOCKSERVERD_WORKER_TLS_TLS_PRIVATE_H

#include <openssl/bio.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "worker/tls/module.h"

/* An OCSP response that goes with a certificate. */
struct staple {
    X509 *certificate;
    unsigned char *der;
    int size;
    time_t until; /* 0: it does not say */
};

/* The certificates for one name: at most one of each kind of key. */
struct site {
    struct tls_context *context;
    char *name; /* in small letters; NULL: for clients that ask for none of the others */
    SSL_CTX *ctx;
    struct staple *staples;
    size_t staple_count;
};

struct tls_context {
    struct tls_setup setup;
    struct site *sites; /* the first is the one without a name, the others are sorted */
    size_t site_count;
    unsigned char *alpn; /* as it is on the wire */
    unsigned alpn_size;
    X509_STORE *clients; /* who signs their certificates; NULL: nobody is asked */
    STACK_OF(X509_NAME) * client_names;
    unsigned char identity[32]; /* a session of another such context is not resumed */
    time_t first_end;
    char *first_path;
    bool wrong; /* a mistake was told */
};

/* What ss_tls() tells of a client's certificate, and of what must be copied for it. */
struct peer_texts;

struct tls_session {
    SSL *ssl;
    struct tls_context *context;
    void *connection;
    bool ended;     /* the last byte of the connection has been received */
    bool truncated; /* it came before the client said that it would be the last */
    const char *failure;
    struct peer_texts *texts; /* NULL until somebody asks */
};

/* These are of the table in module.h. */
int context_new(const struct tls_setup *setup, struct tls_context **ret);
void context_free(struct tls_context *context);
int64_t context_first_end(const struct tls_context *context, const char **ret_path);

/* Tells of a mistake, and notes that there is one. */
void context_mistake(struct tls_context *context, const char *key, const struct tls_text *text,
                     const char *format, ...) __attribute__((format(printf, 4, 5)));
/* The same of a date, which is a mistake only where the setup is strict: a worker that is replaced
 * shall not be missing because a certificate has ended meanwhile. */
void context_complain(struct tls_context *context, const char *key, const struct tls_text *text,
                      const char *format, ...) __attribute__((format(printf, 4, 5)));
/* Why OpenSSL's last call failed, as text; it forgets that. */
const char *openssl_reason(void);

/* Gives the site another certificate with its key and OCSP response. Mistakes are told. -ENOMEM,
 * or 0. */
int site_add_certificate(struct site *site, const struct tls_certificate *certificate);
void site_done(struct site *site);
/* Has clients that ask for it get the site's OCSP responses. */
void site_enable_staples(struct site *site);

/* Reads tls.client_ca and tls.crl. Mistakes are told. */
int clients_read(struct tls_context *context);
void clients_done(struct tls_context *context);
/* Asks the clients of a site for a certificate. */
void clients_enable(const struct tls_context *context, SSL_CTX *ctx);

/* Session tickets, or none. */
void tickets_enable(struct tls_context *context, SSL_CTX *ctx);

/* The connection of a session, as OpenSSL sees it. NULL: no memory. */
BIO *connection_bio(struct tls_session *session);

/* Whether an error of OpenSSL's queue is an alert that the client sent. */
bool is_alert(unsigned long error);

/* Why a handshake failed: what stands in OpenSSL's queue of errors. */
const char *failure_text(SSL *ssl);

bool session_describe(struct tls_session *session, struct ss_tls *ret);
void session_forget_texts(struct tls_session *session);

#endif
