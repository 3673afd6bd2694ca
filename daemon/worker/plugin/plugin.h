/* SPDX-License-Identifier: MIT */
/*
 * plugin.h - loading a handler plugin: its record and its hooks
 *
 * Not to be confused with the public <sockserver/plugin.h>.
 */
#ifndef SOCKSERVERD_WORKER_PLUGIN_PLUGIN_H
#define SOCKSERVERD_WORKER_PLUGIN_PLUGIN_H

#include <sockserver/plugin.h>

#include "common/errors.h"
#include "common/settings.h"

struct plugin_hooks {
    bool (*verify_request)(struct ss_request *);
    int (*setup)(struct ss_request *);
    int (*handle)(struct ss_request *);
    void (*finish)(struct ss_request *);
    void (*handle_error)(struct ss_request *, int);
    int (*check_options)(struct ss_server *);
    int (*server_activate)(struct ss_server *);
    void (*server_close)(struct ss_server *);
    void (*service_actions)(struct ss_server *);
    void (*handle_timeout)(struct ss_server *);
};

struct plugin {
    char *file;                /* as loaded */
    struct ss_plugin record;   /* a copy; what the plugin's ABI lacks is zero */
    struct ss_option *options; /* copies of the rows, without the empty last one */
    size_t option_count;
    struct plugin_hooks hooks;
    void *object; /* as dlopen() has returned it; loaded for good. NULL: not loaded */
};

/*
 * Loads the plugin into this process, for good: it is never unloaded. Runs
 * its constructors, so the process must already be what the plugin may see.
 * Returns 0, or -EINVAL with every reason in errors. plugin_done() releases
 * what *ret owns in both cases.
 */
int plugin_load(const char *file, struct plugin *ret, struct errors *errors);
/* The same, but if the file itself is out of this user's reach, it is loaded from fd, which stays
 * the caller's. Everything that names it (logs, dladdr(3), a debugger) says file all the same. */
int plugin_load_from(const char *file, int fd, struct plugin *ret, struct errors *errors);
/* The same of a plugin that is a part of this program, which messages call by the name of a file.
 */
int plugin_adopt(const char *file, const struct ss_plugin *record, const struct plugin_hooks *hooks,
                 struct plugin *ret, struct errors *errors);
void plugin_done(struct plugin *plugin);

/*
 * Whether the plugin states what the listener asks of it: mixin and
 * transport. Mistakes carry the listener's file and line.
 */
void plugin_check_use(const struct plugin *plugin, const struct settings *settings, bool stream,
                      struct errors *errors);

/* So many hooks there are, and more: room for their names, and a NULL. */
#define PLUGIN_HOOKS 16
/* The names of the hooks that the plugin has (or those that it lacks), NULL at the end. */
void plugin_hook_names(const struct plugin *plugin, bool lacks, const char *ret[PLUGIN_HOOKS]);

/* The file's name without its directory: "upper.so". */
const char *plugin_base_name(const struct plugin *plugin);

#endif
