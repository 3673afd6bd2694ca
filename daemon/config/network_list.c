/* SPDX-License-Identifier: MIT */
/*
 * network_list.c - a list of networks that a worker makes a table of
 *
 * Runs in:  the process that reads the configuration: looking users up may let it
 *           wait.
 * Owns:     nothing beyond a call.
 * Failures: mistakes go to struct errors, as does want of memory.
 */
#include "config/network_list.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/texts.h"
#include "config/identity.h"

static int
find_id(const char *name, bool group, uint32_t *ret)
{
    gid_t gid;

    return group ? identity_find_group(name, ret) : identity_find_user(name, ret, &gid);
}

/* Says why the item cannot be meant; the caller frees it. NULL: want of memory. */
static char *
describe(const char *text, const char *what)
{
    _cleanup_free_ char *shown = value_show(text, VALUE_STRING);
    char *problem;

    if (shown == NULL || asprintf(&problem, "found %s, %s", shown, what) < 0)
        return NULL;
    return problem;
}

/* Returns 0 and the item, or -EINVAL and what is wrong with it, or -ENOMEM. */
static int
read_item(const struct network_list *list, const char *text, struct network *ret,
          char **ret_problem)
{
    const char *what = list->file_is_wrong;
    int r = -EINVAL;

    if (*text != '@') {
        r = network_parse(text, find_id, ret, ret_problem);
        if (r < 0)
            return r;
        what = list->judge == NULL ? NULL : list->judge(ret);
        if (what == NULL)
            return 0;
    }
    *ret_problem = describe(text, what);
    return *ret_problem == NULL ? -ENOMEM : -EINVAL;
}

/* Puts the number of a user or group in place of its name. Returns 0 or -ENOMEM. */
static int
put_number(char **item, const struct network *network)
{
    char *text;

    if (network->kind != NETWORK_USER && network->kind != NETWORK_GROUP)
        return 0;
    if (asprintf(&text, "%s:%u", network->kind == NETWORK_USER ? "user" : "group", network->id) < 0)
        return -ENOMEM;
    free(*item);
    *item = text;
    return 0;
}

static void
finish_item(const struct settings *settings, const struct network_list *list, size_t i,
            struct errors *errors)
{
    struct given place = settings_place_of_item(settings, list->key, i);
    _cleanup_free_ char *problem = NULL;
    struct network network;

    place.text = list->texts[i];
    int r = read_item(list, place.text, &network, &problem);

    if (r == 0)
        r = put_number(&list->texts[i], &network);
    if (r == -EINVAL)
        settings_mistake(settings, list->key, &place, errors, "%s", problem);
    else if (r < 0)
        errors->exhausted = true;
}

void
network_list_finish(const struct settings *settings, const struct network_list *list,
                    struct errors *errors)
{
    for (size_t i = 0; i < texts_count(list->texts); i++)
        finish_item(settings, list, i, errors);
}
