/* SPDX-License-Identifier: MIT */
/*
 * close_from.c - closing every descriptor from a number on
 *
 * Runs in:  a child of the supervisor, between fork and exec.
 * Owns:     nothing.
 * Failures: none.
 */
#include "common/close_from.h"

#include <dirent.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#define MOST 65536 /* are tried one by one */

/* True if all are closed. */
static int
close_listed(int first)
{
    DIR *folder = opendir("/proc/self/fd");

    if (folder == NULL)
        return 0;
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        int fd = atoi(entry->d_name);
        if (fd >= first && fd != dirfd(folder))
            (void)close(fd);
    }
    (void)closedir(folder);
    return 1;
}

void
close_from(int first)
{
    struct rlimit limit;

    if (close_range((unsigned)first, ~0U, 0) == 0 || close_listed(first))
        return;
    rlim_t end =
        getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_max < MOST ? limit.rlim_max : MOST;
    for (int fd = first; (rlim_t)fd < end; fd++)
        (void)close(fd);
}
