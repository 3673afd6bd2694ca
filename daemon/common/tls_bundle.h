/* SPDX-License-Identifier: MIT */
/*
 * tls_bundle.h - what the files of a listener's `tls` hold: certificates and keys
 *
 * Its bytes stand in one sealed memory file, which the listener's workers are
 * given. They are secret: nobody prints them, and no core holds them.
 */
#ifndef SOCKSERVERD_COMMON_TLS_BUNDLE_H
#define SOCKSERVERD_COMMON_TLS_BUNDLE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/records.h"

/* What one file holds. */
struct tls_text {
    const char *bytes; /* as they are in the file; NULL: no such file was given */
    size_t size;
    const char *path; /* as written */
    const char *file; /* where the configuration names the path; NULL: on the command line */
    unsigned line;
    bool exposed; /* anybody may read the file */
};

struct tls_certificate {
    const char *name; /* of `tls.names`; NULL: one for clients that ask for no such name */
    struct tls_text certificate, key, ocsp;
};

/* It never changes; its holders are counted, in a process that has one thread. Everything in it
 * lives as long as the last of them. */
struct tls_bundle {
    struct tls_certificate *certificates; /* in the order of the configuration */
    size_t certificate_count;             /* at least one */
    struct tls_text client_ca, crl;

    unsigned references; /* these are the bundle's own */
    int fd;
    const char *map;
    size_t size;
};

/* Begins the bytes of a bundle. Then each certificate is added, whose name and ocsp.bytes may be
 * NULL, and last the rest, each of which may have NULL for bytes. */
void tls_bundle_begin(struct record_writer *writer);
void tls_bundle_add(struct record_writer *writer, const struct tls_certificate *certificate);
void tls_bundle_end(struct record_writer *writer, const struct tls_text *client_ca,
                    const struct tls_text *crl);

/* Copies bytes, which may be anybody's, into a memory file. Returns 0 and the first reference;
 * -EBADMSG if they are no bundle; or another negative errno. */
int tls_bundle_copy(const char *bytes, size_t size, struct tls_bundle **ret);
/* Takes a bundle from the memory file of another process; fd stays the caller's. Returns the same.
 */
int tls_bundle_from_fd(int fd, struct tls_bundle **ret);

/* NULL is fine in both. */
struct tls_bundle *tls_bundle_ref(struct tls_bundle *bundle);
void tls_bundle_unref(struct tls_bundle *bundle);

/* True if both hold the same, under the same names and paths. Either may be NULL. */
bool tls_bundle_equal(const struct tls_bundle *one, const struct tls_bundle *other);

#endif
