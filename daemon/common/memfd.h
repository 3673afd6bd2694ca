/* SPDX-License-Identifier: MIT */
/*
 * memfd.h - bytes for another process, in a file without a name
 */
#ifndef SOCKSERVERD_COMMON_MEMFD_H
#define SOCKSERVERD_COMMON_MEMFD_H

#include <fcntl.h>
#include <stddef.h>

/* These seals keep a memfd as it is; a process that takes one over may check for exactly these. */
#define MEMFD_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)

/* Copies the bytes to a file that nobody can change any more; it is close-on-exec and at its
 * beginning. Returns the descriptor, which the caller closes, or a negative errno. */
int memfd_sealed(const char *name, const char *bytes, size_t size);

#endif
