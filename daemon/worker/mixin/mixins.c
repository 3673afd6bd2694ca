/* SPDX-License-Identifier: MIT */
/*
 * mixins.c - the mixins by their kind
 *
 * Runs in:  a worker, before it serves.
 * Owns:     nothing.
 * Failures: none.
 */
#include "worker/mixin/mixins.h"

#include <stddef.h>

#include "common/array.h"

const struct mixin *
mixin_find(enum mixin_kind kind)
{
    static const struct mixin *const mixins[] = {
        [MIXIN_NONE] = &mixin_none,
        [MIXIN_THREADING] = &mixin_threading,
        [MIXIN_FORKING] = &mixin_forking,
        [MIXIN_COROUTINE] = &mixin_coroutine,
    };

    return (size_t)kind < ARRAY_SIZE(mixins) ? mixins[kind] : NULL;
}
