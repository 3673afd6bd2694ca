/* SPDX-License-Identifier: MIT */
/*
 * used_files.c - which files a worker was made of, and whether they have changed
 *
 * A worker names the files that its plugin has read (ss_server_uses()). They are looked at then,
 * and once more at a reload: a listener one of whose files has changed is a changed listener.
 * Nothing but stat(2) is done with a name, which comes from a plugin.
 *
 * Runs in:  the supervisor.
 * Owns:     the names.
 * Failures: a file that cannot be noted is not looked after.
 */
#include "supervisor/listener/used_files.h"

#include <stdlib.h>
#include <string.h>

#define FILES_MOST 500 /* that a worker can make the supervisor remember */

struct used_file {
    char *path;
    struct file_stamp stamp;
};

void
used_files_add(struct used_files *files, const char *path)
{
    if (files->count >= FILES_MOST)
        return;
    struct used_file *grown =
        reallocarray(files->files, files->count + 1, sizeof(struct used_file));
    if (grown == NULL)
        return;
    files->files = grown;
    grown[files->count].path = strdup(path);
    if (grown[files->count].path == NULL)
        return;
    grown[files->count++].stamp = file_stamp_look(path);
}

bool
used_files_changed(const struct used_files *files)
{
    for (size_t i = 0; i < files->count; i++) {
        struct file_stamp now = file_stamp_look(files->files[i].path);

        if (!file_stamp_is_same(&now, &files->files[i].stamp))
            return true;
    }
    return false;
}

void
used_files_done(struct used_files *files)
{
    for (size_t i = 0; i < files->count; i++)
        free(files->files[i].path);
    free(files->files);
    *files = (struct used_files){0};
}
