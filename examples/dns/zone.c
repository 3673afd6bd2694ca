/* SPDX-License-Identifier: MIT */
/*
 * zone.c - names, and what is found by them
 *
 * The nodes are a balanced tree; nothing changes it after it has been loaded, so any number
 * of threads may look.
 *
 * Runs in:  a handler; the worker's main thread while it loads.
 * Owns:     the zone, until zone_free().
 * Failures: no memory, which is returned.
 */
#define _GNU_SOURCE 1 /* tdestroy() */
#include "zone.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

struct name
name_parent(struct name name)
{
    size_t label = 1u + name.labels[0];

    return (struct name){name.labels + label, name.size - label};
}

size_t
name_size(const uint8_t *labels)
{
    size_t size = 1;

    for (; *labels != 0; labels += 1 + *labels)
        size += 1u + *labels;
    return size;
}

struct name
name_lower(const uint8_t *labels, uint8_t *ret_bytes)
{
    size_t size = name_size(labels);

    /* The length of a label is below 64, and so is no letter. */
    for (size_t i = 0; i < size; i++)
        ret_bytes[i] =
            (uint8_t)(labels[i] >= 'A' && labels[i] <= 'Z' ? labels[i] | 0x20 : labels[i]);
    return (struct name){ret_bytes, size};
}

static int
compare(const void *one, const void *other)
{
    const struct name *a = one, *b = other;

    return a->size != b->size ? (a->size > b->size) - (a->size < b->size)
                              : memcmp(a->labels, b->labels, a->size);
}

const struct node *
zone_find(const struct zone *zone, struct name name)
{
    struct node *const *found = tfind(&name, &zone->nodes, compare);

    return found != NULL ? *found : NULL;
}

const struct record *
node_find(const struct node *node, uint16_t type)
{
    const struct record *record = node->records;

    while (record != NULL && record->form->type != type)
        record = record->next;
    return record;
}

struct node *
zone_have(struct zone *zone, struct name name)
{
    struct node *const *found = tfind(&name, &zone->nodes, compare);

    if (found != NULL)
        return *found;
    struct node *node = calloc(1, sizeof(*node) + name.size);
    if (node == NULL)
        return NULL;
    node->name = (struct name){memcpy(node + 1, name.labels, name.size), name.size};
    if (tsearch(node, &zone->nodes, compare) != NULL)
        return node;
    free(node);
    return NULL;
}

static void
free_node(void *pointer)
{
    struct node *node = pointer;

    for (struct record *record = node->records, *next; record != NULL; record = next) {
        next = record->next;
        free(record);
    }
    free(node);
}

void
zone_free(struct zone *zone)
{
    if (zone != NULL)
        tdestroy(zone->nodes, free_node);
    free(zone);
}
