/* SPDX-License-Identifier: MIT */
/*
 * options.h - a listener's plugin options, checked against the plugin's table
 */
#ifndef SOCKSERVERD_WORKER_PLUGIN_OPTIONS_H
#define SOCKSERVERD_WORKER_PLUGIN_OPTIONS_H

#include <sockserver/plugin.h>
#include <stdint.h>

#include "common/errors.h"
#include "common/settings.h"

struct plugin;

struct option_value {
    const struct ss_option *option;
    char *string;
    char **list; /* of `count` strings, and NULL */
    union {
        size_t count;
        bool boolean;
        int64_t integer;
        double number; /* also durations, seconds */
        uint64_t size;
    };
};

/* Mistakes in the table itself: the plugin author's. Prefixed with the plugin's file. */
void options_check_table(const struct plugin *plugin, struct errors *errors);

/*
 * Values for every row of the plugin's table, in its order: from settings, or
 * the row's fallback. Every mistake is added to errors. *ret is for
 * options_free(), NULL if there are no rows. 0 or -ENOMEM.
 */
int options_resolve(const struct plugin *plugin, const struct settings *settings,
                    struct option_value **ret, struct errors *errors);
void options_free(struct option_value *values, size_t count);

/* Adds a mistake that the plugin has found in an option, at its place; at the listener's, if it was
 * not given. */
void options_complain(const struct settings *settings, const char *option, const char *text,
                      struct errors *errors);

/* What the option is if the file says nothing: the row's fallback, or its type's. Never NULL.
 * A list's has one item in each line. */
const char *option_fallback(const struct ss_option *option);

/* "string", "boolean", ...: the word for --describe and messages. */
const char *option_type_name(enum ss_type type);

/* Whether min and max mean something; and what, for messages: "1 to 1M", "at least 1". */
bool option_has_range(const struct ss_option *option);
void option_show_range(const struct ss_option *option, char *buffer, size_t size);

#endif
