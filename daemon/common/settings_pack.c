/* SPDX-License-Identifier: MIT */
/*
 * settings_pack.c - a listener's settings as bytes, for the worker that runs it
 *
 * The bytes are records of two NUL-terminated strings, key and value. The first
 * holds the magic and version, the last is "end". Values are written as an
 * operator would write them, and read by the same code, which checks their
 * range. Unknown or repeated keys, values out of range, and bytes behind the end
 * are not accepted.
 *
 * Runs in:  the supervisor (pack), a worker (unpack).
 * Owns:     nothing beyond a call.
 * Failures: returned; a worker cannot be told more than "these bytes are bad".
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/array.h"
#include "common/cleanup.h"
#include "common/records.h"
#include "common/settings.h"
#include "common/texts.h"

#define MAGIC   "sockserverd-settings"
#define VERSION "1"

/* An item has at least so many bytes: "text", "form", "file" and "line", each with its NUL, and
 * a NUL for each value. */
#define SMALLEST_ITEM 24

#define MOST_GIDS 65536 /* the kernel's own NGROUPS_MAX */

/* ---- pack ----------------------------------------------------------------- */

static void
put_given(FILE *stream, const struct given *given)
{
    record_put(stream, "text", given->text);
    record_put_number(stream, "form", given->form);
    record_put(stream, "file", given->file == NULL ? "" : given->file);
    record_put_number(stream, "line", given->line);
}

static void
put_options(FILE *stream, const struct settings *settings)
{
    for (size_t i = 0; i < settings->option_count; i++) {
        const struct given *given = &settings->options[i].given;

        record_put(stream, "option", settings->options[i].name);
        put_given(stream, given);
        if (given->form != VALUE_LIST)
            continue;
        record_put_number(stream, "items", given->item_count);
        for (size_t j = 0; j < given->item_count; j++)
            put_given(stream, &given->items[j]);
    }
}

static int
put_table(FILE *stream, const struct settings *settings)
{
    for (size_t i = 0; i < settings_count; i++) {
        _cleanup_free_ char *text = NULL;
        int r = setting_format(settings, &settings_table[i], &text);

        if (r == -ENOMEM)
            return r;
        if (r == 0)
            record_put(stream, settings_table[i].key, text);
    }
    return 0;
}

static void
put_text(FILE *stream, const char *key, const char *text)
{
    if (text != NULL)
        record_put(stream, key, text);
}

static int
put_all(FILE *stream, const struct settings *settings)
{
    int r;

    record_put(stream, MAGIC, VERSION);
    record_put(stream, "name", settings->name == NULL ? "" : settings->name);
    put_text(stream, "plugin_file", settings->plugin_file);
    put_text(stream, "login", settings->login);
    put_text(stream, "home", settings->home);
    put_text(stream, "shell", settings->shell);
    record_put_number(stream, "uid", settings->uid);
    record_put_number(stream, "gid", settings->gid);
    record_put_number(stream, "socket_uid", settings->socket_uid);
    record_put_number(stream, "socket_gid", settings->socket_gid);
    for (uint32_t i = 0; i < settings->gid_count; i++)
        record_put_number(stream, "supplementary_gid", settings->gids[i]);
    r = put_table(stream, settings);
    put_options(stream, settings);
    record_put(stream, "file", settings->file == NULL ? "" : settings->file);
    record_put_number(stream, "line", settings->line);
    record_put_number(stream, "set", settings->set);
    record_put(stream, "end", "");
    return r;
}

int
settings_pack(const struct settings *settings, char **ret_bytes, size_t *ret_size)
{
    _cleanup_free_ char *bytes = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&bytes, &size);
    bool failed;
    int r;

    if (stream == NULL)
        return -ENOMEM;
    r = put_all(stream, settings);
    failed = ferror(stream) != 0;
    if (fclose(stream) != 0 || failed || r < 0)
        return -ENOMEM;
    *ret_bytes = take_pointer(bytes);
    *ret_size = size;
    return 0;
}

/* ---- unpack ----------------------------------------------------------- */

/* Reads one value. The strings of *ret belong to the reader's bytes. */
static int
read_given(struct record_reader *reader, struct given *ret)
{
    const char *text, *form_text, *file, *line_text;
    uint64_t form, line;

    if (record_take_named(reader, "text", &text) < 0 ||
        record_take_named(reader, "form", &form_text) < 0 ||
        record_take_named(reader, "file", &file) < 0 ||
        record_take_named(reader, "line", &line_text) < 0 ||
        record_number(form_text, VALUE_LIST, &form) < 0 ||
        record_number(line_text, UINT32_MAX, &line))
        return -EBADMSG;
    *ret = (struct given){.text = text,
                          .form = (enum value_form)form,
                          .file = *file == '\0' ? NULL : file,
                          .line = (unsigned)line};
    return 0;
}

/* Reads as many items as *ret says, if there are enough bytes for them. The caller frees
 * ret->items. */
static int
read_items(struct record_reader *reader, struct given *ret)
{
    const char *count_text;
    uint64_t count;

    if (record_take_named(reader, "items", &count_text) < 0 ||
        record_number(count_text, (uint64_t)(reader->end - reader->at) / SMALLEST_ITEM, &count) < 0)
        return -EBADMSG;
    if (count == 0)
        return 0;
    ret->items = calloc(count, sizeof(*ret->items));
    if (ret->items == NULL)
        return -ENOMEM;
    for (; ret->item_count < count; ret->item_count++)
        if (read_given(reader, &ret->items[ret->item_count]) < 0)
            return -EBADMSG;
    return 0;
}

static int
read_option(struct record_reader *reader, const char *name, struct settings *settings)
{
    struct given given = {0};
    int r = read_given(reader, &given);

    if (r == 0 && given.form == VALUE_LIST)
        r = read_items(reader, &given);
    if (r == 0)
        r = settings_add_option(settings, name, &given);
    free(given.items); /* their strings are the reader's */
    return r;
}

static int
read_setting(struct settings *settings, const char *key, const char *value)
{
    const struct setting *setting = setting_find(key);
    struct errors errors = {0};
    int r = 0;

    if (setting == NULL || setting_given(settings, setting))
        return -EBADMSG;
    settings_set(settings, key, &(struct given){.text = value}, &errors);
    if (errors_any(&errors))
        r = errors.exhausted ? -ENOMEM : -EBADMSG;
    errors_done(&errors);
    return r;
}

static int
read_gid(struct settings *settings, const char *value)
{
    uint64_t gid;
    gid_t *gids;

    if (record_number(value, UINT32_MAX - 1, &gid) < 0 || settings->gid_count >= MOST_GIDS)
        return -EBADMSG;
    gids = reallocarray(settings->gids, settings->gid_count + 1, sizeof(*gids));
    if (gids == NULL)
        return -ENOMEM;
    settings->gids = gids;
    gids[settings->gid_count++] = (gid_t)gid;
    return 0;
}

static int
read_string(const char *value, char **at)
{
    if (*at != NULL)
        return -EBADMSG; /* given twice */
    if (*value == '\0')
        return 0;
    *at = strdup(value);
    return *at == NULL ? -ENOMEM : 0;
}

/* Reads a key that is not in the table: a string, or a number of 32 bits. */
static int
read_other(struct settings *settings, const char *key, const char *value)
{
    const struct {
        const char *key;
        char **text;
        uint32_t *number;
    } others[] = {
        {"name", &settings->name, NULL},
        {"file", &settings->file, NULL},
        {"plugin_file", &settings->plugin_file, NULL},
        {"login", &settings->login, NULL},
        {"home", &settings->home, NULL},
        {"shell", &settings->shell, NULL},
        {"uid", NULL, &settings->uid},
        {"gid", NULL, &settings->gid},
        {"socket_uid", NULL, &settings->socket_uid},
        {"socket_gid", NULL, &settings->socket_gid},
        {"line", NULL, &settings->line},
    };
    uint64_t number;
    int r;

    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        if (strcmp(others[i].key, key) != 0)
            continue;
        if (others[i].text != NULL)
            return read_string(value, others[i].text);
        r = record_number(value, UINT32_MAX, &number);
        if (r == 0)
            *others[i].number = (uint32_t)number;
        return r;
    }
    return read_setting(settings, key, value);
}

static int
read_records(struct record_reader *reader, struct settings *settings, uint64_t *ret_set)
{
    const char *key, *value;
    int r;

    r = record_take_named(reader, MAGIC, &value);
    if (r < 0 || strcmp(value, VERSION) != 0)
        return -EBADMSG;
    for (;;) {
        r = record_take(reader, &key, &value);
        if (r < 0)
            return r;
        if (strcmp(key, "end") == 0)
            return *value == '\0' && reader->at == reader->end ? 0 : -EBADMSG;
        if (strcmp(key, "option") == 0)
            r = read_option(reader, value, settings);
        else if (strcmp(key, "supplementary_gid") == 0)
            r = read_gid(settings, value);
        else if (strcmp(key, "set") == 0)
            r = record_number(value, UINT64_MAX, ret_set);
        else
            r = read_other(settings, key, value);
        if (r < 0)
            return r;
    }
}

/* Forgets where the keys were given: the file gave them, not these bytes. */
static void
forget_places(struct settings *settings)
{
    for (size_t i = 0; settings->places != NULL && i < settings_count; i++)
        given_done(&settings->places[i]);
    free(settings->places);
    settings->places = NULL;
}

int
settings_unpack(const char *bytes, size_t size, struct settings *ret)
{
    struct record_reader reader = {bytes, bytes + size};
    struct settings settings;
    uint64_t set = 0;
    int r = settings_init(&settings, NULL);

    if (r < 0)
        return r;
    r = read_records(&reader, &settings, &set);
    if (r == 0 && (settings.name == NULL || (settings_count < 64 && set >> settings_count != 0)))
        r = -EBADMSG;
    if (r == 0)
        r = settings_fill(&settings); /* a program that does not know a key does not write it */
    forget_places(&settings);
    if (r < 0) {
        settings_done(&settings);
        return r;
    }
    settings.set = set;
    *ret = settings;
    return 0;
}
