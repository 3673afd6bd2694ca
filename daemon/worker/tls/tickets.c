/* SPDX-License-Identifier: MIT */
/*
 * tickets.c - sessions that clients keep for us, encrypted by keys of the supervisor
 *
 * Nothing is kept here. All workers of a listener get the same keys, later ones
 * too, so a ticket outlives the worker that wrote it.
 *
 * Runs in:  a serving context of a worker.
 * Owns:     nothing; copies of keys are wiped.
 * Failures: a client gets no ticket, or its ticket counts for nothing.
 */
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <string.h>

#include "worker/tls/tls_private.h"

static const struct tls_host *
host_of(SSL *ssl)
{
    const struct site *site = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

    return &site->context->setup.host;
}

static bool
use_mac(EVP_MAC_CTX *mac, struct ticket_key *key)
{
    char digest[] = "SHA256";
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key->mac, sizeof(key->mac)),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };

    return EVP_MAC_CTX_set_params(mac, parameters) == 1;
}

/* 0: no ticket. */
static int
protect(const struct tls_host *host, unsigned char name[16], unsigned char *iv,
        EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
    struct ticket_key key;
    bool done = host->current_key(host->userdata, &key) == 0 && RAND_bytes(iv, 16) == 1 &&
                EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, key.cipher, iv) == 1 &&
                use_mac(mac, &key);

    if (done)
        memcpy(name, key.name, sizeof(key.name));
    OPENSSL_cleanse(&key, sizeof(key));
    return done;
}

/* 0: the ticket counts for nothing; 2: it does, and the client gets a new one. */
static int
unprotect(const struct tls_host *host, const unsigned char name[16], const unsigned char *iv,
          EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
    struct ticket_key key;
    bool renew = false;
    bool done = host->find_key(host->userdata, name, &key, &renew) &&
                EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, key.cipher, iv) == 1 &&
                use_mac(mac, &key);

    OPENSSL_cleanse(&key, sizeof(key));
    return done ? 1 + renew : 0;
}

static int
choose_key(SSL *ssl, unsigned char name[16], unsigned char *iv, EVP_CIPHER_CTX *cipher,
           EVP_MAC_CTX *mac, int protects)
{
    const struct tls_host *host = host_of(ssl);

    return protects ? protect(host, name, iv, cipher, mac) : unprotect(host, name, iv, cipher, mac);
}

/* Whoever goes on with an earlier session is not verified anew; his certificate may have ended. */
static SSL_TICKET_RETURN
accept_ticket(SSL *ssl, SSL_SESSION *session, const unsigned char *name, size_t name_size,
              SSL_TICKET_STATUS status, void *userdata)
{
    const X509 *peer = session == NULL ? NULL : SSL_SESSION_get0_peer(session);

    (void)ssl;
    (void)name;
    (void)name_size;
    (void)userdata;
    if (peer != NULL && X509_cmp_current_time(X509_get0_notAfter(peer)) < 0)
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    switch (status) {
    case SSL_TICKET_SUCCESS:
        return SSL_TICKET_RETURN_USE;
    case SSL_TICKET_SUCCESS_RENEW:
        return SSL_TICKET_RETURN_USE_RENEW;
    case SSL_TICKET_EMPTY:
    case SSL_TICKET_NO_DECRYPT:
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    default:
        return SSL_TICKET_RETURN_ABORT;
    }
}

void
tickets_enable(struct tls_context *context, SSL_CTX *ctx)
{
    (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    if (context->setup.host.current_key != NULL) {
        (void)SSL_CTX_set_timeout(ctx, (long)TICKET_LIFE_SEC);
        (void)SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, choose_key);
        (void)SSL_CTX_set_session_ticket_cb(ctx, NULL, accept_ticket, NULL);
        return;
    }
    (void)SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
    (void)SSL_CTX_set_num_tickets(ctx, 0);
}
