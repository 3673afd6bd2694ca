/* SPDX-License-Identifier: MIT */
/*
 * settings_private.h - what the files of settings share
 */
#ifndef SOCKSERVERD_COMMON_SETTINGS_PRIVATE_H
#define SOCKSERVERD_COMMON_SETTINGS_PRIVATE_H

#include "common/settings.h"

/* The field of a row. */
static inline void *
settings_member(const struct settings *settings, const struct setting *setting)
{
    return (char *)settings + setting->offset;
}

/* Each returns 0 or -ENOMEM. text is copied; given is only asked for its place. */
int settings_set_text(struct settings *settings, const struct setting *setting, const char *text);
int settings_set_default(struct settings *settings, const struct setting *setting);
/* Remembers where the key was given, for what settings_finish() has to say about it. */
int settings_remember(struct settings *settings, const struct setting *setting,
                      const struct given *given, bool wrong);

/*
 * Reads a value of any type but an address, which tells its own mistakes, into
 * the row's field. 0, -EINVAL, -ERANGE or -ENOMEM.
 */
int settings_read(struct settings *settings, const struct setting *setting,
                  const struct given *given);

/* Whether a list takes it. An item is told from the next one by the end of its line, in a default
 * and on the way to a worker. */
bool settings_is_item(const struct setting *setting, const struct given *given);

/* What is said about a value that settings_read() refused, and about a key that there is not. */
void settings_wrong_value(const struct settings *settings, const struct setting *setting,
                          const struct given *given, struct errors *errors);
void settings_unknown_key(struct settings *settings, const char *key, const struct given *given,
                          struct errors *errors);

#endif
