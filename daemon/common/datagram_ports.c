/* SPDX-License-Identifier: MIT */
/*
 * datagram_ports.c - on which UDP ports this daemon listens
 *
 * A bit for each port in a memory file, which is made for the first UDP
 * listener. Only the supervisor counts how many sockets stand behind a bit:
 * each address has its own, and a reload opens the next before it closes the
 * last.
 *
 * Runs in:  the supervisor, which writes it; workers, which read it.
 * Owns:     the map, as long as the process lives.
 * Failures: none. Without a map, workers know the port of their own socket.
 */
#include "common/datagram_ports.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"

#define PORTS    65536
#define MAP_SIZE (PORTS / 8)

/* Older C libraries lack it. Linux 5.1: nobody can map the file for writing from now on. */
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

static _Atomic uint8_t *map; /* NULL: there is none */
static int map_fd = -1;
static uint16_t sockets_on[PORTS]; /* pages that no port has touched cost nothing */

uint16_t
datagram_port_of(int socket)
{
    union {
        struct sockaddr_storage any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } address = {0};
    socklen_t size = sizeof(address), type_size = sizeof(int);
    int type = 0;

    if (getsockopt(socket, SOL_SOCKET, SO_TYPE, &type, &type_size) < 0 || type != SOCK_DGRAM ||
        getsockname(socket, (struct sockaddr *)&address.any, &size) < 0)
        return 0;
    if (address.any.ss_family == AF_INET)
        return ntohs(address.in.sin_port);
    return address.any.ss_family == AF_INET6 ? ntohs(address.in6.sin6_port) : 0;
}

/* ---- in the supervisor --------------------------------------------------------- */

static bool
have_map(void)
{
    _cleanup_close_ int fd = -1;
    void *mapping;

    if (map != NULL)
        return true;
    fd = memfd_create("sockserverd-ports", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0 || ftruncate(fd, MAP_SIZE) < 0 || fchmod(fd, 0444) < 0)
        return false;
    mapping = mmap(NULL, MAP_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (mapping == MAP_FAILED)
        return false;
    (void)fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW);
    (void)fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE); /* where it is unknown, the mode must do */
    map = mapping;
    map_fd = take_fd(fd);
    return true;
}

uint16_t
datagram_ports_add(int socket)
{
    uint16_t port = datagram_port_of(socket);

    if (port == 0 || !have_map() || sockets_on[port] == UINT16_MAX)
        return 0;
    if (sockets_on[port]++ == 0)
        (void)atomic_fetch_or(&map[port / 8], (uint8_t)(1u << (port % 8)));
    return port;
}

void
datagram_ports_remove(uint16_t port)
{
    if (port != 0 && --sockets_on[port] == 0)
        (void)atomic_fetch_and(&map[port / 8], (uint8_t) ~(1u << (port % 8)));
}

int
datagram_ports_for(int socket)
{
    return map != NULL && datagram_port_of(socket) != 0 ? map_fd : -1;
}

/* ---- in a worker ---------------------------------------------------------------- */

void
datagram_ports_attach(int fd)
{
    void *mapping = mmap(NULL, MAP_SIZE, PROT_READ, MAP_SHARED, fd, 0);

    if (mapping != MAP_FAILED)
        map = mapping;
    (void)close(fd);
}

bool
datagram_ports_has(uint16_t port)
{
    if (map == NULL)
        return false;
    return (atomic_load_explicit(&map[port / 8], memory_order_relaxed) >> (port % 8) & 1) != 0;
}
