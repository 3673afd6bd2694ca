/* SPDX-License-Identifier: MIT */
/*
 * unix_bound.c - whether a Unix socket in the file system has a living owner
 *
 * connect(2) is refused alike by what a dead server left behind and by a socket that is bound but
 * does not listen yet. The kernel's socket diagnosis knows the file of each bound socket.
 *
 * Runs in:  the supervisor.
 * Owns:     nothing.
 * Failures: returned; a kernel without the diagnosis, or a sandbox, may hide it.
 */
#include "supervisor/socket/unix_bound.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/unix_diag.h"

#define MINOR_BITS 20 /* of the kernel's own device numbers */

/* Whether the message's socket was bound by a name that ends as the path does. */
static bool
has_name(const struct nlmsghdr *message, const char *path)
{
    const char *slash = strrchr(path, '/'), *last = slash == NULL ? path : slash + 1;
    size_t size, wanted = strlen(last);
    const char *name = unix_diag_attribute(message, UNIX_DIAG_NAME, wanted, &size);

    if (name == NULL)
        return false;
    if (size > wanted && name[size - 1] == '\0')
        size--;
    return memcmp(name + size - wanted, last, wanted) == 0;
}

/*
 * Whether the message tells of a socket that is bound to the file. Some file
 * systems show another device than the kernel means (their major number is 0):
 * the name must decide then, because an inode's number is known to many of them.
 */
static bool
tells_of(const struct nlmsghdr *message, const char *path, const struct stat *file)
{
    const struct unix_diag_vfs *bound;
    size_t size;

    bound = unix_diag_attribute(message, UNIX_DIAG_VFS, sizeof(*bound), &size);
    if (bound == NULL || bound->udiag_vfs_ino != (uint32_t)file->st_ino)
        return false;
    if (bound->udiag_vfs_dev == (major(file->st_dev) << MINOR_BITS | minor(file->st_dev)))
        return true;
    return major(file->st_dev) == 0 && has_name(message, path);
}

/* 1: found, 0: not among these, and there may be more; a negative errno: -ENOENT at the end. */
static int
search(const struct nlmsghdr *message, size_t size, const char *path, const struct stat *file)
{
    for (; NLMSG_OK(message, size); message = NLMSG_NEXT(message, size)) {
        if (message->nlmsg_type == NLMSG_DONE)
            return -ENOENT;
        if (message->nlmsg_type == NLMSG_ERROR)
            return -EIO;
        if (tells_of(message, path, file))
            return 1;
    }
    return 0;
}

int
unix_bound(const char *path)
{
    union {
        struct nlmsghdr header;
        char bytes[32768];
    } answer;
    struct stat file;

    if (lstat(path, &file) < 0)
        return -errno;
    _cleanup_close_ int diagnosis = unix_diag_ask(0, UDIAG_SHOW_VFS | UDIAG_SHOW_NAME);
    int r = diagnosis < 0 ? diagnosis : 0;
    while (r == 0) {
        ssize_t got = recv(diagnosis, &answer, sizeof(answer), MSG_DONTWAIT);
        if (got < 0 && errno == EINTR)
            continue;
        r = got < 0 ? -errno : search(&answer.header, (size_t)got, path, &file);
    }
    return r == -ENOENT ? 0 : r;
}
