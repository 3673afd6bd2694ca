/* SPDX-License-Identifier: MIT */
/*
 * proxy.c - `proxy`: whose PROXY header is believed
 *
 * Runs in:  the process that reads the configuration: looking users up may let it
 *           wait.
 * Owns:     nothing beyond a call.
 * Failures: mistakes go to struct errors, as does want of memory.
 */
#include "config/proxy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/network.h"
#include "common/texts.h"
#include "config/identity.h"

#define TRUSTED "proxy.trusted"

static bool
given(const struct settings *settings, const char *key)
{
    return setting_given(settings, setting_find(key));
}

static int
find_id(const char *name, bool group, uint32_t *ret)
{
    gid_t gid;

    return group ? identity_find_group(name, ret) : identity_find_user(name, ret, &gid);
}

/* Returns where the item stands. If one text was given instead of a list, or on a command line,
 * there are no items. */
static struct given
place_of_item(const struct settings *settings, size_t i)
{
    static const struct given nowhere = {0};
    const struct given *list = settings->places == NULL
                                   ? &nowhere
                                   : &settings->places[setting_find(TRUSTED) - settings_table];
    struct given place = list->item_count > i ? list->items[i] : *list;

    place.text = settings->proxy.trusted[i];
    return place;
}

/* All addresses of IPv4 are mapped ones to a table of networks. */
static bool
is_everybody(const struct network *network)
{
    const struct network_key key = network->first;
    bool ipv4 = key.high == 0 && key.low == UINT64_C(0x0000ffff00000000);

    return network->kind == NETWORK_ADDRESSES &&
           (network->bits == 0 || (network->bits <= NETWORK_IPV4_BITS && ipv4));
}

/* Says why nobody can be trusted by this item; the caller frees it. NULL: want of memory. */
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
read_item(const char *text, struct network *ret, char **ret_problem)
{
    const char *what = "which is everybody, and everybody could then say to be anybody; expected "
                       "the balancers' own addresses";
    int r = -EINVAL;

    if (*text == '@')
        what = "a file, which only \"allow\" and \"deny\" read; expected the balancers' own "
               "addresses here";
    else if ((r = network_parse(text, find_id, ret, ret_problem)) < 0)
        return r;
    else if (!is_everybody(ret))
        return 0;
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
finish_item(struct settings *settings, size_t i, struct errors *errors)
{
    const struct given place = place_of_item(settings, i);
    _cleanup_free_ char *problem = NULL;
    struct network network;
    int r = read_item(place.text, &network, &problem);

    if (r == 0)
        r = put_number(&settings->proxy.trusted[i], &network);
    if (r == -EINVAL)
        settings_mistake(settings, TRUSTED, &place, errors, "%s", problem);
    else if (r < 0)
        errors->exhausted = true;
}

void
proxy_finish(struct settings *settings, struct errors *errors)
{
    const struct setting *trusted = setting_find(TRUSTED);
    size_t count = texts_count(settings->proxy.trusted);

    if (!setting_applies(settings, trusted) || setting_refused(settings, trusted))
        return;
    for (size_t i = 0; i < count; i++)
        finish_item(settings, i, errors);
    if (count > 0)
        return;
    const char *key = given(settings, TRUSTED)   ? TRUSTED
                      : given(settings, "proxy") ? "proxy"
                                                 : "proxy.timeout";
    if (given(settings, key) && !setting_refused(settings, setting_find(key)))
        settings_mistake_at(settings, setting_find(key), errors,
                            "found no \"trusted\" with the balancers in it; a PROXY header is "
                            "believed from those only, such as: trusted = %s;",
                            trusted->example);
}
