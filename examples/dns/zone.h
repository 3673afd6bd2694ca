/* SPDX-License-Identifier: MIT */
/*
 * zone.h - a zone in memory, as its file describes it
 */
#ifndef EXAMPLE_DNS_ZONE_H
#define EXAMPLE_DNS_ZONE_H

#include <stddef.h>
#include <stdint.h>

#define NAME_MOST 255 /* bytes of a name as it is sent: labels, each behind its length, and 0 */

enum type {
    TYPE_A = 1,
    TYPE_NS = 2,
    TYPE_CNAME = 5,
    TYPE_SOA = 6,
    TYPE_MX = 15,
    TYPE_AAAA = 28,
    TYPE_SRV = 33
};

/* A name as it is sent; what is looked for is in lower case. */
struct name {
    const uint8_t *labels;
    size_t size;
};

/* What the data of a record is made of: a letter for each field. */
struct form {
    const char *word;
    uint16_t type;
    const char *fields; /* a, A: addresses; n: a name that may be compressed, N: not; s: 16 bits;
                           l: 32 bits; p: seconds; x: strings up to the end */
};

struct record {
    struct record *next; /* of the same node, in the order of the file */
    const struct form *form;
    uint32_t ttl;
    uint16_t size;
    uint8_t data[]; /* as it is sent, with no name compressed */
};

/* A name that exists: one with records, or one above such a name. */
struct node {
    struct name name; /* first: whoever looks for a node has only that */
    struct record *records;
};

struct zone {
    void *nodes; /* of tsearch(3) */
    struct node *apex;
    const struct record *soa;
    uint32_t negative_ttl;
};

struct zone_error {
    unsigned line; /* 0: it is not about a line */
    char text[200];
};

/* Reads a file in the master format of RFC 1035. NULL: it is wrong, and ret_error says how. */
struct zone *zone_load(const char *path, struct zone_error *ret_error);
void zone_free(struct zone *zone);

/* The node of that name, made if there is none; NULL: no memory. */
struct node *zone_have(struct zone *zone, struct name name);
const struct node *zone_find(const struct zone *zone, struct name name);
const struct record *node_find(const struct node *node, uint16_t type);

/* The name without its first label. */
struct name name_parent(struct name name);
size_t name_size(const uint8_t *labels);
/* Copies a name in lower case, to NAME_MOST bytes. */
struct name name_lower(const uint8_t *labels, uint8_t *ret_bytes);

#endif
