/* SPDX-License-Identifier: MIT */
/*
 * printable.h - what a terminal and a log can show without being deceived
 */
#ifndef SOCKSERVERD_COMMON_PRINTABLE_H
#define SOCKSERVERD_COMMON_PRINTABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* True if the character may be shown as it is: it is no control character, does not break the
 * line, and does not change the direction in which others are read. */
bool printable_point(uint32_t point);

/* Returns the size in bytes of the printable UTF-8 character at text, or 0 if none is there. */
size_t printable_size(const char *text);

/* Returns a copy that the caller frees, with everything that is not printable as \xNN. A text of
 * more than `most` bytes is cut, and ends in "...". NULL without memory. */
char *printable_text(const char *text, size_t most);

/*
 * Copies text in the same form to `to`, which has room for so many bytes and
 * the final NUL. A text that is longer is cut between two characters and ends
 * in "..."; so does one that was already cut, which whole = false says. room
 * is at least 3.
 */
void printable_copy(char *to, size_t room, const char *text, bool whole);

/* Writes the text in the same form, without needing memory. */
void printable_put(FILE *out, const char *text);

#endif
