/* SPDX-License-Identifier: MIT */
/*
 * header.c - the PROXY header, by which the target learns who the client is
 *
 * The client is whom the daemon knows: one that a PROXY header has announced to it is announced
 * further. https://www.haproxy.org/download/2.8/doc/proxy-protocol.txt
 *
 * Runs in:  a handler thread, child or coroutine.
 * Owns:     nothing.
 * Failures: none.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "forward.h"

struct addresses {
    struct sockaddr_storage client, local;
};

/* ::ffff:a.b.c.d, for the header in which the other address is one of IPv6. */
static void
map(struct sockaddr_storage *address)
{
    struct sockaddr_in ipv4;
    struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6};

    if (address->ss_family != AF_INET)
        return;
    memcpy(&ipv4, address, sizeof(ipv4));
    ipv6.sin6_port = ipv4.sin_port;
    ipv6.sin6_addr.s6_addr[10] = ipv6.sin6_addr.s6_addr[11] = 0xff;
    memcpy(ipv6.sin6_addr.s6_addr + 12, &ipv4.sin_addr, sizeof(ipv4.sin_addr));
    memcpy(address, &ipv6, sizeof(ipv6));
}

/* A client that a PROXY header has announced to a Unix socket has no address of ours that goes with
 * its own. The header has a place for one all the same: "any" stands there. */
static void
pair_up(const struct sockaddr_storage *client, struct sockaddr_storage *local)
{
    bool internet = client->ss_family == AF_INET || client->ss_family == AF_INET6;

    if (internet && local->ss_family != AF_INET && local->ss_family != AF_INET6)
        *local = (struct sockaddr_storage){.ss_family = client->ss_family};
}

/* Both, of one family; AF_UNSPEC as family says that there is nothing to announce. */
static void
find_addresses(struct ss_request *request, struct addresses *ret)
{
    socklen_t size, local_size = sizeof(ret->local);
    const struct sockaddr *client = ss_client_address(request, &size);

    memset(ret, 0, sizeof(*ret));
    memcpy(&ret->client, client, size < sizeof(ret->client) ? size : sizeof(ret->client));
    if (ss_local_address(request, (struct sockaddr *)&ret->local, &local_size) < 0)
        ret->local.ss_family = AF_UNSPEC; /* standard input is a pipe, for example */
    pair_up(&ret->client, &ret->local);
    if (ret->client.ss_family == AF_INET6 || ret->local.ss_family == AF_INET6) {
        map(&ret->client);
        map(&ret->local);
    }
    if (ret->client.ss_family != ret->local.ss_family)
        ret->client.ss_family = AF_UNSPEC;
}

static int
write_text(const struct addresses *addresses, char buffer[HEADER_MOST])
{
    char client[INET6_ADDRSTRLEN], local[INET6_ADDRSTRLEN];
    int family = addresses->client.ss_family;
    struct sockaddr_in6 from6, to6;
    struct sockaddr_in from, to;

    memcpy(&from6, &addresses->client, sizeof(from6));
    memcpy(&to6, &addresses->local, sizeof(to6));
    memcpy(&from, &addresses->client, sizeof(from));
    memcpy(&to, &addresses->local, sizeof(to));
    if (family != AF_INET && family != AF_INET6)
        return snprintf(buffer, HEADER_MOST, "PROXY UNKNOWN\r\n");
    bool ipv6 = family == AF_INET6;
    (void)inet_ntop(family, ipv6 ? (const void *)&from6.sin6_addr : &from.sin_addr, client,
                    sizeof(client));
    (void)inet_ntop(family, ipv6 ? (const void *)&to6.sin6_addr : &to.sin_addr, local,
                    sizeof(local));
    return snprintf(buffer, HEADER_MOST, "PROXY TCP%c %s %s %u %u\r\n", ipv6 ? '6' : '4', client,
                    local, ntohs(ipv6 ? from6.sin6_port : from.sin_port),
                    ntohs(ipv6 ? to6.sin6_port : to.sin_port));
}

/* ---- version 2 ------------------------------------------------------------------------------ */

struct block {
    unsigned char *bytes;
    size_t size;
};

static void
add(struct block *block, const void *bytes, size_t size)
{
    memcpy(block->bytes + block->size, bytes, size);
    block->size += size;
}

static void
add_addresses(struct block *block, const struct addresses *addresses)
{
    struct sockaddr_in6 from6, to6;
    struct sockaddr_in from, to;
    struct sockaddr_un from_path, to_path;

    switch (addresses->client.ss_family) {
    case AF_INET:
        memcpy(&from, &addresses->client, sizeof(from));
        memcpy(&to, &addresses->local, sizeof(to));
        add(block, &from.sin_addr, sizeof(from.sin_addr));
        add(block, &to.sin_addr, sizeof(to.sin_addr));
        add(block, &from.sin_port, sizeof(from.sin_port));
        add(block, &to.sin_port, sizeof(to.sin_port));
        break;
    case AF_INET6:
        memcpy(&from6, &addresses->client, sizeof(from6));
        memcpy(&to6, &addresses->local, sizeof(to6));
        add(block, &from6.sin6_addr, sizeof(from6.sin6_addr));
        add(block, &to6.sin6_addr, sizeof(to6.sin6_addr));
        add(block, &from6.sin6_port, sizeof(from6.sin6_port));
        add(block, &to6.sin6_port, sizeof(to6.sin6_port));
        break;
    case AF_UNIX:
        memcpy(&from_path, &addresses->client, sizeof(from_path));
        memcpy(&to_path, &addresses->local, sizeof(to_path));
        add(block, from_path.sun_path, sizeof(from_path.sun_path));
        add(block, to_path.sun_path, sizeof(to_path.sun_path));
        break;
    default:
        break;
    }
}

static int
write_binary(const struct addresses *addresses, char buffer[HEADER_MOST])
{
    static const unsigned char families[] = {[AF_UNIX] = 0x31, [AF_INET] = 0x11, [AF_INET6] = 0x21};
    sa_family_t family = addresses->client.ss_family;
    unsigned char *bytes = (unsigned char *)buffer;
    struct block block = {.bytes = bytes + 16};

    memcpy(bytes, "\r\n\r\n\0\r\nQUIT\n", 12);
    bytes[12] = family == AF_UNSPEC ? 0x20 : 0x21; /* LOCAL: there is no client to announce */
    bytes[13] = family < sizeof(families) ? families[family] : 0;
    add_addresses(&block, addresses);
    bytes[14] = (unsigned char)(block.size >> 8);
    bytes[15] = (unsigned char)block.size;
    return (int)(16 + block.size);
}

int
header_write(struct ss_request *request, enum proxy_protocol version, char buffer[HEADER_MOST])
{
    struct addresses addresses;

    find_addresses(request, &addresses);
    return version == PROXY_V1 ? write_text(&addresses, buffer) : write_binary(&addresses, buffer);
}
