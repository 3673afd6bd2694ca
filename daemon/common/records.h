/* SPDX-License-Identifier: MIT */
/*
 * records.h - pairs of text, key and value, as bytes
 *
 * Each is two NUL-terminated strings. What reads them treats them as hostile.
 */
#ifndef SOCKSERVERD_COMMON_RECORDS_H
#define SOCKSERVERD_COMMON_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes that grow. One that is all zero has none yet. */
struct record_writer {
    char *bytes;
    size_t size, room;
    bool failed; /* memory ran out: something is missing */
};

/* Both append one pair. */
void record_put(struct record_writer *writer, const char *key, const char *value);
void record_put_number(struct record_writer *writer, const char *key, uint64_t value);
/* Appends bytes as they are. */
void record_put_bytes(struct record_writer *writer, const char *bytes, size_t size);
/* Hands the bytes over to the caller, who frees them. Returns 0, or -ENOMEM if anything is missing.
 * *writer is empty afterwards in either case. */
int record_finish(struct record_writer *writer, char **ret_bytes, size_t *ret_size);

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
