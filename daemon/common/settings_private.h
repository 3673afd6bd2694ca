/* SPDX-License-Identifier: MIT */
/*
 * settings_private.h - what settings.c and settings_life.c share
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

#endif
