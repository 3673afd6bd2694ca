/* SPDX-License-Identifier: MIT */
/*
 * choose.h - options that are one of a few words
 */
#ifndef CHOOSE_H
#define CHOOSE_H

#include <errno.h>
#include <sockserver/plugin.h>
#include <stdio.h>
#include <string.h>

/* The place of an option's value among these words, behind which stands NULL; -EINVAL: it is none
 * of them, and was complained of. */
static inline int
choose(struct ss_server *server, const char *name, const char *const words[])
{
    const char *value = ss_option_string(server, name);
    char list[96] = "";

    for (int i = 0; words[i] != NULL; i++) {
        if (strcmp(value, words[i]) == 0)
            return i;
        (void)snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s\"%s\"",
                       i == 0 ? "" : " or ", words[i]);
    }
    ss_complain(server, name, "found \"%s\"; expected %s", value, list);
    return -EINVAL;
}

#endif
