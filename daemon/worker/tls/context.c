/* SPDX-License-Identifier: MIT */
/*
 * context.c - what all TLS connections of a worker share
 *
 * There is a site for each name that clients may ask for, and one for all others.
 * Sites differ by their certificates, and by nothing else.
 *
 * Runs in:  a worker, before it loads its plugin; the choice of a name and of a
 *           protocol in its serving contexts.
 * Owns:     the context. The bundle is the caller's.
 * Failures: mistakes are told; without memory, returned.
 */
#include <errno.h>
#include <openssl/err.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "worker/tls/tls_private.h"

#define NAME_SIZE 256

static void __attribute__((format(printf, 5, 0)))
tell(struct tls_context *context, bool mistake, const char *key, const struct tls_text *text,
     const char *format, va_list arguments)
{
    const struct tls_host *host = &context->setup.host;
    char message[1024];

    (void)vsnprintf(message, sizeof(message), format, arguments);
    (mistake ? host->mistake : host->complain)(host->userdata, key, text, message);
    context->wrong |= mistake;
}

void
context_mistake(struct tls_context *context, const char *key, const struct tls_text *text,
                const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    tell(context, true, key, text, format, arguments);
    va_end(arguments);
}

void
context_complain(struct tls_context *context, const char *key, const struct tls_text *text,
                 const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    tell(context, context->setup.strict, key, text, format, arguments);
    va_end(arguments);
}

const char *
openssl_reason(void)
{
    unsigned long error = ERR_peek_last_error();
    const char *reason = error == 0 ? NULL : ERR_reason_error_string(error);

    ERR_clear_error();
    return reason == NULL ? "no reason given" : reason;
}

/* ---- names ------------------------------------------------------------------------ */

static int
compare_sites(const void *one, const void *other)
{
    return strcmp(((const struct site *)one)->name, ((const struct site *)other)->name);
}

static struct site *
find_site(const struct tls_context *context, const char *name)
{
    const struct site key = {.name = (char *)(uintptr_t)name};

    return context->site_count < 2 ? NULL
                                   : bsearch(&key, context->sites + 1, context->site_count - 1,
                                             sizeof(key), compare_sites);
}

/* In small letters, and without the dot that a full name may end with. False: it is too long. */
static bool
copy_name(const char *name, char ret[NAME_SIZE])
{
    size_t size = strlen(name);

    if (size > 1 && name[size - 1] == '.')
        size--;
    if (size >= NAME_SIZE)
        return false;
    for (size_t i = 0; i < size; i++)
        ret[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] + ('a' - 'A') : name[i]);
    ret[size] = '\0';
    return true;
}

/* The site of that very name, or of "*" in place of its first label; else NULL. */
static const struct site *
match_site(const struct tls_context *context, const char *asked)
{
    char name[NAME_SIZE];

    if (!copy_name(asked, name))
        return NULL;
    const struct site *site = find_site(context, name);
    char *dot = strchr(name, '.');
    if (site != NULL || dot == NULL || dot == name)
        return site;
    dot[-1] = '*';
    return find_site(context, dot - 1);
}

static int
choose_site(SSL *ssl, int *alert, void *userdata)
{
    const char *asked = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    const struct site *site = asked == NULL ? NULL : match_site(userdata, asked);

    *alert = SSL_AD_UNRECOGNIZED_NAME; /* is sent if this fails, which it does not */
    if (site != NULL)
        (void)SSL_set_SSL_CTX(ssl, site->ctx);
    return asked == NULL ? SSL_TLSEXT_ERR_NOACK : SSL_TLSEXT_ERR_OK;
}

/* ---- protocols within TLS ----------------------------------------------------------- */

static int
make_alpn(struct tls_context *context)
{
    size_t size = 0;

    for (char *const *name = context->setup.alpn; name != NULL && *name != NULL; name++)
        size += 1 + strlen(*name);
    if (size == 0)
        return 0;
    context->alpn = malloc(size);
    if (context->alpn == NULL)
        return -ENOMEM;
    for (char *const *name = context->setup.alpn; *name != NULL; name++) {
        size_t length = strlen(*name);
        if (length > 255) {
            context_mistake(context, "alpn", NULL,
                            "\"%.20s...\" has %zu characters; a protocol's name has at most 255",
                            *name, length);
            return 0;
        }
        context->alpn[context->alpn_size++] = (unsigned char)length;
        memcpy(context->alpn + context->alpn_size, *name, length);
        context->alpn_size += (unsigned)length;
    }
    return 0;
}

static int
choose_protocol(SSL *ssl, const unsigned char **ret, unsigned char *ret_size,
                const unsigned char *offered, unsigned offered_size, void *userdata)
{
    const struct tls_context *context = userdata;
    unsigned char *chosen;

    (void)ssl;
    if (SSL_select_next_proto(&chosen, ret_size, context->alpn, context->alpn_size, offered,
                              offered_size) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *ret = chosen;
    return SSL_TLSEXT_ERR_OK;
}

/* ---- sites ------------------------------------------------------------------------- */

/* Sets what OpenSSL reads as text. */
static void
set_texts(struct tls_context *context, SSL_CTX *ctx)
{
    const struct {
        const char *key, *text, *what;
        int (*set)(SSL_CTX *ctx, const char *text);
        const char *command;
    } rows[] = {
        {"ciphers", context->setup.ciphers, "ciphers of TLS 1.2", SSL_CTX_set_cipher_list,
         "openssl ciphers -tls1_2"},
        {"ciphersuites", context->setup.ciphersuites, "ciphers of TLS 1.3",
         SSL_CTX_set_ciphersuites, "openssl ciphers -tls1_3"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        if (rows[i].text != NULL && rows[i].set(ctx, rows[i].text) != 1)
            context_mistake(
                context, rows[i].key, NULL,
                "found \"%s\", which OpenSSL does not take as a list of %s (%s); \"%s\" "
                "lists those that there are",
                rows[i].text, rows[i].what, openssl_reason(), rows[i].command);
    const char *groups = context->setup.groups;
    if (groups != NULL && SSL_CTX_set1_groups_list(ctx, groups) != 1)
        context_mistake(context, "groups", NULL,
                        "found \"%s\", which OpenSSL does not take as a list of groups (%s); "
                        "expected such as \"X25519:P-256\"",
                        groups, openssl_reason());
    ERR_clear_error();
}

static void
set_options(const struct tls_context *context, SSL_CTX *ctx)
{
    long mode = SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER;

    /* Otherwise an end without close_notify would break the writing side, too. */
    (void)SSL_CTX_set_options(ctx, SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_NO_RENEGOTIATION |
                                       SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                       SSL_OP_PRIORITIZE_CHACHA);
    (void)SSL_CTX_set_min_proto_version(ctx, context->setup.newest_only ? TLS1_3_VERSION
                                                                        : TLS1_2_VERSION);
    (void)SSL_CTX_set_mode(ctx, mode | (context->setup.lean ? SSL_MODE_RELEASE_BUFFERS : 0));
    SSL_CTX_set_read_ahead(ctx, 1); /* a record costs one receive and not two */
    (void)SSL_CTX_set_dh_auto(ctx, 1);
}

/* name: NULL for the site of all others. */
static int
add_site(struct tls_context *context, const char *name, struct site **ret)
{
    struct site *site = &context->sites[context->site_count];

    *site = (struct site){.context = context, .ctx = SSL_CTX_new(TLS_server_method())};
    if (site->ctx == NULL)
        return -ENOMEM;
    context->site_count++;
    if (name != NULL && (site->name = strdup(name)) == NULL)
        return -ENOMEM;
    set_options(context, site->ctx);
    if (!context->wrong) /* else it would be said once for each site */
        set_texts(context, site->ctx);
    tickets_enable(context, site->ctx);
    clients_enable(context, site->ctx);
    if (context->alpn != NULL)
        SSL_CTX_set_alpn_select_cb(site->ctx, choose_protocol, context);
    *ret = site;
    return 0;
}

static struct site *
site_of(struct tls_context *context, const char *name)
{
    for (size_t i = 1; i < context->site_count; i++)
        if (strcmp(context->sites[i].name, name) == 0)
            return &context->sites[i];
    return NULL;
}

static int
add_certificate(struct tls_context *context, const struct tls_certificate *certificate)
{
    char name[NAME_SIZE];
    struct site *site = &context->sites[0];
    int error = 0;

    if (certificate->name != NULL) {
        if (!copy_name(certificate->name, name))
            return 0; /* nobody can ask for it */
        site = site_of(context, name);
        if (site == NULL)
            error = add_site(context, name, &site);
    }
    return error < 0 ? error : site_add_certificate(site, certificate);
}

static void
complete_sites(struct tls_context *context)
{
    if (context->site_count > 2)
        qsort(context->sites + 1, context->site_count - 1, sizeof(struct site), compare_sites);
    for (size_t i = 0; i < context->site_count; i++) {
        SSL_CTX_set_app_data(context->sites[i].ctx, &context->sites[i]);
        site_enable_staples(&context->sites[i]);
    }
    (void)SSL_CTX_set_tlsext_servername_callback(context->sites[0].ctx, choose_site);
    (void)SSL_CTX_set_tlsext_servername_arg(context->sites[0].ctx, context);
}

static int
fill(struct tls_context *context)
{
    const struct tls_bundle *bundle = context->setup.bundle;
    struct site *site;

    context->sites = calloc(bundle->certificate_count + 1, sizeof(struct site));
    if (context->sites == NULL)
        return -ENOMEM;
    int error = make_alpn(context);
    if (error == 0)
        error = clients_read(context);
    if (error == 0)
        error = add_site(context, NULL, &site);
    for (size_t i = 0; i < bundle->certificate_count && error == 0; i++)
        error = add_certificate(context, &bundle->certificates[i]);
    if (error == 0)
        complete_sites(context);
    return error < 0 ? error : context->wrong ? -EINVAL : 0;
}

int
context_new(const struct tls_setup *setup, struct tls_context **ret)
{
    struct tls_context *context = calloc(1, sizeof(*context));

    if (context == NULL)
        return -ENOMEM;
    /* Threads may run in here until the process is gone. */
    (void)OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, NULL);
    context->setup = *setup;
    int error = fill(context);
    context->setup.bundle = NULL;
    ERR_clear_error();
    if (error < 0)
        context_free(context);
    else
        *ret = context;
    return error;
}

void
context_free(struct tls_context *context)
{
    if (context == NULL)
        return;
    for (size_t i = 0; i < context->site_count; i++)
        site_done(&context->sites[i]);
    free(context->sites);
    clients_done(context);
    free(context->alpn);
    free(context->first_path);
    free(context);
}

int64_t
context_first_end(const struct tls_context *context, const char **ret_path)
{
    *ret_path = context->first_path;
    return context->first_end;
}
