/* SPDX-License-Identifier: MIT */
/*
 * socket_name.c - the stable name of a listening socket
 *
 * The name says scheme and address and nothing else, so that a socket is
 * found again after a restart or an upgrade although the listeners were put
 * in another order or were renamed. It keeps to what a service manager takes
 * as the name of a descriptor: printable ASCII without ':'.
 *
 * Runs in:  the supervisor.
 * Owns:     nothing.
 * Failures: none.
 */
#include "supervisor/socket/socket_name.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* FNV-1a. */
static uint64_t
digest(const char *text)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (; *text != '\0'; text++)
        hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    return hash;
}

/* Appends text with what a name may not have as %XX. False if it does not fit. */
static bool
append_escaped(char *buffer, size_t *used, const char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        bool plain = c > ' ' && c < 127 && c != ':' && c != '%';
        if (*used + 4 > SOCKET_NAME_SIZE)
            return false;
        *used +=
            (size_t)snprintf(buffer + *used, SOCKET_NAME_SIZE - *used, plain ? "%c" : "%%%02X", c);
    }
    return true;
}

/* HOST-PORT; only a numeric IPv6 host has colons, and it has brackets here and no dashes. */
static void
name_inet(const struct address *address, char *text, size_t size)
{
    bool ipv6 = strchr(address->host, ':') != NULL;

    (void)snprintf(text, size, "%s%s%s-%s", ipv6 ? "[" : "", address->host, ipv6 ? "]" : "",
                   address->port);
    for (char *c = text; *c != '\0'; c++)
        if (*c == ':')
            *c = '-';
}

bool
socket_shares_address(const struct settings *settings)
{
    const struct address *address = &settings->address;

    return settings->reuse_port || settings->interface != NULL ||
           (address->port != NULL && strcmp(address->port, "0") == 0);
}

char *
socket_name(const struct settings *settings, char *buffer)
{
    const struct address *address = &settings->address;
    char text[512];
    size_t used;
    bool fits;

    if (address->path != NULL)
        (void)snprintf(text, sizeof(text), "%s", address->path);
    else
        name_inet(address, text, sizeof(text));
    used = (size_t)snprintf(buffer, SOCKET_NAME_SIZE, "%s-", address_scheme_name(address->scheme));
    fits = append_escaped(buffer, &used, text);
    if (fits && socket_shares_address(settings)) {
        fits = append_escaped(buffer, &used, "-");
        fits = fits && append_escaped(buffer, &used, settings->name);
    }
    if (!fits)
        (void)snprintf(buffer + SOCKET_NAME_SIZE - 32, 32, "-%016" PRIx64,
                       digest(text) ^ digest(settings->name));
    return buffer;
}
