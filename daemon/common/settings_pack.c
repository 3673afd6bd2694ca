/* SPDX-License-Identifier: MIT */
/*
 * settings_pack.c - a listener's settings as bytes, for another process
 *
 * The bytes are records of two NUL-terminated strings, key and value. The first
 * holds the magic and version, the last is "end". Values are written as an
 * operator would write them, and read by the same code, which checks their
 * range. Unknown or repeated keys, values out of range, and bytes behind the end
 * are not accepted.
 *
 * A worker needs the values only. The supervisor, whose settings come from the
 * process that has read the configuration, is also told where each key was
 * given and which values were refused: mistakes that are found later name the
 * line, too. Both are the same program, so what has its default is left out.
 *
 * Runs in:  the supervisor (both), the process that reads the configuration
 *           (pack), a worker (unpack).
 * Owns:     nothing beyond a call.
 * Failures: returned; nobody can be told more than "these bytes are bad".
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/array.h"
#include "common/cleanup.h"
#include "common/records.h"
#include "common/settings_private.h"
#include "common/texts.h"

#define MAGIC   "sockserverd-settings"
#define VERSION "1"

/* An item has at least so many bytes: "text", "form", "file" and "line", each with its NUL, and
 * a NUL for each value. */
#define SMALLEST_ITEM 24

#define MOST_GIDS 65536 /* the kernel's own NGROUPS_MAX */

/* ---- pack ----------------------------------------------------------------- */

static void
put_given(struct record_writer *writer, const struct given *given)
{
    record_put(writer, "text", given->text);
    record_put_number(writer, "form", given->form);
    record_put(writer, "file", given->file == NULL ? "" : given->file);
    record_put_number(writer, "line", given->line);
}

static void
put_options(struct record_writer *writer, const struct settings *settings)
{
    for (size_t i = 0; i < settings->option_count; i++) {
        const struct given *given = &settings->options[i].given;

        record_put(writer, "option", settings->options[i].name);
        put_given(writer, given);
        if (given->form != VALUE_LIST)
            continue;
        record_put_number(writer, "items", given->item_count);
        for (size_t j = 0; j < given->item_count; j++)
            put_given(writer, &given->items[j]);
    }
}

/* Where a key was given: its text is the table's business. */
static void
put_place(struct record_writer *writer, const struct setting *setting, const struct given *place)
{
    record_put(writer, "place", setting->key);
    record_put(writer, "file", place->file == NULL ? "" : place->file);
    record_put_number(writer, "line", place->line);
    record_put_number(writer, "items", place->item_count);
    for (size_t i = 0; i < place->item_count; i++)
        put_given(writer, &place->items[i]);
}

/* Tells which rows are in the set. */
static void
put_names(struct record_writer *writer, const char *what, const struct setting_set *set)
{
    for (size_t i = 0; i < settings_count; i++)
        if (setting_set_has(set, &settings_table[i]))
            record_put(writer, what, settings_table[i].key);
}

static void
put_places(struct record_writer *writer, const struct settings *settings)
{
    put_names(writer, "refused", &settings->refused);
    for (size_t i = 0; settings->places != NULL && i < settings_count; i++)
        if (setting_given(settings, &settings_table[i]))
            put_place(writer, &settings_table[i], &settings->places[i]);
}

/* brief: defaults are left out, as the same program fills them in. */
static void
put_table(struct record_writer *writer, const struct settings *settings, bool brief)
{
    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *setting = &settings_table[i];
        _cleanup_free_ char *text = NULL;

        if (brief && !setting_given(settings, setting) && setting->fallback != NULL)
            continue;
        int r = setting_format(settings, setting, &text);
        if (r == 0)
            record_put(writer, setting->key, text);
        writer->failed = writer->failed || r == -ENOMEM;
    }
}

static void
put_text(struct record_writer *writer, const char *key, const char *text)
{
    if (text != NULL)
        record_put(writer, key, text);
}

static void
put_all(struct record_writer *writer, const struct settings *settings, bool places)
{
    record_put(writer, MAGIC, VERSION);
    record_put(writer, "name", settings->name == NULL ? "" : settings->name);
    put_text(writer, "plugin_file", settings->plugin_file);
    put_text(writer, "login", settings->login);
    put_text(writer, "home", settings->home);
    put_text(writer, "shell", settings->shell);
    record_put_number(writer, "uid", settings->uid);
    record_put_number(writer, "gid", settings->gid);
    record_put_number(writer, "socket_uid", settings->socket_uid);
    record_put_number(writer, "socket_gid", settings->socket_gid);
    for (uint32_t i = 0; i < settings->gid_count; i++)
        record_put_number(writer, "supplementary_gid", settings->gids[i]);
    put_table(writer, settings, places);
    put_options(writer, settings);
    record_put(writer, "file", settings->file == NULL ? "" : settings->file);
    record_put_number(writer, "line", settings->line);
    put_names(writer, "given", &settings->given);
    if (places)
        put_places(writer, settings);
    record_put(writer, "end", "");
}

static int
pack(const struct settings *settings, bool places, char **ret_bytes, size_t *ret_size)
{
    struct record_writer writer = {0};

    put_all(&writer, settings, places);
    return record_finish(&writer, ret_bytes, ret_size);
}

int
settings_pack(const struct settings *settings, char **ret_bytes, size_t *ret_size)
{
    return pack(settings, false, ret_bytes, ret_size);
}

int
settings_pack_places(const struct settings *settings, char **ret_bytes, size_t *ret_size)
{
    return pack(settings, true, ret_bytes, ret_size);
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

/* Reads where the key of that name was given. The values have been read before, so there is a
 * list of places. */
static int
read_place(struct record_reader *reader, const char *key, struct settings *settings)
{
    const struct setting *setting = setting_find(key);
    const char *file, *line_text;
    struct given place = {0};
    uint64_t line;

    if (setting == NULL || settings->places == NULL ||
        record_take_named(reader, "file", &file) < 0 ||
        record_take_named(reader, "line", &line_text) < 0 ||
        record_number(line_text, UINT32_MAX, &line) < 0)
        return -EBADMSG;
    place.file = *file == '\0' ? NULL : file;
    place.line = (unsigned)line;
    int r = read_items(reader, &place);
    if (r == 0)
        r = settings_remember(settings, setting, &place, false);
    free(place.items); /* their strings are the reader's */
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

/* What settings_set() would note by itself, and wrongly: each value here is given, and right. */
struct marks {
    struct setting_set given, refused;
};

static int
read_name(struct setting_set *set, const char *key)
{
    const struct setting *setting = setting_find(key);

    if (setting == NULL || setting_set_has(set, setting))
        return -EBADMSG;
    setting_set_put(set, setting, true);
    return 0;
}

static int
read_records(struct record_reader *reader, struct settings *settings, struct marks *ret)
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
        else if (strcmp(key, "given") == 0)
            r = read_name(&ret->given, value);
        else if (strcmp(key, "refused") == 0)
            r = read_name(&ret->refused, value);
        else if (strcmp(key, "set") == 0)
            continue; /* 0.1.0 numbered the keys that were given, by rows of a table of its own */
        else if (strcmp(key, "place") == 0)
            r = read_place(reader, value, settings);
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

/* True if nothing was refused that was not given. */
static bool
are_sound(const struct marks *marks)
{
    for (size_t i = 0; i < ARRAY_SIZE(marks->given.words); i++)
        if ((marks->refused.words[i] & ~marks->given.words[i]) != 0)
            return false;
    return true;
}

static int
unpack(const char *bytes, size_t size, bool places, struct settings *ret)
{
    struct record_reader reader = {bytes, bytes + size};
    struct settings settings;
    struct marks marks = {0};
    int r = settings_init(&settings, NULL);

    if (r < 0)
        return r;
    r = read_records(&reader, &settings, &marks);
    if (r == 0 && (settings.name == NULL || !are_sound(&marks)))
        r = -EBADMSG;
    if (r == 0)
        r = settings_fill(&settings); /* a program that does not know a key does not write it */
    if (!places)
        forget_places(&settings);
    if (r < 0) {
        settings_done(&settings);
        return r;
    }
    settings.given = marks.given;
    settings.refused = marks.refused;
    *ret = settings;
    return 0;
}

int
settings_unpack(const char *bytes, size_t size, struct settings *ret)
{
    return unpack(bytes, size, false, ret);
}

int
settings_unpack_places(const char *bytes, size_t size, struct settings *ret)
{
    return unpack(bytes, size, true, ret);
}
