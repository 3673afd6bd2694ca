/* SPDX-License-Identifier: MIT */
/*
 * mixins.c - what is to be known of each mixin without having it
 *
 * Runs in:  any process.
 * Owns:     nothing: constant data.
 * Failures: none.
 */
#include "common/mixins.h"

#include <sockserver/plugin.h>

#include "common/array.h"
#include "common/settings.h"

/* The names stand apart from the traits, because a setting's choices are a list of texts. */
const char *const mixin_names[] = {
    [MIXIN_NONE] = "none",
    [MIXIN_THREADING] = "threading",
    [MIXIN_FORKING] = "forking",
    [MIXIN_COROUTINE] = "coroutine",
    NULL,
};

#define MUST_STATE(bit) .flag = (bit), .flag_name = #bit

const struct mixin_traits mixin_traits[] = {
    [MIXIN_NONE] = {.max_connections = 1, .one_at_a_time = true, .cpus_are_workers = true},
    [MIXIN_THREADING] = {MUST_STATE(SS_THREADING), .max_connections = 512},
    [MIXIN_FORKING] = {.max_connections = 40, .recycle_after = 1, .forks = true},
    [MIXIN_COROUTINE] = {MUST_STATE(SS_COROUTINE), .max_connections = 10000},
};

const size_t mixin_count = ARRAY_SIZE(mixin_traits);

uint32_t
mixin_workers(const struct settings *settings)
{
    return mixin_traits[settings->mixin].cpus_are_workers && settings->cpus > 1 ? settings->cpus
                                                                                : 1;
}

uint32_t
mixin_slots(const struct settings *settings)
{
    if (mixin_traits[settings->mixin].one_at_a_time)
        return 1;
    uint64_t slots = (uint64_t)settings->max_connections + settings->spare + 1;
    if (settings->on_full == FULL_REFUSE) /* each event loop has a place to refuse in */
        slots += settings->cpus > 1 ? settings->cpus : 1;
    return slots < UINT32_MAX ? (uint32_t)slots : UINT32_MAX;
}
