/* SPDX-License-Identifier: MIT */
/*
 * write_all.c - all bytes into a descriptor that blocks
 *
 * Runs in:  every process.
 * Owns:     nothing.
 * Failures: returned.
 */
#include "common/write_all.h"

#include <errno.h>
#include <unistd.h>

int
write_all(int fd, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t written = write(fd, bytes, size);
        if (written < 0 && errno != EINTR)
            return -errno;
        if (written > 0) {
            bytes += written;
            size -= (size_t)written;
        }
    }
    return 0;
}
