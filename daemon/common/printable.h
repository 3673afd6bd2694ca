/* SPDX-License-Identifier: MIT */
/*
 * printable.h - what a terminal and a log can show without being deceived
 */
#ifndef SOCKSERVERD_COMMON_PRINTABLE_H
#define SOCKSERVERD_COMMON_PRINTABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Whether the character may be shown as it is: no control character, and none
 * that breaks the line or changes the direction in which others are read.
 */
bool printable_point(uint32_t point);

/* Bytes of the printable UTF-8 character at text; 0 if there is none such. */
size_t printable_size(const char *text);

/*
 * Text with everything else as \xNN, to free; what is longer than so many
 * bytes is cut, and ends in "...". NULL without memory.
 */
char *printable_text(const char *text, size_t most);

#endif
