/* SPDX-License-Identifier: MIT */
/*
 * tls.c - `tls`: the files of certificates and keys, read
 *
 * Root's files are read here, for workers of users who may not. A relative path
 * begins where the daemon was started, like a plugin's.
 *
 * Runs in:  the process that reads the configuration: a disk may let it wait.
 * Owns:     nothing beyond a call. What held a key is wiped.
 * Failures: mistakes go to struct errors, as does want of memory.
 */
#include "config/tls.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/array.h"
#include "common/cleanup.h"
#include "common/secret.h"
#include "common/settings_groups.h"
#include "common/texts.h"
#include "common/tls_module.h"
#include "config/source.h"

#define LONGEST_NAME     253 /* of a host, as DNS has it */
#define LONGEST_LABEL    63
#define LONGEST_PROTOCOL 255 /* of `alpn` */

/* The values of a group of `tls.names`, in the table's order. */
enum name_key { NAME_NAME, NAME_CERTIFICATE, NAME_KEY, NAME_OCSP };
static const char *const name_keys[] = {"name", "certificate", "key", "ocsp"};

struct reading {
    struct settings *settings;
    struct errors *errors;
    struct record_writer writer;
    bool wrong; /* a mistake was told: there will be no files */
};

/* A kind of file. */
struct kind {
    const char *what, *expected;
    size_t largest;
    const char *largest_text;
};

static const struct kind certificate_kind = {"certificate", "a certificate", 1u << 20, "1 MiB"};
static const struct kind key_kind = {"key", "a key", 1u << 20, "1 MiB"};
static const struct kind ocsp_kind = {"OCSP response", "an OCSP response", 1u << 20, "1 MiB"};
static const struct kind client_ca_kind = {"certificates of \"client_ca\"", "certificates",
                                           8u << 20, "8 MiB"};
static const struct kind crl_kind = {"revocation list", "a revocation list", 16u << 20, "16 MiB"};

/* ---- places and mistakes ---------------------------------------------------------------- */

static bool
is_refused(const struct settings *settings, const char *key)
{
    return setting_refused(settings, setting_find(key));
}

/* ---- files ------------------------------------------------------------------------------ */

static void
cannot_read(struct reading *reading, const char *key, const struct given *place,
            const struct kind *kind, const char *path, int error)
{
    _cleanup_free_ char *shown = value_show(path, VALUE_STRING);

    reading->wrong = true;
    if (shown == NULL || error == -ENOMEM)
        reading->errors->exhausted = true;
    else if (error == 0)
        settings_mistake(reading->settings, key, place, reading->errors,
                         "found nothing in %s; expected %s", shown, kind->expected);
    else if (error == -EACCES)
        settings_mistake(reading->settings, key, place, reading->errors,
                         "cannot read the %s in %s: Permission denied; the daemon reads it, which "
                         "runs as uid %u",
                         kind->what, shown, geteuid());
    else if (error == -EFBIG)
        settings_mistake(reading->settings, key, place, reading->errors,
                         "cannot read the %s in %s: it is larger than %s", kind->what, shown,
                         kind->largest_text);
    else
        settings_mistake(reading->settings, key, place, reading->errors,
                         "cannot read the %s in %s: %s", kind->what, shown, source_problem(error));
}

static bool
anybody_reads(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0 && (status.st_mode & S_IROTH) != 0;
}

/* Reads a file into *ret, whose bytes text_done() releases; they are NULL if there is a mistake.
 * path is NULL if the file is not wanted, and otherwise lives as long as *ret, as does place. */
static void
read_file(struct reading *reading, const char *key, const struct given *place,
          const struct kind *kind, const char *path, struct tls_text *ret)
{
    char *bytes = NULL;
    size_t size;

    *ret = (struct tls_text){.path = path, .file = place->file, .line = place->line};
    if (path == NULL)
        return;
    int r = source_read_some(path, kind->largest, &bytes, &size);
    if (r < 0 || size == 0) {
        free(bytes);
        cannot_read(reading, key, place, kind, path, r);
        return;
    }
    ret->bytes = bytes;
    ret->size = size;
    ret->exposed = kind == &key_kind && anybody_reads(path);
}

static void
text_done(struct tls_text *text)
{
    secret_free((void *)text->bytes, text->size);
    text->bytes = NULL;
}

/* Where the files of one certificate are named. */
struct naming {
    const char *name; /* NULL: none */
    const char *keys[3];
    struct given places[3];
    const char *paths[3]; /* NULL: not given */
};

static void
add_certificate(struct reading *reading, const struct naming *naming)
{
    static const struct kind *const kinds[] = {&certificate_kind, &key_kind, &ocsp_kind};
    struct tls_certificate certificate = {.name = naming->name};
    struct tls_text *const texts[] = {&certificate.certificate, &certificate.key,
                                      &certificate.ocsp};

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        read_file(reading, naming->keys[i], &naming->places[i], kinds[i], naming->paths[i],
                  texts[i]);
    if (!reading->wrong)
        tls_bundle_add(&reading->writer, &certificate);
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        text_done(texts[i]);
}

/* ---- certificates ----------------------------------------------------------------------- */

/* True if there is a key for each certificate; otherwise adds a mistake. */
static bool
are_pairs(struct reading *reading)
{
    const struct settings *settings = reading->settings;
    size_t certificates = texts_count(settings->tls.certificate);
    size_t keys = texts_count(settings->tls.key);
    const char *lacks = certificates == 0 ? "certificate" : keys == 0 ? "key" : NULL;
    const char *has = certificates > 0 ? "tls.certificate" : keys > 0 ? "tls.key" : "tls";

    if (is_refused(settings, "tls.certificate") || is_refused(settings, "tls.key"))
        return false;
    if (lacks != NULL)
        settings_mistake_at(settings, setting_find(has), reading->errors,
                            "found no \"%s\"; TLS needs a certificate and its key, such as: "
                            "certificate = \"/etc/ssl/certs/here.pem\"; "
                            "key = \"/etc/ssl/private/here.key\";",
                            lacks);
    else if (certificates != keys)
        settings_mistake_at(settings, setting_find("tls.key"), reading->errors,
                            "found %zu key%s for %zu certificate%s; expected one for each, in the "
                            "same order",
                            keys, keys == 1 ? "" : "s", certificates, certificates == 1 ? "" : "s");
    return lacks == NULL && certificates == keys;
}

static void
add_defaults(struct reading *reading)
{
    const struct settings *settings = reading->settings;

    if (!are_pairs(reading)) {
        reading->wrong = true;
        return;
    }
    for (size_t i = 0; settings->tls.certificate[i] != NULL; i++) {
        const struct naming naming = {
            .keys = {"tls.certificate", "tls.key", "tls.ocsp"},
            .places = {settings_place_of_item(settings, "tls.certificate", i),
                       settings_place_of_item(settings, "tls.key", i),
                       *settings_place(settings, "tls.ocsp")},
            .paths = {settings->tls.certificate[i], settings->tls.key[i],
                      i == 0 ? settings->tls.ocsp : NULL},
        };

        add_certificate(reading, &naming);
    }
}

/* True for "www.example.org" and "*.example.org". */
static bool
is_host(const char *name)
{
    size_t label = 0;

    if (strlen(name) > LONGEST_NAME)
        return false;
    if (strncmp(name, "*.", 2) == 0)
        name += 2;
    for (; *name != '\0'; name++) {
        if (*name == '.' ? label == 0
                         : !isalnum((unsigned char)*name) && strchr("-_", *name) == NULL)
            return false;
        label = *name == '.' ? 0 : label + 1;
        if (label > LONGEST_LABEL)
            return false;
    }
    return label > 0;
}

/* Returns the group's value as a text to free; NULL: without memory, or it has none. */
static char *
value_of(struct reading *reading, const char *group, enum name_key key)
{
    size_t size;
    const char *value = group_value(group, key, &size);
    char *copy = size == 0 ? NULL : strndup(value, size);

    if (size > 0 && copy == NULL)
        reading->wrong = reading->errors->exhausted = true;
    return copy;
}

static bool
same_value(const char *one, const char *other, enum name_key key,
           int (*compare)(const char *, const char *, size_t))
{
    size_t size, other_size;

    one = group_value(one, key, &size);
    other = group_value(other, key, &other_size);
    return size == other_size && compare(one, other, size) == 0;
}

/* One certificate may have several names, and one name several certificates, but only once each. */
static bool
is_twice(const struct settings *settings, size_t i)
{
    for (size_t j = 0; j < i; j++)
        if (same_value(settings->tls.names[i], settings->tls.names[j], NAME_NAME, strncasecmp) &&
            same_value(settings->tls.names[i], settings->tls.names[j], NAME_CERTIFICATE, strncmp))
            return true;
    return false;
}

static void
check_name(struct reading *reading, size_t i, const char *name)
{
    const struct settings *settings = reading->settings;
    const struct given place = group_place(settings_place(settings, "tls.names"), i, "name");
    _cleanup_free_ char *shown = value_show(name, VALUE_STRING);

    if (shown == NULL) {
        reading->wrong = reading->errors->exhausted = true;
    } else if (!is_host(name)) {
        reading->wrong = true;
        settings_mistake(settings, "tls.names.name", &place, reading->errors,
                         "found %s; expected the name of a host, such as \"www.example.org\", or "
                         "\"*.example.org\" for all that have one word more",
                         shown);
    } else if (is_twice(settings, i)) {
        reading->wrong = true;
        settings_mistake(settings, "tls.names.name", &place, reading->errors,
                         "found %s a second time with the same certificate; remove one of them",
                         shown);
    }
}

static void
add_name(struct reading *reading, size_t i)
{
    static const char *const keys[] = {"tls.names.certificate", "tls.names.key", "tls.names.ocsp"};
    const struct settings *settings = reading->settings;
    char *values[ARRAY_SIZE(name_keys)] = {NULL};
    struct naming naming;

    for (size_t j = 0; j < ARRAY_SIZE(values); j++)
        values[j] = value_of(reading, settings->tls.names[i], (enum name_key)j);
    naming.name = values[NAME_NAME];
    for (size_t j = 0; j < ARRAY_SIZE(keys); j++) {
        naming.keys[j] = keys[j];
        naming.paths[j] = values[j + 1];
        naming.places[j] = group_place(settings_place(settings, "tls.names"), i, name_keys[j + 1]);
    }
    if (naming.name != NULL && naming.paths[0] != NULL && naming.paths[1] != NULL) {
        check_name(reading, i, naming.name);
        add_certificate(reading, &naming);
    }
    for (size_t j = 0; j < ARRAY_SIZE(values); j++)
        free(values[j]);
}

/* ---- clients ---------------------------------------------------------------------------- */

static void
lacking(struct reading *reading, const char *key, const char *problem)
{
    const struct setting *setting = setting_find(key);

    reading->wrong = true;
    if (!setting_refused(reading->settings, setting))
        settings_mistake_at(reading->settings, setting, reading->errors, "%s", problem);
}

/* What was meant to keep clients out must not be without effect. */
static void
check_clients(struct reading *reading)
{
    const struct settings *settings = reading->settings;
    const char *unasked = settings->tls.client_ca != NULL ? "tls.client_ca"
                          : settings->tls.crl != NULL     ? "tls.crl"
                                                          : NULL;

    if (settings->tls.client != TLS_CLIENT_NONE && settings->tls.client_ca == NULL)
        lacking(reading, "tls.client",
                "found no \"client_ca\", the file of those who may sign a client's certificate");
    else if (unasked != NULL && !settings_have(settings, "tls.client"))
        lacking(reading, unasked,
                "found no \"client\", so no client is asked for a certificate; expected "
                "client = \"required\"; or client = \"optional\";");
}

static void
check_protocols(struct reading *reading)
{
    const struct settings *settings = reading->settings;

    for (size_t i = 0; i < texts_count(settings->tls.alpn); i++) {
        const struct given place = settings_place_of_item(settings, "tls.alpn", i);
        size_t size = strlen(settings->tls.alpn[i]);

        if (size <= LONGEST_PROTOCOL)
            continue;
        reading->wrong = true;
        settings_mistake(settings, "tls.alpn", &place, reading->errors,
                         "found a protocol of %zu bytes; expected at most %d", size,
                         LONGEST_PROTOCOL);
    }
}

/* Adds what clients are checked against. */
static void
add_rest(struct reading *reading)
{
    const struct settings *settings = reading->settings;
    struct tls_text client_ca, crl;

    read_file(reading, "tls.client_ca", settings_place(settings, "tls.client_ca"), &client_ca_kind,
              settings->tls.client_ca, &client_ca);
    read_file(reading, "tls.crl", settings_place(settings, "tls.crl"), &crl_kind, settings->tls.crl,
              &crl);
    if (!reading->wrong)
        tls_bundle_end(&reading->writer, &client_ca, &crl);
    text_done(&client_ca);
    text_done(&crl);
}

/* ---- the whole -------------------------------------------------------------------------- */

/* True if both were given the key in the same place. */
static bool
same_place(const struct settings *one, const struct settings *other, const char *key)
{
    const struct given *a = settings_place(one, key), *b = settings_place(other, key);

    return a->line == b->line && text_equal(a->file, b->file);
}

/* True if both name the same files in the same places, and would make the same mistakes. */
static bool
are_same(const struct settings *one, const struct settings *other)
{
    static const char *const keys[] = {"tls",           "tls.certificate", "tls.key",
                                       "tls.names",     "tls.ocsp",        "tls.client",
                                       "tls.client_ca", "tls.crl",         "tls.alpn"};

    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        if (!same_place(one, other, keys[i]))
            return false;
    return texts_equal(one->tls.certificate, other->tls.certificate) &&
           texts_equal(one->tls.key, other->tls.key) &&
           texts_equal(one->tls.names, other->tls.names) &&
           text_equal(one->tls.ocsp, other->tls.ocsp) && one->tls.client == other->tls.client &&
           text_equal(one->tls.client_ca, other->tls.client_ca) &&
           text_equal(one->tls.crl, other->tls.crl) && texts_equal(one->tls.alpn, other->tls.alpn);
}

/* Returns the last of the others that names the same files, or NULL. */
static const struct settings *
find_like(const struct settings *settings, const struct settings *others, size_t other_count)
{
    while (other_count-- > 0)
        if (settings_want_tls(&others[other_count]) && are_same(settings, &others[other_count]))
            return &others[other_count];
    return NULL;
}

static bool
is_there(const struct settings *settings, struct errors *errors)
{
    int fd = tls_module_fd();

    if (fd == -ENOENT || fd == -ENOTDIR)
        settings_mistake_at(settings, setting_find("tls"), errors,
                            "this sockserverd was built or installed without TLS: its module "
                            "lib/sockserverd/tls.so is missing; install it, or remove this");
    else if (fd < 0)
        settings_mistake_at(settings, setting_find("tls"), errors,
                            "cannot open the module lib/sockserverd/tls.so: %s", strerror(-fd));
    return fd >= 0;
}

static void
read_all(struct reading *reading)
{
    add_defaults(reading);
    for (size_t i = 0; i < texts_count(reading->settings->tls.names); i++)
        add_name(reading, i);
    check_clients(reading);
    check_protocols(reading);
    add_rest(reading);
}

void
tls_read(struct settings *settings, const struct settings *others, size_t other_count,
         struct errors *errors)
{
    const struct setting *group = setting_find("tls");
    struct reading reading = {.settings = settings, .errors = errors};
    char *bytes;
    size_t size;

    if (!settings_want_tls(settings) || !setting_applies(settings, group) ||
        setting_refused(settings, group) || !is_there(settings, errors))
        return;
    const struct settings *like = find_like(settings, others, other_count);
    if (like != NULL) {
        settings->tls_files = tls_bundle_ref(like->tls_files);
        return;
    }
    tls_bundle_begin(&reading.writer);
    read_all(&reading);
    if (record_finish(&reading.writer, &bytes, &size) < 0) {
        errors->exhausted = true;
        return;
    }
    if (!reading.wrong && tls_bundle_copy(bytes, size, &settings->tls_files) < 0)
        errors->exhausted = true;
    secret_free(bytes, size);
}
