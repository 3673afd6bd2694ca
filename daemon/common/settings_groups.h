/* SPDX-License-Identifier: MIT */
/*
 * settings_groups.h - a list of groups as the value of one key: `tls.names`
 *
 * In struct settings each group is one text: the values of its keys in the order
 * of setting.keys, with a tab between two. What may be missing, and is, is "".
 */
#ifndef SOCKSERVERD_COMMON_SETTINGS_GROUPS_H
#define SOCKSERVERD_COMMON_SETTINGS_GROUPS_H

#include "common/settings.h"

/* Returns the value of the group's key i, which has so many bytes and no NUL behind them. */
const char *group_value(const char *group, size_t i, size_t *ret_size);

/* True if the text has a value for each key that a group of the row needs. */
bool group_is_sound(const struct setting *setting, const char *group);

/* Returns where the value of a key stands in a list of groups from a file: at the key, or else at
 * the group. *list stays in place. */
struct given group_place(const struct given *list, size_t group, const char *key);

#endif
