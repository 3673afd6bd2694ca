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
