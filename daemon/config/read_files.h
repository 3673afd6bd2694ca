/* SPDX-License-Identifier: MIT */
/*
 * read_files.h - which files a configuration was read from
 *
 * These are the file itself, its drop-ins, what they include, lists of networks, and the
 * certificates and keys of `tls`. Who has the list can tell when the configuration should be read
 * again.
 */
#ifndef SOCKSERVERD_CONFIG_READ_FILES_H
#define SOCKSERVERD_CONFIG_READ_FILES_H

#include <stddef.h>

#include "common/file_stamp.h"

#define READ_FILES_MOST 1000 /* later ones are not noted */

struct read_file {
    char *path; /* as it was opened */
    struct file_stamp stamp;
};

/* All zero: none. */
struct read_files {
    struct read_file *files;
    size_t count;
};

/* Adds the file, unless it is there already. A path is copied. Returns 0, -ENOMEM, or -EFBIG
 * beyond READ_FILES_MOST. */
int read_files_add(struct read_files *files, const char *path, const struct file_stamp *stamp);
const struct read_file *read_files_find(const struct read_files *files, const char *path);
void read_files_done(struct read_files *files);

/*
 * Notes that this process has opened the file, or has tried to; status NULL: it could not be
 * opened. What cannot be noted is not looked after. The process notes one configuration at a time.
 */
void read_files_note(const char *path, const struct stat *status);
/* Returns what was noted, which is the caller's; nothing is noted afterwards. */
struct read_files read_files_take(void);

#endif
