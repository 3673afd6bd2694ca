/* SPDX-License-Identifier: MIT */
/*
 * read.c - one file of the configuration, from libconfig's tree to settings
 *
 * These functions walk the tree in the order of the file, so that mistakes come
 * in that order, too. Every value is carried on as text with its form and place.
 *
 * Runs in:  the process that reads the configuration (supervisor/change/load.c).
 * Owns:     the tree and the text of the file, until config_read_one() returns.
 * Failures: mistakes go to struct errors, as does want of memory.
 */
#include "config/read.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/array.h"
#include "common/cleanup.h"
#include "common/suggest.h"
#include "config/global.h"
#include "config/source.h"
#include "config/tree.h"

#define LONGEST_NAME 63

/* One file of the configuration. */
struct file {
    struct source source;
    config_t parsed;
    bool drop_in;
};

#define _cleanup_given_ __attribute__((cleanup(given_done)))

/* Finds the value of a setting. Returns false without memory, and notes that. given_done()
 * releases *ret in both cases. */
static bool
find(struct loading *loading, const struct file *file, const config_setting_t *setting,
     struct given *ret)
{
    if (tree_given(&file->source, setting, ret) == 0)
        return true;
    loading->errors->exhausted = true;
    return false;
}

static config_setting_t *
child_of(const config_setting_t *setting, int i)
{
    return config_setting_get_elem(setting, (unsigned)i);
}

/* True if the setting is a group; otherwise adds a mistake, which names it as `where` does. */
static bool
is_group(struct loading *loading, const config_setting_t *setting, const char *where,
         const struct given *found)
{
    _cleanup_free_ char *shown = NULL;

    if (config_setting_is_group(setting))
        return true;
    shown = value_show(found->text, found->form);
    if (shown == NULL)
        loading->errors->exhausted = true;
    else
        errors_add(loading->errors, found->file, found->line,
                   "%s: found %s; expected a group, in braces: { ... }", where, shown);
    return false;
}

/* ---- listeners ---------------------------------------------------------- */

static void
read_options(struct loading *loading, const struct file *file, const config_setting_t *group,
             struct settings *settings)
{
    for (int i = 0; i < config_setting_length(group); i++) {
        const config_setting_t *option = child_of(group, i);
        _cleanup_given_ struct given found;

        if (find(loading, file, option, &found) &&
            settings_add_option(settings, config_setting_name(option), &found) < 0)
            loading->errors->exhausted = true;
    }
}

/* Reads a group of a listener: the group's name is put in front of each key. */
static void
read_group(struct loading *loading, const struct file *file, const config_setting_t *group,
           struct settings *settings)
{
    for (int i = 0; i < config_setting_length(group); i++) {
        const config_setting_t *setting = child_of(group, i);
        _cleanup_free_ char *key = NULL;
        _cleanup_given_ struct given found;

        if (!find(loading, file, setting, &found))
            continue;
        if (asprintf(&key, "%s.%s", config_setting_name(group), config_setting_name(setting)) < 0) {
            key = NULL;
            loading->errors->exhausted = true;
            continue;
        }
        settings_set(settings, key, &found, loading->errors);
    }
}

static bool
is_key_group(const char *key)
{
    const struct setting *setting = setting_find(key);

    return setting != NULL && setting->type == SETTING_GROUP;
}

static void
read_key(struct loading *loading, const struct file *file, const config_setting_t *setting,
         struct settings *settings)
{
    const char *key = config_setting_name(setting);
    _cleanup_free_ char *where = NULL;
    _cleanup_given_ struct given found;

    if (!find(loading, file, setting, &found))
        return;
    if (strcmp(key, "options") != 0) {
        settings_set(settings, key, &found, loading->errors);
        if (is_key_group(key) && found.form == VALUE_GROUP)
            read_group(loading, file, setting, settings);
    } else if (settings->name == NULL) {
        settings_mistake(settings, key, &found, loading->errors,
                         "options belong to one plugin; give them in each listener");
    } else if (asprintf(&where, "listeners.%s.options", settings->name) < 0) {
        where = NULL;
        loading->errors->exhausted = true;
    } else if (is_group(loading, setting, where, &found)) {
        read_options(loading, file, setting, settings);
    }
}

static void
read_defaults(struct loading *loading, struct file *file, const config_setting_t *group)
{
    _cleanup_given_ struct given found;

    if (!find(loading, file, group, &found) || !is_group(loading, group, "defaults", &found))
        return;
    for (int i = 0; i < config_setting_length(group); i++)
        read_key(loading, file, child_of(group, i), &loading->defaults);
}

/* True if a listener may have this name, which stands in logs, in thread names and on command
 * lines. */
static bool
is_name(const char *name)
{
    size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "0123456789-_");

    return length > 0 && length <= LONGEST_NAME && name[length] == '\0';
}

static const struct settings *
find_listener(const struct loading *loading, const char *name)
{
    for (size_t i = 0; i < loading->listener_count; i++)
        if (strcmp(loading->listeners[i].name, name) == 0)
            return &loading->listeners[i];
    return NULL;
}

/* Begins another listener. Returns NULL without memory, and notes that. */
static struct settings *
add_listener(struct loading *loading, const char *name, struct given *found)
{
    struct settings *listeners = reallocarray(loading->listeners, loading->listener_count + 1,
                                              sizeof(*listeners)),
                    *settings;

    if (listeners != NULL)
        loading->listeners = listeners;
    if (listeners == NULL || settings_init(&listeners[loading->listener_count], name) < 0) {
        loading->errors->exhausted = true;
        return NULL;
    }
    settings = &listeners[loading->listener_count++];
    settings->file = (char *)found->file; /* the listener owns it now */
    settings->line = found->line;
    found->file = NULL;
    return settings;
}

/* True if a listener can be made of the setting; otherwise adds a mistake. */
static bool
is_listener(struct loading *loading, const config_setting_t *setting, const struct given *found)
{
    const char *name = config_setting_name(setting);
    const struct settings *earlier = find_listener(loading, name);
    _cleanup_free_ char *where = NULL, *shown = value_show(name, VALUE_STRING);

    if (shown == NULL || asprintf(&where, "listeners.%s", name) < 0) {
        where = NULL;
        loading->errors->exhausted = true;
        return false;
    }
    if (!is_name(name)) {
        errors_add(loading->errors, found->file, found->line,
                   "listeners: found the name %s; expected letters, digits, - and _, at most %d",
                   shown, LONGEST_NAME);
        return false;
    }
    if (earlier != NULL) {
        errors_add(loading->errors, found->file, found->line,
                   "%s: there is a listener of that name in %s:%u; give one of them another", where,
                   earlier->file, earlier->line);
        return false;
    }
    return is_group(loading, setting, where, found);
}

static void
read_listener(struct loading *loading, const struct file *file, const config_setting_t *setting)
{
    _cleanup_given_ struct given found;
    struct settings *settings;

    if (!find(loading, file, setting, &found) || !is_listener(loading, setting, &found))
        return;
    settings = add_listener(loading, config_setting_name(setting), &found);
    for (int i = 0; settings != NULL && i < config_setting_length(setting); i++)
        read_key(loading, file, child_of(setting, i), settings);
}

static void
read_listeners(struct loading *loading, struct file *file, const config_setting_t *group)
{
    _cleanup_given_ struct given found;

    loading->listeners_mentioned = true;
    if (!find(loading, file, group, &found) || !is_group(loading, group, "listeners", &found))
        return;
    for (int i = 0; i < config_setting_length(group); i++)
        read_listener(loading, file, child_of(group, i));
    if (config_setting_length(group) == 0 && !file->drop_in) {
        loading->listeners_mentioned = false;
        loading->no_listeners = found.line;
    }
}

/* ---- the whole of a file ------------------------------------------------ */

/* `log`, `control`, `plugin_path` or `pre_stop_delay`: global.c knows their keys. */
static void
read_global(struct loading *loading, struct file *file, const config_setting_t *setting)
{
    const char *name = config_setting_name(setting);
    _cleanup_given_ struct given found;

    if (!find(loading, file, setting, &found))
        return;
    if (!global_is_group(name)) {
        global_set(loading->config, NULL, name, &found, loading->errors);
        return;
    }
    if (!is_group(loading, setting, name, &found))
        return;
    for (int i = 0; i < config_setting_length(setting); i++) {
        const config_setting_t *child = child_of(setting, i);
        _cleanup_given_ struct given value;

        if (find(loading, file, child, &value))
            global_set(loading->config, name, config_setting_name(child), &value, loading->errors);
    }
}

static const struct {
    const char *key;
    void (*read)(struct loading *loading, struct file *file, const config_setting_t *setting);
} top_keys[] = {
    {"plugin_path", read_global},  {"pre_stop_delay", read_global},
    {"reload", read_global},       {"control", read_global},
    {"log", read_global},          {"defaults", read_defaults},
    {"listeners", read_listeners},
};

static void
unknown_key(struct loading *loading, const char *key, const struct given *found)
{
    const char *names[ARRAY_SIZE(top_keys) + 1] = {0};
    _cleanup_free_ char *phrase = NULL;

    for (size_t i = 0; i < ARRAY_SIZE(top_keys); i++)
        names[i] = top_keys[i].key;
    phrase = suggest_phrase(key, names);
    if (phrase == NULL)
        loading->errors->exhausted = true;
    else if (*phrase == '\0' && found->form == VALUE_GROUP)
        errors_add(loading->errors, found->file, found->line,
                   "unknown key \"%s\"; a listener stands inside: listeners = { ... };", key);
    else if (*phrase == '\0' && setting_find(key) != NULL)
        errors_add(loading->errors, found->file, found->line,
                   "unknown key \"%s\"; it is for a listener, or for: defaults = { ... };", key);
    else
        errors_add(loading->errors, found->file, found->line, "unknown key \"%s\"%s", key,
                   *phrase != '\0' ? phrase
                                   : "; expected plugin_path, pre_stop_delay, reload, control, "
                                     "log, defaults or listeners");
}

static void
read_top(struct loading *loading, struct file *file, const config_setting_t *setting)
{
    const char *key = config_setting_name(setting);
    _cleanup_given_ struct given found;

    if (!find(loading, file, setting, &found))
        return;
    for (size_t i = 0; i < ARRAY_SIZE(top_keys); i++) {
        if (strcmp(key, top_keys[i].key) != 0)
            continue;
        if (file->drop_in && top_keys[i].read != read_listeners)
            errors_add(loading->errors, found.file, found.line,
                       "%s: a file in %s.d only adds listeners; this belongs in %s", key,
                       loading->config->file, loading->config->file);
        else
            top_keys[i].read(loading, file, setting);
        return;
    }
    unknown_key(loading, key, &found);
}

/* Opens the text as a stream, which libconfig reads. An empty text becomes an empty line. */
static FILE *
open_text(const struct source *source)
{
    static char nothing[] = "\n";

    return source->size == 0 ? fmemopen(nothing, 1, "r")
                             : fmemopen(source->text, source->size, "r");
}

static bool
parse(struct loading *loading, struct file *file)
{
    _cleanup_fclose_ FILE *stream = open_text(&file->source);

    if (stream == NULL) {
        loading->errors->exhausted = true;
        return false;
    }
    config_set_include_dir(&file->parsed, "/dev/null"); /* it has nothing to open by itself */
    if (config_read(&file->parsed, stream) == CONFIG_TRUE)
        return true;
    source_explain(&file->source, (unsigned)config_error_line(&file->parsed),
                   config_error_text(&file->parsed), loading->errors);
    return false;
}

void
config_read_one(struct loading *loading, const char *name, bool drop_in)
{
    struct file file = {.drop_in = drop_in};
    int r;

    config_init(&file.parsed);
    r = source_open(&file.source, name, loading->errors);
    if (r == -ENOMEM)
        loading->errors->exhausted = true;
    if (r == 0 && parse(loading, &file)) {
        const config_setting_t *root = config_root_setting(&file.parsed);

        for (int i = 0; i < config_setting_length(root); i++)
            read_top(loading, &file, child_of(root, i));
    } else {
        loading->unparsed = true;
    }
    config_destroy(&file.parsed);
    source_done(&file.source);
}
