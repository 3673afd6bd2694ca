/* SPDX-License-Identifier: MIT */
/*
 * settings.c - giving the keys of a listener values
 *
 * Runs in:  the supervisor; a worker through settings_pack.c.
 * Owns:     nothing; struct settings is settings_life.c's.
 * Failures: mistakes go to struct errors, as does want of memory.
 */
#include "common/settings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/array.h"
#include "common/cleanup.h"
#include "common/settings_private.h"
#include "common/texts.h"

int
settings_remember(struct settings *settings, const struct setting *setting,
                  const struct given *given, bool wrong)
{
    const struct given place = {.file = given->file,
                                .line = given->line,
                                .items = given->items,
                                .item_count = given->item_count};
    const size_t row = (size_t)(setting - settings_table);
    struct given copy;

    if (settings->places == NULL)
        settings->places = calloc(settings_count, sizeof(*settings->places));
    if (settings->places == NULL || given_copy(&place, &copy) < 0)
        return -ENOMEM;
    given_done(&settings->places[row]);
    settings->places[row] = copy;
    setting_set_put(&settings->given, setting, true);
    setting_set_put(&settings->refused, setting, wrong);
    return 0;
}

static int
set_address(struct settings *settings, const char *text, char **ret_problem)
{
    struct address address;
    int r = address_parse(text, &address, ret_problem);

    if (r < 0)
        return r;
    address_done(&settings->address);
    settings->address = address;
    return 0;
}

void
settings_set(struct settings *settings, const char *key, const struct given *given,
             struct errors *errors)
{
    const struct setting *setting = setting_find(key), *group;
    _cleanup_free_ char *problem = NULL;
    int r;

    if (setting == NULL) {
        settings_unknown_key(settings, key, given, errors);
        return;
    }
    if (setting->type == SETTING_GROUPS && given->form != VALUE_PLAIN)
        r = settings_read_groups(settings, setting, given, errors);
    else if (setting->type != SETTING_ADDRESS)
        r = settings_read(settings, setting, given);
    else if (given_is_text(given))
        r = set_address(settings, given->text, &problem);
    else
        r = -EINVAL;
    /* Whoever gives a key of a group gives the group. */
    group = setting_group_of(key);
    if (group != NULL && !setting_given(settings, group) &&
        settings_remember(settings, group,
                          &(struct given){.file = given->file, .line = given->line}, false) < 0)
        errors->exhausted = true;
    /* A key with a wrong value was given all the same: it is not missing as well. */
    if (settings_remember(settings, setting, given, r < 0) < 0 || r == -ENOMEM)
        errors->exhausted = true;
    else if (problem != NULL)
        settings_mistake(settings, key, given, errors, "%s", problem);
    else if (r < 0 && r != -EBADMSG) /* that one was told */
        settings_wrong_value(settings, setting, given, errors);
}

bool
settings_have(const struct settings *settings, const char *key)
{
    return setting_given(settings, setting_find(key));
}

const struct given *
settings_place(const struct settings *settings, const char *key)
{
    static const struct given nowhere = {0};

    return settings->places == NULL ? &nowhere
                                    : &settings->places[setting_find(key) - settings_table];
}

struct given
settings_place_of_item(const struct settings *settings, const char *key, size_t i)
{
    const struct given *list = settings_place(settings, key);

    return list->item_count > i ? list->items[i] : *list;
}

bool
settings_restrict_access(const struct settings *settings)
{
    return texts_count(settings->allow) > 0 || texts_count(settings->deny) > 0;
}

bool
settings_want_tls(const struct settings *settings)
{
    return settings_have(settings, "tls");
}

/* Whether anybody can get a penalty who is local. */
static bool
penalises_local(const struct settings *settings)
{
    for (char *const *item = settings->penalty.exempt; item != NULL && *item != NULL; item++)
        if (strcmp(*item, "local") == 0)
            return false;
    return true;
}

bool
settings_limit_sources(const struct settings *settings)
{
    const struct address *address = &settings->address;
    bool local = address->text != NULL && address->scheme != ADDRESS_SYSTEMD &&
                 address_is_unix(address); /* a socket of systemd's could be anything */
    bool penalties = settings->penalty.crash > 0 || settings->penalty.handshake > 0 ||
                     settings->penalty.slow > 0 || settings->penalty.handler > 0;

    if (settings->rate.count > 0 || settings->rate_per_source.count > 0)
        return true;
    if (settings->max_per_source > 0 && (!local || settings_have(settings, "max_per_source")))
        return true;
    return penalties && (!local || penalises_local(settings));
}

int
settings_set_default(struct settings *settings, const struct setting *setting)
{
    const struct given fallback = {.text = setting->fallback};

    if (setting_is_list(setting)) { /* it would be added to what was refused */
        texts_free(*(char ***)settings_member(settings, setting));
        *(char ***)settings_member(settings, setting) = NULL;
    }
    return fallback.text == NULL ? 0 : settings_read(settings, setting, &fallback);
}
