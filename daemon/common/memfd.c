/* SPDX-License-Identifier: MIT */
/*
 * memfd.c - bytes for another process, in a file without a name
 *
 * Runs in:  any process.
 * Owns:     nothing; the descriptor is the caller's.
 * Failures: returned.
 */
#include "common/memfd.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/write_all.h"

int
memfd_sealed(const char *name, const char *bytes, size_t size)
{
    _cleanup_close_ int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0)
        return -errno;
    int r = write_all(fd, bytes, size);
    if (r < 0)
        return r;
    if (fcntl(fd, F_ADD_SEALS, MEMFD_SEALS) < 0 || lseek(fd, 0, SEEK_SET) < 0)
        return -errno;
    return take_fd(fd);
}
