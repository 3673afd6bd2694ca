/* SPDX-License-Identifier: MIT */
/*
 * fuzz_tls.c - the server's side of a TLS session, fed in any pieces
 *
 * The first byte chooses. Even: the rest are a client's bytes from the beginning,
 * and what becomes of the handshake must not depend on where they are cut. Odd: a
 * real client shakes hands, and the rest is what it then writes; it must arrive
 * whole, and be followed by its end, wherever the records are cut. Its next byte
 * says where that is.
 */
#include <errno.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "expect.h"
#include "worker/tls/module.h"

static struct tls_context *context;
static SSL_CTX *clients;

/* A connection: what the client has sent, of which so much has arrived. */
struct wire {
    const unsigned char *bytes;
    size_t size, taken, arrived;
    BIO *answers; /* NULL: nobody reads them */
};

static ssize_t
receive(void *connection, void *buffer, size_t size)
{
    struct wire *wire = connection;
    size_t there = wire->arrived - wire->taken;

    if (there == 0)
        return wire->arrived == wire->size && wire->answers == NULL ? 0 : -EAGAIN;
    if (size > there)
        size = there;
    memcpy(buffer, wire->bytes + wire->taken, size);
    wire->taken += size;
    return (ssize_t)size;
}

static ssize_t
take_answer(void *connection, const void *bytes, size_t size)
{
    struct wire *wire = connection;

    if (wire->answers != NULL)
        (void)BIO_write(wire->answers, bytes, (int)size);
    return (ssize_t)size;
}

static void
no_mistake(void *userdata, const char *key, const struct tls_text *text, const char *message)
{
    (void)userdata;
    (void)key;
    (void)text;
    expect(message == NULL);
}

static struct tls_text
text_of(BIO *bio)
{
    char *bytes;
    long size = BIO_get_mem_data(bio, &bytes);

    return (struct tls_text){.bytes = bytes, .size = (size_t)size, .path = "memory"};
}

static void
make_context(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x509 = X509_new();
    BIO *certificate_text = BIO_new(BIO_s_mem()), *key_text = BIO_new(BIO_s_mem());

    (void)X509_set_version(x509, X509_VERSION_3);
    (void)X509_gmtime_adj(X509_getm_notBefore(x509), -3600);
    (void)X509_gmtime_adj(X509_getm_notAfter(x509), 3600 * 24 * 30);
    (void)X509_set_pubkey(x509, key);
    expect(X509_sign(x509, key, EVP_sha256()) > 0);
    (void)PEM_write_bio_X509(certificate_text, x509);
    (void)PEM_write_bio_PrivateKey(key_text, key, NULL, NULL, 0, NULL, NULL);
    struct tls_certificate certificate = {.certificate = text_of(certificate_text),
                                          .key = text_of(key_text)};
    struct tls_bundle bundle = {.certificates = &certificate, .certificate_count = 1};
    struct tls_setup setup = {
        .bundle = &bundle,
        .lean = true,
        .host = {.mistake = no_mistake, .receive = receive, .send = take_answer},
    };
    expect(tls_module.context_new(&setup, &context) == 0);
    BIO_free(certificate_text);
    BIO_free(key_text);
    X509_free(x509);
    EVP_PKEY_free(key);
    clients = SSL_CTX_new(TLS_client_method());
}

/* ---- a client's bytes, whatever they are --------------------------------------------- */

/* What becomes of the handshake, and why. step: how many bytes arrive at once. */
static int
shake_hands(const uint8_t *data, size_t size, size_t step, const char **ret_why)
{
    struct wire wire = {.bytes = data, .size = size};
    struct tls_session *session;
    short wanted = 0;
    int error;

    expect(tls_module.session_new(context, &wire, &session) == 0);
    do {
        wire.arrived = size - wire.arrived < step ? size : wire.arrived + step;
        error = tls_module.handshake(session, &wanted);
        expect(error != -EAGAIN || wanted == POLLIN);
    } while (error == -EAGAIN);
    *ret_why = tls_module.failure(session);
    tls_module.session_free(session);
    return error;
}

static void
check_handshake(const uint8_t *data, size_t size)
{
    const char *whole_why, *why;
    int whole = shake_hands(data, size, size + 1, &whole_why);

    for (size_t step = 1; step < 8; step += 2) {
        expect(shake_hands(data, size, step, &why) == whole);
        expect(strcmp(why, whole_why) == 0);
    }
}

/* ---- a real client ------------------------------------------------------------------ */

/* Both sides, until neither has more to say. */
static void
meet(SSL *client, struct wire *wire, struct tls_session *session)
{
    BIO *out = SSL_get_wbio(client);
    unsigned char bytes[16384];
    short wanted;
    int server = -EAGAIN;

    for (int turn = 0; turn < 20 && (server != 0 || !SSL_is_init_finished(client)); turn++) {
        (void)SSL_do_handshake(client);
        int size = BIO_read(out, bytes, sizeof(bytes));
        wire->bytes = bytes;
        wire->taken = 0;
        wire->arrived = wire->size = size > 0 ? (size_t)size : 0;
        server = tls_module.handshake(session, &wanted);
        expect(server == 0 || server == -EAGAIN);
    }
    expect(server == 0);
}

/* The written bytes come out again, and then the end; other than that, only "not yet". */
static void
expect_written(struct tls_session *session, struct wire *wire, const uint8_t *data, size_t size,
               size_t step)
{
    char buffer[1000];
    size_t done = 0;
    short wanted = 0;

    for (;;) {
        ssize_t got = tls_module.read(session, buffer, sizeof(buffer), &wanted);
        if (got == 0)
            break;
        if (got == -EAGAIN) {
            expect(wire->arrived < wire->size);
            expect(!tls_module.ready(session, &wanted));
            wire->arrived = wire->size - wire->arrived < step ? wire->size : wire->arrived + step;
            continue;
        }
        expect(got > 0 && (size_t)got <= size - done);
        expect(memcmp(buffer, data + done, (size_t)got) == 0);
        done += (size_t)got;
    }
    expect(done == size);
    expect(!tls_module.truncated(session));
}

static void
check_stream(const uint8_t *data, size_t size, size_t step)
{
    SSL *client = SSL_new(clients);
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
    struct wire wire = {.answers = in};
    struct tls_session *session;
    char *bytes;

    SSL_set_bio(client, in, out);
    SSL_set_connect_state(client);
    expect(tls_module.session_new(context, &wire, &session) == 0);
    meet(client, &wire, session);
    for (size_t done = 0; done < size;) {
        size_t part = 1 + data[done] % 200u;
        part = part < size - done ? part : size - done;
        expect(SSL_write(client, data + done, (int)part) == (int)part);
        done += part;
    }
    (void)SSL_shutdown(client);
    wire.size = (size_t)BIO_get_mem_data(out, &bytes);
    wire.bytes = (const unsigned char *)bytes;
    wire.taken = wire.arrived = 0;
    expect_written(session, &wire, data, size, step);
    tls_module.session_free(session);
    SSL_free(client);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (context == NULL)
        make_context();
    if (size < 2)
        return 0;
    if (data[0] % 2 == 0)
        check_handshake(data + 1, size - 1);
    else
        check_stream(data + 2, size - 2, 1 + data[1]);
    return 0;
}
