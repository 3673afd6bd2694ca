/* SPDX-License-Identifier: MIT */
/*
 * networks.h - a compiled access list: which of its items decides about a client
 *
 * The longest prefix decides, at equal length a refusal. Of a Unix socket's
 * peer, its user decides before its groups, and these before "local". A table
 * is one block of memory without pointers: it is handed to another process as
 * the bytes that it is, and several processes can map the same.
 *
 * Finding takes no lock and no memory, and may be done in a signal handler.
 */
#ifndef SOCKSERVERD_COMMON_NETWORKS_H
#define SOCKSERVERD_COMMON_NETWORKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/network.h"

#define NETWORKS_MOST 100000     /* items of one table */
#define NETWORKS_NONE UINT32_MAX /* in place of an item: no item is about this client */

/* An item as somebody gave it. Its strings are borrowed. */
struct network_item {
    const char *text;
    bool deny;
    const char *file; /* where it stands; NULL: on a command line */
    unsigned line;
};

struct networks;

/* ---- building ------------------------------------------------------------------------------ */

/* Begins as zeroes. */
struct networks_builder {
    struct networks_piece *pieces; /* addresses, users and groups, each with its item */
    size_t piece_count, piece_room;
    struct networks_entry *entries;
    size_t entry_count, entry_room;
    char *texts;
    size_t text_size, text_room;
    const char *last_file; /* among texts it is the one at last_file_at */
    uint32_t last_file_at;
    bool strict; /* whom no item is about is refused, as if an item allowed somebody */
};

/*
 * Adds an item, whose strings are copied, except for file: that string stays as
 * it is until the last item is added. Returns 0, -ENOMEM, -E2BIG if there are
 * NETWORKS_MOST already, or -EINVAL and *ret_problem as network_parse() does.
 */
int networks_add(struct networks_builder *builder, const struct network_item *item,
                 network_id_finder *find_id, char **ret_problem);

/* Makes the table, which the caller frees with free(). Returns 0 or -ENOMEM. */
int networks_build(struct networks_builder *builder, struct networks **ret);
void networks_builder_done(struct networks_builder *builder);

/* Makes a table of a list that has been checked before; users and groups are numbers. None of its
 * items is a refusal. Returns 0, -EINVAL, -E2BIG or -ENOMEM. */
int networks_from_texts(char *const *texts, struct networks **ret);

/* ---- finding ------------------------------------------------------------------------------- */

/*
 * Finds the item that decides about an address. An IPv4 address that is mapped
 * to IPv6 is an IPv4 address. Of AF_UNIX, and of an address that is none, no
 * more is known than that: it is "local". Returns the item, or NETWORKS_NONE.
 */
uint32_t networks_find(const struct networks *networks, const struct sockaddr *address);

/* Finds the item that decides about a Unix socket's peer by its user and all of its groups. */
uint32_t networks_find_peer(const struct networks *networks, uid_t uid, const gid_t *gids,
                            size_t gid_count);

/* True if an item names a user or a group, so that a peer must be asked who it is. */
bool networks_name_peers(const struct networks *networks);

/* True if a client is turned away that this item (NETWORKS_NONE: no item) is about. */
bool networks_refuse(const struct networks *networks, uint32_t item);

/* Tells an item as it was given; the strings are the table's. */
void networks_item(const struct networks *networks, uint32_t item, struct network_item *ret);

/* ---- as bytes ------------------------------------------------------------------------------ */

size_t networks_size(const struct networks *networks);

/* True if bytes, aligned to 8, hold a table of that size in which everything can be found and
 * told without leaving them, whoever has written them. */
bool networks_are_sound(const void *bytes, size_t size);

/* True if both decide the same by the same texts; where these stand is not compared. NULL is a
 * table that nobody has. */
bool networks_equal(const struct networks *one, const struct networks *other);

#endif
