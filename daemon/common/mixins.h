/* SPDX-License-Identifier: MIT */
/*
 * mixins.h - what the supervisor must know of each mixin, and a plugin may state of it
 *
 * The worker knows how a mixin serves: there it has a struct mixin.
 * settings_table says which keys mean something under a mixin.
 */
#ifndef SOCKSERVERD_COMMON_MIXINS_H
#define SOCKSERVERD_COMMON_MIXINS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct settings;

enum mixin_kind { MIXIN_NONE, MIXIN_THREADING, MIXIN_FORKING, MIXIN_COROUTINE };

struct mixin_traits {
    uint32_t flag;            /* SS_*: what a plugin must state to run under it; 0: nothing */
    const char *flag_name;    /* as in plugin.h */
    uint32_t max_connections; /* default */
    uint32_t recycle_after;   /* default */
    bool one_at_a_time;       /* serves one request at a time: max_connections may not be more */
    bool forks;            /* requests have processes of their own, which may outlive the worker */
    bool cpus_are_workers; /* `cpus` are worker processes, not something within one */
};

extern const char *const mixin_names[];          /* by enum mixin_kind, NULL at the end */
extern const struct mixin_traits mixin_traits[]; /* by enum mixin_kind */
extern const size_t mixin_count;

/*
 * The first returns how many worker processes serve the listener. The second
 * returns how many slots each of them needs: one if the mixin serves one
 * request at a time, else max_connections + spare + 1, and some more with
 * on_full = "refuse".
 */
uint32_t mixin_workers(const struct settings *settings);
uint32_t mixin_slots(const struct settings *settings);

#endif
