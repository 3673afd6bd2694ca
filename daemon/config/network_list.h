/* SPDX-License-Identifier: MIT */
/*
 * network_list.h - a list of networks that a worker makes a table of
 */
#ifndef SOCKSERVERD_CONFIG_NETWORK_LIST_H
#define SOCKSERVERD_CONFIG_NETWORK_LIST_H

#include "common/errors.h"
#include "common/network.h"
#include "common/settings.h"

struct network_list {
    const char *key;
    char **texts; /* the setting's */
    /* May be NULL. Returns what is wrong with an item, behind "found ITEM, ", or NULL. */
    const char *(*judge)(const struct network *network);
    const char *file_is_wrong; /* what is said about "@/path", in the same place */
};

/* Checks each item. Users and groups become their numbers, which is what a worker understands.
 * Mistakes are added to errors. */
void network_list_finish(const struct settings *settings, const struct network_list *list,
                         struct errors *errors);

#endif
