/* SPDX-License-Identifier: MIT */
/*
 * used_files.h - which files a worker was made of, and whether they have changed
 */
#ifndef SOCKSERVERD_SUPERVISOR_LISTENER_USED_FILES_H
#define SOCKSERVERD_SUPERVISOR_LISTENER_USED_FILES_H

#include <stdbool.h>
#include <stddef.h>

#include "common/file_stamp.h"

/* Zeroed: no files. For one process. */
struct used_files {
    struct used_file *files;
    size_t count;
};

/* Looks at the file as it is now. Beyond some hundreds, files are not looked after; nor without
 * memory. */
void used_files_add(struct used_files *files, const char *path);
/* Whether one of them is another file now, or gone. */
bool used_files_changed(const struct used_files *files);
void used_files_done(struct used_files *files);

#endif
