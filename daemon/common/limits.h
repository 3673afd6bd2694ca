/* SPDX-License-Identifier: MIT */
/*
 * limits.h - the resource limits a listener may give its worker: the group `limits`
 *
 * The supervisor judges them, before anything runs; the worker sets them.
 */
#ifndef SOCKSERVERD_COMMON_LIMITS_H
#define SOCKSERVERD_COMMON_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/resource.h>

#include "common/settings.h"

struct limit {
    const char *key;       /* "limits.nofile" */
    int resource;          /* RLIMIT_NOFILE */
    const char *directive; /* what raises it in a service's unit: "LimitNOFILE=" */
};

extern const struct limit limits_table[];
extern const size_t limits_count;

/* True if the listener has this limit; then *ret is its value. "unlimited" descriptors are as
 * many as the kernel allows any process. */
bool limit_wanted(const struct settings *settings, const struct limit *limit, rlim_t *ret);

/* Returns the most that this process may give itself or a child: its hard limit, if it has no
 * privilege to raise that. */
rlim_t limit_ceiling(const struct limit *limit);

/* Writes the limit as its key in the file would have it: "64K", "1h", "unlimited". buffer has at
 * least 32 bytes, and is returned. */
char *limit_format(const struct limit *limit, rlim_t value, char *buffer);

#endif
