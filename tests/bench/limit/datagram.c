/* SPDX-License-Identifier: MIT */
/*
 * datagram.c - the least that a datagram server must do
 *
 * usage: limit-datagram [-b BATCH] ADDRESS
 * BATCH datagrams at a time by recvmmsg() and sendmmsg() (32); 1: recvfrom() and sendto()
 */
#include "limit.h"

#define MOST 256
#define SIZE 2048

static void
one_by_one(int fd)
{
    char bytes[SIZE];
    struct sockaddr_storage from;

    for (;;) {
        socklen_t size = sizeof(from);
        ssize_t got = recvfrom(fd, bytes, sizeof(bytes), 0, (struct sockaddr *)&from, &size);
        if (got >= 0)
            sendto(fd, bytes, (size_t)got, 0, (struct sockaddr *)&from, size);
    }
}

static void
send_batch(int fd, struct mmsghdr *messages, int count)
{
    for (int sent = 0; sent < count;) {
        int result = sendmmsg(fd, messages + sent, (unsigned)(count - sent), 0);
        sent += result > 0 ? result : 1; /* a client that is gone costs its own answer only */
    }
}

static void
in_batches(int fd, int batch)
{
    static char bytes[MOST][SIZE];
    static struct sockaddr_storage from[MOST];
    static struct mmsghdr messages[MOST];
    static struct iovec parts[MOST];

    for (;;) {
        for (int i = 0; i < batch; i++) {
            parts[i] = (struct iovec){bytes[i], SIZE};
            messages[i].msg_hdr = (struct msghdr){.msg_name = &from[i],
                                                  .msg_namelen = sizeof(from[i]),
                                                  .msg_iov = &parts[i],
                                                  .msg_iovlen = 1};
        }
        int count = recvmmsg(fd, messages, (unsigned)batch, MSG_WAITFORONE, NULL);
        for (int i = 0; i < count; i++)
            parts[i].iov_len = messages[i].msg_len;
        send_batch(fd, messages, count);
    }
}

int
main(int argc, char **argv)
{
    int batch = 32;

    for (int c; (c = getopt(argc, argv, "b:")) != -1;)
        batch = c == 'b' ? atoi(optarg) : 0;
    if (batch < 1 || batch > MOST)
        return 2;
    int fd = open_server(argv[optind], 0);
    if (batch == 1)
        one_by_one(fd);
    in_batches(fd, batch);
}
