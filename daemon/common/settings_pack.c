/* SPDX-License-Identifier: MIT */
/*
 * settings_pack.c - a listener's settings as bytes, for the worker that runs it
 *
 * Records of two NUL-terminated strings, key and value, first the magic and
 * version, last "end". Values are written as an operator would and read by the
 * same code, so that range checks come for free. Not accepted: unknown or
 * repeated keys, values out of range, bytes behind the end.
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
#include "common/settings.h"

#define MAGIC   "sockserverd-settings"
#define VERSION "1"

/* An item is at least this: "text", "form", "file" and "line", each with its NUL and a value's. */
#define SMALLEST_ITEM 24

static int
format_number(const struct setting *setting, const char *at, char *buffer)
{
    uint32_t integer;
    uint64_t size;
    double seconds;

    switch (setting->type) {
    case SETTING_SIZE:
        memcpy(&size, at, sizeof(size));
        value_format_size(size, buffer);
        return 0;
    case SETTING_DURATION:
        memcpy(&seconds, at, sizeof(seconds));
        value_format_duration(seconds, buffer);
        return 0;
    case SETTING_MODE:
        memcpy(&integer, at, sizeof(integer));
        (void)snprintf(buffer, 32, "%04" PRIo32, integer);
        return integer == UMASK_UNCHANGED ? -ENODATA : 0;
    default:
        memcpy(&integer, at, sizeof(integer));
        (void)snprintf(buffer, 32, "%" PRIu32, integer);
        return integer < setting->min ? -ENODATA : 0; /* request_queue_size: the kernel's */
    }
}

int
setting_format(const struct settings *settings, const struct setting *setting, char **ret)
{
    const char *at = (const char *)settings + setting->offset, *text;
    char buffer[32], *copy;
    int choice, r;

    switch (setting->type) {
    case SETTING_TEXT:
        text = *(char *const *)(const void *)at;
        break;
    case SETTING_ADDRESS:
        text = settings->address.text;
        break;
    case SETTING_BOOLEAN:
        text = *(const bool *)at ? "true" : "false";
        break;
    case SETTING_CHOICE:
        memcpy(&choice, at, sizeof(choice));
        text = setting->choices[choice];
        break;
    default:
        r = format_number(setting, at, buffer);
        if (r < 0)
            return r;
        text = buffer;
    }
    if (text == NULL)
        return -ENODATA;
    copy = strdup(text);
    if (copy == NULL)
        return -ENOMEM;
    *ret = copy;
    return 0;
}

/* ---- pack ------------------------------------------------------------- */

static void
put(FILE *stream, const char *key, const char *value)
{
    (void)fwrite(key, strlen(key) + 1, 1, stream);
    (void)fwrite(value, strlen(value) + 1, 1, stream);
}

static void
put_number(FILE *stream, const char *key, uint64_t value)
{
    char buffer[32];

    (void)snprintf(buffer, sizeof(buffer), "%" PRIu64, value);
    put(stream, key, buffer);
}

static void
put_given(FILE *stream, const struct given *given, bool places)
{
    put(stream, "text", given->text);
    put_number(stream, "form", given->form);
    put(stream, "file", !places || given->file == NULL ? "" : given->file);
    put_number(stream, "line", places ? given->line : 0);
}

static void
put_options(FILE *stream, const struct settings *settings, bool places)
{
    for (size_t i = 0; i < settings->option_count; i++) {
        const struct given *given = &settings->options[i].given;

        put(stream, "option", settings->options[i].name);
        put_given(stream, given, places);
        if (given->form != VALUE_LIST)
            continue;
        put_number(stream, "items", given->item_count);
        for (size_t j = 0; j < given->item_count; j++)
            put_given(stream, &given->items[j], places);
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
            put(stream, settings_table[i].key, text);
    }
    return 0;
}

static int
put_all(FILE *stream, const struct settings *settings, bool places)
{
    int r;

    put(stream, MAGIC, VERSION);
    put(stream, "name", settings->name == NULL ? "" : settings->name);
    if (settings->plugin_file != NULL)
        put(stream, "plugin_file", settings->plugin_file);
    put_number(stream, "uid", settings->uid);
    put_number(stream, "gid", settings->gid);
    put_number(stream, "socket_uid", settings->socket_uid);
    put_number(stream, "socket_gid", settings->socket_gid);
    r = put_table(stream, settings);
    put_options(stream, settings, places);
    if (places) {
        put(stream, "file", settings->file == NULL ? "" : settings->file);
        put_number(stream, "line", settings->line);
        put_number(stream, "set", settings->set);
    }
    put(stream, "end", "");
    return r;
}

static int
pack(const struct settings *settings, bool places, char **ret_bytes, size_t *ret_size)
{
    _cleanup_free_ char *bytes = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&bytes, &size);
    bool failed;
    int r;

    if (stream == NULL)
        return -ENOMEM;
    r = put_all(stream, settings, places);
    failed = ferror(stream) != 0;
    if (fclose(stream) != 0 || failed || r < 0)
        return -ENOMEM;
    *ret_bytes = take_pointer(bytes);
    *ret_size = size;
    return 0;
}

int
settings_pack(const struct settings *settings, char **ret_bytes, size_t *ret_size)
{
    return pack(settings, true, ret_bytes, ret_size);
}

bool
settings_equal(const struct settings *one, const struct settings *other)
{
    _cleanup_free_ char *one_bytes = NULL, *other_bytes = NULL;
    size_t one_size, other_size;

    /* Without memory they differ: a listener is then replaced for nothing, but never kept wrongly.
     */
    return pack(one, false, &one_bytes, &one_size) == 0 &&
           pack(other, false, &other_bytes, &other_size) == 0 && one_size == other_size &&
           memcmp(one_bytes, other_bytes, one_size) == 0;
}

/* ---- unpack ----------------------------------------------------------- */

struct reader {
    const char *at, *end;
};

static int
take_string(struct reader *reader, const char **ret)
{
    const char *nul = memchr(reader->at, '\0', (size_t)(reader->end - reader->at));

    if (nul == NULL)
        return -EBADMSG;
    *ret = reader->at;
    reader->at = nul + 1;
    return 0;
}

static int
take_record(struct reader *reader, const char **ret_key, const char **ret_value)
{
    int r = take_string(reader, ret_key);

    return r < 0 ? r : take_string(reader, ret_value);
}

static int
take_named(struct reader *reader, const char *key, const char **ret_value)
{
    const char *found;
    int r = take_record(reader, &found, ret_value);

    return r < 0 ? r : strcmp(found, key) == 0 ? 0 : -EBADMSG;
}

static int
read_number(const char *text, uint64_t max, uint64_t *ret)
{
    uintmax_t value;
    char *end;

    if (*text < '0' || *text > '9')
        return -EBADMSG;
    errno = 0;
    value = strtoumax(text, &end, 10);
    if (*end != '\0' || errno == ERANGE || value > max)
        return -EBADMSG;
    *ret = value;
    return 0;
}

/* The strings of *ret are the reader's. */
static int
read_given(struct reader *reader, struct given *ret)
{
    const char *text, *form_text, *file, *line_text;
    uint64_t form, line;

    if (take_named(reader, "text", &text) < 0 || take_named(reader, "form", &form_text) < 0 ||
        take_named(reader, "file", &file) < 0 || take_named(reader, "line", &line_text) < 0 ||
        read_number(form_text, VALUE_LIST, &form) < 0 || read_number(line_text, UINT32_MAX, &line))
        return -EBADMSG;
    *ret = (struct given){.text = text,
                          .form = (enum value_form)form,
                          .file = *file == '\0' ? NULL : file,
                          .line = (unsigned)line};
    return 0;
}

/* As many items as are said to follow, if there are bytes for so many. ret->items is to free. */
static int
read_items(struct reader *reader, struct given *ret)
{
    const char *count_text;
    uint64_t count;

    if (take_named(reader, "items", &count_text) < 0 ||
        read_number(count_text, (uint64_t)(reader->end - reader->at) / SMALLEST_ITEM, &count) < 0)
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
read_option(struct reader *reader, const char *name, struct settings *settings)
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
read_string(const char *value, char **at)
{
    if (*at != NULL)
        return -EBADMSG; /* given twice */
    if (*value == '\0')
        return 0;
    *at = strdup(value);
    return *at == NULL ? -ENOMEM : 0;
}

/* What stands beside the table: strings, and numbers of 32 bits. */
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
        r = read_number(value, UINT32_MAX, &number);
        if (r == 0)
            *others[i].number = (uint32_t)number;
        return r;
    }
    return read_setting(settings, key, value);
}

static int
read_records(struct reader *reader, struct settings *settings, uint64_t *ret_set)
{
    const char *key, *value;
    int r;

    r = take_named(reader, MAGIC, &value);
    if (r < 0 || strcmp(value, VERSION) != 0)
        return -EBADMSG;
    for (;;) {
        r = take_record(reader, &key, &value);
        if (r < 0)
            return r;
        if (strcmp(key, "end") == 0)
            return *value == '\0' && reader->at == reader->end ? 0 : -EBADMSG;
        if (strcmp(key, "option") == 0)
            r = read_option(reader, value, settings);
        else if (strcmp(key, "set") == 0)
            r = read_number(value, UINT64_MAX, ret_set);
        else
            r = read_other(settings, key, value);
        if (r < 0)
            return r;
    }
}

/* The keys were given by the file, not by these bytes. */
static void
forget_places(struct settings *settings)
{
    free(settings->places); /* their files are all NULL */
    settings->places = NULL;
}

int
settings_unpack(const char *bytes, size_t size, struct settings *ret)
{
    struct reader reader = {bytes, bytes + size};
    struct settings settings;
    uint64_t set = 0;
    int r = settings_init(&settings, NULL);

    if (r < 0)
        return r;
    r = read_records(&reader, &settings, &set);
    if (r == 0 && (settings.name == NULL || (settings_count < 64 && set >> settings_count != 0)))
        r = -EBADMSG;
    forget_places(&settings);
    if (r < 0) {
        settings_done(&settings);
        return r;
    }
    settings.set = set;
    *ret = settings;
    return 0;
}

int
settings_copy(const struct settings *settings, struct settings *ret)
{
    _cleanup_free_ char *bytes = NULL;
    size_t size;
    int r = settings_pack(settings, &bytes, &size);

    return r < 0 ? r : settings_unpack(bytes, size, ret);
}
