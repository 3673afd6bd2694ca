/* SPDX-License-Identifier: MIT */
/*
 * memfd.h - bytes for another process, in a file without a name
 */
#ifndef SOCKSERVERD_COMMON_MEMFD_H
#define SOCKSERVERD_COMMON_MEMFD_H

#include <fcntl.h>
#include <stddef.h>

/* What keeps it as it is: who takes one over may ask for exactly these. */
#define MEMFD_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)

/*
 * A copy of the bytes that nobody can change any more, close-on-exec, at its
 * beginning. The descriptor, or a negative errno.
 */
int memfd_sealed(const char *name, const char *bytes, size_t size);

#endif
