/* SPDX-License-Identifier: MIT */
/*
 * write_all.h - all bytes into a descriptor that blocks
 */
#ifndef SOCKSERVERD_COMMON_WRITE_ALL_H
#define SOCKSERVERD_COMMON_WRITE_ALL_H

#include <stddef.h>

/* Writes the bytes, however many calls that takes. Returns 0 or a negative errno; some of them may
 * have been written then. */
int write_all(int fd, const char *bytes, size_t size);

#endif
