/* SPDX-License-Identifier: MIT */
/*
 * target.h - what a request asks for: from the target as it was sent to a path below the root
 */
#ifndef SOCKSERVERD_PLUGINS_WEB_TARGET_H
#define SOCKSERVERD_PLUGINS_WEB_TARGET_H

#include <stdbool.h>

struct target {
    char *path;        /* decoded, relative to the root: "", "a", "a/b" */
    const char *query; /* as it was sent; or NULL */
    bool folder;       /* it ended with "/" */
};

/* Decodes the target into memory, which must have room for it (its length and 1). 0, or the status
 * to refuse it with. */
int target_parse(const char *text, char *memory, struct target *ret);

#endif
