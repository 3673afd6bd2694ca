/* SPDX-License-Identifier: MIT */
/*
 * text.h - figures and names as a person reads them on a terminal
 */
#ifndef SOCKSERVERD_CTL_TEXT_H
#define SOCKSERVERD_CTL_TEXT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define TEXT_SIZE 32

/* Returns a copy that a terminal may be sent, and that the caller frees: '?' replaces whatever
 * cannot be printed in this locale, above all control characters. NULL without memory. */
char *text_clean(const char *text);
void print_clean(FILE *out, const char *text);

/* Returns the columns that text takes on the terminal, after text_clean(). */
size_t text_width(const char *text);

/* Returns the number of bytes in the longest beginning of text that fits into so many columns. */
size_t text_prefix(const char *text, size_t columns);

/* Returns a copy of at most so many columns, with an ellipsis for its middle; the caller frees
 * it. */
char *text_shorten(const char *text, size_t columns);

/* All write to buffer, which has at least TEXT_SIZE bytes, and return it. */
char *text_count(uint64_t count, char *buffer);      /* 99999, 123k, 1.2M */
char *text_rate(double rate, char *buffer);          /* 0, 0.4, 12.3, 1200, 45k */
char *text_time(double microseconds, char *buffer);  /* 85us, 1.2ms, 340ms, 2.1s, 75s */
char *text_age(uint64_t microseconds, char *buffer); /* 12s, 3m 4s, 2h 5m, 3d 2h */
char *text_bytes(uint64_t bytes, char *buffer);      /* 900, 3.2K, 45M */

#endif
