/* SPDX-License-Identifier: MIT */
/*
 * queue.c - what waits in a listening socket
 *
 * The kernel has three places for it: TCP_INFO of a listening TCP socket, the
 * socket diagnosis of a listening Unix socket, and the memory account of a
 * datagram socket. A Unix datagram is charged to its sender, so that there
 * only the size of the first one is known.
 *
 * Runs in:  the supervisor.
 * Owns:     nothing.
 * Failures: returned; older kernels and sandboxes may hide any of them.
 */
#include "supervisor/socket/queue.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <linux/unix_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"

#define HEADER sizeof(struct nlattr) /* already aligned */

/* While a socket listens, these two members hold its queue and the queue's limit. */
static int
look_tcp(int fd, struct accept_queue *ret)
{
    struct tcp_info info;
    socklen_t size = sizeof(info);

    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0)
        return -errno;
    *ret = (struct accept_queue){.length = info.tcpi_unacked, .limit = info.tcpi_sacked};
    return 0;
}

static int
ask_diagnosis(int diagnosis, ino_t inode)
{
    const struct {
        struct nlmsghdr header;
        struct unix_diag_req request;
    } question = {
        .header = {.nlmsg_len = sizeof(question),
                   .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                   .nlmsg_flags = NLM_F_REQUEST},
        .request = {.sdiag_family = AF_UNIX,
                    .udiag_states = UINT32_MAX,
                    .udiag_ino = (uint32_t)inode,
                    .udiag_cookie = {UINT32_MAX, UINT32_MAX},
                    .udiag_show = UDIAG_SHOW_RQLEN},
    };

    return send(diagnosis, &question, sizeof(question), MSG_DONTWAIT) < 0 ? -errno : 0;
}

static int
read_diagnosis(const struct nlmsghdr *header, struct accept_queue *ret)
{
    if (header->nlmsg_type != SOCK_DIAG_BY_FAMILY)
        return -ENOENT;
    const struct unix_diag_msg *message = NLMSG_DATA(header);
    size_t left = header->nlmsg_len - NLMSG_LENGTH(sizeof(*message));
    const struct nlattr *attribute = (const void *)(message + 1);

    while (left >= sizeof(*attribute) && attribute->nla_len >= sizeof(*attribute) &&
           attribute->nla_len <= left) {
        struct unix_diag_rqlen lengths;
        if (attribute->nla_type == UNIX_DIAG_RQLEN &&
            attribute->nla_len >= HEADER + sizeof(lengths)) {
            memcpy(&lengths, (const char *)attribute + HEADER, sizeof(lengths));
            *ret = (struct accept_queue){.length = lengths.udiag_rqueue,
                                         .limit = lengths.udiag_wqueue};
            return 0;
        }
        size_t step = (attribute->nla_len + 3u) & ~(size_t)3;
        if (step > left)
            break;
        left -= step;
        attribute = (const void *)((const char *)attribute + step);
    }
    return -ENOENT;
}

/* The kernel answers within send(): there is nothing to wait for. */
static int
look_unix(int fd, struct accept_queue *ret)
{
    union {
        struct nlmsghdr header;
        char bytes[1024];
    } answer;
    struct stat status;
    _cleanup_close_ int diagnosis =
        socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG);

    if (diagnosis < 0 || fstat(fd, &status) < 0)
        return -errno;
    int r = ask_diagnosis(diagnosis, status.st_ino);
    if (r < 0)
        return r;
    ssize_t got = recv(diagnosis, &answer, sizeof(answer), MSG_DONTWAIT);
    if (got < 0)
        return -errno;
    if (!NLMSG_OK(&answer.header, (size_t)got) ||
        answer.header.nlmsg_len < NLMSG_LENGTH(sizeof(struct unix_diag_msg)))
        return -EBADMSG;
    return read_diagnosis(&answer.header, ret);
}

static int
look_datagram(int fd, int family, struct accept_queue *ret)
{
    uint32_t memory[SK_MEMINFO_VARS] = {0};
    socklen_t size = sizeof(memory);
    int first = 0;

    if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, memory, &size) < 0)
        return -errno;
    *ret = (struct accept_queue){.in_bytes = true,
                                 .length = memory[SK_MEMINFO_RMEM_ALLOC],
                                 .limit = memory[SK_MEMINFO_RCVBUF]};
    if (family == AF_UNIX) {
        if (ioctl(fd, SIOCINQ, &first) < 0)
            return -errno;
        *ret = (struct accept_queue){.in_bytes = true, .length = (uint64_t)first};
    }
    return 0;
}

int
queue_look(int fd, struct accept_queue *ret)
{
    int family = 0, type = 0;
    socklen_t size = sizeof(int);

    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size) < 0 ||
        getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0)
        return -errno;
    if (type == SOCK_DGRAM)
        return look_datagram(fd, family, ret);
    return family == AF_UNIX ? look_unix(fd, ret) : look_tcp(fd, ret);
}
