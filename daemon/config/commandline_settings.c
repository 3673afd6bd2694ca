/* SPDX-License-Identifier: MIT */
/*
 * commandline_settings.c - the listener that a command line describes
 *
 * Runs in:  --listen, --stdio and --describe; at a reload, too.
 * Owns:     nothing; the settings are the caller's.
 * Failures: mistakes go to struct errors; want of memory is returned.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "config/access.h"
#include "config/commandline.h"
#include "config/tls.h"

/* Returns "upper" for "dir/upper.so"; the caller frees it. */
static char *
listener_name(const char *plugin)
{
    const char *slash = strrchr(plugin, '/');
    const char *name = slash == NULL ? plugin : slash + 1;
    size_t size = strlen(name);

    if (size > 3 && strcmp(name + size - 3, ".so") == 0)
        size -= 3;
    return strndup(name, size);
}

static void
set_by_option(struct settings *settings, const char *key, const char *text, struct errors *errors)
{
    settings_set(settings, key, &(struct given){.text = text, .line = GIVEN_BY_OPTION}, errors);
}

/* A list of groups has no form as text. */
static bool
is_list_of_groups(const char *key)
{
    const struct setting *setting = setting_find(key);

    return setting != NULL && setting->type == SETTING_GROUPS;
}

static int
set_all(const struct commandline *commandline, struct settings *settings, struct errors *errors)
{
    /* --stdio and --describe have no address, and use none. */
    const char *address = commandline->address != NULL ? commandline->address : "tcp://localhost:0";

    set_by_option(settings, "address", address, errors);
    set_by_option(settings, "plugin", commandline->plugin, errors);
    if (commandline->mixin != NULL)
        set_by_option(settings, "mixin", commandline->mixin, errors);
    for (size_t i = 0; i < commandline->assignment_count; i++) {
        const struct assignment *assignment = &commandline->assignments[i];
        const struct given given = {.text = assignment->value};
        int r = 0;
        if (assignment->setting && is_list_of_groups(assignment->name))
            settings_mistake(settings, assignment->name, &given, errors,
                             "a list of groups cannot be given on a command line; give it in a "
                             "configuration file");
        else if (assignment->setting)
            settings_set(settings, assignment->name, &given, errors);
        else
            r = settings_add_option(settings, assignment->name, &given);
        if (r < 0)
            return r;
    }
    return 0;
}

int
commandline_settings(const struct commandline *commandline, const char *plugin_path,
                     struct settings *ret, struct errors *errors)
{
    _cleanup_free_ char *name = listener_name(commandline->plugin);
    int r;

    *ret = (struct settings){0};
    if (name == NULL)
        return -ENOMEM;
    if ((r = settings_init(ret, name)) < 0 || (r = set_all(commandline, ret, errors)) < 0)
        return r;
    settings_finish(ret, plugin_path, errors);
    access_compile(ret, NULL, 0, errors);
    if (commandline->role == ROLE_STDIO && settings_want_tls(ret))
        settings_mistake_at(ret, setting_find("tls"), errors,
                            "has no meaning with --stdio, which takes the connection as it is; let "
                            "whoever starts it speak TLS");
    else
        tls_read(ret, NULL, 0, errors);
    return 0;
}
