/* SPDX-License-Identifier: MIT */
/*
 * descriptors.h - how many descriptors the supervisor may open
 */
#ifndef SOCKSERVERD_COMMON_DESCRIPTORS_H
#define SOCKSERVERD_COMMON_DESCRIPTORS_H

#include <stddef.h>

/* Raises the soft limit of this process to its hard limit, and remembers what it was. Once it was
 * raised, further calls do nothing. */
void descriptors_raise_limit(void);

/* Gives this process the remembered soft limit again: for programs that it executes. The child of
 * a fork calls it before execve(2). Does nothing if the limit was never raised. */
void descriptors_restore_limit(void);

/* Returns how many descriptors the supervisor needs, in a reload of everything, for so many
 * listeners with so many workers in all. */
size_t descriptors_needed(size_t listeners, size_t workers);

/* Closes a descriptor that somebody else has sent, and set up as he likes: the process does not
 * wait for bytes that a socket could not send yet. */
void descriptor_close_foreign(int fd);

/* Returns how many the supervisor may have at most: the hard limit. */
size_t descriptors_allowed(void);

#endif
