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
#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/unix_diag.h"

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
look_unix(int fd, struct accept_queue *ret)
{
    union {
        struct nlmsghdr header;
        char bytes[1024];
    } answer;
    const struct unix_diag_rqlen *lengths;
    struct stat status;
    size_t size;

    if (fstat(fd, &status) < 0)
        return -errno;
    _cleanup_close_ int diagnosis = unix_diag_ask(status.st_ino, UDIAG_SHOW_RQLEN);
    if (diagnosis < 0)
        return diagnosis;
    ssize_t got = recv(diagnosis, &answer, sizeof(answer), MSG_DONTWAIT);
    if (got < 0)
        return -errno;
    if (!NLMSG_OK(&answer.header, (size_t)got))
        return -EBADMSG;
    if (answer.header.nlmsg_type != SOCK_DIAG_BY_FAMILY ||
        (lengths = unix_diag_attribute(&answer.header, UNIX_DIAG_RQLEN, sizeof(*lengths), &size)) ==
            NULL)
        return -ENOENT;
    *ret = (struct accept_queue){.length = lengths->udiag_rqueue, .limit = lengths->udiag_wqueue};
    return 0;
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

    int r = look_tcp(fd, ret); /* most are, and then it is one call */
    if (r != -EOPNOTSUPP && r != -ENOPROTOOPT)
        return r;
    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size) < 0 ||
        getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0)
        return -errno;
    if (type == SOCK_DGRAM)
        return look_datagram(fd, family, ret);
    return family == AF_UNIX ? look_unix(fd, ret) : -EOPNOTSUPP;
}
