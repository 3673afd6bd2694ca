/* SPDX-License-Identifier: MIT */
/*
 * fuzz_tls_bundle.c - certificates and keys as another process has packed them
 *
 * What is taken for a bundle lies within its bytes, and packed again it is the
 * same.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/tls_bundle.h"
#include "expect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
look_at(const struct tls_bundle *bundle, const struct tls_text *text)
{
    if (text->bytes == NULL)
        return;
    expect(text->bytes >= bundle->map && text->size < bundle->size);
    expect(text->bytes + text->size < bundle->map + bundle->size);
    expect(text->bytes[text->size] == '\0');
    expect(text->path >= bundle->map && text->path + strlen(text->path) < text->bytes);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct record_writer writer = {0};
    struct tls_bundle *bundle, *again;
    char *bytes;
    size_t packed;

    if (tls_bundle_copy((const char *)data, size, &bundle) < 0)
        return 0;
    expect(bundle->certificate_count > 0);
    tls_bundle_begin(&writer);
    for (size_t i = 0; i < bundle->certificate_count; i++) {
        const struct tls_certificate *certificate = &bundle->certificates[i];

        look_at(bundle, &certificate->certificate);
        look_at(bundle, &certificate->key);
        look_at(bundle, &certificate->ocsp);
        expect(certificate->certificate.bytes != NULL && certificate->key.bytes != NULL);
        tls_bundle_add(&writer, certificate);
    }
    look_at(bundle, &bundle->client_ca);
    look_at(bundle, &bundle->crl);
    tls_bundle_end(&writer, &bundle->client_ca, &bundle->crl);
    expect(record_finish(&writer, &bytes, &packed) == 0);
    expect(tls_bundle_copy(bytes, packed, &again) == 0);
    expect(tls_bundle_equal(bundle, again));
    tls_bundle_unref(again);
    tls_bundle_unref(bundle);
    free(bytes);
    return 0;
}
