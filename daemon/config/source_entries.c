/* SPDX-License-Identifier: MIT */
/*
 * source_entries.c - what stands at which path of a configuration file
 *
 * Runs in:  the process that reads the configuration (supervisor/change/load.c).
 * Owns:     the entries of struct source, until source_done().
 * Failures: only want of memory, which is returned.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "config/source.h"

/* Returns a path such as "listeners.upper.spare", which the caller frees; NULL with errno 0
 * where the place has no such path. */
static char *
path_of(const struct source *source, const char *name)
{
    size_t size = SOURCE_NAME;
    char *path, *end;

    errno = 0;
    if (source->depth >= SOURCE_DEPTH)
        return NULL;
    for (size_t i = 0; i < source->depth; i++)
        if (!source->brackets[i].named)
            return NULL;
    size += source->depth * SOURCE_NAME;
    path = end = malloc(size);
    if (path == NULL)
        return NULL;
    for (size_t i = 0; i < source->depth; i++)
        end = stpcpy(stpcpy(end, source->names[i]), ".");
    strcpy(end, name);
    return path;
}

static struct source_entry *
new_entry(struct source *source)
{
    size_t room = source->entry_room == 0 ? 64 : source->entry_room * 2;
    struct source_entry *entries = source->entries;

    if (source->entry_count == source->entry_room) {
        entries = reallocarray(source->entries, room, sizeof(*entries));
        if (entries == NULL)
            return NULL;
        source->entries = entries;
        source->entry_room = room;
    }
    return &entries[source->entry_count];
}

int
source_add_entry(struct source *source, const char *name, const char *file, unsigned line,
                 const char *number)
{
    struct source_entry entry = {.file = file, .line = line}, *place;

    entry.path = path_of(source, name);
    if (entry.path == NULL)
        return errno == 0 ? 0 : -ENOMEM;
    entry.number = number == NULL ? NULL : strdup(number);
    place = new_entry(source);
    if (place == NULL || (number != NULL && entry.number == NULL)) {
        free(entry.path);
        free(entry.number);
        return -ENOMEM;
    }
    *place = entry;
    source->entry_count++;
    return 0;
}

void
source_free_entries(struct source *source)
{
    for (size_t i = 0; i < source->entry_count; i++) {
        free(source->entries[i].path);
        free(source->entries[i].number);
    }
    free(source->entries);
    free(source->by_path);
}

static int
compare_paths(const void *one, const void *other)
{
    const struct source_entry *const *a = one, *const *b = other;

    return strcmp((*a)->path, (*b)->path);
}

int
source_sort_entries(struct source *source)
{
    if (source->entry_count == 0)
        return 0;
    source->by_path = calloc(source->entry_count, sizeof(*source->by_path));
    if (source->by_path == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < source->entry_count; i++)
        source->by_path[i] = &source->entries[i];
    qsort(source->by_path, source->entry_count, sizeof(*source->by_path), compare_paths);
    return 0;
}

const struct source_entry *
source_find(const struct source *source, const char *path)
{
    const struct source_entry wanted = {.path = (char *)(uintptr_t)path}, *key = &wanted, **found;

    if (source->entry_count == 0)
        return NULL;
    found = bsearch(&key, source->by_path, source->entry_count, sizeof(*found), compare_paths);
    return found == NULL ? NULL : *found;
}

const char *
source_number(const struct source *source, const char *path)
{
    const struct source_entry *entry = source_find(source, path);

    return entry == NULL ? NULL : entry->number;
}
