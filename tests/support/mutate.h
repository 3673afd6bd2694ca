/* SPDX-License-Identifier: MIT */
/*
 * mutate.h - files that somebody might have written, spoilt
 *
 * The same seed always gives the same files from the same originals.
 */
#ifndef TESTS_SUPPORT_MUTATE_H
#define TESTS_SUPPORT_MUTATE_H

#include <stddef.h>

/* May hold NUL bytes; one more stands behind it. */
struct text {
    char *bytes;
    size_t size;
};

/*
 * One of the originals with one to four changes in bytes, tokens, lines or
 * values; what is put in may come from any of them. bytes is the caller's to
 * free.
 */
struct text mutate(const struct text *originals, size_t count, unsigned seed);

#endif
