/* SPDX-License-Identifier: MIT */
/*
 * unix_diag.c - what the kernel tells of Unix sockets
 *
 * Runs in:  the supervisor, a worker.
 * Owns:     nothing.
 * Failures: returned; a kernel without the socket diagnosis, or a sandbox, may hide it.
 */
#include "common/unix_diag.h"

#include <errno.h>
#include <linux/sock_diag.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/cleanup.h"

int
unix_diag_ask(ino_t inode, uint32_t show)
{
    const struct {
        struct nlmsghdr header;
        struct unix_diag_req request;
    } question = {
        .header = {.nlmsg_len = sizeof(question),
                   .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                   .nlmsg_flags = NLM_F_REQUEST | (inode == 0 ? NLM_F_DUMP : 0)},
        .request = {.sdiag_family = AF_UNIX,
                    .udiag_states = UINT32_MAX,
                    .udiag_ino = (uint32_t)inode,
                    .udiag_cookie = {UINT32_MAX, UINT32_MAX},
                    .udiag_show = show},
    };
    _cleanup_close_ int fd =
        socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG);

    if (fd < 0 || send(fd, &question, sizeof(question), MSG_DONTWAIT) < 0)
        return -errno;
    return take_fd(fd);
}

const void *
unix_diag_attribute(const struct nlmsghdr *message, unsigned type, size_t least, size_t *ret_size)
{
    const char *at = (const char *)message, *end = at + message->nlmsg_len;

    at += NLMSG_LENGTH(sizeof(struct unix_diag_msg));
    while (at + sizeof(struct nlattr) <= end) {
        const struct nlattr *attribute = (const void *)at;
        if (attribute->nla_len < sizeof(*attribute) || attribute->nla_len > end - at)
            return NULL;
        *ret_size = attribute->nla_len - sizeof(*attribute);
        if (attribute->nla_type == type)
            return *ret_size < least ? NULL : attribute + 1;
        at += NLMSG_ALIGN(attribute->nla_len);
    }
    return NULL;
}
