/* SPDX-License-Identifier: MIT */
/*
 * file_stamp.c - what a file was when it was looked at
 *
 * Runs in:  the supervisor, and the process that reads the configuration.
 * Owns:     nothing.
 * Failures: a file that cannot be looked at is none.
 */
#include "common/file_stamp.h"

#include <stddef.h>

struct file_stamp
file_stamp_of(const struct stat *status)
{
    return (struct file_stamp){
        .device = status->st_dev,
        .inode = status->st_ino,
        .size = status->st_size,
        .changed = status->st_mtim,
    };
}

struct file_stamp
file_stamp_look(const char *path)
{
    struct stat status;

    if (path == NULL || stat(path, &status) < 0)
        return (struct file_stamp){0};
    return file_stamp_of(&status);
}

bool
file_stamp_is_same(const struct file_stamp *one, const struct file_stamp *other)
{
    return one->device == other->device && one->inode == other->inode && one->size == other->size &&
           one->changed.tv_sec == other->changed.tv_sec &&
           one->changed.tv_nsec == other->changed.tv_nsec;
}
