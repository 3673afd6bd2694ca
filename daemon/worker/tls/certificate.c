/* SPDX-License-Identifier: MIT */
/*
 * certificate.c - a site's certificates, their keys and OCSP responses
 *
 * All that can be wrong with them is found here, once, and told with the place
 * in the configuration that names the file.
 *
 * Runs in:  a worker, before it loads its plugin.
 * Owns:     nothing for longer than a call; what is read is the site's.
 * Failures: mistakes are told; without memory, returned.
 */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

#include "worker/tls/tls_private.h"

#define DATE_SIZE 64

/* The key below `tls` that names a file. */
#define KEY(site, key) ((site)->name == NULL ? (key) : "names")

/* What one certificate consists of, while it is read. */
struct parts {
    X509 *certificate;
    STACK_OF(X509) * chain; /* those that it was signed with, behind it in the file */
    EVP_PKEY *key;
};

static void
parts_done(struct parts *parts)
{
    X509_free(parts->certificate);
    sk_X509_pop_free(parts->chain, X509_free);
    EVP_PKEY_free(parts->key);
}

static BIO *
open_text(const struct tls_text *text)
{
    return BIO_new_mem_buf(text->bytes, (int)text->size);
}

/* A key with a passphrase asks for it. Nobody is there to type it. */
static int
refuse_passphrase(char *buffer, int size, int writes, void *asked)
{
    (void)writes;
    if (size > 0)
        *buffer = '\0';
    *(bool *)asked = true;
    return -1;
}

static const char *
format_date(const ASN1_TIME *time, char buffer[DATE_SIZE])
{
    struct tm tm;

    if (ASN1_TIME_to_tm(time, &tm) != 1 ||
        strftime(buffer, DATE_SIZE, "%Y-%m-%d %H:%M:%S UTC", &tm) == 0)
        return "a date that cannot be read";
    return buffer;
}

/* ---- the certificate --------------------------------------------------------------- */

/* The file's other certificates. False: it holds something that cannot be read. */
static bool
read_chain(BIO *file, STACK_OF(X509) * chain)
{
    X509 *next;

    while ((next = PEM_read_bio_X509(file, NULL, NULL, NULL)) != NULL) {
        if (sk_X509_push(chain, next) == 0) {
            X509_free(next);
            return false;
        }
    }
    return ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
}

static void
read_certificate(struct site *site, const struct tls_text *text, struct parts *ret)
{
    bool asked = false;
    BIO *file = open_text(text);

    ret->chain = sk_X509_new_null();
    if (file != NULL && ret->chain != NULL)
        ret->certificate = PEM_read_bio_X509_AUX(file, NULL, refuse_passphrase, &asked);
    if (ret->certificate == NULL)
        context_mistake(site->context, KEY(site, "certificate"), text,
                        "\"%s\" does not begin with a certificate in PEM form (%s); a certificate "
                        "begins with the line \"-----BEGIN CERTIFICATE-----\"",
                        text->path, openssl_reason());
    else if (!read_chain(file, ret->chain))
        context_mistake(site->context, KEY(site, "certificate"), text,
                        "certificate %d in \"%s\" cannot be read (%s)", sk_X509_num(ret->chain) + 2,
                        text->path, openssl_reason());
    ERR_clear_error();
    BIO_free(file);
}

static void
judge_dates(struct site *site, const struct tls_text *text, const X509 *certificate)
{
    const ASN1_TIME *from = X509_get0_notBefore(certificate);
    const ASN1_TIME *until = X509_get0_notAfter(certificate);
    char date[DATE_SIZE];

    if (X509_cmp_current_time(until) < 0)
        context_complain(site->context, KEY(site, "certificate"), text,
                         "the certificate in \"%s\" has expired on %s; renew it", text->path,
                         format_date(until, date));
    else if (X509_cmp_current_time(from) > 0)
        context_complain(site->context, KEY(site, "certificate"), text,
                         "the certificate in \"%s\" is not valid before %s; wait until then, or "
                         "set this machine's clock",
                         text->path, format_date(from, date));
}

static int
note_end(struct tls_context *context, const struct tls_text *text, const X509 *certificate)
{
    struct tm tm;
    char *path;

    if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &tm) != 1)
        return 0;
    time_t end = timegm(&tm);
    if (context->first_path != NULL && end >= context->first_end)
        return 0;
    path = strdup(text->path);
    if (path == NULL)
        return -ENOMEM;
    free(context->first_path);
    context->first_path = path;
    context->first_end = end;
    return 0;
}

/* ---- its key --------------------------------------------------------------------- */

static void
read_key(struct site *site, const struct tls_text *text, struct parts *ret)
{
    bool asked = false;
    BIO *file = open_text(text);

    if (file != NULL)
        ret->key = PEM_read_bio_PrivateKey(file, NULL, refuse_passphrase, &asked);
    if (ret->key == NULL && asked)
        context_mistake(site->context, KEY(site, "key"), text,
                        "the key in \"%s\" is protected by a passphrase, which nobody can type "
                        "here; \"openssl pkey -in %s -out FILE\" writes it without one",
                        text->path, text->path);
    else if (ret->key == NULL)
        context_mistake(site->context, KEY(site, "key"), text,
                        "\"%s\" holds no private key in PEM form (%s); a key begins with the line "
                        "\"-----BEGIN PRIVATE KEY-----\"",
                        text->path, openssl_reason());
    ERR_clear_error();
    BIO_free(file);
}

static void
judge_pair(struct site *site, const struct tls_certificate *from, const struct parts *parts)
{
    if (X509_check_private_key(parts->certificate, parts->key) != 1)
        context_mistake(site->context, KEY(site, "key"), &from->key,
                        "the key in \"%s\" does not belong to the certificate in \"%s\"; in both "
                        "files must be the same public key",
                        from->key.path, from->certificate.path);
    ERR_clear_error();
}

/* ---- its OCSP response ------------------------------------------------------------ */

static OCSP_RESPONSE *
parse_response(const struct tls_text *text)
{
    static const char head[] = "-----BEGIN OCSP RESPONSE-----";
    const unsigned char *der = (const unsigned char *)text->bytes;

    if (text->size < sizeof(head) || memcmp(text->bytes, head, sizeof(head) - 1) != 0)
        return d2i_OCSP_RESPONSE(NULL, &der, (long)text->size);
    BIO *file = open_text(text);
    OCSP_RESPONSE *response =
        file == NULL ? NULL
                     : (OCSP_RESPONSE *)PEM_ASN1_read_bio((d2i_of_void *)d2i_OCSP_RESPONSE,
                                                          "OCSP RESPONSE", file, NULL, NULL, NULL);
    BIO_free(file);
    return response;
}

/* The answer in the response that is about the certificate; NULL: there is none. */
static OCSP_SINGLERESP *
find_answer(OCSP_BASICRESP *basic, X509 *certificate)
{
    for (int i = 0; i < OCSP_resp_count(basic); i++) {
        OCSP_SINGLERESP *answer = OCSP_resp_get0(basic, i);
        ASN1_INTEGER *serial = NULL;

        (void)OCSP_id_get0_info(NULL, NULL, NULL, &serial,
                                (OCSP_CERTID *)(uintptr_t)OCSP_SINGLERESP_get0_id(answer));
        if (serial != NULL && ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(certificate)) == 0)
            return answer;
    }
    return NULL;
}

static time_t
end_of_answer(OCSP_SINGLERESP *answer)
{
    ASN1_GENERALIZEDTIME *until = NULL;
    struct tm tm;

    (void)OCSP_single_get0_status(answer, NULL, NULL, NULL, &until);
    return until != NULL && ASN1_TIME_to_tm(until, &tm) == 1 ? timegm(&tm) : 0;
}

/* Why the response cannot be used, or NULL and the end of its life. */
static const char *
judge_response(OCSP_RESPONSE *response, X509 *certificate, time_t *ret_until)
{
    OCSP_BASICRESP *basic;
    const char *problem = NULL;

    if (response == NULL)
        return "is no OCSP response, neither in DER nor in PEM form";
    if (OCSP_response_status(response) != OCSP_RESPONSE_STATUS_SUCCESSFUL)
        return "is an OCSP response that holds an error instead of an answer";
    basic = OCSP_response_get1_basic(response);
    OCSP_SINGLERESP *answer = basic == NULL ? NULL : find_answer(basic, certificate);
    if (answer == NULL)
        problem = "is an OCSP response about another certificate";
    else
        *ret_until = end_of_answer(answer);
    OCSP_BASICRESP_free(basic);
    return problem;
}

static int
add_staple(struct site *site, OCSP_RESPONSE *response, X509 *certificate, time_t until)
{
    struct staple *more =
        reallocarray(site->staples, site->staple_count + 1, sizeof(struct staple));
    unsigned char *der = NULL;

    if (more == NULL)
        return -ENOMEM;
    site->staples = more;
    int size = i2d_OCSP_RESPONSE(response, &der);
    if (size <= 0)
        return -ENOMEM;
    (void)X509_up_ref(certificate);
    more[site->staple_count++] =
        (struct staple){.certificate = certificate, .der = der, .size = size, .until = until};
    return 0;
}

static int
read_staple(struct site *site, const struct tls_text *text, X509 *certificate)
{
    time_t until = 0;
    int error = 0;

    if (text->bytes == NULL)
        return 0;
    OCSP_RESPONSE *response = parse_response(text);
    const char *problem = judge_response(response, certificate, &until);
    if (problem != NULL)
        context_mistake(site->context, KEY(site, "ocsp"), text,
                        "\"%s\" %s; \"openssl ocsp ... -respout FILE\" asks for one", text->path,
                        problem);
    else
        error = add_staple(site, response, certificate, until);
    OCSP_RESPONSE_free(response);
    ERR_clear_error();
    return error;
}

/* One that has ended would do more harm than none. */
static int
staple_response(SSL *ssl, void *userdata)
{
    const struct site *site = userdata;
    const X509 *certificate = SSL_get_certificate(ssl);

    for (size_t i = 0; i < site->staple_count; i++) {
        const struct staple *staple = &site->staples[i];
        if (staple->certificate != certificate)
            continue;
        if (staple->until != 0 && staple->until < time(NULL))
            break;
        unsigned char *copy = OPENSSL_memdup(staple->der, (size_t)staple->size);
        if (copy == NULL)
            break;
        (void)SSL_set_tlsext_status_ocsp_resp(ssl, copy, staple->size);
        return SSL_TLSEXT_ERR_OK;
    }
    return SSL_TLSEXT_ERR_NOACK;
}

void
site_enable_staples(struct site *site)
{
    if (site->staple_count == 0)
        return;
    (void)SSL_CTX_set_tlsext_status_cb(site->ctx, staple_response);
    (void)SSL_CTX_set_tlsext_status_arg(site->ctx, site);
}

/* ---- the site -------------------------------------------------------------------- */

static bool
complete(const struct parts *parts)
{
    return parts->certificate != NULL && parts->key != NULL;
}

static void
install(struct site *site, const struct tls_certificate *from, const struct parts *parts)
{
    struct tls_context *context = site->context;

    if (SSL_CTX_use_cert_and_key(site->ctx, parts->certificate, parts->key, parts->chain, 0) == 1)
        return;
    if (ERR_GET_REASON(ERR_peek_error()) == SSL_R_NOT_REPLACING_CERTIFICATE)
        context_mistake(context, KEY(site, "certificate"), &from->certificate,
                        "\"%s\" is a second certificate for the same name with the same kind of "
                        "key; several for one name must differ, for example ECDSA and RSA",
                        from->certificate.path);
    else
        context_mistake(context, KEY(site, "certificate"), &from->certificate,
                        "the certificate in \"%s\" cannot be used (%s)", from->certificate.path,
                        openssl_reason());
    ERR_clear_error();
}

int
site_add_certificate(struct site *site, const struct tls_certificate *from)
{
    struct parts parts = {0};
    int error = 0;

    read_certificate(site, &from->certificate, &parts);
    read_key(site, &from->key, &parts);
    if (parts.certificate != NULL) {
        judge_dates(site, &from->certificate, parts.certificate);
        error = note_end(site->context, &from->certificate, parts.certificate);
    }
    if (complete(&parts))
        judge_pair(site, from, &parts);
    if (error == 0 && complete(&parts) && !site->context->wrong) {
        install(site, from, &parts);
        error = read_staple(site, &from->ocsp, parts.certificate);
    }
    parts_done(&parts);
    return error;
}

void
site_done(struct site *site)
{
    for (size_t i = 0; i < site->staple_count; i++) {
        X509_free(site->staples[i].certificate);
        OPENSSL_free(site->staples[i].der);
    }
    free(site->staples);
    free(site->name);
    SSL_CTX_free(site->ctx);
}
