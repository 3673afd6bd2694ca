/* SPDX-License-Identifier: MIT */
/*
 * limit.h - what the limit servers share: addresses, listening sockets, the echo loop
 */
#ifndef BENCH_LIMIT_H
#define BENCH_LIMIT_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
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

static inline void
fatal(const char *what)
{
    perror(what);
    exit(1);
}

/* The address of tcp:HOST:PORT, udp:HOST:PORT, unix:PATH or unixgram:PATH. Its size. */
static inline socklen_t
parse_address(const char *text, struct sockaddr_storage *ret)
{
    struct sockaddr_in *in = (struct sockaddr_in *)ret;
    struct sockaddr_un *un = (struct sockaddr_un *)ret;
    const char *rest = strchr(text, ':');
    char host[64];
    unsigned port;

    memset(ret, 0, sizeof(*ret));
    if (rest != NULL && strncmp(text, "unix", 4) == 0) {
        un->sun_family = AF_UNIX;
        strncpy(un->sun_path, rest + 1, sizeof(un->sun_path) - 1);
        return sizeof(*un);
    }
    if (rest != NULL && sscanf(rest, ":%63[0-9.]:%u", host, &port) == 2 &&
        inet_pton(AF_INET, host, &in->sin_addr) == 1) {
        in->sin_family = AF_INET;
        in->sin_port = htons((uint16_t)port);
        return sizeof(*in);
    }
    fprintf(stderr, "bad address: %s\n", text);
    exit(2);
}

/* A bound socket, listening if it is a stream; as many descriptors as there may be. */
static inline int
open_server(const char *text, int flags)
{
    bool datagrams = strncmp(text, "udp:", 4) == 0 || strncmp(text, "unixgram:", 9) == 0;
    struct sockaddr_storage address;
    socklen_t size = parse_address(text, &address);
    struct rlimit limit;

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    signal(SIGPIPE, SIG_IGN);
    if (address.ss_family == AF_UNIX)
        unlink(strchr(text, ':') + 1);
    int fd =
        socket(address.ss_family, (datagrams ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC | flags, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) < 0 ||
        (!datagrams && listen(fd, 4096) < 0))
        fatal(text);
    return fd;
}

static inline int
next_connection(int listening)
{
    int fd;

    while ((fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC)) < 0)
        if (errno == EBADF || errno == EINVAL)
            fatal("accept");
    return fd;
}

/* Sends it all, waiting for room; false when the peer is gone. */
static inline bool
send_all(int fd, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(fd, bytes, size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) {
            poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, -1);
        } else if (sent < 0) {
            return false;
        } else {
            bytes += sent;
            size -= (size_t)sent;
        }
    }
    return true;
}

static inline void
echo_until_eof(int fd)
{
    char buffer[4096];
    ssize_t got;

    while ((got = recv(fd, buffer, sizeof(buffer), 0)) > 0 && send_all(fd, buffer, (size_t)got))
        ;
}

#endif
