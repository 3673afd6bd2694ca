/* SPDX-License-Identifier: MIT */
/*
 * plugin.c - loading a handler plugin and judging whether it can be used
 *
 * RTLD_LOCAL keeps two libraries' equal names apart, RTLD_NOW finds missing
 * symbols before the first client does, RTLD_NODELETE says what holds anyway:
 * code that threads may be running is never unloaded. A hook counts only if it
 * lies in the plugin itself: dlsym() also finds a finish() in a library that
 * the plugin is linked to.
 *
 * Runs in:  a worker, before it serves; --describe; --stdio.
 * Owns:     copies of the plugin's record and option rows.
 * Failures: added to the caller's errors, with a remedy.
 */
#include "worker/plugin/plugin.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/array.h"
#include "common/cleanup.h"
#include "worker/plugin/near_hooks.h"
#include "worker/plugin/options.h"

/* What every record has had since ABI 1. */
#define RECORD_SIZE_MIN (offsetof(struct ss_plugin, options) + sizeof(void *))
#define OPTION_SIZE_MIN (offsetof(struct ss_option, required) + sizeof(bool))
#define OPTIONS_MAX     1000

#define ALL_TRANSPORTS (SS_STREAM | SS_DATAGRAM)

static const struct hook {
    const char *name;
    size_t offset; /* in struct plugin_hooks */
    bool required;
} hooks[] = {
    {"verify_request", offsetof(struct plugin_hooks, verify_request), false},
    {"setup", offsetof(struct plugin_hooks, setup), false},
    {"handle", offsetof(struct plugin_hooks, handle), true},
    {"finish", offsetof(struct plugin_hooks, finish), false},
    {"handle_error", offsetof(struct plugin_hooks, handle_error), false},
    {"check_options", offsetof(struct plugin_hooks, check_options), false},
    {"server_activate", offsetof(struct plugin_hooks, server_activate), false},
    {"server_close", offsetof(struct plugin_hooks, server_close), false},
    {"service_actions", offsetof(struct plugin_hooks, service_actions), false},
    {"handle_timeout", offsetof(struct plugin_hooks, handle_timeout), false},
};

const char *
plugin_base_name(const struct plugin *plugin)
{
    const char *slash = strrchr(plugin->file, '/');

    return slash == NULL ? plugin->file : slash + 1;
}

/* Where the file is opened: usually its own path. */
struct origin {
    const char *path;
    char fd_path[32];
};

static void
find_origin(const char *file, int fd, struct origin *ret)
{
    ret->path = file;
    if (fd < 0 || access(file, R_OK) == 0 || errno == ENOENT)
        return;
    (void)snprintf(ret->fd_path, sizeof(ret->fd_path), "/proc/self/fd/%d", fd);
    ret->path = ret->fd_path;
}

/* dlopen() searches the system's folders for a name without a slash; we never want that. */
static int
check_file(const char *file, const struct origin *origin, struct errors *errors)
{
    struct stat status;

    if (stat(origin->path, &status) < 0) {
        int error = errno;
        const char *slash = strrchr(file, '/'), *name = slash == NULL ? file : slash + 1;
        if (error == ENOENT && strcmp(name, file) != 0 && access(name, R_OK) == 0)
            errors_add(errors, NULL, 0,
                       "cannot load plugin %s: %s; did you mean the one here, ./%s? A name without "
                       "a slash is looked for in plugin_path",
                       file, strerror(error), name);
        else
            errors_add(errors, NULL, 0, "cannot load plugin %s: %s%s", file, strerror(error),
                       error == ENOENT ? "; is it installed, and plugin_path right?" : "");
        return -EINVAL;
    }
    if (!S_ISREG(status.st_mode)) {
        errors_add(errors, NULL, 0,
                   "cannot load plugin %s: it is not a file; expected a shared object (.so)", file);
        return -EINVAL;
    }
    return 0;
}

/* The linker's own record of the object gets its real name, which dladdr(3) and debuggers show. */
static void
rename_object(void *handle, const char *file)
{
    char *name = strdup(file);
    struct link_map *object;

    if (name != NULL && dlinfo(handle, RTLD_DI_LINKMAP, &object) == 0)
        object->l_name = name; /* for good, as the object; the old name may be in use */
    else
        free(name);
}

static void *
open_object(const char *file, const struct origin *origin, struct errors *errors)
{
    _cleanup_free_ char *local = NULL;

    if (strchr(origin->path, '/') == NULL && asprintf(&local, "./%s", origin->path) < 0) {
        errors_add(errors, NULL, 0, "cannot load plugin %s: out of memory", file);
        return NULL;
    }
    void *handle =
        dlopen(local != NULL ? local : origin->path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (handle != NULL && origin->path != file)
        rename_object(handle, file);
    if (handle != NULL)
        return handle;

    const char *why = dlerror();
    const char *remedy = "";
    if (strstr(why, "undefined symbol: ss_") != NULL)
        remedy = "; it was built for a newer sockserverd: update the daemon, or rebuild the plugin "
                 "against its header";
    else if (strstr(why, "undefined symbol") != NULL)
        remedy = "; link the plugin with the library that defines it";
    else if (strstr(why, "invalid ELF header") != NULL || strstr(why, "file too short") != NULL)
        remedy = "; expected a shared object, built with cc -shared -fPIC";
    errors_add(errors, NULL, 0, "cannot load plugin %s: %s%s", file, why, remedy);
    return NULL;
}

/* The symbol's address if it lies in the plugin itself, else NULL. */
static void *
own_symbol(void *handle, const char *name)
{
    void *address = dlsym(handle, name);
    struct link_map *own, *found;
    Dl_info info;

    if (address == NULL || dlinfo(handle, RTLD_DI_LINKMAP, &own) < 0 ||
        dladdr1(address, &info, (void **)&found, RTLD_DL_LINKMAP) == 0)
        return NULL;
    return found == own ? address : NULL;
}

static int
check_record(const struct ss_plugin *record, const char *file, struct errors *errors)
{
    if (record->abi == 0 || record->abi > SS_ABI) {
        errors_add(errors, NULL, 0,
                   "cannot load plugin %s: it was built for plugin ABI %u, this daemon (%s) knows "
                   "1 to %d; update the daemon, or rebuild the plugin against its header",
                   file, record->abi, SOCKSERVERD_VERSION, SS_ABI);
        return -EINVAL;
    }
    if (record->size < RECORD_SIZE_MIN || record->option_size < OPTION_SIZE_MIN) {
        errors_add(errors, NULL, 0,
                   "cannot load plugin %s: its record is damaged (size %u and %u, expected at "
                   "least %zu and %zu); define it with SS_PLUGIN() only",
                   file, record->size, record->option_size, RECORD_SIZE_MIN, OPTION_SIZE_MIN);
        return -EINVAL;
    }
    return 0;
}

/* Copies the rows, whatever their size was when the plugin was built. */
static int
copy_options(struct plugin *plugin)
{
    const char *rows = (const char *)plugin->record.options;
    size_t stride = plugin->record.option_size;
    size_t size = stride < sizeof(struct ss_option) ? stride : sizeof(struct ss_option);
    size_t count = 0;

    if (rows == NULL)
        return 0;
    while (count < OPTIONS_MAX && ((const struct ss_option *)(rows + count * stride))->name != NULL)
        count++;
    if (count == 0)
        return 0;
    plugin->options = calloc(count, sizeof(struct ss_option));
    if (plugin->options == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++)
        memcpy(&plugin->options[i], rows + i * stride, size);
    plugin->option_count = count;
    return 0;
}

static int
take_record(const struct ss_plugin *record, struct plugin *plugin, struct errors *errors)
{
    if (check_record(record, plugin->file, errors) < 0)
        return -EINVAL;
    memcpy(&plugin->record, record,
           record->size < sizeof(*record) ? record->size : sizeof(*record));
    if (plugin->record.name == NULL || plugin->record.name[0] == '\0')
        errors_add(errors, NULL, 0, "cannot load plugin %s: its record has no .name", plugin->file);
    if ((plugin->record.transports & ALL_TRANSPORTS) == 0)
        errors_add(errors, NULL, 0,
                   "cannot load plugin %s: its record has no .transports; expected SS_STREAM, "
                   "SS_DATAGRAM or both",
                   plugin->file);
    if (copy_options(plugin) < 0)
        errors_add(errors, NULL, 0, "cannot load plugin %s: out of memory", plugin->file);
    options_check_table(plugin, errors);
    return errors_any(errors) ? -EINVAL : 0;
}

static int
read_record(void *handle, struct plugin *plugin, struct errors *errors)
{
    const struct ss_plugin *record = own_symbol(handle, "ss_plugin_record");

    if (record == NULL) {
        errors_add(errors, NULL, 0,
                   "cannot load plugin %s: it has no record; add SS_PLUGIN(.name = ..., ...) to it",
                   plugin->file);
        return -EINVAL;
    }
    return take_record(record, plugin, errors);
}

_Static_assert(ARRAY_SIZE(hooks) < PLUGIN_HOOKS, "all names have room");

void
plugin_hook_names(const struct plugin *plugin, bool lacks, const char *ret[PLUGIN_HOOKS])
{
    size_t count = 0;

    for (size_t i = 0; i < ARRAY_SIZE(hooks); i++) {
        void *address;
        memcpy(&address, (const char *)&plugin->hooks + hooks[i].offset, sizeof(address));
        if ((address == NULL) == lacks)
            ret[count++] = hooks[i].name;
    }
    ret[count] = NULL;
}

static void
find_hooks(void *handle, struct plugin *plugin, struct errors *errors)
{
    for (size_t i = 0; i < ARRAY_SIZE(hooks); i++) {
        void *address = own_symbol(handle, hooks[i].name);
        memcpy((char *)&plugin->hooks + hooks[i].offset, &address, sizeof(address));
        if (address == NULL && hooks[i].required)
            errors_add(errors, NULL, 0,
                       "cannot load plugin %s: it has no %s(); define int %s(struct ss_request *) "
                       "and include <sockserver/plugin.h>",
                       plugin->file, hooks[i].name, hooks[i].name);
        if (address == NULL && hooks[i].required)
            near_hooks_find(plugin->file, (const char *const[]){NULL},
                            (const char *const[]){hooks[i].name, NULL}, errors);
    }
}

int
plugin_load(const char *file, struct plugin *ret, struct errors *errors)
{
    return plugin_load_from(file, -1, ret, errors);
}

int
plugin_load_from(const char *file, int fd, struct plugin *ret, struct errors *errors)
{
    struct errors found = {0};
    struct origin origin;

    memset(ret, 0, sizeof(*ret));
    ret->file = strdup(file);
    if (ret->file == NULL) {
        errors_add(errors, NULL, 0, "cannot load plugin %s: out of memory", file);
        return -EINVAL;
    }
    find_origin(file, fd, &origin);
    if (check_file(file, &origin, &found) == 0) {
        ret->object = open_object(file, &origin, &found);
        if (ret->object != NULL && read_record(ret->object, ret, &found) == 0)
            find_hooks(ret->object, ret, &found);
    }
    int result = errors_any(&found) ? -EINVAL : 0;
    errors_move(errors, &found);
    return result;
}

int
plugin_adopt(const char *file, const struct ss_plugin *record, const struct plugin_hooks *own_hooks,
             struct plugin *ret, struct errors *errors)
{
    struct errors found = {0};

    memset(ret, 0, sizeof(*ret));
    ret->file = strdup(file);
    if (ret->file == NULL)
        errors_add(&found, NULL, 0, "cannot load plugin %s: out of memory", file);
    else
        (void)take_record(record, ret, &found);
    ret->hooks = *own_hooks;
    int result = errors_any(&found) ? -EINVAL : 0;
    errors_move(errors, &found);
    return result;
}

void
plugin_done(struct plugin *plugin)
{
    free(plugin->file);
    free(plugin->options);
    memset(plugin, 0, sizeof(*plugin));
}

/* State in plain memory: what one process has done, another would not know. */
static void
check_processes(const struct plugin *plugin, const struct settings *settings, struct errors *errors)
{
    bool stated = (plugin->record.mixins & (SS_THREADING | SS_COROUTINE)) != 0;
    bool threading = (plugin->record.mixins & SS_THREADING) != 0;

    if ((plugin->record.mixins & SS_ONE_PROCESS) == 0)
        return;
    if (mixin_traits[settings->mixin].forks)
        errors_add(
            errors, settings->file, settings->line,
            "listeners.%s.mixin: plugin %s keeps its state in the memory of one process, and "
            "\"%s\" has one for each request; use \"%s\"",
            settings->name, plugin->record.name, mixin_names[settings->mixin],
            mixin_names[threading ? MIXIN_THREADING
                        : stated  ? MIXIN_COROUTINE
                                  : MIXIN_NONE]);
    else if (settings->cpus > 1 && settings->mixin != MIXIN_THREADING)
        errors_add(
            errors, settings->file, settings->line,
            "listeners.%s.cpus: plugin %s keeps its state in the memory of one process, which "
            "%s; found %u, expected 1",
            settings->name, plugin->record.name,
            mixin_traits[settings->mixin].cpus_are_workers ? "several workers do not share"
                                                           : "several threads would change at once",
            settings->cpus);
}

void
plugin_check_use(const struct plugin *plugin, const struct settings *settings, bool stream,
                 struct errors *errors)
{
    const struct mixin_traits *mixin = &mixin_traits[settings->mixin];

    if ((plugin->record.mixins & mixin->flag) != mixin->flag)
        errors_add(errors, settings->file, settings->line,
                   "listeners.%s.mixin: plugin %s does not state that it is safe under \"%s\"; use "
                   "%s\"none\", or add %s to its .mixins if it is",
                   settings->name, plugin->record.name, mixin_names[settings->mixin],
                   plugin->record.mixins & SS_ONE_PROCESS ? "" : "\"forking\" or ",
                   mixin->flag_name);
    check_processes(plugin, settings, errors);
    if ((plugin->record.needs & SS_CONTROL) != 0 && settings->control_access != CONTROL_READ)
        errors_add(errors, settings->file, settings->line,
                   "listeners.%s: plugin %s asks the daemon how its listeners are; let it, with "
                   "control_access = \"read\"",
                   settings->name, plugin->record.name);
    if (settings->address.text != NULL && /* else that was said, and nobody knows what was meant */
        (plugin->record.transports & (stream ? SS_STREAM : SS_DATAGRAM)) == 0)
        errors_add(errors, settings->file, settings->line,
                   "listeners.%s.address: plugin %s serves %s only, not %s", settings->name,
                   plugin->record.name, stream ? "datagrams" : "streams", settings->address.text);
}
