/* SPDX-License-Identifier: MIT */
/*
 * types.h - which media type a file has, by the end of its name
 */
#ifndef SOCKSERVERD_PLUGINS_HTTP_TYPES_H
#define SOCKSERVERD_PLUGINS_HTTP_TYPES_H

#include <stddef.h>

struct types;

/* Reads a file in the format of mime.types; path NULL: the small table that is built in. charset
 * is for text, or "". 0 or a negative errno. */
int types_new(const char *path, const char *charset, struct types **ret);
void types_free(struct types *types);

/* The type of a file of this name; it lasts as long as the table. */
const char *types_of(const struct types *types, const char *path);

#endif
