/* SPDX-License-Identifier: MIT */
/*
 * config.c - the configuration as a whole: main file, drop-ins, and how they fit together
 *
 * Every mistake of every file is gathered before anything is judged as a
 * whole. If a file cannot be parsed, no mistake says what it may lack. A drop-in
 * may hold only `listeners`: what is set for all stands in one file.
 *
 * Runs in:  the process that reads the configuration (supervisor/change/load.c).
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
#include "config/access.h"
#include "config/global.h"
#include "config/read.h"
#include "config/tls.h"

/* ---- drop-ins ----------------------------------------------------------- */

/* Skips hidden files, and what editors and package managers leave behind. */
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
        if (errno == ENOMEM)
            loading->errors->exhausted = true;
        else if (errno != ENOENT)
            errors_add(loading->errors, folder, 0, "cannot read the drop-in folder: %s",
                       strerror(errno));
        return;
    }
    for (int i = 0; i < count; i++) {
        load_drop_in(loading, folder, entries[i]->d_name);
        free(entries[i]);
    }
}

/* Whether the names are those of files that were read. A folder that cannot be read has none. */
bool
config_has_new_drop_in(const char *file, const struct read_files *read)
{
    _cleanup_free_ struct dirent **entries = NULL;
    _cleanup_free_ char *folder = NULL;
    bool found = false;

    if (read->count >= READ_FILES_MOST) /* those that are missing there were not noted */
        return false;
    if (asprintf(&folder, "%s.d", file) < 0) {
        folder = NULL;
        return false;
    }
    int count = scandir(folder, &entries, is_drop_in, by_name);
    for (int i = 0; i < count; i++) {
        _cleanup_free_ char *path = NULL;

        if (asprintf(&path, "%s/%s", folder, entries[i]->d_name) < 0)
            path = NULL;
        found = found || (path != NULL && read_files_find(read, path) == NULL);
        free(entries[i]);
    }
    return found;
}

/* ---- the configuration as a whole --------------------------------------- */

/* A default is only taken by a listener that it fits; the others pass it over without a word. */
static bool
takes_default(const struct settings *settings, const struct setting *setting)
{
    if (setting_given(settings, setting) || !setting_applies(settings, setting))
        return false;
    return strcmp(setting->key, "max_connections") != 0 ||
           !mixin_traits[settings->mixin].one_at_a_time;
}

static void
apply_defaults(struct loading *loading, struct settings *settings)
{
    const struct settings *defaults = &loading->defaults;

    /* The table begins with address and mixin, which decide what the rest means. */
    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *setting = &settings_table[i];
        bool good = setting_given(defaults, setting) && !setting_refused(defaults, setting);

        if (good && takes_default(settings, setting) &&
            settings_inherit(settings, setting, defaults) < 0)
            loading->errors->exhausted = true;
    }
}

/* True if two listeners cannot both be bound. Only their spelling counts: no names are looked
 * up. */
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
    if (one->interface != NULL && other->interface != NULL &&
        strcmp(one->interface, other->interface) != 0)
        return false;
    return strcasecmp(a->host, b->host) == 0 && strcasecmp(a->port, b->port) == 0 &&
           strspn(a->port, "0") != strlen(a->port);
}

static void
check_collisions(struct loading *loading)
{
    const struct settings *listeners = loading->listeners;

    for (size_t i = 1; i < loading->listener_count; i++)
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

/* Replaces the file's plugin_path, unless plugin_path is NULL. */
static int
use_plugin_path(struct config *config, const char *plugin_path)
{
    char *copy;

    if (plugin_path == NULL)
        return 0;
    copy = strdup(plugin_path);
    if (copy == NULL)
        return -ENOMEM;
    free(config->plugin_path);
    config->plugin_path = copy;
    return 0;
}

static void
judge(struct loading *loading)
{
    struct config *config = loading->config;

    for (size_t i = 0; i < loading->listener_count; i++) {
        struct settings *settings = &loading->listeners[i];

        apply_defaults(loading, settings);
        settings_finish(settings, config->plugin_path, loading->errors);
        access_compile(settings, loading->listeners, i, loading->errors);
        tls_read(settings, loading->listeners, i, loading->errors);
    }
    check_collisions(loading);
    if (!loading->listeners_mentioned && !loading->unparsed)
        errors_add(loading->errors, config->file,
                   loading->no_listeners == 0 ? 1 : loading->no_listeners,
                   "no listeners; add one here or in %s.d/*.conf, such as: listeners = { echo = { "
                   "address = \"tcp://127.0.0.1:9999\"; plugin = \"echo\"; }; };",
                   config->file);
}

/* Shares all listeners: nothing changes them from here on. */
static void
share_listeners(struct loading *loading)
{
    for (size_t i = 0; i < loading->listener_count; i++)
        if (config_add_listener(loading->config, &loading->listeners[i]) < 0)
            loading->errors->exhausted = true;
}

int
config_load(struct config *config, const char *file, const char *plugin_path, struct errors *errors)
{
    struct errors found = {0};
    struct loading loading = {.config = config, .errors = &found};
    struct read_files before = read_files_take();
    int r = config_load_nothing(config, NULL);

    read_files_done(&before); /* of a configuration that was not read to its end */
    if (r < 0)
        return r;
    config->file = strdup(file);
    if (config->file == NULL || settings_init(&loading.defaults, NULL) < 0)
        return -ENOMEM;
    config_read_one(&loading, file, false);
    load_drop_ins(&loading);
    if (use_plugin_path(config, plugin_path) < 0)
        found.exhausted = true;
    judge(&loading);
    share_listeners(&loading);
    settings_done(&loading.defaults);
    free(loading.listeners);
    config->files = read_files_take();
    r = errors_any(&found) ? -EINVAL : 0;
    errors_move(errors, &found);
    if (errors->exhausted)
        r = -ENOMEM;
    return r;
}

int
config_load_nothing(struct config *config, const char *plugin_path)
{
    int r;

    *config = (struct config){0};
    r = globals_fill(config);
    return r < 0 ? r : use_plugin_path(config, plugin_path);
}

int
config_add_listener(struct config *config, struct settings *settings)
{
    const struct settings *shared = settings_share(settings), **listeners;

    if (shared == NULL)
        return -ENOMEM;
    listeners = reallocarray(config->listeners, config->listener_count + 1, sizeof(*listeners));
    if (listeners == NULL) {
        settings_unref(shared);
        return -ENOMEM;
    }
    config->listeners = listeners;
    listeners[config->listener_count++] = shared;
    return 0;
}

void
config_forget_listeners(struct config *config)
{
    for (size_t i = 0; i < config->listener_count; i++)
        settings_unref(config->listeners[i]);
    free(take_pointer(config->listeners));
    config->listener_count = 0;
}

void
config_done(struct config *config)
{
    config_forget_listeners(config);
    read_files_done(&config->files);
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
        if (strcmp(config->listeners[i]->name, listener) == 0)
            return config->listeners[i];
    return NULL;
}
