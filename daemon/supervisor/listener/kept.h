/* SPDX-License-Identifier: MIT */
/*
 * kept.h - what a listener's plugin has asked to be kept: descriptors, and shared memory
 */
#ifndef SOCKSERVERD_SUPERVISOR_LISTENER_KEPT_H
#define SOCKSERVERD_SUPERVISOR_LISTENER_KEPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "supervisor/listener/hand_over.h"

struct kept;

/* Makes an empty one for the plugin in this file. Returns 0 and *ret, or -ENOMEM. */
int kept_new(const char *plugin_file, struct kept **ret);
/* Another holder; NULL is fine. */
struct kept *kept_ref(struct kept *kept);
/* The last one lets everything go. NULL is fine. */
void kept_unref(struct kept *kept);
/* Whether it belongs to the plugin in this file. NULL belongs to none. */
bool kept_is_for(const struct kept *kept, const char *plugin_file);

/* Keeps fd under the name, instead of what is kept under it, and takes it over, also on failure.
 * Returns 0; -EINVAL: this is no name, or a device; -ENOSPC: it is one too many; or -ENOMEM. */
int kept_put(struct kept *kept, const char *name, int fd);
/* Returns 0 or -EINVAL; it is no mistake to forget what is not kept. */
int kept_forget(struct kept *kept, const char *name);
/* Returns the descriptor, which stays the struct's, or -ENOENT or -EINVAL. */
int kept_find(const struct kept *kept, const char *name);

/* Returns a memory file of this size, which stays the struct's: the one that was asked for before,
 * else a new one of zeros. Or a negative errno; -EINVAL: this is no size. */
int kept_area(struct kept *kept, uint64_t size);
/* Lets go of the areas that are not used. */
void kept_trim_areas(struct kept *kept, bool (*is_used)(uint64_t size, void *userdata),
                     void *userdata);

/* Tells the next process of the daemon; the descriptors in *ret stay the struct's. Returns 0 or
 * -ENOMEM. NULL has nothing to tell. */
int kept_export(const struct kept *kept, struct upgrade_kept *ret);
/* Goes on with what an earlier process of this daemon kept, and takes its descriptors over, also on
 * failure. Returns 0 and *ret, or a negative errno. */
int kept_import(const struct upgrade_kept *inherited, struct kept **ret);

#endif
