/* SPDX-License-Identifier: MIT */
/*
 * tls_bundle.c - what the files of a listener's `tls` hold
 *
 * The bytes are records (records.h) in the order of tls_bundle_begin(), _add()
 * and _end(). What a file holds stands as it is behind its size, with a NUL byte
 * behind it. A memory file has them, sealed; whoever reads maps it, and the
 * mapping is left out of cores. The process that reads the files is another
 * than the supervisor, and that one's bytes are not believed.
 *
 * Runs in:  the process that reads the configuration, the supervisor, a worker.
 * Owns:     the memory file and its mapping, until the last tls_bundle_unref().
 * Failures: returned; nobody is told more than "these bytes are bad".
 */
#include "common/tls_bundle.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/memfd.h"
#include "common/texts.h"

#define MAGIC   "sockserverd-tls"
#define VERSION "1"
#define LARGEST (64u << 20) /* bytes of a bundle */

/* ---- writing -------------------------------------------------------------------------------- */

static void
put_text(struct record_writer *writer, const char *kind, const struct tls_text *text)
{
    record_put_number(writer, kind, text->bytes != NULL);
    if (text->bytes == NULL)
        return;
    record_put(writer, "path", text->path);
    record_put(writer, "file", text->file == NULL ? "" : text->file);
    record_put_number(writer, "line", text->line);
    record_put_number(writer, "exposed", text->exposed);
    record_put_number(writer, "size", text->size);
    record_put_bytes(writer, text->bytes, text->size);
    record_put_bytes(writer, "", 1);
}

void
tls_bundle_begin(struct record_writer *writer)
{
    record_put(writer, MAGIC, VERSION);
}

void
tls_bundle_add(struct record_writer *writer, const struct tls_certificate *certificate)
{
    record_put(writer, "name", certificate->name == NULL ? "" : certificate->name);
    put_text(writer, "certificate", &certificate->certificate);
    put_text(writer, "key", &certificate->key);
    put_text(writer, "ocsp", &certificate->ocsp);
}

void
tls_bundle_end(struct record_writer *writer, const struct tls_text *client_ca,
               const struct tls_text *crl)
{
    record_put(writer, "rest", "");
    put_text(writer, "client_ca", client_ca);
    put_text(writer, "crl", crl);
}

/* ---- reading -------------------------------------------------------------------------------- */

static int
take_bytes(struct record_reader *reader, struct tls_text *text)
{
    uint64_t size;

    if (record_take_number(reader, "size", LARGEST, &size) < 0 ||
        size >= (uint64_t)(reader->end - reader->at) || reader->at[size] != '\0')
        return -EBADMSG;
    text->bytes = reader->at;
    text->size = size;
    reader->at += size + 1;
    return 0;
}

static int
take_text(struct record_reader *reader, const char *kind, struct tls_text *ret)
{
    struct tls_text text = {0};
    uint64_t given, line, exposed;

    if (record_take_number(reader, kind, 1, &given) < 0)
        return -EBADMSG;
    if (given == 0)
        return 0;
    if (record_take_named(reader, "path", &text.path) < 0 || *text.path == '\0' ||
        record_take_named(reader, "file", &text.file) < 0 ||
        record_take_number(reader, "line", UINT32_MAX, &line) < 0 ||
        record_take_number(reader, "exposed", 1, &exposed) < 0 || take_bytes(reader, &text) < 0)
        return -EBADMSG;
    text.file = *text.file == '\0' ? NULL : text.file;
    text.line = (unsigned)line;
    text.exposed = exposed != 0;
    *ret = text;
    return 0;
}

/* Makes room for one more; the room doubles. */
static int
make_room(struct tls_bundle *bundle)
{
    size_t count = bundle->certificate_count;

    if ((count & (count - 1)) != 0) /* there is room up to the next power of two */
        return 0;
    struct tls_certificate *certificates = reallocarray(
        bundle->certificates, count == 0 ? 1 : 2 * count, sizeof(*bundle->certificates));
    if (certificates == NULL)
        return -ENOMEM;
    bundle->certificates = certificates;
    return 0;
}

/* Takes what follows a certificate's name. */
static int
take_certificate(struct record_reader *reader, const char *name, struct tls_bundle *bundle)
{
    if (make_room(bundle) < 0)
        return -ENOMEM;
    struct tls_certificate *certificate = &bundle->certificates[bundle->certificate_count++];
    *certificate = (struct tls_certificate){.name = *name == '\0' ? NULL : name};
    if (take_text(reader, "certificate", &certificate->certificate) < 0 ||
        take_text(reader, "key", &certificate->key) < 0 ||
        take_text(reader, "ocsp", &certificate->ocsp) < 0 ||
        certificate->certificate.bytes == NULL || certificate->key.bytes == NULL)
        return -EBADMSG;
    return 0;
}

static int
take_all(struct tls_bundle *bundle)
{
    struct record_reader reader = {bundle->map, bundle->map + bundle->size};
    const char *key, *value;
    int r = 0;

    if (record_take_named(&reader, MAGIC, &value) < 0 || strcmp(value, VERSION) != 0)
        return -EBADMSG;
    for (;;) {
        if (record_take(&reader, &key, &value) < 0)
            return -EBADMSG;
        if (strcmp(key, "rest") == 0)
            break;
        if (strcmp(key, "name") != 0)
            return -EBADMSG;
        if ((r = take_certificate(&reader, value, bundle)) < 0)
            return r;
    }
    if (take_text(&reader, "client_ca", &bundle->client_ca) < 0 ||
        take_text(&reader, "crl", &bundle->crl) < 0 || reader.at != reader.end ||
        bundle->certificate_count == 0)
        return -EBADMSG;
    return 0;
}

/* ---- beginning and end ------------------------------------------------------------------ */

/* Maps privately: old kernels refuse to share what is sealed, even for reading. */
static int
map(int fd, struct tls_bundle *bundle)
{
    struct stat status;

    if (fstat(fd, &status) < 0)
        return -errno;
    if (status.st_size <= 0 || status.st_size > LARGEST || fcntl(fd, F_GET_SEALS) != MEMFD_SEALS)
        return -EBADMSG;
    void *bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED)
        return -errno;
    bundle->map = bytes;
    bundle->size = (size_t)status.st_size;
    (void)madvise(bytes, bundle->size, MADV_DONTDUMP);
    return 0;
}

/* Takes fd over, also on failure. */
static int
bundle_new(int fd, struct tls_bundle **ret)
{
    struct tls_bundle *bundle = calloc(1, sizeof(*bundle));

    if (bundle == NULL) {
        (void)close(fd);
        return -ENOMEM;
    }
    bundle->references = 1;
    bundle->fd = fd;
    int r = map(fd, bundle);
    if (r == 0)
        r = take_all(bundle);
    if (r < 0)
        tls_bundle_unref(bundle);
    else
        *ret = bundle;
    return r;
}

int
tls_bundle_copy(const char *bytes, size_t size, struct tls_bundle **ret)
{
    int fd = size > LARGEST ? -EBADMSG : memfd_sealed("tls", bytes, size);

    return fd < 0 ? fd : bundle_new(fd, ret);
}

int
tls_bundle_from_fd(int fd, struct tls_bundle **ret)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

    return copy < 0 ? -errno : bundle_new(copy, ret);
}

struct tls_bundle *
tls_bundle_ref(struct tls_bundle *bundle)
{
    if (bundle != NULL)
        bundle->references++;
    return bundle;
}

void
tls_bundle_unref(struct tls_bundle *bundle)
{
    if (bundle == NULL)
        return;
    assert(bundle->references > 0);
    if (--bundle->references > 0)
        return;
    if (bundle->map != NULL)
        (void)munmap((void *)bundle->map, bundle->size);
    (void)close(bundle->fd);
    free(bundle->certificates);
    free(bundle);
}

/* ---- comparing -------------------------------------------------------------------------- */

static bool
same_text(const struct tls_text *one, const struct tls_text *other)
{
    if (one->bytes == NULL || other->bytes == NULL)
        return one->bytes == other->bytes;
    return one->size == other->size && memcmp(one->bytes, other->bytes, one->size) == 0 &&
           strcmp(one->path, other->path) == 0;
}

bool
tls_bundle_equal(const struct tls_bundle *one, const struct tls_bundle *other)
{
    if (one == NULL || other == NULL || one == other)
        return one == other;
    if (one->certificate_count != other->certificate_count ||
        !same_text(&one->client_ca, &other->client_ca) || !same_text(&one->crl, &other->crl))
        return false;
    for (size_t i = 0; i < one->certificate_count; i++) {
        const struct tls_certificate *a = &one->certificates[i], *b = &other->certificates[i];

        if (!text_equal(a->name, b->name) || !same_text(&a->certificate, &b->certificate) ||
            !same_text(&a->key, &b->key) || !same_text(&a->ocsp, &b->ocsp))
            return false;
    }
    return true;
}
