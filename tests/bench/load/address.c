/* SPDX-License-Identifier: MIT */
/*
 * address.c - loopback addresses and the sockets that connect to them
 *
 * Ephemeral ports: a closed-loop "conn" run makes tens of thousands of
 * connections a second, and we, who close first, keep each one 60 s in
 * TIME_WAIT. So every connection is bound to one of -S source addresses
 * 127.0.x.y in turn, with IP_BIND_ADDRESS_NO_PORT, so that the kernel picks the
 * port in connect() per (source, destination) pair: 64 addresses give 64 times
 * 28,000 ports.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/un.h>
#include <unistd.h>

#include "load.h"

struct peer peer;

void
parse_address(const char *s)
{
    struct sockaddr_un *un = (void *)&peer.address;
    struct sockaddr_in *in = (void *)&peer.address;
    struct sockaddr_in6 *in6 = (void *)&peer.address;
    char host[64];
    unsigned port;
    peer.type = !strncmp(s, "udp:", 4) || !strncmp(s, "unixgram:", 9) ? SOCK_DGRAM : SOCK_STREAM;
    const char *rest = strchr(s, ':');
    if (rest && !strncmp(s, "unix", 4)) {
        un->sun_family = AF_UNIX;
        if ((size_t)snprintf(un->sun_path, sizeof un->sun_path, "%s", rest + 1) >=
            sizeof un->sun_path)
            die("path too long: %s", s);
        peer.size = sizeof *un;
        return;
    }
    peer.inet = true;
    if (rest && sscanf(rest, ":[%63[^]]]:%u", host, &port) == 2 && port < 65536 &&
        inet_pton(AF_INET6, host, &in6->sin6_addr) == 1) {
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons((uint16_t)port);
        peer.size = sizeof *in6;
        if (!IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr))
            die("not a loopback address: %s", s);
    } else if (rest && sscanf(rest, ":%63[0-9.]:%u", host, &port) == 2 && port < 65536 &&
               inet_pton(AF_INET, host, &in->sin_addr) == 1) {
        in->sin_family = AF_INET;
        in->sin_port = htons((uint16_t)port);
        peer.size = sizeof *in;
        if (ntohl(in->sin_addr.s_addr) >> 24 != 127)
            die("not a loopback address: %s", s);
    } else {
        die("bad address: %s", s);
    }
}

static void
bind_source(int fd)
{
    static uint32_t turn;
    uint32_t i = turn++ % (uint32_t)options.sources;
    struct sockaddr_in a = {.sin_family = AF_INET};
    a.sin_addr.s_addr = htonl(0x7f000101u + (i / 250 << 8) + i % 250);
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &(int){1}, sizeof(int));
    if (bind(fd, (void *)&a, sizeof a) < 0)
        die("bind source: %s", strerror(errno));
}

int
dial(void)
{
    int fd = socket(peer.address.ss_family, peer.type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        die("socket: %s", strerror(errno));
    if (peer.inet && options.sources > 0 && peer.address.ss_family == AF_INET)
        bind_source(fd);
    if (peer.address.ss_family == AF_UNIX && peer.type == SOCK_DGRAM) {
        struct sockaddr_un a = {.sun_family = AF_UNIX};
        if (bind(fd, (void *)&a, sizeof(sa_family_t)) < 0) /* the kernel makes up a name */
            die("bind: %s", strerror(errno));
    }
    if (connect(fd, (void *)&peer.address, peer.size) < 0 && errno != EINPROGRESS) {
        int err = errno;
        close(fd);
        errno = err;
        return -1;
    }
    return fd;
}

void
watch(int fd, int op, uint32_t events, void *p)
{
    struct epoll_event e = {.events = events, .data.ptr = p};
    if (epoll_ctl(ep, op, fd, &e) < 0)
        die("epoll_ctl: %s", strerror(errno));
}
