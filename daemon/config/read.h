/* SPDX-License-Identifier: MIT */
/*
 * read.h - one file of the configuration, read into struct config
 */
#ifndef SOCKSERVERD_CONFIG_READ_H
#define SOCKSERVERD_CONFIG_READ_H

#include <stdbool.h>

#include "config/config.h"

/* The state of a config_load() that is not done yet. */
struct loading {
    struct config *config;
    struct errors *errors;
    struct settings defaults;   /* the group of that name */
    struct settings *listeners; /* as far as they have been read, in the order of the files */
    size_t listener_count;
    bool unparsed;            /* a file could not be read: what seems missing may be there */
    bool listeners_mentioned; /* something was said about listeners, even if it was wrong */
    unsigned no_listeners;    /* the line of a group without any; 0: there is no group */
};

/* Adds what the file says to loading->config and loading->defaults or loading->listeners, and
 * its mistakes to loading->errors. A drop-in may only add listeners. */
void config_read_one(struct loading *loading, const char *name, bool drop_in);

#endif
