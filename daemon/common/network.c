/* SPDX-License-Identifier: MIT */
/*
 * network.c - one item of an access list, from its text
 *
 * What has more than one meaning is refused: an address with bits behind its
 * prefix, an address of fewer than four numbers, leading zeroes (octal
 * elsewhere), a zone.
 *
 * Runs in:  every process.
 * Owns:     nothing.
 * Failures: returned with a text; never logged here.
 */
#include "common/network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "common/array.h"
#include "common/cleanup.h"
#include "common/problem.h"
#include "common/value.h"

#define MAPPED UINT64_C(0x0000ffff00000000) /* the low half of ::ffff:0.0.0.0 */
#define EXPECTED                                                                                   \
    "expected a network such as \"192.0.2.0/24\" or \"2001:db8::/32\", an address, \"local\", "    \
    "\"user:NAME\" or \"group:NAME\""

/* ---- addresses as numbers ------------------------------------------------------------------ */

static struct network_key
key_of_ipv4(const struct in_addr *address)
{
    return (struct network_key){.low = MAPPED | ntohl(address->s_addr)};
}

static struct network_key
key_of_ipv6(const struct in6_addr *address)
{
    struct network_key key = {0};

    for (size_t i = 0; i < 8; i++) {
        key.high = key.high << 8 | address->s6_addr[i];
        key.low = key.low << 8 | address->s6_addr[i + 8];
    }
    return key;
}

struct network_key
network_key_of(const struct sockaddr *address)
{
    struct sockaddr_in6 in6;
    struct sockaddr_in in;

    if (address->sa_family == AF_INET) {
        memcpy(&in, address, sizeof(in));
        return key_of_ipv4(&in.sin_addr);
    }
    if (address->sa_family != AF_INET6)
        return (struct network_key){0};
    memcpy(&in6, address, sizeof(in6));
    return key_of_ipv6(&in6.sin6_addr);
}

/* The bits that a prefix of that length leaves free. */
static struct network_key
free_bits(unsigned bits)
{
    if (bits >= 128)
        return (struct network_key){0};
    if (bits >= 64)
        return (struct network_key){.low = UINT64_MAX >> (bits - 64)};
    return (struct network_key){.high = UINT64_MAX >> bits, .low = UINT64_MAX};
}

struct network_key
network_last(const struct network *network)
{
    struct network_key rest = free_bits(network->bits);

    return (struct network_key){network->first.high | rest.high, network->first.low | rest.low};
}

/* ---- text -------------------------------------------------------------------------------- */

/* Writes an address as it is usually written; of a mapped one, the IPv4 address. */
static const char *
format_key(struct network_key key, bool ipv4, char buffer[INET6_ADDRSTRLEN])
{
    struct in_addr in = {.s_addr = htonl((uint32_t)key.low)};
    struct in6_addr in6;

    for (size_t i = 0; i < 8; i++) {
        in6.s6_addr[i] = (uint8_t)(key.high >> (56 - 8 * i));
        in6.s6_addr[i + 8] = (uint8_t)(key.low >> (56 - 8 * i));
    }
    return ipv4 ? inet_ntop(AF_INET, &in, buffer, INET6_ADDRSTRLEN)
                : inet_ntop(AF_INET6, &in6, buffer, INET6_ADDRSTRLEN);
}

/* Reads digits as a number of at most most; false for anything else. */
static bool
read_number(const char *digits, uint32_t most, uint32_t *ret)
{
    uint64_t number = 0;

    if (*digits == '\0' || (*digits == '0' && digits[1] != '\0'))
        return false;
    for (; *digits != '\0'; digits++) {
        if (*digits < '0' || *digits > '9')
            return false;
        number = 10 * number + (uint64_t)(*digits - '0');
        if (number > most)
            return false;
    }
    *ret = (uint32_t)number;
    return true;
}

/* Finds the words for a mistake that is often made; NULL: it is none of those. */
static const char *
known_mistake(const char *text)
{
    static const struct {
        const char *text, *remedy;
    } words[] = {
        {"*", "for everybody, give both \"0.0.0.0/0\" and \"::/0\""},
        {"all", "for everybody, give both \"0.0.0.0/0\" and \"::/0\""},
        {"any", "for everybody, give both \"0.0.0.0/0\" and \"::/0\""},
        {"localhost", "for this machine, give \"local\""},
        {"unix", "for peers of a Unix socket, give \"local\""},
    };

    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (strcasecmp(text, words[i].text) == 0)
            return words[i].remedy;
    if (strchr(text, '%') != NULL)
        return "an access list knows no zones: give the address without \"%\"";
    return NULL;
}

static int
no_network(const char *text, const char *shown, char **ret_problem)
{
    const char *remedy = known_mistake(text);

    return remedy != NULL ? problem(ret_problem, "found %s; %s", shown, remedy)
                          : problem(ret_problem, "found %s; " EXPECTED, shown);
}

/* Whether an address has bits behind its prefix. Says then which network was probably meant. */
static int
judge_rest(const struct network *network, bool ipv4, const char *shown, char **ret_problem)
{
    struct network_key rest = free_bits(network->bits), first = network->first;
    unsigned shown_bits = network->bits - (ipv4 ? NETWORK_IPV4_BITS : 0);
    char meant[INET6_ADDRSTRLEN], single[INET6_ADDRSTRLEN];

    if ((first.high & rest.high) == 0 && (first.low & rest.low) == 0)
        return 0;
    (void)format_key(first, ipv4, single);
    first.high &= ~rest.high;
    first.low &= ~rest.low;
    return problem(ret_problem,
                   "found %s, an address with bits behind its prefix; did you mean the network "
                   "\"%s/%u\", or the address \"%s\"?",
                   shown, format_key(first, ipv4, meant), shown_bits, single);
}

/* Reads an address, and a prefix unless it is NULL. */
static int
parse_addresses(const char *text, const char *address, const char *prefix, const char *shown,
                struct network *ret, char **ret_problem)
{
    struct network network = {.kind = NETWORK_ADDRESSES, .bits = 128};
    struct in6_addr in6;
    struct in_addr in;
    bool ipv4 = inet_pton(AF_INET, address, &in) == 1;
    unsigned most = ipv4 ? 32 : 128;

    if (!ipv4 && inet_pton(AF_INET6, address, &in6) != 1)
        return no_network(text, shown, ret_problem);
    network.first = ipv4 ? key_of_ipv4(&in) : key_of_ipv6(&in6);
    if (prefix != NULL) {
        if (!read_number(prefix, most, &network.bits))
            return problem(ret_problem,
                           "found %s; expected the length of the prefix behind \"/\": a whole "
                           "number from 0 to %u",
                           shown, most);
        network.bits += ipv4 ? NETWORK_IPV4_BITS : 0;
    }
    bool mapped = network.first.high == 0 && (network.first.low & ~UINT64_C(0xffffffff)) == MAPPED;
    int r = judge_rest(&network, mapped && network.bits >= NETWORK_IPV4_BITS, shown, ret_problem);
    if (r == 0)
        *ret = network;
    return r;
}

static int
parse_id(const char *name, bool group, network_id_finder *find_id, const char *shown,
         struct network *ret, char **ret_problem)
{
    const char *kind = group ? "group" : "user";
    uint32_t id;

    if (*name == '\0')
        return problem(ret_problem, "found %s, which lacks the %s's name", shown, kind);
    int r = find_id(name, group, &id);
    if (r == -ENOENT || r == -ESRCH || r == -EBADF || r == -EPERM)
        return problem(ret_problem, "found %s; expected a %s that exists here, or a number", shown,
                       kind);
    if (r == -ENOMEM)
        return r;
    if (r < 0)
        return problem(ret_problem, "cannot look up %s: %s", shown, strerror(-r));
    *ret = (struct network){.kind = group ? NETWORK_GROUP : NETWORK_USER, .id = id};
    return 0;
}

int
network_id_number(const char *name, bool group, uint32_t *ret)
{
    (void)group;
    return read_number(name, UINT32_MAX - 1, ret) ? 0 : -ENOENT;
}

int
network_parse(const char *text, network_id_finder *find_id, struct network *ret, char **ret_problem)
{
    _cleanup_free_ char *shown = value_show(text, VALUE_STRING);
    size_t size = strcspn(text, "/");
    _cleanup_free_ char *address = strndup(text, size);

    if (shown == NULL || address == NULL)
        return -ENOMEM;
    if (strcmp(text, "local") == 0) {
        *ret = (struct network){.kind = NETWORK_LOCAL};
        return 0;
    }
    if (strncmp(text, "user:", 5) == 0)
        return parse_id(text + 5, false, find_id, shown, ret, ret_problem);
    if (strncmp(text, "group:", 6) == 0)
        return parse_id(text + 6, true, find_id, shown, ret, ret_problem);
    return parse_addresses(text, address, text[size] == '/' ? text + size + 1 : NULL, shown, ret,
                           ret_problem);
}
