/* SPDX-License-Identifier: MIT */
/*
 * address_socket.c - addresses as the kernel has them: to bind, and to show
 *
 * Runs in:  the supervisor, and a child of it that looks a name up; a worker
 *           formats clients.
 * Owns:     nothing.
 * Failures: returned with a text; never logged here.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "common/address.h"

static void
resolve_unix(const struct address *address, struct resolved *ret)
{
    struct sockaddr_un *name = (struct sockaddr_un *)&ret->address;
    size_t size = strlen(address->path);

    *ret = (struct resolved){.size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size)};
    name->sun_family = AF_UNIX;
    memcpy(name->sun_path, address->path, size);
    if (*address->path == '@')
        name->sun_path[0] = '\0';
    else
        ret->size += 1; /* the NUL */
}

static const struct addrinfo *
choose(const struct addrinfo *list)
{
    for (const struct addrinfo *info = list; info != NULL; info = info->ai_next)
        if (info->ai_family == AF_INET)
            return info;
    return list;
}

static int
lookup_error(const struct address *address, int error, char **ret_problem)
{
    const char *why = error == EAI_SYSTEM ? strerror(errno) : gai_strerror(error);
    int result = error == EAI_MEMORY ? -ENOMEM : error == EAI_AGAIN ? -EAGAIN : -EADDRNOTAVAIL;
    char *text;

    if (error == EAI_SERVICE)
        why = "no such service; expected a port number or a name from /etc/services";
    if (asprintf(&text, "cannot resolve \"%s\" port \"%s\": %s", address->host, address->port,
                 why) < 0)
        return -ENOMEM;
    *ret_problem = text;
    return result;
}

/* Returns what getaddrinfo() returns. With AI_NUMERIC... in flags nobody is asked. */
static int
get_info(const struct address *address, int flags, struct addrinfo **ret)
{
    bool any = strcmp(address->host, "*") == 0;
    const struct addrinfo hints = {
        .ai_family = any ? AF_INET6 : AF_UNSPEC,
        .ai_socktype = address->scheme == ADDRESS_TCP ? SOCK_STREAM : SOCK_DGRAM,
        .ai_flags = AI_PASSIVE | flags,
    };

    return getaddrinfo(any ? "::" : address->host, address->port, &hints, ret);
}

bool
address_is_name(const struct address *address)
{
    struct addrinfo *list = NULL;

    if (address->text == NULL || (address->scheme != ADDRESS_TCP && address->scheme != ADDRESS_UDP))
        return false;
    if (get_info(address, AI_NUMERICHOST | AI_NUMERICSERV, &list) != 0)
        return true;
    freeaddrinfo(list);
    return false;
}

static int
resolve_inet(const struct address *address, struct resolved *ret, char **ret_problem)
{
    struct addrinfo *list = NULL;
    int r = get_info(address, 0, &list);

    if (r != 0)
        return lookup_error(address, r, ret_problem);
    const struct addrinfo *info = choose(list);
    *ret = (struct resolved){.size = info->ai_addrlen, .any = strcmp(address->host, "*") == 0};
    memcpy(&ret->address, info->ai_addr, info->ai_addrlen);
    freeaddrinfo(list);
    return 0;
}

int
address_resolve(const struct address *address, struct resolved *ret, char **ret_problem)
{
    if (address->scheme == ADDRESS_SYSTEMD) {
        if (asprintf(ret_problem, "systemd passed no socket named \"%s\"", address->path) < 0)
            return -ENOMEM;
        return -ENOENT;
    }
    if (!address_is_unix(address))
        return resolve_inet(address, ret, ret_problem);
    resolve_unix(address, ret);
    return 0;
}

/* Writes HOST:PORT without the scheme. Returns -1 if the family is not an Internet one. */
static int
format_inet(const struct sockaddr *address, socklen_t size, char *buffer, size_t room)
{
    char host[INET6_ADDRSTRLEN], scope[IF_NAMESIZE + 1] = "";

    if (address->sa_family == AF_INET && size >= sizeof(struct sockaddr_in)) {
        struct sockaddr_in in;

        memcpy(&in, address, sizeof(in));
        (void)inet_ntop(AF_INET, &in.sin_addr, host, sizeof(host));
        return snprintf(buffer, room, "%s:%u", host, ntohs(in.sin_port));
    }
    if (address->sa_family == AF_INET6 && size >= sizeof(struct sockaddr_in6)) {
        struct sockaddr_in6 in6;

        memcpy(&in6, address, sizeof(in6));
        (void)inet_ntop(AF_INET6, &in6.sin6_addr, host, sizeof(host));
        if (in6.sin6_scope_id != 0) {
            scope[0] = '%';
            if (if_indextoname(in6.sin6_scope_id, scope + 1) == NULL)
                (void)snprintf(scope, sizeof(scope), "%%%u", in6.sin6_scope_id);
        }
        return snprintf(buffer, room, "[%s%s]:%u", host, scope, ntohs(in6.sin6_port));
    }
    return -1;
}

/* Writes a path, "@name", or "" for a socket without a name. A "?" replaces what cannot be
 * shown. */
static void
format_unix(const struct sockaddr *address, socklen_t size, char *buffer)
{
    const size_t start = offsetof(struct sockaddr_un, sun_path);
    const char *path = (const char *)address + start;
    size_t length = size <= start ? 0 : size - start;
    bool abstract = length > 0 && path[0] == '\0';

    if (length > sizeof(((struct sockaddr_un *)NULL)->sun_path))
        length = sizeof(((struct sockaddr_un *)NULL)->sun_path);
    if (!abstract)
        length = strnlen(path, length);
    for (size_t i = 0; i < length; i++)
        buffer[i] = isprint((unsigned char)path[i]) ? path[i] : '?';
    if (abstract)
        buffer[0] = '@';
    buffer[length] = '\0';
}

char *
address_format(const struct sockaddr *address, socklen_t size, bool stream, char *buffer)
{
    char *end;

    if (size < sizeof(address->sa_family))
        return strcpy(buffer, "?");
    if (address->sa_family == AF_UNIX) {
        end = stpcpy(buffer, stream ? "unix:" : "unixgram:");
        format_unix(address, size, end);
        if (*end == '/') {
            memmove(end + 2, end, strlen(end) + 1);
            memcpy(end, "//", 2);
        }
        return buffer;
    }
    end = stpcpy(buffer, stream ? "tcp://" : "udp://");
    if (format_inet(address, size, end, ADDRESS_TEXT_SIZE - (size_t)(end - buffer)) < 0)
        strcpy(buffer, "?");
    return buffer;
}

char *
address_format_peer(const struct sockaddr *address, socklen_t size, char *buffer)
{
    *buffer = '\0';
    if (size < sizeof(address->sa_family))
        return buffer;
    if (address->sa_family == AF_UNIX)
        format_unix(address, size, buffer);
    else if (format_inet(address, size, buffer, ADDRESS_TEXT_SIZE) < 0)
        *buffer = '\0';
    return buffer;
}

char *
address_format_client(const unsigned char *beginning, size_t size, char *buffer)
{
    struct sockaddr_storage address = {0};

    memcpy(&address, beginning, size);
    buffer[0] = '\0';
    if (address.ss_family == AF_INET)
        (void)address_format_peer((const struct sockaddr *)&address, sizeof(struct sockaddr_in),
                                  buffer);
    else if (address.ss_family == AF_INET6)
        (void)address_format_peer((const struct sockaddr *)&address, sizeof(struct sockaddr_in6),
                                  buffer);
    return buffer;
}

struct sockaddr_in6
address_map(const struct sockaddr_in *address)
{
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = address->sin_port};

    in6.sin6_addr.s6_addr[10] = in6.sin6_addr.s6_addr[11] = 0xff;
    memcpy(in6.sin6_addr.s6_addr + 12, &address->sin_addr, sizeof(address->sin_addr));
    return in6;
}

void
address_unmap(struct sockaddr_storage *address, socklen_t *size)
{
    struct sockaddr_in6 in6;
    struct sockaddr_in in = {.sin_family = AF_INET};

    if (address->ss_family != AF_INET6 || *size < sizeof(in6))
        return;
    memcpy(&in6, address, sizeof(in6));
    if (!IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr))
        return;
    in.sin_port = in6.sin6_port;
    memcpy(&in.sin_addr, in6.sin6_addr.s6_addr + 12, sizeof(in.sin_addr));
    memset(address, 0, sizeof(*address));
    memcpy(address, &in, sizeof(in));
    *size = sizeof(in);
}
