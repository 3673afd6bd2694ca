/* SPDX-License-Identifier: MIT */
/*
 * records.h - pairs of text, key and value, as bytes
 *
 * Each is two NUL-terminated strings. What reads them treats them as hostile.
 */
#ifndef SOCKSERVERD_COMMON_RECORDS_H
#define SOCKSERVERD_COMMON_RECORDS_H

#include <stdint.h>
#include <stdio.h>

/* Both append one pair. The stream notes errors: ask ferror(). */
void record_put(FILE *stream, const char *key, const char *value);
void record_put_number(FILE *stream, const char *key, uint64_t value);

/* The bytes still to be read; `at` moves towards `end`. The strings stay where they are. */
struct record_reader {
    const char *at, *end;
};

/* Takes the next pair. Returns 0 or -EBADMSG. */
int record_take(struct record_reader *reader, const char **ret_key, const char **ret_value);
/* Takes the next pair, which must have this key. Returns 0 or -EBADMSG. */
int record_take_named(struct record_reader *reader, const char *key, const char **ret_value);

/* The same, and the value must be a decimal number of at most max. */
int record_take_number(struct record_reader *reader, const char *key, uint64_t max, uint64_t *ret);

/* Reads a decimal number of at most max, without a sign. Returns 0 or -EBADMSG. */
int record_number(const char *value, uint64_t max, uint64_t *ret);

#endif
