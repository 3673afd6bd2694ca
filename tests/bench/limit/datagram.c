/*
 * Datagram class: udp or unix datagram echo with recvmmsg/sendmmsg.
 * usage: dgram ADDRESS [-b BATCH (32; 1: recvfrom/sendto)] [-j THREADS on one socket]
 */
#include "limit.h"
#include <pthread.h>

#define MAX  256
#define SIZE 2048

static int fd, batch = 32;

static void *
singly(void *arg)
{
    char buf[SIZE];
    struct sockaddr_storage from;
    for (;;) {
        socklen_t len = sizeof from;
        ssize_t n = recvfrom(fd, buf, sizeof buf, 0, (void *)&from, &len);
        if (n >= 0)
            sendto(fd, buf, (size_t)n, 0, (void *)&from, len);
    }
    return arg;
}

static void *
batched(void *arg)
{
    static _Thread_local char buf[MAX][SIZE];
    static _Thread_local struct sockaddr_storage from[MAX];
    struct mmsghdr m[MAX] = {0};
    struct iovec v[MAX];
    for (;;) {
        for (int i = 0; i < batch; i++) {
            v[i] = (struct iovec){buf[i], SIZE};
            m[i].msg_hdr = (struct msghdr){.msg_name = &from[i],
                                           .msg_namelen = sizeof from[i],
                                           .msg_iov = &v[i],
                                           .msg_iovlen = 1};
        }
        int n = recvmmsg(fd, m, (unsigned)batch, MSG_WAITFORONE, NULL);
        for (int i = 0; i < n; i++)
            v[i].iov_len = m[i].msg_len;
        for (int sent = 0; sent < n;) {
            int w = sendmmsg(fd, m + sent, (unsigned)(n - sent), 0);
            sent += w > 0 ? w : 1; /* a client that is gone costs its own answer only */
        }
    }
    return arg;
}

int
main(int argc, char **argv)
{
    int threads = 1;
    for (int c; (c = getopt(argc, argv, "b:j:")) != -1;)
        switch (c) {
        case 'b':
            batch = atoi(optarg);
            break;
        case 'j':
            threads = atoi(optarg);
            break;
        default:
            return 2;
        }
    if (batch < 1 || batch > MAX)
        return 2;
    fd = open_server(argv[optind], 0, false);
    void *(*loop)(void *) = batch == 1 ? singly : batched;
    for (int i = 1; i < threads; i++)
        pthread_create(&(pthread_t){0}, NULL, loop, NULL);
    loop(NULL);
}
