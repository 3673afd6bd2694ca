/* SPDX-License-Identifier: MIT */
/*
 * secret.h - memory that may hold a key: it is wiped before it is released
 */
#ifndef SOCKSERVERD_COMMON_SECRET_H
#define SOCKSERVERD_COMMON_SECRET_H

#include <stddef.h>

/* Does what realloc(3) does with `used` bytes of `room`, and leaves no copy of them behind. Returns
 * NULL without memory, and bytes is as it was. */
void *secret_grow(void *bytes, size_t used, size_t room, size_t new_room);

/* Wipes so many bytes and frees them. NULL is fine. */
void secret_free(void *bytes, size_t size);

#endif
