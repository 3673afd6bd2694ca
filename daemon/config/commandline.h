/* SPDX-License-Identifier: MIT */
/*
 * commandline.h - what the command line asks for
 */
#ifndef SOCKSERVERD_CONFIG_COMMANDLINE_H
#define SOCKSERVERD_CONFIG_COMMANDLINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "common/errors.h"
#include "common/settings.h"

#define SOCKSERVERD_VERSION     "0.1.0"
#define SOCKSERVERD_CONFIG_FILE "/etc/sockserverd/sockserverd.conf"

enum role {
    ROLE_SERVE_FILE, /* the listeners of a configuration file */
    ROLE_LISTEN,     /* one plugin, without a file */
    ROLE_STDIO,      /* one request on standard input and output */
    ROLE_DESCRIBE,
    ROLE_NEW, /* makes a folder with a new plugin */
    ROLE_HELP,
    ROLE_VERSION
};

/* One "NAME=VALUE" of -o or --set, in the order given. */
struct assignment {
    bool setting; /* --set: a listener key; else a plugin option */
    char *name;
    const char *value;
};

/* The strings belong to argv, except for the names of assignments. */
struct commandline {
    enum role role;
    bool check, once, strict, json, no_access_log;
    bool datagram; /* of --stdio: standard input is one datagram */
    const char *config_file;
    const char *address, *mixin;     /* mixin NULL: not given */
    char *const *command;            /* of --run: to the end of the arguments; NULL: not given */
    const char *new_name, *language; /* of --new; language NULL: not given */
    const char *plugin;              /* of --new: the folder, or NULL */
    const char *plugin_path;         /* NULL: not given */
    int log_level;                   /* -1: not given */
    int log_format;                  /* likewise */
    struct assignment *assignments;
    size_t assignment_count;
};

/* Reads the arguments. Returns 0; -EINVAL and *ret_problem, one line that the caller frees; or
 * -ENOMEM. commandline_done() releases *ret in every case. */
int commandline_parse(int argc, char *const *argv, struct commandline *ret, char **ret_problem);
void commandline_done(struct commandline *commandline);

void commandline_help(FILE *out);

/* Makes the listener that --listen or --stdio describes, named after the plugin's file. Mistakes
 * are added to errors. Returns 0 or -ENOMEM; settings_done() releases *ret in every case. */
int commandline_settings(const struct commandline *commandline, const char *plugin_path,
                         struct settings *ret, struct errors *errors);

/* Tests use this list of the options: long names without dashes, and NULL at the end. */
extern const char *const commandline_option_names[];

#endif
