/* SPDX-License-Identifier: MIT */
/*
 * read.h - one file of the configuration, read into struct config
 */
#ifndef SOCKSERVERD_CONFIG_READ_H
#define SOCKSERVERD_CONFIG_READ_H

#include <stdbool.h>

#include "config/config.h"

/* A config_load() on its way. */
struct loading {
    struct config *config;
    struct errors *errors;
    struct settings defaults; /* the group of that name */
    bool unparsed;            /* a file could not be read: what seems missing may be there */
    bool listeners;           /* something was said about listeners, be it wrong */
    unsigned no_listeners;    /* the line of a group without any; 0: there is no group */
};

/*
 * Adds what the file says to loading->config and loading->defaults, and its
 * mistakes to loading->errors. A drop-in may only add listeners.
 */
void config_read_one(struct loading *loading, const char *name, bool drop_in);

#endif
