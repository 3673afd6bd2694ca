/* SPDX-License-Identifier: MIT */
/*
 * upgrade_tls.c - what the next process of the daemon is told about TLS
 *
 * All settings come first, in their order: each says by number which files it
 * has, and the first that has them is followed by their bytes. Then each listener
 * tells its ticket keys, and what its workers have said about certificates.
 *
 * Runs in:  the supervisor, at an upgrade.
 * Owns:     nothing beyond a call.
 * Failures: noted in the writer or reader.
 */
#include <stdlib.h>

#include "supervisor/change/upgrade_bytes.h"

/* ---- files ------------------------------------------------------------------------------ */

/* Those that were met, in their order. */
struct files {
    struct tls_bundle **bundles;
    uint64_t count;
    struct writer *writer; /* or */
    struct reader *reader;
};

/* Returns the number of the bundle, or 0: it has none yet. */
static uint64_t
number_of(const struct files *files, const struct tls_bundle *bundle)
{
    for (uint64_t i = 0; i < files->count; i++)
        if (files->bundles[i] == bundle)
            return i + 1;
    return 0;
}

static int
add(struct files *files, struct tls_bundle *bundle)
{
    struct tls_bundle **more =
        reallocarray(files->bundles, files->count + 1, sizeof(struct tls_bundle *));

    if (more == NULL)
        return -ENOMEM;
    files->bundles = more;
    more[files->count++] = bundle;
    return 0;
}

static void
put_files(const struct settings *settings, void *userdata)
{
    struct files *files = userdata;
    struct tls_bundle *bundle = settings->tls_files;
    uint64_t number = bundle == NULL ? 0 : number_of(files, bundle);

    if (bundle == NULL || number > 0) {
        put_number(files->writer, number);
        return;
    }
    if (add(files, bundle) < 0) {
        files->writer->error = -ENOMEM;
        return;
    }
    put_number(files->writer, files->count);
    put_number(files->writer, bundle->size);
    put(files->writer, bundle->map, bundle->size);
}

static void
get_files(const struct settings *settings, void *userdata)
{
    struct files *files = userdata;
    struct reader *reader = files->reader;
    uint64_t number = get_number(reader, files->count + 1);
    struct tls_bundle *bundle = NULL;

    if (number == files->count + 1) {
        size_t size = get_number(reader, reader->left);
        const char *bytes = get_piece(reader, size);

        if (bytes != NULL)
            reader->error = tls_bundle_copy(bytes, size, &bundle);
        if (reader->error == 0 && add(files, bundle) < 0)
            reader->error = -ENOMEM;
        if (reader->error != 0)
            tls_bundle_unref(bundle);
    }
    if (number > 0 && reader->error == 0)
        settings_give_tls(settings, files->bundles[number - 1]);
}

/* ---- listeners -------------------------------------------------------------------------- */

static void
put_listener(struct writer *writer, const struct upgrade_tls *tls)
{
    size_t size = tls->path == NULL ? 0 : strlen(tls->path);

    put_number(writer, tls->tickets.count);
    for (uint64_t i = 0; i < tls->tickets.count; i++) {
        put(writer, &tls->tickets.keys[i].key, sizeof(tls->tickets.keys[i].key));
        put_number(writer, tls->tickets.keys[i].made_sec);
    }
    put_number(writer, tls->known);
    put_number(writer, tls->ktls);
    put_number(writer, tls->ends);
    put_number(writer, size);
    if (size > 0)
        put(writer, tls->path, size);
}

static void
get_listener(struct reader *reader, struct upgrade_tls *ret)
{
    uint64_t count = get_number(reader, TICKET_KEYS_MOST);

    for (uint64_t i = 0; i < count; i++) {
        get(reader, &ret->tickets.keys[i].key, sizeof(ret->tickets.keys[i].key));
        ret->tickets.keys[i].made_sec = get_number(reader, UINT64_MAX);
    }
    ret->tickets.count = count;
    ret->known = get_number(reader, 1);
    ret->ktls = get_number(reader, 1);
    ret->ends = get_number(reader, UINT64_MAX);
    size_t size = get_number(reader, reader->left);
    const char *path = get_piece(reader, size);
    if (path == NULL || size == 0)
        return;
    ret->path = strndup(path, size);
    if (ret->path == NULL)
        reader->error = -ENOMEM;
}

/* ---- the whole -------------------------------------------------------------------------- */

void
put_tls(struct writer *writer, const struct upgrade_state *state)
{
    struct files files = {.writer = writer};

    upgrade_visit_settings(state, put_files, &files);
    for (size_t i = 0; i < state->listener_count; i++)
        put_listener(writer, &state->listeners[i].tls);
    free(files.bundles);
}

void
get_tls(struct reader *reader, struct upgrade_state *state)
{
    struct files files = {.reader = reader};

    upgrade_visit_settings(state, get_files, &files);
    for (size_t i = 0; i < state->listener_count && reader->error == 0; i++) {
        free(state->listeners[i].tls.path); /* the record may stand there twice */
        state->listeners[i].tls.path = NULL;
        get_listener(reader, &state->listeners[i].tls);
    }
    for (uint64_t i = 0; i < files.count; i++)
        tls_bundle_unref(files.bundles[i]);
    free(files.bundles);
}
