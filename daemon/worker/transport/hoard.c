/* SPDX-License-Identifier: MIT */
/*
 * hoard.c - clients of a Unix datagram socket that leave many answers unread
 *
 * Until it is read, an answer takes room in the send buffer of the listening
 * socket, which all clients share. The kernel limits how many a client may have
 * there only if its socket is not connected to ours. So a connected one that
 * never reads would fill the buffer, and nobody could be answered any more.
 *
 * Once a quarter of the buffer is taken, the kernel is asked which sockets have
 * something unread. Those get no answer until they have read; their clients can
 * take the rest only by coming from many sockets. Clients in other network
 * namespaces are not seen, nor are answers of no bytes; nor is anything where
 * socket(2) of AF_NETLINK is forbidden.
 *
 * Runs in:  a serving context of a worker.
 * Owns:     a table of the process, behind a lock that is held for one look.
 * Failures: none: what cannot be found out is answered.
 */
#include "worker/transport/hoard.h"

#include <errno.h>
#include <linux/sockios.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/un.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/unix_diag.h"
#include "worker/request/mixin.h"
#include "worker/request/server.h"

#define OVERHEAD   768      /* what an answer of no bytes takes in the buffer */
#define SCAN_PAUSE 20000000 /* ns */
#define HOLDERS    256

struct holder {
    uint32_t inode;
    socklen_t size; /* of its name */
    char name[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct holder holders[HOLDERS]; /* sockets that had something unread at the last scan */
static size_t holder_count;
static int64_t scanned_at;
static _Atomic size_t sent;     /* since the last look at the buffer, about */
static _Atomic bool is_pressed; /* a quarter of it was taken then */

/* What one answer of the kernel holds. The union aligns it. */
union diagnosis {
    struct nlmsghdr header;
    char bytes[32768];
};

static union diagnosis diagnosis;

/* Whether the message says that its socket has something unread. */
static bool
has_unread(const struct nlmsghdr *message)
{
    size_t size;
    const struct unix_diag_rqlen *lengths =
        unix_diag_attribute(message, UNIX_DIAG_RQLEN, sizeof(*lengths), &size);

    return lengths != NULL && lengths->udiag_rqueue > 0;
}

static void
note_holder(const struct nlmsghdr *message)
{
    const struct unix_diag_msg *socket = NLMSG_DATA(message);
    struct holder *holder = &holders[holder_count];
    size_t size;
    const char *name = unix_diag_attribute(message, UNIX_DIAG_NAME, 1, &size);

    if (socket->udiag_type != SOCK_DGRAM || name == NULL || size > sizeof(holder->name) ||
        holder_count == HOLDERS || !has_unread(message))
        return;
    holder->inode = socket->udiag_ino;
    holder->size = (socklen_t)size;
    memcpy(holder->name, name, size);
    holder_count++;
}

/* Takes what one call gave. Whether more will come. */
static bool
note_holders(size_t size)
{
    const struct nlmsghdr *message = &diagnosis.header;

    for (; NLMSG_OK(message, size); message = NLMSG_NEXT(message, size)) {
        if (message->nlmsg_type == NLMSG_DONE || message->nlmsg_type == NLMSG_ERROR)
            return false;
        note_holder(message);
    }
    return true;
}

static void
scan(int64_t now)
{
    _cleanup_close_ int fd = unix_diag_ask(0, UDIAG_SHOW_NAME | UDIAG_SHOW_RQLEN);
    ssize_t got;

    scanned_at = now;
    holder_count = 0;
    if (fd < 0)
        return;
    do
        got = recv(fd, &diagnosis, sizeof(diagnosis), MSG_DONTWAIT);
    while ((got < 0 && errno == EINTR) || (got > 0 && note_holders((size_t)got)));
}

static bool
still_has_unread(const struct holder *holder)
{
    _cleanup_close_ int fd = unix_diag_ask(holder->inode, UDIAG_SHOW_RQLEN);
    ssize_t got = fd < 0 ? -1 : recv(fd, &diagnosis, sizeof(diagnosis), MSG_DONTWAIT);

    return got >= (ssize_t)NLMSG_LENGTH(sizeof(struct unix_diag_msg)) &&
           diagnosis.header.nlmsg_type != NLMSG_ERROR && has_unread(&diagnosis.header);
}

/* Whether the receiver is a socket that has not read since it was found. */
static bool
is_held_by(const struct msghdr *answer)
{
    const size_t start = offsetof(struct sockaddr_un, sun_path);
    const char *name = (const char *)answer->msg_name + start;
    size_t size = answer->msg_namelen > start ? answer->msg_namelen - start : 0;

    for (size_t i = 0; i < holder_count; i++) {
        if (holders[i].size != size || memcmp(holders[i].name, name, size) != 0)
            continue;
        if (still_has_unread(&holders[i]))
            return true;
        holders[i] = holders[--holder_count];
        return false;
    }
    return false;
}

/* Looks at the buffer; if much of it is taken, at the receiver. */
static bool
look(const struct ss_server *server, const struct msghdr *answer, int room)
{
    int64_t now = monotonic_now();
    int taken = 0;

    if (ioctl(server->socket, SIOCOUTQ, &taken) < 0)
        return false;
    sent = 0;
    is_pressed = taken >= room / 4;
    if (!is_pressed)
        return false;
    if (now - scanned_at >= SCAN_PAUSE)
        scan(now);
    return is_held_by(answer);
}

bool
hoard_refuses(const struct ss_server *server, const struct msghdr *answer)
{
    static _Atomic int room; /* in the buffer; it does not change */
    size_t cost = answer->msg_iov->iov_len + OVERHEAD;
    socklen_t size = sizeof(int);
    int bytes = room;

    if (bytes == 0) {
        if (getsockopt(server->socket, SOL_SOCKET, SO_SNDBUF, &bytes, &size) < 0 || bytes <= 0)
            return false;
        room = bytes;
    }
    /* Children do not know what others have sent; nor do the workers of "none", but they are as
     * many as cpus. */
    size_t step = (size_t)bytes / 8 / (server->settings.cpus > 1 ? server->settings.cpus : 1);
    if (!server->mixin->processes && !is_pressed && atomic_fetch_add(&sent, cost) + cost < step)
        return false;
    (void)pthread_mutex_lock(&lock);
    bool refused = look(server, answer, bytes);
    (void)pthread_mutex_unlock(&lock);
    return refused;
}
