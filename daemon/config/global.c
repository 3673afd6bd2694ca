/* SPDX-License-Identifier: MIT */
/*
 * global.c - the keys that stand outside listeners: plugin_path, pre_stop_delay, reload, log,
 * control
 *
 * Runs in:  the process that reads the configuration (supervisor/change/load.c).
 * Owns:     nothing: the values belong to struct config.
 * Failures: mistakes go to struct errors.
 */
#include "config/global.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/array.h"
#include "common/cleanup.h"
#include "common/suggest.h"
#include "config/identity.h"

#ifndef SOCKSERVERD_PLUGIN_DIR
#define SOCKSERVERD_PLUGIN_DIR "/usr/lib/sockserverd/plugins"
#endif

#define PLUGINS_OF_PREFIX "/lib/sockserverd/plugins"

#define PRE_STOP_MOST  3600.0
#define LONGEST_SOCKET (sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1)

static int
replace(char **at, const char *text)
{
    char *copy = strdup(text);

    if (copy == NULL)
        return -ENOMEM;
    free(*at);
    *at = copy;
    return 0;
}

static int
set_plugin_path(struct config *config, const struct given *given)
{
    const char *text = given->text;
    if (!given_is_text(given) || text[strspn(text, ":")] == '\0')
        return -EINVAL;
    return replace(&config->plugin_path, text);
}

/*
 * Writes the usual folder of plugins: that of the program's own installation,
 * PREFIX/lib/sockserverd/plugins beside PREFIX/bin, wherever it was moved to; or
 * else the one that the build was configured for. Returns buffer.
 */
static const char *
usual_plugin_path(char buffer[PATH_MAX + sizeof(PLUGINS_OF_PREFIX)])
{
    ssize_t size = readlink("/proc/self/exe", buffer, PATH_MAX);

    for (int i = 0; i < 2 && size > 0; i++) { /* without the program, and without "bin" */
        while (size > 0 && buffer[--size] != '/')
            ;
        buffer[size] = '\0';
        if (i == 0 && (size < 4 || strcmp(buffer + size - 4, "/bin") != 0))
            return SOCKSERVERD_PLUGIN_DIR;
    }
    if (size < 0)
        return SOCKSERVERD_PLUGIN_DIR;
    (void)strcpy(buffer + size, PLUGINS_OF_PREFIX);
    return access(buffer, F_OK) == 0 && strchr(buffer, ':') == NULL ? buffer
                                                                    : SOCKSERVERD_PLUGIN_DIR;
}

static int
set_pre_stop_delay(struct config *config, const struct given *given)
{
    double seconds;

    if (value_duration(given->text, given->form, &seconds) < 0 || seconds < 0 ||
        seconds > PRE_STOP_MOST)
        return -EINVAL;
    config->pre_stop_delay = seconds;
    return 0;
}

static const char *const reload_names[] = {"manual", "auto", NULL};

static int
set_reload(struct config *config, const struct given *given)
{
    bool by_itself = strcmp(given->text, "auto") == 0;

    if (!given_is_text(given) || (!by_itself && strcmp(given->text, "manual") != 0))
        return -EINVAL;
    config->reload_auto = by_itself;
    return 0;
}

static int
set_log_target(struct config *config, const struct given *given)
{
    const char *text = given->text;
    bool word =
        strcmp(text, "auto") == 0 || strcmp(text, "journal") == 0 || strcmp(text, "stderr") == 0;

    if (!given_is_text(given) || (!word && *text != '/'))
        return -EINVAL;
    return replace(&config->log.target, text);
}

static int
set_log_level(struct config *config, const struct given *given)
{
    const char *text = given->text;
    int level = log_level_from_name(text);

    if (!given_is_text(given) || level < 0)
        return -EINVAL;
    config->log.level = level;
    return 0;
}

static int
set_log_access(struct config *config, const struct given *given)
{
    return value_boolean(given->text, given->form, &config->log.access);
}

static int
set_log_format(struct config *config, const struct given *given)
{
    int format = log_format_from_name(given->text);

    if (!given_is_text(given) || format < 0)
        return -EINVAL;
    config->log.format = (enum log_format)format;
    return 0;
}

static int
set_control_path(struct config *config, const struct given *given)
{
    const char *text = given->text;
    if (!given_is_text(given) || *text != '/' || strlen(text) > LONGEST_SOCKET)
        return -EINVAL;
    return replace(&config->control.path, text);
}

static int
set_control_mode(struct config *config, const struct given *given)
{
    return value_mode(given->text, given->form, &config->control.mode);
}

static int
set_control_group(struct config *config, const struct given *given)
{
    const char *text = given->text;
    gid_t gid;

    if (!given_is_text(given) || *text == '\0')
        return -EINVAL;
    int r = identity_find_group(text, &gid);
    if (r < 0)
        return r == -ENOMEM ? r : -EINVAL;
    config->control.gid = gid;
    return replace(&config->control.group, text);
}

static const char *const targets[] = {"auto", "journal", "stderr", NULL};

const struct global globals_table[] = {
    {NULL, "plugin_path", SOCKSERVERD_PLUGIN_DIR, set_plugin_path,
     "folders in quotes, separated by colons", NULL},
    {NULL, "pre_stop_delay", "0s", set_pre_stop_delay, "a duration such as \"5s\", up to \"1h\"",
     NULL},
    {NULL, "reload", "manual", set_reload, "\"manual\" or \"auto\"", reload_names},
    {"control", "path", "/run/sockserverd/control", set_control_path,
     "an absolute path in quotes, of at most 107 characters", NULL},
    {"control", "mode", "0660", set_control_mode,
     "an octal mode in quotes, such as \"0660\", up to \"0777\"", NULL},
    {"control", "group", NULL, set_control_group, "a group that exists here, in quotes", NULL},
    {"log", "target", "auto", set_log_target,
     "\"auto\", \"journal\", \"stderr\" or an absolute path", targets},
    {"log", "level", "info", set_log_level,
     "\"emerg\", \"alert\", \"crit\", \"err\", \"warning\", \"notice\", \"info\" or \"debug\"",
     log_level_names},
    {"log", "format", "text", set_log_format, "\"text\" or \"json\"", log_format_names},
    {"log", "access", "true", set_log_access, "true or false", NULL},
};

const size_t globals_count = ARRAY_SIZE(globals_table);

int
globals_fill(struct config *config)
{
    char folder[PATH_MAX + sizeof(PLUGINS_OF_PREFIX)];

    for (size_t i = 0; i < globals_count; i++) {
        const struct global *global = &globals_table[i];
        struct given fallback = {.text = global->fallback};
        if (global->set == set_plugin_path)
            fallback.text = usual_plugin_path(folder);

        if (fallback.text != NULL && global->set(config, &fallback) < 0)
            return -ENOMEM;
    }
    return 0;
}

static bool
in_group(const struct global *global, const char *group)
{
    return group == NULL ? global->group == NULL
                         : global->group != NULL && strcmp(global->group, group) == 0;
}

bool
global_is_group(const char *name)
{
    for (size_t i = 0; i < globals_count; i++)
        if (in_group(&globals_table[i], name))
            return true;
    return false;
}

static void
unknown_key(const char *group, const char *key, const struct given *given, struct errors *errors)
{
    const char *names[ARRAY_SIZE(globals_table) + 1] = {0};
    char known[128] = "";
    const char *meant;
    size_t count = 0;

    for (size_t i = 0; i < globals_count; i++) {
        if (!in_group(&globals_table[i], group))
            continue;
        names[count++] = globals_table[i].key;
        (void)snprintf(known + strlen(known), sizeof(known) - strlen(known), "%s%s",
                       count > 1 ? ", " : "", globals_table[i].key);
    }
    meant = suggest(key, names);
    if (meant != NULL)
        errors_add(errors, given->file, given->line, "%s: unknown key \"%s\"; did you mean \"%s\"?",
                   group, key, meant);
    else
        errors_add(errors, given->file, given->line, "%s: unknown key \"%s\"; expected one of: %s",
                   group, key, known);
}

static void
wrong_value(const struct global *global, const struct given *given, struct errors *errors)
{
    static const char *const no_names[] = {NULL};
    const char *group = global->group == NULL ? "" : global->group;
    _cleanup_free_ char *shown = value_show(given->text, given->form), *phrase = NULL;
    bool named = global->names != NULL && given_is_text(given);

    phrase = suggest_phrase(given->text, named ? global->names : no_names);
    if (shown == NULL || phrase == NULL)
        errors->exhausted = true;
    else
        errors_add(errors, given->file, given->line, "%s%s%s: found %s; expected %s%s", group,
                   *group == '\0' ? "" : ".", global->key, shown, global->expected, phrase);
}

void
global_set(struct config *config, const char *group, const char *key, const struct given *given,
           struct errors *errors)
{
    for (size_t i = 0; i < globals_count; i++) {
        const struct global *global = &globals_table[i];
        int r;

        if (!in_group(global, group) || strcmp(global->key, key) != 0)
            continue;
        r = global->set(config, given);
        if (r == -ENOMEM)
            errors->exhausted = true;
        else if (r < 0)
            wrong_value(global, given, errors);
        return;
    }
    unknown_key(group, key, given, errors);
}
