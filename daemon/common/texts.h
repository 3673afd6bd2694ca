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

size_t texts_count(char *const *texts);

/* Whether both have the same strings in the same order, or nobody gave either. */
bool texts_equal(char *const *one, char *const *other);

/* A copy for texts_free(), of NULL too; NULL without memory. */
char **texts_copy(char *const *texts);
void texts_free(char **texts);

/* An item for each line of it; a newline at the end ends the last one. NULL without memory. */
char **texts_split(const char *lines);

/* All of them, with a newline between two, as one string to free; NULL without memory. */
char *texts_join(char *const *texts);

#endif
