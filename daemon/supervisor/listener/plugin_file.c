/* SPDX-License-Identifier: MIT */
/*
 * plugin_file.c - a plugin's file for a worker that may be unable to open it
 *
 * A daemon of root's may name a plugin that its worker's user cannot reach (a
 * folder above is root's alone) or cannot read. What an operator has configured
 * is meant to run, so the supervisor opens the file. The dynamic linker opens it
 * once more, by way of /proc/self/fd: no folder stands in the way then, but the
 * file's own permissions hold. If these say no, the worker gets a copy in a file
 * without a name, which nobody can change.
 *
 * Runs in:  the supervisor, for each worker that changes its user.
 * Owns:     nothing.
 * Failures: there is no descriptor; the worker tries the path, and reports.
 */
#include "supervisor/listener/plugin_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/memfd.h"

#define SIZE_MOST (off_t)(256 << 20) /* of a copy; a plugin has a hundred kilobytes */

static bool
has_group(const struct settings *settings, gid_t gid)
{
    for (uint32_t i = 0; i < settings->gid_count; i++)
        if (settings->gids[i] == gid)
            return true;
    return settings->gid == gid;
}

/* Whether the file's mode lets the listener's user read it. An access list may allow more: then the
 * copy was not needed, and does no harm. */
static bool
may_read(const struct settings *settings, const struct stat *status)
{
    if (settings->uid == 0)
        return (status->st_mode & S_IRUSR) != 0 && status->st_uid == 0;
    if (status->st_uid == settings->uid)
        return (status->st_mode & S_IRUSR) != 0;
    if (has_group(settings, status->st_gid))
        return (status->st_mode & S_IRGRP) != 0;
    return (status->st_mode & S_IROTH) != 0;
}

static int
copy_sealed(int file, off_t size)
{
    _cleanup_close_ int copy = memfd_create("plugin", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (copy < 0)
        return -1;
    for (off_t left = size; left > 0;) {
        ssize_t sent = sendfile(copy, file, NULL, (size_t)left);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return -1;
        left -= sent;
    }
    return fcntl(copy, F_ADD_SEALS, MEMFD_SEALS) < 0 ? -1 : take_fd(copy);
}

int
plugin_for_worker(const struct settings *settings)
{
    struct stat status;

    if (settings->plugin_file == NULL || settings->uid == (uid_t)-1 ||
        stat(settings->plugin_file, &status) < 0 || !S_ISREG(status.st_mode))
        return -1;
    _cleanup_close_ int file = open(settings->plugin_file, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (file < 0 || fstat(file, &status) < 0 || !S_ISREG(status.st_mode))
        return -1;
    if (may_read(settings, &status))
        return take_fd(file);
    return status.st_size > SIZE_MOST ? -1 : copy_sealed(file, status.st_size);
}
