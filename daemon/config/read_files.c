/* SPDX-License-Identifier: MIT */
/*
 * read_files.c - which files a configuration was read from
 *
 * A stamp is taken from the open file before its first byte is read. So a file that is written
 * meanwhile has another stamp afterwards.
 *
 * Runs in:  the process that reads the configuration (supervisor/change/load.c); the supervisor,
 *           which gets the list.
 * Owns:     what was noted, until it is taken.
 * Failures: returned; a file that cannot be noted is not looked after.
 */
#include "config/read_files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct read_files noted;

const struct read_file *
read_files_find(const struct read_files *files, const char *path)
{
    for (size_t i = 0; i < files->count; i++)
        if (strcmp(files->files[i].path, path) == 0)
            return &files->files[i];
    return NULL;
}

int
read_files_add(struct read_files *files, const char *path, const struct file_stamp *stamp)
{
    if (read_files_find(files, path) != NULL)
        return 0; /* the first stamp is the oldest: what has changed since then shows */
    if (files->count >= READ_FILES_MOST)
        return -EFBIG;
    struct read_file *grown =
        reallocarray(files->files, files->count + 1, sizeof(struct read_file));
    if (grown == NULL)
        return -ENOMEM;
    files->files = grown;
    grown[files->count] = (struct read_file){.path = strdup(path), .stamp = *stamp};
    if (grown[files->count].path == NULL)
        return -ENOMEM;
    files->count++;
    return 0;
}

void
read_files_done(struct read_files *files)
{
    for (size_t i = 0; i < files->count; i++)
        free(files->files[i].path);
    free(files->files);
    *files = (struct read_files){0};
}

void
read_files_note(const char *path, const struct stat *status)
{
    struct file_stamp stamp = {0};

    if (status != NULL)
        stamp = file_stamp_of(status);
    (void)read_files_add(&noted, path, &stamp);
}

struct read_files
read_files_take(void)
{
    struct read_files taken = noted;

    noted = (struct read_files){0};
    return taken;
}
