/* SPDX-License-Identifier: MIT */
/*
 * near_hooks.h - functions of a plugin that look as if they were meant for hooks
 */
#ifndef SOCKSERVERD_WORKER_PLUGIN_NEAR_HOOKS_H
#define SOCKSERVERD_WORKER_PLUGIN_NEAR_HOOKS_H

#include "common/errors.h"

/*
 * Adds a sentence for each function of the file that is not static, is none of
 * the hooks, and is called nearly as a hook that the plugin lacks: mistyped, in
 * another case, or with the name that C++ gives it. present, missing: the names
 * of those hooks, NULL at the end. A file that cannot be read, or is stripped,
 * tells less.
 */
void near_hooks_find(const char *file, const char *const *present, const char *const *missing,
                     struct errors *ret);

#endif
