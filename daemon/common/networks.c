/* SPDX-License-Identifier: MIT */
/*
 * networks.c - a compiled access list: which of its items decides about a client
 *
 * All addresses from :: to the last are cut into ranges in which the same item
 * decides; IPv4 is where its mapped addresses are. A range is the address at
 * which it begins: it ends before the next. A look-up is a binary search, which
 * touches some fifteen cache lines among 10,000 networks. There are at most twice
 * as many ranges as networks, and one more.
 *
 * Runs in:  every process.
 * Owns:     nothing.
 * Failures: returned.
 */
#include <assert.h>
#include <string.h>
#include <sys/socket.h>

#include "common/networks_private.h"

/* ---- finding ------------------------------------------------------------------------------- */

/* The last range that begins at the key or before: halving what is left, without a branch that
 * could be foreseen wrongly. */
static uint32_t
find_range(const struct networks *networks, struct network_key key)
{
    const struct range *range = ranges_of(networks);
    uint32_t left = networks->ranges;

    while (left > 1) {
        uint32_t half = left / 2;
        range = network_key_compare(range[half].first, key) <= 0 ? range + half : range;
        left -= half;
    }
    return range->item;
}

uint32_t
networks_find(const struct networks *networks, const struct sockaddr *address)
{
    if (address->sa_family != AF_INET && address->sa_family != AF_INET6)
        return networks->local;
    return find_range(networks, network_key_of(address));
}

static uint32_t
find_identity(const struct networks *networks, enum network_kind kind, uint32_t id)
{
    const struct identity *identities = identities_of(networks);
    uint32_t low = 0, high = networks->identities;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct identity *identity = &identities[middle];

        if (identity->kind == kind && identity->id == id)
            return identity->item;
        if (identity->kind < kind || (identity->kind == kind && identity->id < id))
            low = middle + 1;
        else
            high = middle;
    }
    return NETWORKS_NONE;
}

uint32_t
networks_find_peer(const struct networks *networks, uid_t uid, const gid_t *gids, size_t gid_count)
{
    uint32_t found = find_identity(networks, NETWORK_USER, uid);

    if (found != NETWORKS_NONE)
        return found;
    for (size_t i = 0; i < gid_count; i++) {
        uint32_t item = find_identity(networks, NETWORK_GROUP, gids[i]);

        if (item != NETWORKS_NONE && (found == NETWORKS_NONE || entries_of(networks)[item].deny))
            found = item;
    }
    return found != NETWORKS_NONE ? found : networks->local;
}

bool
networks_name_peers(const struct networks *networks)
{
    return networks->identities > 0;
}

bool
networks_refuse(const struct networks *networks, uint32_t item)
{
    if (item == NETWORKS_NONE)
        return networks->allows != 0;
    return entries_of(networks)[item].deny != 0;
}

void
networks_item(const struct networks *networks, uint32_t item, struct network_item *ret)
{
    const struct networks_entry *entry = &entries_of(networks)[item];
    const char *texts = texts_of(networks);

    assert(item < networks->entries);
    *ret = (struct network_item){
        .text = texts + entry->text,
        .deny = entry->deny != 0,
        .file = entry->file == NO_FILE ? NULL : texts + entry->file,
        .line = entry->line,
    };
}

/* ---- as bytes ------------------------------------------------------------------------------ */

size_t
networks_size(const struct networks *networks)
{
    return networks->size;
}

static bool
is_item(const struct networks *networks, uint32_t item)
{
    return item == NETWORKS_NONE || item < networks->entries;
}

/* A text begins within the texts, and these end with a NUL. */
static bool
entries_are_sound(const struct networks *networks)
{
    const struct networks_entry *entries = entries_of(networks);

    for (uint32_t i = 0; i < networks->entries; i++)
        if (entries[i].text >= networks->text_size ||
            (entries[i].file != NO_FILE && entries[i].file >= networks->text_size))
            return false;
    return networks->text_size == 0 || texts_of(networks)[networks->text_size - 1] == '\0';
}

bool
networks_are_sound(const void *bytes, size_t size)
{
    const struct networks *networks = bytes;

    if (size < sizeof(*networks) || networks->size != size || size_of(networks) != size)
        return false;
    if (networks->ranges == 0 || networks->entries > NETWORKS_MOST ||
        !is_item(networks, networks->local))
        return false;
    for (uint32_t i = 0; i < networks->ranges; i++)
        if (!is_item(networks, ranges_of(networks)[i].item))
            return false;
    for (uint32_t i = 0; i < networks->identities; i++)
        if (!is_item(networks, identities_of(networks)[i].item))
            return false;
    return entries_are_sound(networks);
}

static bool
same_item(const struct networks *one, uint32_t item, const struct networks *other,
          uint32_t other_item)
{
    struct network_item a, b;

    if (item == NETWORKS_NONE || other_item == NETWORKS_NONE)
        return item == other_item;
    networks_item(one, item, &a);
    networks_item(other, other_item, &b);
    return a.deny == b.deny && strcmp(a.text, b.text) == 0;
}

static bool
same_ranges(const struct networks *one, const struct networks *other)
{
    const struct range *a = ranges_of(one), *b = ranges_of(other);

    for (uint32_t i = 0; i < one->ranges; i++)
        if (network_key_compare(a[i].first, b[i].first) != 0 ||
            !same_item(one, a[i].item, other, b[i].item))
            return false;
    return true;
}

static bool
same_identities(const struct networks *one, const struct networks *other)
{
    const struct identity *a = identities_of(one), *b = identities_of(other);

    for (uint32_t i = 0; i < one->identities; i++)
        if (a[i].kind != b[i].kind || a[i].id != b[i].id ||
            !same_item(one, a[i].item, other, b[i].item))
            return false;
    return true;
}

bool
networks_equal(const struct networks *one, const struct networks *other)
{
    if (one == other || one == NULL || other == NULL)
        return one == other;
    return one->ranges == other->ranges && one->identities == other->identities &&
           one->allows == other->allows && same_item(one, one->local, other, other->local) &&
           same_ranges(one, other) && same_identities(one, other);
}
