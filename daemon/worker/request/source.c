/* SPDX-License-Identifier: MIT */
/*
 * source.c - datagrams whose source nobody may be answered at
 *
 * Whoever sends a UDP datagram chooses its source. If that is a listener's own
 * address, the answer is the next question: one datagram would keep a worker
 * busy for ever. If it is a group of hosts, one question would make many
 * answers. Such a datagram is refused before plugin code sees it.
 *
 * Another listener's address is as bad as this one's: they would answer each
 * other. So a source is ours if its port is one of the daemon's
 * (datagram_ports.h) and its address one of this machine's. Only behind the
 * first condition, which is one look into a table, the kernel is asked.
 *
 * Runs in:  a serving context of a worker; prepare() before it serves.
 * Owns:     nothing.
 * Failures: what cannot be found out counts as an address of ours.
 */
#include "worker/request/source.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/address.h"
#include "common/channel.h"
#include "common/datagram_ports.h"
#include "common/log.h"
#include "worker/request/request.h"

#define BROADCASTS_MAX 32

static uint16_t own_port;
static struct in6_addr own_address;         /* IPv4 as a mapped one, as far as it is looked at */
static uint32_t broadcasts[BROADCASTS_MAX]; /* of this machine's networks, host byte order */
static size_t broadcast_count;

/* ---- once per worker ------------------------------------------------------------ */

static uint32_t
ipv4_of(const struct sockaddr *address)
{
    struct sockaddr_in in;

    memcpy(&in, address, sizeof(in));
    return ntohl(in.sin_addr.s_addr);
}

static void
add_broadcast(uint32_t address)
{
    if (broadcast_count < BROADCASTS_MAX)
        broadcasts[broadcast_count++] = address;
}

/* The kernel takes the last address of a network for its broadcast address, and another one if it
 * was told so. A network of two hosts has none. */
static void
add_broadcasts_of(const struct ifaddrs *interface)
{
    uint32_t mask, last;

    if (interface->ifa_addr == NULL || interface->ifa_addr->sa_family != AF_INET ||
        interface->ifa_netmask == NULL)
        return;
    mask = ipv4_of(interface->ifa_netmask);
    last = ipv4_of(interface->ifa_addr) | ~mask;
    if (~mask > 1)
        add_broadcast(last);
    if ((interface->ifa_flags & IFF_BROADCAST) && interface->ifa_broadaddr != NULL &&
        ipv4_of(interface->ifa_broadaddr) != last)
        add_broadcast(ipv4_of(interface->ifa_broadaddr));
}

/* Where interfaces cannot be listed, or have changed since, the kernel refuses the answer. */
static void
note_broadcasts(void)
{
    struct ifaddrs *interfaces;

    broadcast_count = 0;
    if (getifaddrs(&interfaces) < 0)
        return;
    for (const struct ifaddrs *i = interfaces; i != NULL; i = i->ifa_next)
        add_broadcasts_of(i);
    freeifaddrs(interfaces);
}

static void
note_own_address(int socket)
{
    union {
        struct sockaddr_storage any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } address = {0};
    socklen_t size = sizeof(address);

    if (getsockname(socket, (struct sockaddr *)&address.any, &size) < 0)
        return;
    if (address.any.ss_family == AF_INET)
        memcpy(own_address.s6_addr + 12, &address.in.sin_addr, 4);
    else
        own_address = address.in6.sin6_addr;
}

static int
prepare(struct ss_server *server, struct errors *errors)
{
    (void)errors;
    own_port = datagram_port_of(server->socket);
    if (own_port == 0)
        return 0;
    note_own_address(server->socket);
    datagram_ports_attach(INHERITED_PORTS);
    note_broadcasts();
    return 1;
}

/* ---- once per datagram ---------------------------------------------------------- */

static const struct refusal no_port = {.reason = "its source port is 0"};
static const struct refusal no_address = {.reason = "its source is no address"};
static const struct refusal multicast = {.reason = "its source is a multicast address"};
static const struct refusal broadcast = {.reason = SOURCE_IS_BROADCAST};
static const struct refusal own = {.reason = "its source is a listener of this daemon"};

static bool
is_own_port(uint16_t port)
{
    return port == own_port || datagram_ports_has(port);
}

static bool
is_broadcast(uint32_t address)
{
    if (address == INADDR_BROADCAST)
        return true;
    for (size_t i = 0; i < broadcast_count; i++)
        if (address == broadcasts[i])
            return true;
    return false;
}

/* Whether a socket could be bound to the address. -1: it cannot be found out. */
static int
can_bind(const struct sockaddr *address, socklen_t size)
{
    int fd = socket(address->sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int result = -1;

    if (fd < 0)
        return -1;
    if (bind(fd, address, size) == 0)
        result = 1;
    else if (errno == EADDRNOTAVAIL)
        result = 0;
    (void)close(fd);
    return result;
}

/* Where net.ipv4.ip_nonlocal_bind is set, every address can be bound: then that of a network for
 * documents can, too. */
static bool
can_bind_strangers(int family)
{
    const struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr = {htonl(0xc0000201)}};
    const struct sockaddr_in6 in6 = {.sin6_family = AF_INET6,
                                     .sin6_addr = {{{0x20, 0x01, 0x0d, 0xb8}}}};

    return family == AF_INET ? can_bind((const struct sockaddr *)&in, sizeof(in)) != 0
                             : can_bind((const struct sockaddr *)&in6, sizeof(in6)) != 0;
}

/* Whether the datagram was sent to the address that it says it comes from. */
static bool
comes_from_where_it_went(const struct datagram *datagram, const struct sockaddr *source)
{
    const struct in6_addr *asked =
        datagram->reply_from_known ? &datagram->reply_from.ipi6_addr : &own_address;

    if (source->sa_family == AF_INET)
        return memcmp(asked->s6_addr + 12, &((const struct sockaddr_in *)source)->sin_addr, 4) == 0;
    return memcmp(asked, &((const struct sockaddr_in6 *)source)->sin6_addr, 16) == 0;
}

/* Whether this machine has the source's address, whatever its port. */
static bool
is_local(const struct ss_request *request)
{
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } source;

    memcpy(&source, &request->client.address, sizeof(source));
    if (source.any.sa_family == AF_INET)
        source.in.sin_port = 0;
    else
        source.in6.sin6_port = 0;
    if (can_bind(&source.any, request->client.size) == 0)
        return false;
    return !can_bind_strangers(source.any.sa_family) ||
           comes_from_where_it_went(&request->datagram, &source.any);
}

/* Returns why a datagram of this source is refused, or NULL. */
static const struct refusal *
judge_ipv4(const struct sockaddr_in *source)
{
    uint32_t address = ntohl(source->sin_addr.s_addr);

    if (source->sin_port == 0)
        return &no_port;
    if (address >> 24 == 0)
        return &no_address;
    if (IN_MULTICAST(address))
        return &multicast;
    /* A network with a broadcast address has at least four addresses, and this is its last. */
    return (address & 3) == 3 && is_broadcast(address) ? &broadcast : NULL;
}

static const struct refusal *
judge_ipv6(const struct sockaddr_in6 *source)
{
    if (source->sin6_port == 0)
        return &no_port;
    if (IN6_IS_ADDR_MULTICAST(&source->sin6_addr))
        return &multicast;
    return IN6_IS_ADDR_UNSPECIFIED(&source->sin6_addr) ? &no_address : NULL;
}

/* Returns why the datagram is refused, or NULL. */
static const struct refusal *
judge(const struct ss_request *request)
{
    const struct sockaddr_storage *source = &request->client.address;
    const struct sockaddr_in *in =
        (const struct sockaddr_in *)source; /* both have the port there */
    const struct refusal *refusal = source->ss_family == AF_INET
                                        ? judge_ipv4(in)
                                        : judge_ipv6((const struct sockaddr_in6 *)source);

    if (refusal == NULL && is_own_port(ntohs(in->sin_port)) && is_local(request))
        refusal = &own;
    return refusal;
}

static bool
would_pass(const struct ss_request *request)
{
    return judge(request) == NULL;
}

static int
enter(struct ss_request *request)
{
    const struct refusal *refusal = judge(request);

    if (refusal == NULL)
        return 0;
    source_warn(request->server, refusal->reason, &request->client.address, request->client.size);
    return gate_refuse(request, refusal);
}

void
source_warn(struct ss_server *server, const char *reason, const struct sockaddr_storage *source,
            socklen_t size)
{
    char text[ADDRESS_TEXT_SIZE];

    if (server_may_warn(&server->counters->source_silent_until))
        log_warning("a datagram from %s is not answered, because %s; such datagrams are dropped "
                    "and counted as refused",
                    address_format_peer((const struct sockaddr *)source, size, text), reason);
}

const struct gate source_gate = {
    .name = "source",
    .failed = {.reason = "its source"},
    .prepare = prepare,
    .enter = enter,
    .would_pass = would_pass,
};
