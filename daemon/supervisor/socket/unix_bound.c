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
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "common/cleanup.h"

#define MINOR_BITS 20 /* of the kernel's own device numbers */

static int
ask(int diagnosis)
{
    const struct {
        struct nlmsghdr header;
        struct unix_diag_req request;
    } question = {
        .header = {.nlmsg_len = sizeof(question),
                   .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                   .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
        .request = {.sdiag_family = AF_UNIX,
                    .udiag_states = UINT32_MAX,
                    .udiag_show = UDIAG_SHOW_VFS},
    };

    return send(diagnosis, &question, sizeof(question), MSG_DONTWAIT) < 0 ? -errno : 0;
}

/* File systems may show another device than the kernel means: the inode decides then. */
static bool
is_file(const struct unix_diag_vfs *bound, const struct stat *file)
{
    return bound->udiag_vfs_ino == (uint32_t)file->st_ino &&
           (bound->udiag_vfs_dev == (major(file->st_dev) << MINOR_BITS | minor(file->st_dev)) ||
            major(file->st_dev) == 0);
}

/* Whether the message tells of a socket that is bound to the file. */
static bool
tells_of(const struct nlmsghdr *header, const struct stat *file)
{
    size_t skipped = NLMSG_LENGTH(sizeof(struct unix_diag_msg));

    while (skipped + sizeof(struct nlattr) <= header->nlmsg_len) {
        struct nlattr attribute;
        const char *at = (const char *)header + skipped;
        memcpy(&attribute, at, sizeof(attribute));
        if (attribute.nla_len < sizeof(attribute) ||
            skipped + attribute.nla_len > header->nlmsg_len)
            return false;
        struct unix_diag_vfs bound;
        if (attribute.nla_type == UNIX_DIAG_VFS &&
            attribute.nla_len >= sizeof(attribute) + sizeof(bound)) {
            memcpy(&bound, at + sizeof(attribute), sizeof(bound));
            return is_file(&bound, file);
        }
        skipped += NLMSG_ALIGN(attribute.nla_len);
    }
    return false;
}

/* 1: found, 0: not among these, and there may be more; a negative errno: -ENOENT at the end. */
static int
search(const struct nlmsghdr *header, size_t size, const struct stat *file)
{
    for (; NLMSG_OK(header, size); header = NLMSG_NEXT(header, size)) {
        if (header->nlmsg_type == NLMSG_DONE)
            return -ENOENT;
        if (header->nlmsg_type == NLMSG_ERROR)
            return -EIO;
        if (tells_of(header, file))
            return 1;
    }
    return 0;
}

int
unix_bound(const struct stat *file)
{
    union {
        struct nlmsghdr header;
        char bytes[32768];
    } answer;
    _cleanup_close_ int diagnosis =
        socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG);
    int r = diagnosis < 0 ? -errno : ask(diagnosis);

    while (r == 0) {
        ssize_t got = recv(diagnosis, &answer, sizeof(answer), MSG_DONTWAIT);
        if (got < 0 && errno == EINTR)
            continue;
        r = got < 0 ? -errno : search(&answer.header, (size_t)got, file);
    }
    return r == -ENOENT ? 0 : r;
}
