/* SPDX-License-Identifier: MIT */
/*
 * adopt_match.c - which listener a socket belongs to that this process was started with
 *
 * Runs in:  the supervisor.
 * Owns:     nothing; the sockets are adopt.c's.
 * Failures: none: what the kernel does not tell does not match.
 */
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "supervisor/socket/adopt_private.h"

static in_port_t
port_of(const struct sockaddr_storage *address)
{
    return address->ss_family == AF_INET ? ((const struct sockaddr_in *)address)->sin_port
                                         : ((const struct sockaddr_in6 *)address)->sin6_port;
}

static bool
same_ipv6_host(const struct in6_addr *one, const struct in6_addr *other)
{
    return memcmp(one, other, sizeof(*one)) == 0;
}

static bool
same_inet_address(const struct passed *item, const struct resolved *to)
{
    const struct sockaddr_storage *wanted = &to->address;
    const struct sockaddr_in *in = (const void *)&item->address, *in_wanted = (const void *)wanted;
    const struct sockaddr_in6 *in6 = (const void *)&item->address,
                              *in6_wanted = (const void *)wanted;
    bool ipv4 = item->family == AF_INET;

    if (port_of(wanted) != 0 && port_of(wanted) != port_of(&item->address))
        return false;
    if (to->any)
        return ipv4 ? in->sin_addr.s_addr == htonl(INADDR_ANY)
                    : same_ipv6_host(&in6->sin6_addr, &in6addr_any);
    if (item->family != wanted->ss_family)
        return false;
    if (ipv4)
        return in->sin_addr.s_addr == in_wanted->sin_addr.s_addr;
    return same_ipv6_host(&in6->sin6_addr, &in6_wanted->sin6_addr) &&
           in6->sin6_scope_id == in6_wanted->sin6_scope_id;
}

/* Whether the socket may have the address, as far as can be told without looking up the name. */
static bool
may_be_named(const struct passed *item, const struct address *address)
{
    char *end;
    unsigned long port = strtoul(address->port, &end, 10);

    return *end != '\0' || port == 0 || port == ntohs(port_of(&item->address));
}

/* The kernel may count a path's NUL or not. */
static bool
same_unix_address(const struct passed *item, const struct settings *settings)
{
    char text[ADDRESS_TEXT_SIZE];

    (void)address_format((const struct sockaddr *)&item->address, item->size,
                         item->type == SOCK_STREAM, text);
    return strcmp(text, settings->address.text) == 0;
}

/* Our own IPv6 socket with the other view of IPv4 is not what the settings ask for. */
static bool
same_ipv6_only(const struct passed *item, const struct settings *settings)
{
    int only = 0;
    socklen_t size = sizeof(only);

    if (!item->own || item->family != AF_INET6 ||
        getsockopt(item->fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, &size) < 0)
        return true;
    return (only != 0) == settings->ipv6_only;
}

/* Our own socket may be bound to another interface than the one that the settings name. */
static bool
same_interface(const struct passed *item, const struct settings *settings)
{
    char name[IFNAMSIZ + 1] = "";
    socklen_t size = IFNAMSIZ;

    if (!item->own || getsockopt(item->fd, SOL_SOCKET, SO_BINDTODEVICE, name, &size) < 0)
        return true;
    return strcmp(name, settings->interface == NULL ? "" : settings->interface) == 0;
}

/* found: the address behind the name; NULL: it is none, or has not been looked up. */
static bool
has_address(const struct passed *item, const struct settings *settings,
            const struct resolved *found)
{
    _cleanup_free_ char *problem = NULL;
    struct resolved to;

    if ((item->type == SOCK_STREAM) != address_is_stream(&settings->address) ||
        (item->family == AF_UNIX) != address_is_unix(&settings->address))
        return false;
    if (item->family == AF_UNIX)
        return same_unix_address(item, settings);
    if (!same_ipv6_only(item, settings) || !same_interface(item, settings))
        return false;
    if (!address_is_name(&settings->address))
        return address_resolve(&settings->address, &to, &problem) == 0 &&
               same_inet_address(item, &to);
    return found != NULL ? same_inet_address(item, found) : may_be_named(item, &settings->address);
}

bool
passed_belongs_to(const struct passed *item, const struct settings *settings,
                  const struct resolved *found)
{
    char name[SOCKET_NAME_SIZE];

    if (item->fd < 0 || item->unfit != NULL)
        return false;
    if (settings->address.scheme == ADDRESS_SYSTEMD)
        return !item->own && strcmp(item->name, settings->address.path) == 0;
    bool same_name = strcmp(item->name, socket_name(settings, name)) == 0;
    if (!item->own && strcmp(item->name, settings->name) == 0)
        same_name = true;
    /* The listener may have been renamed. But the name decides among several at one address, and
     * where only a name is known. */
    if (item->own && !socket_shares_address(settings) &&
        (found != NULL || !address_is_name(&settings->address)))
        same_name = true;
    return same_name && has_address(item, settings, found);
}

bool
passed_may_belong_to(const struct passed *item, const struct settings *settings)
{
    return item->fd >= 0 && item->unfit == NULL && item->own && !socket_shares_address(settings) &&
           address_is_name(&settings->address) && has_address(item, settings, NULL);
}
