/* SPDX-License-Identifier: MIT */
/*
 * settings_groups.c - a list of groups as the value of one key
 *
 * Each mistake inside a group has the line of its own key, or that of the group
 * if a key is missing. A value has neither tabs nor line ends: these separate
 * values and groups on the way to a worker.
 *
 * Runs in:  the process that reads the configuration; a worker, which checks
 *           only that the groups are sound.
 * Owns:     nothing; struct settings is settings_life.c's.
 * Failures: mistakes go to struct errors, as does want of memory.
 */
#include "common/settings_groups.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/records.h"
#include "common/settings_private.h"
#include "common/suggest.h"
#include "common/texts.h"

/* ---- groups that were read -------------------------------------------------------------- */

const char *
group_value(const char *group, size_t i, size_t *ret_size)
{
    for (; i > 0; i--)
        group += strcspn(group, "\t") + (strchr(group, '\t') != NULL);
    *ret_size = strcspn(group, "\t");
    return group;
}

static size_t
key_count(const struct setting *setting)
{
    return texts_count((char *const *)setting->keys);
}

bool
group_is_sound(const struct setting *setting, const char *group)
{
    size_t count = key_count(setting), tabs = 0;

    for (const char *at = group; *at != '\0'; at++)
        tabs += *at == '\t';
    for (size_t i = 0; i < count - setting->optional; i++) {
        size_t size;

        (void)group_value(group, i, &size);
        if (size == 0)
            return false;
    }
    return tabs + 1 == count;
}

static const struct given *
find_key(const struct given *group, const char *key)
{
    for (size_t i = 0; i < group->item_count; i++)
        if (group->items[i].key != NULL && strcmp(group->items[i].key, key) == 0)
            return &group->items[i];
    return NULL;
}

struct given
group_place(const struct given *list, size_t group, const char *key)
{
    if (group >= list->item_count)
        return *list;
    const struct given *found = find_key(&list->items[group], key);
    return found == NULL ? list->items[group] : *found;
}

/* ---- reading them ----------------------------------------------------------------------- */

struct reading {
    struct settings *settings;
    const struct setting *setting;
    struct errors *errors;
    bool wrong; /* a mistake was told */
};

/* Adds a mistake in the list; key: of the group in it, or NULL. */
static void tell(struct reading *reading, const struct given *place, const char *key,
                 const char *format, ...) __attribute__((format(printf, 4, 5)));

static void
tell(struct reading *reading, const struct given *place, const char *key, const char *format, ...)
{
    const char *list = reading->setting->key;
    _cleanup_free_ char *name = NULL;
    va_list arguments;

    reading->wrong = true;
    va_start(arguments, format);
    _cleanup_free_ char *message = errors_format(reading->errors, format, arguments);
    va_end(arguments);
    if (message == NULL)
        return;
    if (asprintf(&name, "%s%s%s", list, key == NULL ? "" : ".", key == NULL ? "" : key) < 0) {
        name = NULL;
        reading->errors->exhausted = true;
        return;
    }
    settings_mistake(reading->settings, name, place, reading->errors, "%s", message);
}

static bool
is_known(const struct setting *setting, const char *key)
{
    for (size_t i = 0; setting->keys[i] != NULL; i++)
        if (strcmp(setting->keys[i], key) == 0)
            return true;
    return false;
}

static void
unknown_key(struct reading *reading, const struct given *item)
{
    _cleanup_free_ char *shown = value_show(item->key, VALUE_STRING);
    _cleanup_free_ char *phrase = suggest_phrase(item->key, reading->setting->keys);
    _cleanup_free_ char *known = texts_join((char *const *)reading->setting->keys);

    if (shown == NULL || phrase == NULL || known == NULL) {
        reading->wrong = reading->errors->exhausted = true;
        return;
    }
    for (char *at = known; (at = strchr(at, '\n')) != NULL;)
        *at = ' ';
    if (*phrase != '\0')
        tell(reading, item, NULL, "unknown key %s%s", shown, phrase);
    else
        tell(reading, item, NULL, "unknown key %s; expected some of: %s", shown, known);
}

static void
check_item(struct reading *reading, const struct given *item)
{
    bool good = given_is_text(item) && *item->text != '\0' && strpbrk(item->text, "\t\n") == NULL;
    _cleanup_free_ char *shown = value_show(item->text, item->form);

    if (!is_known(reading->setting, item->key))
        unknown_key(reading, item);
    else if (shown == NULL)
        reading->wrong = reading->errors->exhausted = true;
    else if (!good)
        tell(reading, item, item->key,
             "found %s; expected text in quotes, not empty, without tabs or line ends", shown);
}

static void
check_group(struct reading *reading, const struct given *group)
{
    const struct setting *setting = reading->setting;
    size_t needed = key_count(setting) - setting->optional;

    if (group->form != VALUE_GROUP) {
        _cleanup_free_ char *shown = value_show(group->text, group->form);

        if (shown == NULL)
            reading->wrong = reading->errors->exhausted = true;
        else
            tell(reading, group, NULL, "found %s in the list; expected groups, such as %s", shown,
                 setting->example);
        return;
    }
    for (size_t i = 0; i < group->item_count; i++)
        check_item(reading, &group->items[i]);
    for (size_t i = 0; i < needed; i++)
        if (find_key(group, setting->keys[i]) == NULL)
            tell(reading, group, NULL, "found a group without \"%s\"; expected groups such as %s",
                 setting->keys[i], setting->example);
}

/* Returns the group as one text, to free; NULL without memory. */
static char *
join_group(const struct setting *setting, const struct given *group)
{
    struct record_writer writer = {0};
    char *text = NULL;
    size_t size;

    for (size_t i = 0; setting->keys[i] != NULL; i++) {
        const struct given *item = find_key(group, setting->keys[i]);

        if (i > 0)
            record_put_bytes(&writer, "\t", 1);
        if (item != NULL)
            record_put_bytes(&writer, item->text, strlen(item->text));
    }
    record_put_bytes(&writer, "", 1);
    return record_finish(&writer, &text, &size) < 0 ? NULL : text;
}

int
settings_read_groups(struct settings *settings, const struct setting *setting,
                     const struct given *given, struct errors *errors)
{
    struct reading reading = {.settings = settings, .setting = setting, .errors = errors};
    char ***at = settings_member(settings, setting), **texts;

    if (given->form != VALUE_LIST)
        return -EINVAL;
    if ((double)given->item_count > setting->max)
        return -ERANGE;
    for (size_t i = 0; i < given->item_count; i++)
        check_group(&reading, &given->items[i]);
    if (reading.wrong)
        return -EBADMSG;
    texts = calloc(given->item_count + 1, sizeof(*texts));
    for (size_t i = 0; texts != NULL && i < given->item_count; i++)
        if ((texts[i] = join_group(setting, &given->items[i])) == NULL) {
            texts_free(texts);
            texts = NULL;
        }
    if (texts == NULL)
        return -ENOMEM;
    texts_free(*at);
    *at = texts;
    return 0;
}
