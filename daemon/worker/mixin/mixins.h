/* SPDX-License-Identifier: MIT */
/*
 * mixins.h - the mixins that there are
 */
#ifndef SOCKSERVERD_WORKER_MIXIN_MIXINS_H
#define SOCKSERVERD_WORKER_MIXIN_MIXINS_H

#include "common/settings.h"
#include "worker/request/mixin.h"

extern const struct mixin mixin_none, mixin_threading, mixin_forking, mixin_coroutine;

/* NULL: this build does not have it. */
const struct mixin *mixin_find(enum mixin_kind kind);

#endif
