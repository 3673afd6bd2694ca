/* SPDX-License-Identifier: MIT */
/*
 * regular_file.h - opening a file that an option names
 */
#ifndef REGULAR_FILE_H
#define REGULAR_FILE_H

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* Opens a file to read it. A FIFO would be waited for, a terminal could become ours, and /dev/zero
 * has no end: only a regular file is opened. Its descriptor, which is the caller's, or a negative
 * errno: -EINVAL of what is no such file, -EISDIR of a folder. */
static inline int
regular_file_open(const char *path)
{
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    struct stat status;
    int error = 0;

    if (fd < 0)
        return -errno;
    if (fstat(fd, &status) < 0)
        error = -errno;
    else if (!S_ISREG(status.st_mode))
        error = S_ISDIR(status.st_mode) ? -EISDIR : -EINVAL;
    if (error == 0)
        return fd;
    (void)close(fd);
    return error;
}

#endif
