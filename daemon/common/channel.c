/* SPDX-License-Identifier: MIT */
/*
 * channel.c - messages between the supervisor and one worker
 *
 * Runs in:  supervisor and worker; safe from several threads (one packet is
 *           one system call).
 * Owns:     nothing; descriptors belong to the callers.
 * Failures: returned. A packet of the wrong shape is -EBADMSG and is gone.
 */
#include "common/channel.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define MESSAGE_HEAD_SIZE offsetof(struct message, text)
#define PATIENCE_MS       5000 /* with a supervisor that does not read */
#define SHORTAGE_TRIES    100
#define SHORTAGE_NSEC     10000000

union attached_fd {
    struct cmsghdr head;
    char space[CMSG_SPACE(sizeof(int))];
};

int
channel_create(int ret_ends[2])
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ret_ends) < 0)
        return -errno;
    return 0;
}

int
channel_send(int channel, enum message_type type, uint64_t value, const char *text, int fd)
{
    struct message head = {.type = type, .value = value};
    size_t text_size = text == NULL ? 0 : strnlen(text, MESSAGE_TEXT_SIZE - 1);
    struct iovec parts[] = {
        {.iov_base = &head, .iov_len = MESSAGE_HEAD_SIZE},
        {.iov_base = (void *)text, .iov_len = text_size},
        {.iov_base = (char[]){'\0'}, .iov_len = 1},
    };
    struct msghdr packet = {.msg_iov = parts, .msg_iovlen = 3};
    union attached_fd control = {0};

    if (fd >= 0) {
        packet.msg_control = &control;
        packet.msg_controllen = sizeof(control);
        struct cmsghdr *attached = CMSG_FIRSTHDR(&packet);
        attached->cmsg_level = SOL_SOCKET;
        attached->cmsg_type = SCM_RIGHTS;
        attached->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(attached), &fd, sizeof(int));
    }
    while (sendmsg(channel, &packet, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        if (errno != EINTR)
            return -errno;
    return 0;
}

bool
channel_is_short(int error)
{
    return error == -EAGAIN || error == -ENOBUFS || error == -ENOMEM;
}

/* Whether it is worth trying again. If so, it has waited: the kernel tells when there is room, but
 * not when there is memory. */
static bool
wait_for_room(int channel, int error, unsigned tries)
{
    struct pollfd room = {.fd = channel, .events = POLLOUT};

    if (error == -EAGAIN)
        return poll(&room, 1, PATIENCE_MS) > 0;
    if (!channel_is_short(error) || tries == SHORTAGE_TRIES)
        return false;
    (void)nanosleep(&(struct timespec){.tv_nsec = SHORTAGE_NSEC}, NULL);
    return true;
}

int
channel_send_patiently(int channel, enum message_type type, uint64_t value, const char *text)
{
    unsigned tries = 0;
    int r;

    do
        r = channel_send(channel, type, value, text, -1);
    while (r < 0 && wait_for_room(channel, r, tries++));
    return r;
}

int
channel_send_failure(int channel, enum failure kind, const struct errors *mistakes)
{
    int r = 0;

    for (size_t i = 0; i < mistakes->count && r == 0; i++)
        r = channel_send_patiently(channel, MESSAGE_MISTAKE, 0, mistakes->texts[i]);
    if (r == 0 && mistakes->exhausted)
        r = channel_send_patiently(channel, MESSAGE_MISTAKE, 0, "out of memory");
    return r < 0 ? r : channel_send_patiently(channel, MESSAGE_FAILED, kind, NULL);
}

/* Returns the attached descriptor, or -1. The kernel attaches no more descriptors than there is
 * room for. The caller offers CMSG_LEN(): the padding in CMSG_SPACE() has room for a second one. */
static int
received_fd(struct msghdr *packet)
{
    int fd = -1;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(packet); c != NULL; c = CMSG_NXTHDR(packet, c))
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
            memcpy(&fd, CMSG_DATA(c), sizeof(int));
    return fd;
}

int
channel_receive(int channel, struct message *ret, int *ret_fd)
{
    union attached_fd control;
    struct iovec part = {.iov_base = ret, .iov_len = sizeof(*ret)};
    struct msghdr packet = {
        .msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = CMSG_LEN(sizeof(int)),
    };
    ssize_t size;

    while ((size = recvmsg(channel, &packet, MSG_DONTWAIT | MSG_CMSG_CLOEXEC)) < 0)
        if (errno != EINTR)
            return errno == ECONNRESET ? 0 : -errno;
    if (size == 0)
        return 0;

    int fd = received_fd(&packet);
    bool whole = size > (ssize_t)MESSAGE_HEAD_SIZE && !(packet.msg_flags & MSG_TRUNC) &&
                 ((const char *)ret)[size - 1] == '\0';
    if (!whole) {
        if (fd >= 0)
            (void)close(fd);
        return -EBADMSG;
    }
    *ret_fd = fd;
    return 1;
}
