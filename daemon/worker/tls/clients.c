/* SPDX-License-Identifier: MIT */
/*
 * clients.c - the certificates of clients: who may sign them, and which are revoked
 *
 * Runs in:  a worker, before it loads its plugin.
 * Owns:     nothing; what is read is the context's.
 * Failures: mistakes are told; without memory, returned.
 */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "worker/tls/tls_private.h"

/* With a list that has ended, no certificate can be verified any more. */
static void
judge_list(struct tls_context *context, const struct tls_text *text, const X509_CRL *list)
{
    const ASN1_TIME *until = X509_CRL_get0_nextUpdate(list);

    if (until != NULL && X509_cmp_current_time(until) < 0)
        context_complain(context, "crl", text,
                         "a list of revoked certificates in \"%s\" has expired; until there is a "
                         "new one, every client that shows a certificate is refused",
                         text->path);
}

/* Adds what the file holds. How many certificates and lists of revoked ones that were. */
static int
read_infos(struct tls_context *context, const struct tls_text *text, int *ret_lists)
{
    BIO *file = BIO_new_mem_buf(text->bytes, (int)text->size);
    STACK_OF(X509_INFO) *infos =
        file == NULL ? NULL : PEM_X509_INFO_read_bio(file, NULL, NULL, NULL);
    int certificates = 0;

    *ret_lists = 0;
    for (int i = 0; i < sk_X509_INFO_num(infos); i++) {
        const X509_INFO *info = sk_X509_INFO_value(infos, i);
        if (info->x509 != NULL && X509_STORE_add_cert(context->clients, info->x509) == 1) {
            certificates++;
            X509_NAME *name = X509_NAME_dup(X509_get_subject_name(info->x509));
            if (name == NULL || sk_X509_NAME_push(context->client_names, name) == 0)
                X509_NAME_free(name);
        }
        if (info->crl != NULL && X509_STORE_add_crl(context->clients, info->crl) == 1) {
            judge_list(context, text, info->crl);
            (*ret_lists)++;
        }
    }
    sk_X509_INFO_pop_free(infos, X509_INFO_free);
    BIO_free(file);
    return certificates;
}

static void
read_authorities(struct tls_context *context)
{
    const struct tls_text *text = &context->setup.bundle->client_ca;
    int lists;

    if (text->bytes != NULL && read_infos(context, text, &lists) == 0)
        context_mistake(context, "client_ca", text,
                        "\"%s\" holds no certificate in PEM form (%s); a certificate begins with "
                        "the line \"-----BEGIN CERTIFICATE-----\"",
                        text->path, openssl_reason());
    ERR_clear_error();
}

static void
read_revoked(struct tls_context *context)
{
    const struct tls_text *text = &context->setup.bundle->crl;
    int lists;

    if (text->bytes == NULL)
        return;
    (void)read_infos(context, text, &lists);
    if (lists == 0)
        context_mistake(context, "crl", text,
                        "\"%s\" holds no list of revoked certificates in PEM form (%s); a list "
                        "begins with the line \"-----BEGIN X509 CRL-----\"",
                        text->path, openssl_reason());
    (void)X509_STORE_set_flags(context->clients, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
    ERR_clear_error();
}

/* A session that was verified by other files shall not be resumed: the client may be revoked. */
static int
identify(struct tls_context *context)
{
    const struct tls_bundle *bundle = context->setup.bundle;
    const struct tls_text *texts[] = {&bundle->client_ca, &bundle->crl};
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    bool done = digest != NULL && EVP_DigestInit_ex(digest, EVP_sha256(), NULL) == 1 &&
                EVP_DigestUpdate(digest, &context->setup.client, sizeof(enum tls_verify)) == 1;

    for (int i = 0; i < 2 && done; i++)
        done = texts[i]->bytes == NULL ||
               EVP_DigestUpdate(digest, texts[i]->bytes, texts[i]->size) == 1;
    done = done && EVP_DigestFinal_ex(digest, context->identity, NULL) == 1;
    EVP_MD_CTX_free(digest);
    return done ? 0 : -ENOMEM;
}

int
clients_read(struct tls_context *context)
{
    if (identify(context) < 0)
        return -ENOMEM;
    if (context->setup.client == TLS_VERIFY_NONE)
        return 0;
    context->clients = X509_STORE_new();
    context->client_names = sk_X509_NAME_new_null();
    if (context->clients == NULL || context->client_names == NULL)
        return -ENOMEM;
    read_authorities(context);
    read_revoked(context);
    return 0;
}

void
clients_done(struct tls_context *context)
{
    X509_STORE_free(context->clients);
    sk_X509_NAME_pop_free(context->client_names, X509_NAME_free);
}

void
clients_enable(const struct tls_context *context, SSL_CTX *ctx)
{
    bool required = context->setup.client == TLS_VERIFY_REQUIRED;

    (void)SSL_CTX_set_session_id_context(ctx, context->identity, sizeof(context->identity));
    if (context->clients == NULL)
        return;
    (void)SSL_CTX_set1_cert_store(ctx, context->clients);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | (required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
                       NULL);
    SSL_CTX_set_client_CA_list(ctx, SSL_dup_CA_list(context->client_names));
}
