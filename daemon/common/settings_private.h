/* SPDX-License-Identifier: MIT */
/*
 * settings_private.h - what the files of settings share
 */
#ifndef SOCKSERVERD_COMMON_SETTINGS_PRIVATE_H
#define SOCKSERVERD_COMMON_SETTINGS_PRIVATE_H

#include "common/settings.h"

/* Returns the address of the field that belongs to a row. */
static inline void *
settings_member(const struct settings *settings, const struct setting *setting)
{
    return (char *)settings + setting->offset;
}

static inline bool
setting_set_has(const struct setting_set *set, const struct setting *setting)
{
    size_t row = (size_t)(setting - settings_table);

    return (set->words[row / 64] >> row % 64 & 1) != 0;
}

static inline void
setting_set_put(struct setting_set *set, const struct setting *setting, bool in)
{
    size_t row = (size_t)(setting - settings_table);

    set->words[row / 64] &= ~(UINT64_C(1) << row % 64);
    set->words[row / 64] |= (uint64_t)in << row % 64;
}

/* True if the row's field is a list of texts: char **. */
static inline bool
setting_is_list(const struct setting *setting)
{
    return setting->type == SETTING_LIST || setting->type == SETTING_GROUPS;
}

/* Both return 0 or -ENOMEM. text is copied. */
int settings_set_text(struct settings *settings, const struct setting *setting, const char *text);
int settings_set_default(struct settings *settings, const struct setting *setting);
/* Remembers where the key was given, for the messages of settings_finish(). given is only asked
 * for its place, which is copied. Returns 0 or -ENOMEM. */
int settings_remember(struct settings *settings, const struct setting *setting,
                      const struct given *given, bool wrong);

/* Reads a value into the row's field. Any type except an address will do: an address tells its
 * own mistakes. Returns 0, -EINVAL, -ERANGE or -ENOMEM. */
int settings_read(struct settings *settings, const struct setting *setting,
                  const struct given *given);

/* settings_groups.c: the same for a list of groups. It returns -EBADMSG if it has told the
 * mistakes. */
int settings_read_groups(struct settings *settings, const struct setting *setting,
                         const struct given *given, struct errors *errors);

/* True if a list takes the value as an item. It must be one line: in a default, and on the way
 * to a worker, the end of its line ends an item. */
bool settings_is_item(const struct setting *setting, const struct given *given);

/* Adds a mistake about a value that settings_read() refused, and one about a key that does not
 * exist. */
void settings_wrong_value(const struct settings *settings, const struct setting *setting,
                          const struct given *given, struct errors *errors);
void settings_unknown_key(struct settings *settings, const char *key, const struct given *given,
                          struct errors *errors);

#endif
