/* SPDX-License-Identifier: MIT */
/*
 * capabilities.h - the capabilities of Linux by their names, as capabilities(7) has them
 */
#ifndef SOCKSERVERD_COMMON_CAPABILITIES_H
#define SOCKSERVERD_COMMON_CAPABILITIES_H

#include <stdint.h>

/* A set of capabilities: bit 1 << CAP_.... */
typedef uint64_t capability_set;

/* Finds the capability of this name, with or without "CAP_", in any case. Returns its number, or
 * -1. */
int capability_find(const char *name);

/* Returns its name, such as "CAP_NET_ADMIN", or NULL for a number without one. */
const char *capability_name(int number);

/* Returns the set of all names in the list, which ends with NULL and may be NULL. Unknown names are
 * left out. */
capability_set capability_set_of(char *const *names);

/* Returns what this process may have: its permitted set. */
capability_set capabilities_permitted(void);

#endif
