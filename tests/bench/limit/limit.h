/* What the limit servers share: addresses, listening sockets, the echo loop. */
#ifndef LIMIT_H
#define LIMIT_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 4096

static inline void
fatal(const char *what)
{
    perror(what);
    exit(1);
}

/* A bound socket for tcp: udp: unix: unixgram:, listening if it is a stream. */
static inline int
open_server(const char *addr, int flags, bool reuseport)
{
    struct sockaddr_storage ss = {0};
    struct sockaddr_in *in = (void *)&ss;
    struct sockaddr_un *un = (void *)&ss;
    bool dgram = !strncmp(addr, "udp:", 4) || !strncmp(addr, "unixgram:", 9);
    char host[64];
    unsigned port;
    socklen_t len;
    const char *rest = strchr(addr, ':');
    if (rest && !strncmp(addr, "unix", 4)) {
        un->sun_family = AF_UNIX;
        strncpy(un->sun_path, rest + 1, sizeof un->sun_path - 1);
        unlink(un->sun_path);
        len = sizeof *un;
    } else if (rest && sscanf(rest, ":%63[0-9.]:%u", host, &port) == 2 &&
               inet_pton(AF_INET, host, &in->sin_addr) == 1) {
        in->sin_family = AF_INET;
        in->sin_port = htons((uint16_t)port);
        len = sizeof *in;
    } else {
        fprintf(stderr, "bad address: %s\n", addr);
        exit(2);
    }
    struct rlimit rl;
    getrlimit(RLIMIT_NOFILE, &rl);
    rl.rlim_cur = rl.rlim_max;
    setrlimit(RLIMIT_NOFILE, &rl);
    signal(SIGPIPE, SIG_IGN);
    int fd = socket(ss.ss_family, (dgram ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC | flags, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (reuseport)
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &(int){1}, sizeof(int));
    if (fd < 0 || bind(fd, (void *)&ss, len) < 0 || (!dgram && listen(fd, BACKLOG) < 0))
        fatal(addr);
    return fd;
}

static inline bool
is_tcp(const char *addr)
{
    return !strncmp(addr, "tcp:", 4);
}

static inline void
nodelay(int fd)
{
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
}

static inline void
defer_accept(int fd)
{
    setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &(int){1}, sizeof(int));
}

/* Write it all, waiting for room; false when the peer is gone. */
static inline bool
send_all(int fd, const char *p, size_t n)
{
    while (n) {
        ssize_t w = send(fd, p, n, MSG_NOSIGNAL);
        if (w < 0 && errno == EAGAIN)
            poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, -1);
        else if (w < 0)
            return false;
        else
            p += w, n -= (size_t)w;
    }
    return true;
}

/* Blocking echo until EOF. */
static inline void
echo_until_eof(int fd)
{
    char buf[4096];
    ssize_t n;
    while ((n = recv(fd, buf, sizeof buf, 0)) > 0 && send_all(fd, buf, (size_t)n))
        ;
}
#endif
