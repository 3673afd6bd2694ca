/* SPDX-License-Identifier: MIT */
/*
 * test_tls_bundle.c - certificates and keys as sealed bytes, and bytes that are no such thing
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/memfd.h"
#include "common/secret.h"
#include "common/tls_bundle.h"

#define TEXT(content, name, place)                                                                 \
    {                                                                                              \
        .bytes = (content), .size = sizeof(content) - 1, .path = (name), .file = "x.conf",         \
        .line = (place)                                                                            \
    }

static const struct tls_certificate certificates[] = {
    {.name = NULL, .certificate = TEXT("CERT 1", "/c1", 3), .key = TEXT("KEY\0 1", "/k1", 4)},
    {.name = "*.example.org",
     .certificate = TEXT("CERT 2", "/c2", 5),
     .key = TEXT("KEY 2", "/k2", 6),
     .ocsp = TEXT("\0\1\2", "/o2", 7)},
    {.name = "b.example.org",
     .certificate = {.bytes = "C", .size = 1, .path = "c3"}, /* from a command line */
     .key = {.bytes = "K", .size = 1, .path = "k3", .exposed = true}},
};
static const struct tls_text client_ca = TEXT("CA", "/ca", 8), none;

static char *
pack(size_t count, const struct tls_text *ca, size_t *ret_size)
{
    struct record_writer writer = {0};
    char *bytes;

    tls_bundle_begin(&writer);
    for (size_t i = 0; i < count; i++)
        tls_bundle_add(&writer, &certificates[i]);
    tls_bundle_end(&writer, ca, &none);
    assert_int_equal(record_finish(&writer, &bytes, ret_size), 0);
    return bytes;
}

static struct tls_bundle *
bundle_of(size_t count, const struct tls_text *ca)
{
    struct tls_bundle *bundle;
    size_t size;
    _cleanup_free_ char *bytes = pack(count, ca, &size);

    assert_int_equal(tls_bundle_copy(bytes, size, &bundle), 0);
    return bundle;
}

static void
expect_text(const struct tls_text *got, const struct tls_text *wanted)
{
    assert_int_equal(got->bytes != NULL, wanted->bytes != NULL);
    if (wanted->bytes == NULL)
        return;
    assert_int_equal(got->size, wanted->size);
    assert_memory_equal(got->bytes, wanted->bytes, wanted->size);
    assert_int_equal(got->bytes[got->size], '\0');
    assert_string_equal(got->path, wanted->path);
    if (wanted->file == NULL)
        assert_null(got->file);
    else
        assert_string_equal(got->file, wanted->file);
    assert_int_equal(got->line, wanted->line);
    assert_int_equal(got->exposed, wanted->exposed);
}

static void
expect_all(const struct tls_bundle *bundle)
{
    assert_int_equal(bundle->certificate_count, 3);
    for (size_t i = 0; i < 3; i++) {
        if (certificates[i].name == NULL)
            assert_null(bundle->certificates[i].name);
        else
            assert_string_equal(bundle->certificates[i].name, certificates[i].name);
        expect_text(&bundle->certificates[i].certificate, &certificates[i].certificate);
        expect_text(&bundle->certificates[i].key, &certificates[i].key);
        expect_text(&bundle->certificates[i].ocsp, &certificates[i].ocsp);
    }
    expect_text(&bundle->client_ca, &client_ca);
    assert_null(bundle->crl.bytes);
}

static void
what_is_packed_arrives(void **state)
{
    struct tls_bundle *bundle = bundle_of(3, &client_ca), *workers;

    (void)state;
    expect_all(bundle);
    assert_int_equal(tls_bundle_from_fd(bundle->fd, &workers), 0);
    expect_all(workers);
    assert_ptr_equal(tls_bundle_ref(bundle), bundle);
    tls_bundle_unref(bundle);
    expect_all(bundle); /* one reference is left */
    tls_bundle_unref(bundle);
    expect_all(workers);
    tls_bundle_unref(workers);
    tls_bundle_unref(NULL);
    assert_null(tls_bundle_ref(NULL));
}

/* Every piece of it, and every byte changed: an answer or an error, and nothing is read beyond. */
static void
damaged_bytes_are_refused_or_sound(void **state)
{
    size_t size, refused = 0;
    _cleanup_free_ char *bytes = pack(3, &client_ca, &size);
    struct tls_bundle *bundle;

    (void)state;
    for (size_t i = 0; i < size; i++)
        assert_int_equal(tls_bundle_copy(bytes, i, &bundle), -EBADMSG);
    for (size_t i = 0; i < size; i++) {
        for (unsigned change = 1; change < 256; change <<= 3) {
            bytes[i] ^= (char)change;
            int r = tls_bundle_copy(bytes, size, &bundle);
            if (r == 0)
                tls_bundle_unref(bundle);
            else
                assert_int_equal(r, -EBADMSG);
            refused += r < 0;
            bytes[i] ^= (char)change;
        }
    }
    assert_true(refused > size);
    char longer[] = "x";
    struct record_writer writer = {0};
    record_put_bytes(&writer, bytes, size);
    record_put_bytes(&writer, longer, 1);
    _cleanup_free_ char *more = NULL;
    assert_int_equal(record_finish(&writer, &more, &size), 0);
    assert_int_equal(tls_bundle_copy(more, size, &bundle), -EBADMSG);
}

/* Just one more than there is, a little more, and beyond the memory's end. */
static void
sizes_that_lie_are_refused(void **state)
{
    static const uint64_t sizes[] = {3, 4, 5, 4096, 1000000, 60000000, UINT64_MAX};

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct record_writer writer = {0};
        struct tls_bundle *bundle;
        _cleanup_free_ char *bytes = NULL;
        size_t size;

        tls_bundle_begin(&writer);
        record_put(&writer, "name", "");
        record_put(&writer, "certificate", "1");
        record_put(&writer, "path", "/c");
        record_put(&writer, "file", "");
        record_put(&writer, "line", "0");
        record_put(&writer, "exposed", "0");
        record_put_number(&writer, "size", sizes[i]);
        record_put_bytes(&writer, "abc", 3); /* and no NUL behind it */
        assert_int_equal(record_finish(&writer, &bytes, &size), 0);
        assert_int_equal(tls_bundle_copy(bytes, size, &bundle), -EBADMSG);
    }
}

static void
no_certificate_is_no_bundle(void **state)
{
    size_t size;
    _cleanup_free_ char *bytes = pack(0, &none, &size);
    struct tls_bundle *bundle;

    (void)state;
    assert_int_equal(tls_bundle_copy(bytes, size, &bundle), -EBADMSG);
    assert_int_equal(tls_bundle_copy("", 0, &bundle), -EBADMSG);
}

static void
only_sealed_files_are_believed(void **state)
{
    size_t size;
    _cleanup_free_ char *bytes = pack(3, &client_ca, &size);
    _cleanup_close_ int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    struct tls_bundle *bundle;

    (void)state;
    assert_int_equal(write(fd, bytes, size), size);
    assert_int_equal(tls_bundle_from_fd(fd, &bundle), -EBADMSG);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, MEMFD_SEALS), 0);
    assert_int_equal(tls_bundle_from_fd(fd, &bundle), 0);
    tls_bundle_unref(bundle);
    assert_int_equal(tls_bundle_from_fd(-1, &bundle), -EBADF);
}

/* Equal is what clients would see the same of, and messages too, but for lines. */
static void
equality_is_of_content_and_paths(void **state)
{
    struct tls_bundle *all = bundle_of(3, &client_ca), *same = bundle_of(3, &client_ca);
    struct tls_bundle *fewer = bundle_of(2, &client_ca), *without = bundle_of(3, &none);

    (void)state;
    assert_true(tls_bundle_equal(all, same));
    assert_true(tls_bundle_equal(NULL, NULL));
    assert_false(tls_bundle_equal(all, NULL));
    assert_false(tls_bundle_equal(NULL, all));
    assert_false(tls_bundle_equal(all, fewer));
    assert_false(tls_bundle_equal(all, without));

    struct tls_certificate *one = &same->certificates[1];
    struct tls_text *const texts[] = {&one->certificate, &one->key, &one->ocsp, &same->client_ca};
    for (size_t i = 0; i < 4; i++) {
        struct tls_text before = *texts[i];

        texts[i]->line++;
        texts[i]->file = NULL;
        texts[i]->exposed = !texts[i]->exposed;
        assert_true(tls_bundle_equal(all, same));
        texts[i]->path = "/other";
        assert_false(tls_bundle_equal(all, same));
        texts[i]->path = before.path;
        texts[i]->size--;
        assert_false(tls_bundle_equal(all, same));
        texts[i]->size = before.size;
        texts[i]->bytes = "OTHER BYTES";
        assert_false(tls_bundle_equal(all, same));
        *texts[i] = before;
        assert_true(tls_bundle_equal(all, same));
    }
    one->name = NULL;
    assert_false(tls_bundle_equal(all, same));
    tls_bundle_unref(all);
    tls_bundle_unref(same);
    tls_bundle_unref(fewer);
    tls_bundle_unref(without);
}

/* Nobody may look at memory that was freed, so this test sees only that growing loses nothing. */
static void
secret_memory_keeps_its_content_while_it_grows(void **state)
{
    char *bytes = secret_grow(NULL, 0, 0, 8);

    (void)state;
    assert_non_null(bytes);
    memcpy(bytes, "secret", 7);
    bytes = secret_grow(bytes, 7, 8, 4096);
    assert_non_null(bytes);
    assert_string_equal(bytes, "secret");
    secret_free(bytes, 4096);
    secret_free(NULL, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_packed_arrives),
        cmocka_unit_test(damaged_bytes_are_refused_or_sound),
        cmocka_unit_test(sizes_that_lie_are_refused),
        cmocka_unit_test(no_certificate_is_no_bundle),
        cmocka_unit_test(only_sealed_files_are_believed),
        cmocka_unit_test(equality_is_of_content_and_paths),
        cmocka_unit_test(secret_memory_keeps_its_content_while_it_grows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
