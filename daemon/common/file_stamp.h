/* SPDX-License-Identifier: MIT */
/*
 * file_stamp.h - what a file was when it was looked at
 */
#ifndef SOCKSERVERD_COMMON_FILE_STAMP_H
#define SOCKSERVERD_COMMON_FILE_STAMP_H

#include <stdbool.h>
#include <sys/stat.h>

/* All zero: there was no file. */
struct file_stamp {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed;
};

/* Looks at the file that path leads to. path may be NULL: there is none. */
struct file_stamp file_stamp_look(const char *path);
struct file_stamp file_stamp_of(const struct stat *status);
bool file_stamp_is_same(const struct file_stamp *one, const struct file_stamp *other);

#endif
