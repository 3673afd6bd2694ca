/* SPDX-License-Identifier: MIT */
/*
 * global.h - the keys that stand outside listeners: plugin_path, log, control
 */
#ifndef SOCKSERVERD_CONFIG_GLOBAL_H
#define SOCKSERVERD_CONFIG_GLOBAL_H

#include "config/config.h"

/* Each of these keys has one row; the manual is tested against the table. */
struct global {
    const char *group; /* NULL: at top level */
    const char *key;
    const char *fallback; /* NULL: none */
    int (*set)(struct config *config, const struct given *given);
    const char *expected;
    const char *const *names; /* what it can be, for "did you mean"; or NULL */
};

extern const struct global globals_table[];
extern const size_t globals_count;

/* Gives every key its default. Returns 0 or -ENOMEM. */
int globals_fill(struct config *config);

bool global_is_group(const char *name);

/* Gives one key a value, or adds a mistake to errors. */
void global_set(struct config *config, const char *group, const char *key,
                const struct given *given, struct errors *errors);

#endif
