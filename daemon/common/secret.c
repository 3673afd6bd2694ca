/* SPDX-License-Identifier: MIT */
/*
 * secret.c - memory that may hold a key: it is wiped before it is released
 *
 * Whoever gets freed memory next, or reads a core, finds no key in it.
 *
 * Runs in:  any process.
 * Owns:     nothing: the memory is the caller's.
 * Failures: only want of memory, which is returned.
 */
#include "common/secret.h"

#include <stdlib.h>
#include <string.h>

void *
secret_grow(void *bytes, size_t used, size_t room, size_t new_room)
{
    void *grown = malloc(new_room);

    if (grown == NULL)
        return NULL;
    if (used > 0)
        memcpy(grown, bytes, used);
    secret_free(bytes, room);
    return grown;
}

void
secret_free(void *bytes, size_t size)
{
    if (bytes != NULL)
        explicit_bzero(bytes, size);
    free(bytes);
}
