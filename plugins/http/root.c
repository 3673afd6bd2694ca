/* SPDX-License-Identifier: MIT */
/*
 * root.c - opening files below the root, and none elsewhere
 *
 * openat2(2) resolves the whole path below the root's descriptor: a symbolic link may point to
 * something else below it, and is refused where it leads out, whoever changes folders and links
 * meanwhile. Where there is no openat2(2), or where a sandbox forbids it, the path is walked part
 * by part, and symbolic links are refused altogether.
 *
 * Runs in:  a handler; root_probe() in a worker's start.
 * Owns:     nothing.
 * Failures: returned.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "http.h"

/* A FIFO would hold up whoever opens it, and a terminal could become ours. */
#define FILE_FLAGS (O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)

#define ATTEMPTS 8 /* while others rename what is on the way */

static int
open_beneath(int root, const char *path, uint64_t flags)
{
    struct open_how how = {.flags = flags, .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    long fd = -1;

    for (int i = 0; i < ATTEMPTS && fd < 0; i++) {
        fd = syscall(SYS_openat2, root, path, &how, sizeof(how));
        if (fd < 0 && errno != EAGAIN && errno != EINTR)
            break;
    }
    return fd < 0 ? -errno : (int)fd;
}

void
root_probe(struct site *site)
{
    int fd = open_beneath(site->root, ".", O_PATH | O_CLOEXEC);

    site->step_by_step = fd == -ENOSYS || fd == -EPERM;
    if (site->step_by_step)
        ss_log(LOG_NOTICE, "openat2(2) cannot be used here (%s): symbolic links are not followed",
               strerror(-fd));
    if (fd >= 0)
        (void)close(fd);
}

/* The next part of the path; false: it is too long for a file's name. */
static bool
next_part(const char **path, char part[NAME_MAX + 1])
{
    size_t size = strcspn(*path, "/");

    if (size > NAME_MAX)
        return false;
    memcpy(part, *path, size);
    part[size] = '\0';
    *path += size + strspn(*path + size, "/");
    return true;
}

static int
walk(int root, const char *path)
{
    int folder = root, fd;
    char part[NAME_MAX + 1];

    do {
        if (!next_part(&path, part))
            fd = -ENAMETOOLONG;
        else if (strcmp(part, "..") == 0)
            fd = -EXDEV;
        else if ((fd = openat(folder, part,
                              O_NOFOLLOW | (*path != '\0' ? O_PATH | O_DIRECTORY | O_CLOEXEC
                                                          : FILE_FLAGS))) < 0)
            fd = -errno;
        if (folder != root)
            (void)close(folder);
        folder = fd;
    } while (fd >= 0 && *path != '\0');
    return fd;
}

int
root_open(const struct site *site, const char *path, struct stat *ret)
{
    const char *name = *path != '\0' ? path : ".";
    int fd =
        site->step_by_step ? walk(site->root, name) : open_beneath(site->root, name, FILE_FLAGS);

    if (fd < 0)
        return fd;
    if (fstat(fd, ret) < 0) {
        int error = -errno;
        (void)close(fd);
        return error;
    }
    return fd;
}
