/* SPDX-License-Identifier: MIT */
/*
 * tree.c - libconfig's tree, as values that somebody gave
 *
 * libconfig wraps integers beyond 32 bits, rounds fractions, and places the
 * items of a list where the next one begins. In these cases the text of the
 * file says what was written, and where (source.h).
 *
 * Runs in:  the process that reads the configuration (supervisor/change/load.c).
 * Owns:     nothing.
 * Failures: only want of memory, which is returned.
 */
#include "config/tree.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"

static char *
path_of(const config_setting_t *setting)
{
    const config_setting_t *parent = config_setting_parent(setting);
    const char *name = config_setting_name(setting);
    _cleanup_free_ char *prefix = NULL;
    char *path;

    if (name == NULL)
        return strdup("");
    if (parent == NULL || config_setting_is_root(parent))
        return strdup(name);
    prefix = path_of(parent);
    return prefix == NULL || asprintf(&path, "%s.%s", prefix, name) < 0 ? NULL : path;
}

/* Returns the number as it was written if it is a fraction or needs more than 32 bits, as
 * libconfig rounds and wraps. The caller frees it. */
static char *
number_text(const struct source *source, const char *path, const config_setting_t *setting)
{
    const char *number = source_number(source, path);
    char *text;

    if (number != NULL)
        return strdup(number);
    if (config_setting_type(setting) == CONFIG_TYPE_FLOAT)
        return asprintf(&text, "%.15g", config_setting_get_float(setting)) < 0 ? NULL : text;
    return asprintf(&text, "%lld", config_setting_get_int64(setting)) < 0 ? NULL : text;
}

static char *
text_of(const struct source *source, const char *path, const config_setting_t *setting,
        enum value_form *ret_form)
{
    switch (config_setting_type(setting)) {
    case CONFIG_TYPE_STRING:
        *ret_form = VALUE_STRING;
        return strdup(config_setting_get_string(setting));
    case CONFIG_TYPE_BOOL:
        *ret_form = VALUE_BOOLEAN;
        return strdup(config_setting_get_bool(setting) ? "true" : "false");
    case CONFIG_TYPE_INT:
    case CONFIG_TYPE_INT64:
        *ret_form = VALUE_INTEGER;
        return number_text(source, path, setting);
    case CONFIG_TYPE_FLOAT:
        *ret_form = VALUE_FLOAT;
        return number_text(source, path, setting);
    case CONFIG_TYPE_GROUP:
        *ret_form = VALUE_GROUP;
        return strdup("");
    default:
        *ret_form = VALUE_LIST;
        return strdup("");
    }
}

/* Returns the place where libconfig found the setting; the caller frees the name. NULL without
 * memory. */
static char *
place_of(const struct source *source, const config_setting_t *setting, unsigned *ret_line)
{
    return strdup(source_place(source, (unsigned)config_setting_source_line(setting), ret_line));
}

/* Makes room for as many items as the list or group has. */
static int
make_items(const config_setting_t *list, struct given *ret)
{
    size_t count = (size_t)config_setting_length(list);

    if (count > 0 && (ret->items = calloc(count, sizeof(*ret->items))) == NULL)
        return -ENOMEM;
    ret->item_count = count;
    return 0;
}

/* Finds what stands in a group that is an item. These have names, so libconfig places them well. */
static int
find_members(const struct source *source, const config_setting_t *group, struct given *ret)
{
    if (make_items(group, ret) < 0)
        return -ENOMEM;
    for (size_t i = 0; i < ret->item_count; i++) {
        const config_setting_t *member = config_setting_get_elem(group, (unsigned)i);
        struct given *item = &ret->items[i];

        item->key = strdup(config_setting_name(member));
        item->text = text_of(source, "", member, &item->form);
        item->file = place_of(source, member, &item->line);
        if (item->key == NULL || item->text == NULL || item->file == NULL)
            return -ENOMEM;
    }
    return 0;
}

/* Finds one item of a list. Its place is the source's: libconfig puts an item where the next
 * begins. */
static int
find_item(const struct source *source, const char *list, int i, const config_setting_t *item,
          struct given *ret)
{
    _cleanup_free_ char *path = NULL;
    const struct source_entry *entry;

    if (asprintf(&path, "%s.[%d]", list, i) < 0) {
        path = NULL;
        return -ENOMEM;
    }
    entry = source_find(source, path);
    ret->text = text_of(source, path, item, &ret->form);
    ret->file = entry != NULL ? strdup(entry->file) : place_of(source, item, &ret->line);
    ret->line = entry != NULL ? entry->line : ret->line;
    if (ret->text == NULL || ret->file == NULL)
        return -ENOMEM;
    return ret->form == VALUE_GROUP ? find_members(source, item, ret) : 0;
}

static int
find_items(const struct source *source, const char *path, const config_setting_t *list,
           struct given *ret)
{
    if (make_items(list, ret) < 0)
        return -ENOMEM;
    for (size_t i = 0; i < ret->item_count; i++)
        if (find_item(source, path, (int)i, config_setting_get_elem(list, (unsigned)i),
                      &ret->items[i]) < 0)
            return -ENOMEM;
    return 0;
}

int
tree_given(const struct source *source, const config_setting_t *setting, struct given *ret)
{
    _cleanup_free_ char *path = path_of(setting);

    *ret = (struct given){0};
    ret->file = place_of(source, setting, &ret->line);
    ret->text = path == NULL ? NULL : text_of(source, path, setting, &ret->form);
    if (ret->text == NULL || ret->file == NULL)
        return -ENOMEM;
    return ret->form == VALUE_LIST ? find_items(source, path, setting, ret) : 0;
}
