/* SPDX-License-Identifier: MIT */
/*
 * address.c - listener addresses: text, parts, socket address, and back
 *
 * A mistake says what was found and what is expected. Control characters are
 * accepted nowhere, so that an address can stand in a log line.
 *
 * Runs in:  the supervisor; a worker formats clients and copies its own.
 * Owns:     the strings of struct address, until address_done().
 * Failures: returned with a text; never logged here.
 */
#include "common/address.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "common/cleanup.h"
#include "common/problem.h"
#include "common/suggest.h"
#include "common/value.h"

#define LONGEST_PATH (sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1)
#define OWN          "expected an address of this machine, or \"*\" for every one"
#define LONGEST_HOST 253
#define LONGEST_NAME 255 /* systemd.socket(5), FileDescriptorName= */

/* The index is enum address_scheme. */
static const char *const scheme_names[] = {"tcp", "udp", "unix", "unixgram", "systemd", NULL};

const char *
address_scheme_name(enum address_scheme scheme)
{
    return scheme_names[scheme];
}

#define EXPECTED                                                                                   \
    "expected an address such as \"tcp://127.0.0.1:9999\", \"udp://[::]:53\", "                    \
    "\"unix:///run/name.sock\", \"unix:@name\" or \"systemd:NAME\""

bool
address_is_unix(const struct address *address)
{
    return address->scheme == ADDRESS_UNIX || address->scheme == ADDRESS_UNIXGRAM;
}

bool
address_is_stream(const struct address *address)
{
    return address->scheme == ADDRESS_TCP || address->scheme == ADDRESS_UNIX;
}

static bool
valid_port(const char *port)
{
    size_t digits = strspn(port, "0123456789");

    if (!isalnum((unsigned char)*port) || strlen(port) > 32)
        return false;
    if (port[digits] == '\0')
        return digits <= 5 && strtol(port, NULL, 10) <= 65535;
    for (; *port != '\0'; port++)
        if (!isalnum((unsigned char)*port) && strchr("-_.", *port) == NULL)
            return false;
    return true;
}

static bool
valid_host(const char *host, size_t size, bool bracketed)
{
    if (size == 0 || size > LONGEST_HOST)
        return false;
    if (size == 1 && *host == '*')
        return !bracketed;
    for (size_t i = 0; i < size; i++)
        if (!isalnum((unsigned char)host[i]) &&
            strchr(bracketed ? ":.%-_" : ".-_", host[i]) == NULL)
            return false;
    return true;
}

static int
valid_ipv6(const char *host)
{
    _cleanup_free_ char *number = strndup(host, strcspn(host, "%"));
    struct in6_addr ignored;

    if (number == NULL)
        return -ENOMEM;
    return inet_pton(AF_INET6, number, &ignored) == 1;
}

static int
judge_ipv4(const struct in_addr *number, const char *shown, char **ret_problem)
{
    if (IN_MULTICAST(ntohl(number->s_addr)))
        return problem(ret_problem, "found %s, a multicast group, and groups are not joined; " OWN,
                       shown);
    if (ntohl(number->s_addr) == INADDR_BROADCAST)
        return problem(ret_problem, "found %s, the broadcast address; " OWN, shown);
    return 0;
}

static int
judge_ipv6(const struct in6_addr *number, const struct address *address, const char *shown,
           char **ret_problem)
{
    if (IN6_IS_ADDR_MULTICAST(number))
        return problem(ret_problem, "found %s, a multicast group, and groups are not joined; " OWN,
                       shown);
    if (IN6_IS_ADDR_LINKLOCAL(number) && strchr(address->host, '%') == NULL)
        return problem(ret_problem,
                       "found %s, a link-local address without its zone; expected the interface "
                       "behind \"%%\", such as \"%s://[%s%%eth0]:%s\"",
                       shown, scheme_names[address->scheme], address->host, address->port);
    return 0;
}

/* Whether it can be an address of this machine. Names and "*" can. */
static int
judge_host(const struct address *address, const char *shown, char **ret_problem)
{
    _cleanup_free_ char *number = strndup(address->host, strcspn(address->host, "%"));
    struct in6_addr ipv6;
    struct in_addr ipv4;

    if (number == NULL)
        return -ENOMEM;
    if (inet_pton(AF_INET, number, &ipv4) == 1)
        return judge_ipv4(&ipv4, shown, ret_problem);
    if (inet_pton(AF_INET6, number, &ipv6) == 1)
        return judge_ipv6(&ipv6, address, shown, ret_problem);
    return 0;
}

/* Reads "host:port" or "[v6]:port". */
static int
parse_inet(const char *rest, struct address *address, const char *shown, char **ret_problem)
{
    bool bracketed = *rest == '[';
    const char *host = rest + bracketed;
    const char *end = bracketed ? strchr(host, ']') : strchr(host, ':');
    const char *colon = end == NULL ? NULL : end + bracketed;
    int r;

    if (bracketed && end == NULL)
        return problem(ret_problem, "found %s; expected \"]\" behind the IPv6 address", shown);
    if (colon == NULL || *colon != ':' || colon[1] == '\0')
        return problem(ret_problem, "found %s, which lacks a port; expected \"%s://HOST:PORT\"",
                       shown, scheme_names[address->scheme]);
    if (!bracketed && strchr(colon + 1, ':') != NULL)
        return problem(ret_problem,
                       "found %s; an IPv6 address stands in brackets: \"%s://[::1]:80\"", shown,
                       scheme_names[address->scheme]);
    if (!valid_host(host, (size_t)(end - host), bracketed))
        return problem(ret_problem,
                       "found %s; expected a host name, an IPv4 address, an IPv6 address in "
                       "brackets, or \"*\" for every address, before the port",
                       shown);
    if (!valid_port(colon + 1))
        return problem(ret_problem,
                       "found port \"%s\"; expected a number from 0 to 65535 or the "
                       "name of a service",
                       colon + 1);
    address->host = strndup(host, (size_t)(end - host));
    address->port = strdup(colon + 1);
    if (address->host == NULL || address->port == NULL)
        return -ENOMEM;
    r = bracketed ? valid_ipv6(address->host) : 1;
    if (r == 0)
        return problem(ret_problem, "found %s; \"%s\" is not an IPv6 address", shown,
                       address->host);
    return r < 0 ? r : judge_host(address, shown, ret_problem);
}

/* Reads "///path" or "@name". */
static int
parse_unix(const char *rest, struct address *address, const char *shown, char **ret_problem)
{
    const char *scheme = scheme_names[address->scheme];
    const char *path = rest;

    if (strncmp(rest, "//", 2) == 0)
        path = rest + 2;
    else if (*rest != '@')
        return problem(ret_problem, "found %s; expected \"%s:///PATH\" or \"%s:@NAME\"", shown,
                       scheme, scheme);
    if (*path != '/' && *path != '@')
        return problem(ret_problem,
                       "found %s; expected an absolute path, with three slashes: \"%s:///PATH\"",
                       shown, scheme);
    if (path[1] == '\0')
        return problem(ret_problem, "found %s, which lacks the socket's name", shown);
    if (path[strlen(path) - 1] == '/')
        return problem(ret_problem, "found %s, which is a folder; expected the socket's own path",
                       shown);
    if (strlen(path) > LONGEST_PATH)
        return problem(ret_problem, "the path has %zu characters; a Unix socket's has at most %zu",
                       strlen(path), LONGEST_PATH);
    address->path = strdup(path);
    return address->path == NULL ? -ENOMEM : 0;
}

static int
parse_systemd(const char *rest, struct address *address, const char *shown, char **ret_problem)
{
    if (*rest == '\0' || strlen(rest) > LONGEST_NAME || strchr(rest, ':') != NULL || *rest == '/')
        return problem(ret_problem,
                       "found %s; expected \"systemd:NAME\", where NAME is the FileDescriptorName= "
                       "of the socket unit",
                       shown);
    address->path = strdup(rest);
    return address->path == NULL ? -ENOMEM : 0;
}

static int
parse_scheme(const char *text, const char *shown, struct address *address, const char **ret_rest,
             char **ret_problem)
{
    _cleanup_free_ char *name = strndup(text, strcspn(text, ":"));
    _cleanup_free_ char *phrase = NULL;

    if (name == NULL)
        return -ENOMEM;
    if (text[strlen(name)] != ':' || strchr(name, '/') != NULL || strchr(name, '.') != NULL)
        return problem(ret_problem, "found %s; " EXPECTED, shown);
    for (size_t i = 0; scheme_names[i] != NULL; i++) {
        if (strcmp(name, scheme_names[i]) != 0)
            continue;
        address->scheme = (enum address_scheme)i;
        *ret_rest = text + strlen(name) + 1;
        return 0;
    }
    if (strncmp(text + strlen(name), "://", 3) != 0)
        return problem(ret_problem, "found %s; " EXPECTED, shown);
    phrase = suggest_phrase(name, scheme_names);
    if (phrase == NULL)
        return -ENOMEM;
    return problem(ret_problem,
                   "unknown scheme \"%s\"; expected tcp, udp, unix, unixgram or systemd%s", name,
                   phrase);
}

static int
parse_rest(const char *rest, struct address *address, const char *shown, char **ret_problem)
{
    if (address->scheme == ADDRESS_SYSTEMD)
        return parse_systemd(rest, address, shown, ret_problem);
    if (address_is_unix(address))
        return parse_unix(rest, address, shown, ret_problem);
    if (strncmp(rest, "//", 2) != 0)
        return problem(ret_problem, "found %s; expected \"%s://HOST:PORT\"", shown,
                       scheme_names[address->scheme]);
    return parse_inet(rest + 2, address, shown, ret_problem);
}

int
address_parse(const char *text, struct address *ret, char **ret_problem)
{
    _cleanup_free_ char *shown = value_show(text, VALUE_STRING);
    struct address address = {0};
    const char *rest = NULL;
    int r;

    if (shown == NULL)
        return -ENOMEM;
    for (const char *c = text; *c != '\0'; c++)
        if (iscntrl((unsigned char)*c))
            return problem(ret_problem, "found %s, which holds a control character", shown);
    r = parse_scheme(text, shown, &address, &rest, ret_problem);
    if (r == 0)
        r = parse_rest(rest, &address, shown, ret_problem);
    if (r == 0) {
        address.text = strdup(text);
        r = address.text == NULL ? -ENOMEM : 0;
    }
    if (r < 0)
        address_done(&address);
    else
        *ret = address;
    return r;
}

static bool
copy_string(const char *from, char **to)
{
    *to = from == NULL ? NULL : strdup(from);
    return from == NULL || *to != NULL;
}

int
address_copy(const struct address *address, struct address *ret)
{
    struct address copy = {.scheme = address->scheme};

    if (!copy_string(address->text, &copy.text) || !copy_string(address->host, &copy.host) ||
        !copy_string(address->port, &copy.port) || !copy_string(address->path, &copy.path)) {
        address_done(&copy);
        return -ENOMEM;
    }
    *ret = copy;
    return 0;
}

void
address_done(struct address *address)
{
    free(address->text);
    free(address->host);
    free(address->port);
    free(address->path);
    *address = (struct address){0};
}
