/* SPDX-License-Identifier: MIT */
/*
 * config_pack.c - a configuration as bytes, for the process that shall serve it
 *
 * The file is read in a process of its own (supervisor/change/load.c), which
 * hands over what has come of it: records of two texts, key and value, in the
 * order of pack(). Each table of networks follows once, however many listeners
 * have it, and then each listener as the bytes of settings_pack_places(), with
 * what its files of `tls` hold; all of these stand behind their size.
 *
 * Whoever unpacks does not trust the bytes, as the process that wrote them has
 * run a parser over a file that could hold anything: every number has its
 * range, every text is checked as its setting is, and there is nothing behind
 * the end.
 *
 * Runs in:  the process that reads the configuration (pack), the supervisor
 *           and --check (unpack).
 * Owns:     nothing beyond a call.
 * Failures: returned.
 */
#include "config/config_pack.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "common/array.h"
#include "common/cleanup.h"
#include "common/records.h"

#define MAGIC          "sockserverd-configuration"
#define VERSION        "1"
#define LARGEST_ERROR  4095 /* the kernel's own limit */
#define LONGEST_SOCKET (sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1)

/* ---- pack --------------------------------------------------------------------------------- */

static void
put_text(struct record_writer *writer, const char *key, const char *text)
{
    record_put(writer, key, text == NULL ? "" : text);
}

static void
put_errors(struct record_writer *writer, const struct errors *errors)
{
    record_put_number(writer, "errors", errors->count);
    for (size_t i = 0; i < errors->count; i++)
        record_put(writer, "error", errors->texts[i]);
    record_put_number(writer, "more", errors->more);
    record_put_number(writer, "exhausted", errors->exhausted);
}

static void
put_globals(struct record_writer *writer, const struct config *config)
{
    put_text(writer, "file", config->file);
    put_text(writer, "plugin_path", config->plugin_path);
    record_put_number(writer, "pre_stop_delay", (uint64_t)(config->pre_stop_delay * 1e6 + 0.5));
    record_put_number(writer, "reload_auto", config->reload_auto);
    put_text(writer, "log.target", config->log.target);
    record_put_number(writer, "log.level", (uint64_t)config->log.level);
    record_put_number(writer, "log.format", config->log.format);
    record_put_number(writer, "log.access", config->log.access);
    put_text(writer, "control.path", config->control.path);
    record_put_number(writer, "control.mode", config->control.mode);
    put_text(writer, "control.group", config->control.group);
    record_put_number(writer, "control.gid", config->control.gid);
}

static void
put_files(struct record_writer *writer, const struct read_files *files)
{
    record_put_number(writer, "files_read", files->count);
    for (size_t i = 0; i < files->count; i++) {
        const struct file_stamp *stamp = &files->files[i].stamp;

        record_put(writer, "path", files->files[i].path);
        record_put_number(writer, "device", stamp->device);
        record_put_number(writer, "inode", stamp->inode);
        record_put_number(writer, "size", (uint64_t)stamp->size);
        record_put_number(writer, "seconds", (uint64_t)stamp->changed.tv_sec);
        record_put_number(writer, "nanoseconds", (uint64_t)stamp->changed.tv_nsec);
    }
}

static void
put_tables(struct record_writer *writer, const struct config *config, struct access_lists *tables)
{
    for (size_t i = 0; i < config->listener_count; i++)
        if (access_lists_add(tables, config->listeners[i]->access) < 0)
            writer->failed = true;
    record_put_number(writer, "tables", tables->count);
    for (uint64_t i = 0; i < tables->count; i++) {
        const struct networks *networks = access_list_networks(tables->lists[i]);

        record_put_number(writer, "table", networks_size(networks));
        record_put_bytes(writer, (const char *)networks, networks_size(networks));
    }
}

/* Says which listener is the first with the same files of `tls`, counted from 1; 0: there are none.
 * If it is this one, they follow. */
static void
put_tls(struct record_writer *writer, const struct config *config, size_t i)
{
    const struct tls_bundle *files = config->listeners[i]->tls_files;
    size_t first = 0;

    while (config->listeners[first]->tls_files != files)
        first++;
    record_put_number(writer, "tls", files == NULL ? 0 : first + 1);
    if (files == NULL || first < i)
        return;
    record_put_number(writer, "files", files->size);
    record_put_bytes(writer, files->map, files->size);
}

/* Each listener says which of the tables it has; 0: none. */
static void
put_listeners(struct record_writer *writer, const struct config *config)
{
    struct access_lists tables = {0};

    put_tables(writer, config, &tables);
    record_put_number(writer, "listeners", config->listener_count);
    for (size_t i = 0; i < config->listener_count; i++) {
        _cleanup_free_ char *bytes = NULL;
        size_t size = 0;

        if (settings_pack_places(config->listeners[i], &bytes, &size) < 0)
            writer->failed = true;
        record_put_number(writer, "access",
                          access_lists_number(&tables, config->listeners[i]->access));
        record_put_number(writer, "listener", size);
        record_put_bytes(writer, bytes, size);
        put_tls(writer, config, i);
    }
    free(tables.lists);
}

int
config_pack(int result, const struct config *config, const struct errors *errors, char **ret_bytes,
            size_t *ret_size)
{
    struct record_writer writer = {0};

    record_put(&writer, MAGIC, VERSION);
    record_put_number(&writer, "result", (uint64_t)-result);
    put_errors(&writer, errors);
    put_globals(&writer, config);
    put_files(&writer, &config->files);
    put_listeners(&writer, config);
    record_put(&writer, "end", "");
    return record_finish(&writer, ret_bytes, ret_size);
}

/* ---- unpack ------------------------------------------------------------------------------- */

/* Takes a text, or NULL for an empty one, as nobody can give an empty text here. */
static int
take_text(struct record_reader *reader, const char *key, char **ret)
{
    const char *value;
    int r = record_take_named(reader, key, &value);

    if (r < 0 || *value == '\0')
        return r;
    *ret = strdup(value);
    return *ret == NULL ? -ENOMEM : 0;
}

static int
take_errors(struct record_reader *reader, struct errors *ret)
{
    uint64_t count, more, exhausted;
    const char *text;

    if (record_take_number(reader, "errors", ERRORS_TOLD + 1, &count) < 0)
        return -EBADMSG;
    for (uint64_t i = 0; i < count; i++) {
        if (record_take_named(reader, "error", &text) < 0)
            return -EBADMSG;
        errors_repeat(ret, text);
    }
    if (ret->exhausted)
        return -ENOMEM;
    if (record_take_number(reader, "more", SIZE_MAX, &more) < 0 ||
        record_take_number(reader, "exhausted", 1, &exhausted) < 0 ||
        (more > 0) != errors_full(ret))
        return -EBADMSG;
    ret->more = more;
    ret->exhausted = exhausted != 0;
    return 0;
}

static int
take_texts(struct record_reader *reader, struct config *ret, uint64_t numbers[])
{
    const struct {
        const char *key;
        char **text;
        uint64_t max; /* of a number */
    } rows[] = {
        {"file", &ret->file, 0},
        {"plugin_path", &ret->plugin_path, 0},
        {"pre_stop_delay", NULL, UINT64_C(3600000000)},
        {"reload_auto", NULL, 1},
        {"log.target", &ret->log.target, 0},
        {"log.level", NULL, LOG_DEBUG},
        {"log.format", NULL, LOG_AS_JSON},
        {"log.access", NULL, 1},
        {"control.path", &ret->control.path, 0},
        {"control.mode", NULL, 0777},
        {"control.group", &ret->control.group, 0},
        {"control.gid", NULL, UINT32_MAX},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        int r = rows[i].text != NULL
                    ? take_text(reader, rows[i].key, rows[i].text)
                    : record_take_number(reader, rows[i].key, rows[i].max, numbers++);
        if (r < 0)
            return r;
    }
    return 0;
}

static int
take_globals(struct record_reader *reader, struct config *ret)
{
    uint64_t numbers[7];
    int r = take_texts(reader, ret, numbers);

    if (r < 0)
        return r;
    ret->pre_stop_delay = (double)numbers[0] / 1e6;
    ret->reload_auto = numbers[1] != 0;
    ret->log.level = (int)numbers[2];
    ret->log.format = (enum log_format)numbers[3];
    ret->log.access = numbers[4] != 0;
    ret->control.mode = (uint32_t)numbers[5];
    ret->control.gid = (gid_t)numbers[6];
    return 0;
}

static int
take_stamp(struct record_reader *reader, struct file_stamp *ret)
{
    static const char *const keys[] = {"device", "inode", "size", "seconds", "nanoseconds"};
    uint64_t numbers[ARRAY_SIZE(keys)];

    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        if (record_take_number(reader, keys[i], UINT64_MAX, &numbers[i]) < 0)
            return -EBADMSG;
    *ret = (struct file_stamp){
        .device = (dev_t)numbers[0],
        .inode = (ino_t)numbers[1],
        .size = (off_t)numbers[2],
        .changed = {.tv_sec = (time_t)numbers[3], .tv_nsec = (long)numbers[4]},
    };
    return 0;
}

static int
take_files(struct record_reader *reader, struct read_files *ret)
{
    struct file_stamp stamp;
    uint64_t count;
    const char *path;

    if (record_take_number(reader, "files_read", READ_FILES_MOST, &count) < 0)
        return -EBADMSG;
    for (uint64_t i = 0; i < count; i++) {
        if (record_take_named(reader, "path", &path) < 0 || take_stamp(reader, &stamp) < 0)
            return -EBADMSG;
        int r = read_files_add(ret, path, &stamp);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Whether everything is there that a configuration always has. */
static bool
is_whole(const struct config *config)
{
    return config->plugin_path != NULL && config->log.target != NULL &&
           config->control.path != NULL && config->control.path[0] == '/' &&
           strlen(config->control.path) <= LONGEST_SOCKET;
}

/* Takes the size of what follows, which must all be there. */
static int
take_size(struct record_reader *reader, const char *key, uint64_t *ret)
{
    if (record_take_number(reader, key, (uint64_t)(reader->end - reader->at), ret) < 0 ||
        *ret > (uint64_t)(reader->end - reader->at))
        return -EBADMSG;
    return 0;
}

/* The tables are the reader's until listeners hold them. */
static void
tables_done(struct access_lists *tables)
{
    for (uint64_t i = 0; i < tables->count; i++)
        access_list_unref(tables->lists[i]);
    free(tables->lists);
}

static int
take_tables(struct record_reader *reader, struct access_lists *ret)
{
    uint64_t count, size;

    if (record_take_number(reader, "tables", (uint64_t)(reader->end - reader->at), &count) < 0)
        return -EBADMSG;
    ret->lists = calloc(count + 1, sizeof(struct access_list *));
    if (ret->lists == NULL)
        return -ENOMEM;
    while (ret->count < count) {
        if (take_size(reader, "table", &size) < 0)
            return -EBADMSG;
        int r = access_list_copy(reader->at, size, &ret->lists[ret->count]);
        if (r < 0)
            return r;
        ret->count++;
        reader->at += size;
    }
    return 0;
}

/* Takes the files of the listener that comes behind those in config. */
static int
take_tls(struct record_reader *reader, const struct config *config, struct settings *settings)
{
    uint64_t number, size;

    if (record_take_number(reader, "tls", config->listener_count + 1, &number) < 0)
        return -EBADMSG;
    if (number == 0)
        return 0;
    if (number <= config->listener_count) {
        settings->tls_files = tls_bundle_ref(config->listeners[number - 1]->tls_files);
        return settings->tls_files == NULL ? -EBADMSG : 0;
    }
    if (take_size(reader, "files", &size) < 0)
        return -EBADMSG;
    int r = tls_bundle_copy(reader->at, size, &settings->tls_files);
    reader->at += size;
    return r;
}

static int
take_listener(struct record_reader *reader, const struct access_lists *tables,
              struct config *config)
{
    struct settings settings;
    uint64_t table, size;

    if (record_take_number(reader, "access", tables->count, &table) < 0 ||
        take_size(reader, "listener", &size) < 0)
        return -EBADMSG;
    int r = settings_unpack_places(reader->at, size, &settings);
    if (r < 0)
        return r;
    reader->at += size;
    if (table > 0)
        settings.access = access_list_ref(tables->lists[table - 1]);
    r = take_tls(reader, config, &settings);
    if (r < 0) {
        settings_done(&settings);
        return r;
    }
    return config_add_listener(config, &settings);
}

static int
take_listeners(struct record_reader *reader, struct config *ret)
{
    struct access_lists tables = {0};
    uint64_t count;
    int r = take_tables(reader, &tables);

    if (r == 0)
        r = record_take_number(reader, "listeners", SIZE_MAX, &count);
    for (uint64_t i = 0; r == 0 && i < count; i++)
        r = take_listener(reader, &tables, ret);
    tables_done(&tables);
    return r;
}

/* Whether each listener with lists has its table, and each with `tls` its files: without them it
 * would let everybody in, or speak in the clear. */
static bool
is_complete(const struct config *config)
{
    for (size_t i = 0; i < config->listener_count; i++) {
        const struct settings *settings = config->listeners[i];

        if (settings_restrict_access(settings) != (settings->access != NULL) ||
            settings_want_tls(settings) != (settings->tls_files != NULL))
            return false;
    }
    return true;
}

static int
unpack(struct record_reader *reader, int *ret_result, struct config *config, struct errors *errors)
{
    const char *value;
    uint64_t result;
    int r;

    if (record_take_named(reader, MAGIC, &value) < 0 || strcmp(value, VERSION) != 0 ||
        record_take_number(reader, "result", LARGEST_ERROR, &result) < 0)
        return -EBADMSG;
    if ((r = take_errors(reader, errors)) < 0 || (r = take_globals(reader, config)) < 0 ||
        (r = take_files(reader, &config->files)) < 0 || (r = take_listeners(reader, config)) < 0)
        return r;
    if (record_take_named(reader, "end", &value) < 0 || reader->at != reader->end ||
        (result == 0 && errors_any(errors)))
        return -EBADMSG;
    if ((result == 0 || result == EINVAL) && !is_whole(config))
        return -EBADMSG;
    if (result == 0 && !is_complete(config))
        return -EBADMSG;
    *ret_result = -(int)result;
    return 0;
}

int
config_unpack(const char *bytes, size_t size, int *ret_result, struct config *ret_config,
              struct errors *ret_errors)
{
    struct record_reader reader = {bytes, bytes + size};
    struct config config = {0};
    struct errors errors = {0};
    int r = unpack(&reader, ret_result, &config, &errors);

    if (r < 0) {
        config_done(&config);
        errors_done(&errors);
        return r;
    }
    *ret_config = config;
    *ret_errors = errors;
    return 0;
}
