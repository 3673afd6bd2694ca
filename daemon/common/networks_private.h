/* SPDX-License-Identifier: MIT */
/*
 * networks_private.h - what is in the block that networks_build.c makes and networks.c reads
 *
 * A block consists of struct networks, the ranges, the users and groups in
 * order, the items, and the texts.
 */
#ifndef SOCKSERVERD_COMMON_NETWORKS_PRIVATE_H
#define SOCKSERVERD_COMMON_NETWORKS_PRIVATE_H

#include "common/networks.h"

/* The first address at which an item decides. */
struct range {
    struct network_key first;
    uint32_t item, unused;
};

/* A user or group. */
struct identity {
    uint32_t kind; /* enum network_kind */
    uint32_t id;
    uint32_t item;
};

struct networks_entry {
    uint32_t text, file; /* where they begin among the texts; file NO_FILE: none */
    uint32_t line;
    uint32_t deny;
};

struct networks {
    uint32_t size; /* of the block */
    uint32_t ranges, identities, entries;
    uint32_t text_size;
    uint32_t local;  /* the item about every Unix peer, or NETWORKS_NONE */
    uint32_t allows; /* an item allows: whom no item is about is refused */
    uint32_t unused; /* the ranges behind it are aligned to 8 */
};

struct networks_piece {
    struct network network;
    uint32_t item;
};

#define NO_FILE UINT32_MAX

/* ---- the parts of a block ------------------------------------------------------------------ */

static inline const struct range *
ranges_of(const struct networks *networks)
{
    return (const struct range *)(const void *)(networks + 1);
}

static inline const struct identity *
identities_of(const struct networks *networks)
{
    return (const struct identity *)(const void *)(ranges_of(networks) + networks->ranges);
}

static inline const struct networks_entry *
entries_of(const struct networks *networks)
{
    return (const struct networks_entry *)(const void *)(identities_of(networks) +
                                                         networks->identities);
}

static inline const char *
texts_of(const struct networks *networks)
{
    return (const char *)(entries_of(networks) + networks->entries);
}

static inline uint64_t
size_of(const struct networks *networks)
{
    return sizeof(*networks) + (uint64_t)networks->ranges * sizeof(struct range) +
           (uint64_t)networks->identities * sizeof(struct identity) +
           (uint64_t)networks->entries * sizeof(struct networks_entry) + networks->text_size;
}

#endif
