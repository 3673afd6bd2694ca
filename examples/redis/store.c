/* SPDX-License-Identifier: MIT */
/*
 * store.c - what the keys are kept in: balanced trees, lists, and bytes
 *
 * Runs in:  a handler, or the worker's main thread; with the store's lock held.
 * Owns:     the store, until the worker ends.
 * Failures: no memory, which is returned.
 */
#define _GNU_SOURCE 1 /* tdestroy() */
#include "redis.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BESIDES 64  /* bytes that the allocator and the tree take for each thing, about */
#define SWEPT   200 /* nodes that are looked at for their age, each time */

struct store store = {.lock = PTHREAD_MUTEX_INITIALIZER,
                      .expiring = TAILQ_HEAD_INITIALIZER(store.expiring),
                      .listeners = TAILQ_HEAD_INITIALIZER(store.listeners)};

int64_t
now(void)
{
    struct timespec time;

    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static int
compare(const void *one, const void *other)
{
    const struct bytes *a = one, *b = other;
    int order = memcmp(a->data, b->data, a->size < b->size ? a->size : b->size);

    return order != 0 ? order : (a->size > b->size) - (a->size < b->size);
}

void
set_expiry(struct node *node, int64_t expires)
{
    if (node->expires != 0)
        TAILQ_REMOVE(&store.expiring, node, expiring);
    node->expires = expires;
    if (expires != 0)
        TAILQ_INSERT_TAIL(&store.expiring, node, expiring);
}

/* Replaces the bytes of a string, data being part of none; more of them than it has are kept. */
bool
set_string(struct node *node, size_t keep, const struct bytes *added)
{
    size_t size = keep + added->size;
    char *data = realloc(node->string.data, size + 1);

    if (data == NULL)
        return false;
    memcpy(data + keep, added->data, added->size);
    data[size] = '\0';
    store.used = store.used - node->string.size + size;
    node->string = (struct bytes){data, size};
    return true;
}

bool
push_item(struct node *node, const struct bytes *word, bool left)
{
    struct item *item = malloc(sizeof(*item) + word->size);

    if (item == NULL)
        return false;
    item->size = word->size;
    memcpy(item->data, word->data, word->size);
    if (left)
        TAILQ_INSERT_HEAD(&node->list, item, link);
    else
        TAILQ_INSERT_TAIL(&node->list, item, link);
    node->length++;
    store.used += item->size + BESIDES;
    return true;
}

void
drop_item(struct node *node, struct item *item)
{
    TAILQ_REMOVE(&node->list, item, link);
    node->length--;
    store.used -= item->size + BESIDES;
    free(item);
}

static void
free_node(void *pointer)
{
    struct node *node = pointer;

    while (!TAILQ_EMPTY(&node->list))
        drop_item(node, TAILQ_FIRST(&node->list));
    tdestroy(node->fields.root, free_node);
    set_expiry(node, 0);
    store.used -= sizeof(*node) + node->name.size + node->string.size + BESIDES;
    free(node->string.data);
    free(node);
}

void
drop(struct table *table, struct node *node)
{
    (void)tdelete(node, &table->root, compare);
    table->count--;
    free_node(node);
}

/* One that has expired is dropped, and not found. */
struct node *
find(struct table *table, const struct bytes *name)
{
    struct node *const *found = tfind(name, &table->root, compare);
    struct node *node = found != NULL ? *found : NULL;

    if (node == NULL || node->expires == 0 || node->expires > now())
        return node;
    drop(table, node);
    return NULL;
}

/* Of a name that the table has not. NULL: no memory. */
struct node *
make(struct table *table, const struct bytes *name, enum kind kind)
{
    struct node *node = calloc(1, sizeof(*node) + name->size + 1);

    if (node == NULL)
        return NULL;
    node->name = (struct bytes){memcpy(node + 1, name->data, name->size), name->size};
    node->kind = kind;
    TAILQ_INIT(&node->list);
    if (tsearch(node, &table->root, compare) == NULL) {
        free(node);
        return NULL;
    }
    table->count++;
    store.used += sizeof(*node) + name->size + BESIDES;
    return node;
}

void
drop_all(struct table *table)
{
    tdestroy(table->root, free_node);
    *table = (struct table){0};
}

void
sweep(void)
{
    struct node *node;
    int64_t time = now();

    for (int i = 0; i < SWEPT && (node = TAILQ_FIRST(&store.expiring)) != NULL; i++)
        if (node->expires <= time)
            drop(&store.keys, node);
        else
            set_expiry(node, node->expires);
}
