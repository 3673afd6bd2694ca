/* SPDX-License-Identifier: MIT */
/*
 * config.c - the configuration as a whole: main file, drop-ins, and how they fit together
 *
 * Every mistake of every file is gathered before anything is judged as a
 * whole. Where a file cannot be parsed, nothing is said of what it may lack.
 * In a drop-in only `listeners` is accepted: what is set for all stands in one
 * file.
 *
 * Runs in:  the supervisor, at start and reload.
 * Owns:     struct config, until config_done().
 * Failures: mistakes go to struct errors.
 */
#include "config/config.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "config/read.h"

/* ---- drop-ins ----------------------------------------------------------- */

/* Not hidden files, nor what editors and package managers leave behind. */
static int
is_drop_in(const struct dirent *entry)
{
    size_t length = strlen(entry->d_name);

    return entry->d_name[0] != '.' && entry->d_name[0] != '#' && length > 5 &&
           strcmp(entry->d_name + length - 5, ".conf") == 0;
}

static int
by_name(const struct dirent **one, const struct dirent **other)
{
    return strcmp((*one)->d_name, (*other)->d_name);
}

static void
load_drop_in(struct loading *loading, const char *folder, const char *name)
{
    _cleanup_free_ char *path = NULL;

    if (asprintf(&path, "%s/%s", folder, name) < 0) {
        path = NULL;
        loading->errors->exhausted = true;
        return;
    }
    config_read_one(loading, path, true);
}

static void
load_drop_ins(struct loading *loading)
{
    _cleanup_free_ struct dirent **entries = NULL;
    _cleanup_free_ char *folder = NULL;
    int count;

    if (asprintf(&folder, "%s.d", loading->config->file) < 0) {
        folder = NULL;
        loading->errors->exhausted = true;
        return;
    }
    count = scandir(folder, &entries, is_drop_in, by_name);
    if (count < 0) {
        if (errno != ENOENT)
            errors_add(loading->errors, folder, 0, "cannot read the drop-in folder: %s",
                       strerror(errno));
        return;
    }
    for (int i = 0; i < count; i++) {
        load_drop_in(loading, folder, entries[i]->d_name);
        free(entries[i]);
    }
}

/* ---- the configuration as a whole --------------------------------------- */

/* A default is for whom it fits: elsewhere it is passed over without a word. */
static bool
takes_default(const struct settings *settings, const struct setting *setting)
{
    if (setting_given(settings, setting) || !setting_applies(settings, setting))
        return false;
    return strcmp(setting->key, "max_connections") != 0 || settings->mixin != MIXIN_NONE;
}

static void
apply_defaults(struct loading *loading, struct settings *settings)
{
    const struct settings *defaults = &loading->defaults;

    /* The table begins with address and mixin, which decide what the rest means. */
    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *setting = &settings_table[i];
        _cleanup_free_ char *text = NULL;

        if (!setting_given(defaults, setting) || setting_refused(defaults, setting) ||
            !takes_default(settings, setting))
            continue;
        if (setting_format(defaults, setting, &text) < 0)
            loading->errors->exhausted = true;
        else
            settings_set(settings, setting->key, text, VALUE_PLAIN, defaults->places[i].file,
                         defaults->places[i].line, loading->errors);
    }
}

static bool
same_text(const char *one, const char *other)
{
    return one == other || (one != NULL && other != NULL && strcasecmp(one, other) == 0);
}

/* Whether two listeners cannot both be bound. Judged by what is written: no names are looked up. */
static bool
collide(const struct settings *one, const struct settings *other)
{
    const struct address *a = &one->address, *b = &other->address;

    if (!one->enabled || !other->enabled || a->text == NULL || b->text == NULL)
        return false;
    if (address_is_unix(a) && address_is_unix(b))
        return strcmp(a->path, b->path) == 0;
    if (a->scheme != b->scheme)
        return false;
    if (a->scheme == ADDRESS_SYSTEMD)
        return strcmp(a->path, b->path) == 0;
    if (one->reuse_port && other->reuse_port)
        return false;
    return same_text(a->host, b->host) && same_text(a->port, b->port) &&
           strspn(a->port, "0") != strlen(a->port);
}

static void
check_collisions(struct loading *loading)
{
    const struct settings *listeners = loading->config->listeners;

    for (size_t i = 1; i < loading->config->listener_count; i++)
        for (size_t j = 0; j < i; j++) {
            if (!collide(&listeners[i], &listeners[j]))
                continue;
            settings_mistake_at(
                &listeners[i], setting_find("address"), loading->errors,
                "found %s, which is the address of listeners.%s (%s:%u) too; "
                "give one of them another%s",
                listeners[i].address.text, listeners[j].name, listeners[j].file, listeners[j].line,
                listeners[i].address.host == NULL ? "" : ", or set reuse_port = true in both");
            break;
        }
}

static void
finish(struct loading *loading)
{
    struct config *config = loading->config;

    for (size_t i = 0; i < config->listener_count; i++) {
        apply_defaults(loading, &config->listeners[i]);
        settings_finish(&config->listeners[i], config->plugin_path, loading->errors);
    }
    check_collisions(loading);
    if (!loading->listeners && !loading->unparsed)
        errors_add(loading->errors, config->file,
                   loading->no_listeners == 0 ? 1 : loading->no_listeners,
                   "no listeners; add one here or in %s.d/*.conf, such as: listeners = { echo = { "
                   "address = \"tcp://127.0.0.1:9999\"; plugin = \"echo\"; }; };",
                   config->file);
}

int
config_load(struct config *config, const char *file, struct errors *errors)
{
    struct loading loading = {.config = config};
    struct errors found = {0};
    int r = config_init_empty(config);

    if (r < 0)
        return r;
    loading.errors = &found;
    config->file = strdup(file);
    if (config->file == NULL || settings_init(&loading.defaults, NULL) < 0)
        return -ENOMEM;
    config_read_one(&loading, file, false);
    load_drop_ins(&loading);
    finish(&loading);
    settings_done(&loading.defaults);
    r = errors_any(&found) ? -EINVAL : 0;
    errors_move(errors, &found);
    if (errors->exhausted)
        r = -ENOMEM;
    return r;
}

int
config_add_listener(struct config *config, struct settings *settings)
{
    struct settings *listeners =
        reallocarray(config->listeners, config->listener_count + 1, sizeof(*listeners));

    if (listeners == NULL) {
        settings_done(settings);
        return -ENOMEM;
    }
    config->listeners = listeners;
    listeners[config->listener_count++] = *settings;
    *settings = (struct settings){0};
    return 0;
}

void
config_done(struct config *config)
{
    for (size_t i = 0; i < config->listener_count; i++)
        settings_done(&config->listeners[i]);
    free(config->listeners);
    free(config->file);
    free(config->plugin_path);
    free(config->log.target);
    free(config->control.path);
    free(config->control.group);
    *config = (struct config){0};
}

const struct settings *
config_find(const struct config *config, const char *listener)
{
    for (size_t i = 0; i < config->listener_count; i++)
        if (strcmp(config->listeners[i].name, listener) == 0)
            return &config->listeners[i];
    return NULL;
}
