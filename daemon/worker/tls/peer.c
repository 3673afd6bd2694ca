/* SPDX-License-Identifier: MIT */
/*
 * peer.c - what a handler is told of its connection's encryption, and of the client's certificate
 *
 * Texts are made when somebody asks for them first, and kept as long as the
 * session.
 *
 * Runs in:  a serving context of a worker.
 * Owns:     the texts.
 * Failures: without memory, nothing is told.
 */
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/tls/tls_private.h"

struct peer_texts {
    char alpn[256];
    char fingerprint[2 * 32 + 1];
    char *subject, *issuer;
    char **names; /* NULL at the end */
    size_t name_count;
};

/* What has been written to the buffer, as text that the caller frees; NULL: no memory. */
static char *
take_text(BIO *buffer)
{
    char *bytes;
    long size = BIO_get_mem_data(buffer, &bytes);
    char *text = size < 0 ? NULL : strndup(bytes, (size_t)size);

    (void)BIO_reset(buffer);
    return text;
}

static char *
format_name(BIO *buffer, const X509_NAME *name)
{
    if (X509_NAME_print_ex(buffer, name, 0, XN_FLAG_RFC2253 & ~(unsigned)ASN1_STRFLGS_ESC_MSB) < 0)
        return NULL;
    return take_text(buffer);
}

/* Others than these tell a handler nothing. One with a NUL in it would be read as another. */
static bool
is_told(const GENERAL_NAME *name)
{
    if (name->type == GEN_IPADD)
        return true;
    if (name->type != GEN_DNS && name->type != GEN_EMAIL && name->type != GEN_URI)
        return false;
    const ASN1_IA5STRING *text = name->d.ia5;
    return memchr(ASN1_STRING_get0_data(text), '\0', (size_t)ASN1_STRING_length(text)) == NULL;
}

static bool
add_name(struct peer_texts *texts, BIO *buffer, GENERAL_NAME *name)
{
    char **more = reallocarray(texts->names, texts->name_count + 2, sizeof(char *));

    if (more == NULL)
        return false;
    texts->names = more;
    more[texts->name_count] = more[texts->name_count + 1] = NULL;
    if (!is_told(name))
        return true;
    (void)GENERAL_NAME_print(buffer, name);
    more[texts->name_count] = take_text(buffer);
    return more[texts->name_count++] != NULL;
}

static bool
add_names(struct peer_texts *texts, BIO *buffer, const X509 *certificate)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    bool done = true;

    texts->names = calloc(1, sizeof(char *));
    for (int i = 0; i < sk_GENERAL_NAME_num(names) && done; i++)
        done = add_name(texts, buffer, sk_GENERAL_NAME_value(names, i));
    GENERAL_NAMES_free(names);
    return done && texts->names != NULL;
}

static bool
add_fingerprint(struct peer_texts *texts, const X509 *certificate)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size;

    if (X509_digest(certificate, EVP_sha256(), digest, &size) != 1)
        return false;
    for (unsigned i = 0; i < size && i < 32; i++)
        (void)snprintf(texts->fingerprint + 2 * (size_t)i, 3, "%02x", digest[i]);
    return true;
}

static bool
fill(struct peer_texts *texts, SSL *ssl)
{
    const X509 *certificate = SSL_get0_peer_certificate(ssl);
    const unsigned char *alpn;
    unsigned size;

    SSL_get0_alpn_selected(ssl, &alpn, &size);
    if (size > 0 && size < sizeof(texts->alpn))
        memcpy(texts->alpn, alpn, size);
    if (certificate == NULL || SSL_get_verify_result(ssl) != X509_V_OK)
        return true;
    BIO *buffer = BIO_new(BIO_s_mem());
    if (buffer == NULL)
        return false;
    texts->subject = format_name(buffer, X509_get_subject_name(certificate));
    texts->issuer = format_name(buffer, X509_get_issuer_name(certificate));
    bool done = texts->subject != NULL && texts->issuer != NULL &&
                add_names(texts, buffer, certificate) && add_fingerprint(texts, certificate);
    BIO_free(buffer);
    return done;
}

void
session_forget_texts(struct tls_session *session)
{
    struct peer_texts *texts = session->texts;

    if (texts == NULL)
        return;
    free(texts->subject);
    free(texts->issuer);
    for (size_t i = 0; i < texts->name_count; i++)
        free(texts->names[i]);
    free(texts->names);
    free(texts);
    session->texts = NULL;
}

bool
session_describe(struct tls_session *session, struct ss_tls *ret)
{
    SSL *ssl = session->ssl;

    if (session->texts == NULL) {
        session->texts = calloc(1, sizeof(*session->texts));
        if (session->texts == NULL || !fill(session->texts, ssl)) {
            session_forget_texts(session);
            ERR_clear_error();
            return false;
        }
        ERR_clear_error();
    }
    const struct peer_texts *texts = session->texts;
    ret->version = SSL_get_version(ssl);
    ret->cipher = SSL_get_cipher_name(ssl);
    ret->server_name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    ret->alpn = texts->alpn[0] != '\0' ? texts->alpn : NULL;
    ret->resumed = SSL_session_reused(ssl) == 1;
    ret->subject = texts->subject;
    ret->issuer = texts->issuer;
    ret->names = (const char *const *)texts->names;
    ret->fingerprint = texts->subject != NULL ? texts->fingerprint : NULL;
    return true;
}
