/* SPDX-License-Identifier: MIT */
/*
 * network.h - one item of an access list: some clients, as text
 */
#ifndef SOCKSERVERD_COMMON_NETWORK_H
#define SOCKSERVERD_COMMON_NETWORK_H

#include <stdbool.h>
#include <stdint.h>

struct sockaddr;

/* An Internet address as a number of 128 bits; one of IPv4 as the mapped address ::ffff:a.b.c.d. */
struct network_key {
    uint64_t high, low;
};

enum network_kind {
    NETWORK_ADDRESSES, /* an Internet network; an address is a network of one */
    NETWORK_LOCAL,     /* 127.0.0.0/8, ::1, and every peer of a Unix socket */
    NETWORK_USER,      /* peers of a Unix socket that run as this user */
    NETWORK_GROUP      /* peers of a Unix socket that are in this group */
};

struct network {
    enum network_kind kind;
    struct network_key first; /* of the addresses */
    unsigned bits;            /* of the prefix, from 0 to 128: for IPv4, 96 and its own */
    uint32_t id;              /* of the user or group */
};

#define NETWORK_IPV4_BITS 96 /* of a mapped address, before the IPv4 address begins */

/*
 * Finds the number of a user (group: of a group) by its name or number. Returns
 * 0, -ENOENT or another negative errno.
 */
typedef int network_id_finder(const char *name, bool group, uint32_t *ret);

/* The finder for those who shall look up nothing: a number is understood, a name is not. */
int network_id_number(const char *name, bool group, uint32_t *ret);

/*
 * Reads "192.0.2.0/24", "2001:db8::/32", a single address, "local", "user:NAME"
 * or "group:NAME". Returns 0, -ENOMEM, or -EINVAL and *ret_problem, which says
 * what was found and what is expected; the caller frees it.
 */
int network_parse(const char *text, network_id_finder *find_id, struct network *ret,
                  char **ret_problem);

/* Returns the address as a number, if it is an Internet address; else zeroes, which are nobody's
 * address: "::". */
struct network_key network_key_of(const struct sockaddr *address);

/* The last address of a network. */
struct network_key network_last(const struct network *network);

static inline int
network_key_compare(struct network_key one, struct network_key other)
{
    if (one.high != other.high)
        return one.high < other.high ? -1 : 1;
    return (one.low > other.low) - (one.low < other.low);
}

#endif
