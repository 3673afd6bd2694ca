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
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#define MOST 65536 /* are tried one by one */

static void
close_one(int fd)
{
    (void)close(fd);
}

static void
mark_one(int fd)
{
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
}

/* True if it was done with all of them. */
static int
each_listed(int first, void (*act)(int fd))
{
    DIR *folder = opendir("/proc/self/fd");

    if (folder == NULL)
        return 0;
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        int fd = atoi(entry->d_name);
        if (fd >= first && fd != dirfd(folder))
            act(fd);
    }
    (void)closedir(folder);
    return 1;
}

static void
each_from(int first, unsigned flags, void (*act)(int fd))
{
    struct rlimit limit;

    if (close_range((unsigned)first, ~0U, (int)flags) == 0 || each_listed(first, act))
        return;
    rlim_t end =
        getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_max < MOST ? limit.rlim_max : MOST;
    for (int fd = first; (rlim_t)fd < end; fd++)
        act(fd);
}

void
close_from(int first)
{
    each_from(first, 0, close_one);
}

void
mark_from(int first)
{
    each_from(first, CLOSE_RANGE_CLOEXEC, mark_one);
}
