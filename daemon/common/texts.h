/* SPDX-License-Identifier: MIT */
/*
 * texts.h - a list of strings: an array that ends with NULL
 *
 * NULL in place of the array is a list that nobody gave; it counts as empty.
 */
#ifndef SOCKSERVERD_COMMON_TEXTS_H
#define SOCKSERVERD_COMMON_TEXTS_H

#include <stdbool.h>
#include <stddef.h>

/* True if both are the same string, or both are NULL. */
bool text_equal(const char *one, const char *other);

size_t texts_count(char *const *texts);

/* True if both have the same strings in the same order, or nobody gave either. */
bool texts_equal(char *const *one, char *const *other);

/* Copies a list, also NULL; texts_free() releases the copy. Returns NULL if there is no memory. */
char **texts_copy(char *const *texts);
void texts_free(char **texts);

/* Makes an item of each line; a newline at the end ends the last one. texts_free() releases the
 * list. Returns NULL without memory. */
char **texts_split(const char *lines);

/* Joins all strings, with a newline between two, into one that the caller frees; NULL without
 * memory. */
char *texts_join(char *const *texts);

#endif
