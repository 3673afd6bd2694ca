/* SPDX-License-Identifier: MIT */
/*
 * value.h - text to typed value and back, the same for settings and plugin options
 *
 * A value comes from three places: a configuration file (where libconfig
 * knows whether it was a string, a number or a boolean), a command line (plain
 * text), and the settings a worker inherits (plain text). All of them are
 * carried as `struct given`: the text, how it was written, and where.
 */
#ifndef SOCKSERVERD_COMMON_VALUE_H
#define SOCKSERVERD_COMMON_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How the value was written. */
enum value_form {
    VALUE_PLAIN,   /* command line or worker: could be anything */
    VALUE_STRING,  /* "..." in the file */
    VALUE_INTEGER, /* 12 */
    VALUE_FLOAT,   /* 1.5 */
    VALUE_BOOLEAN, /* true */
    VALUE_GROUP,   /* { }: the keys in it are the values */
    VALUE_LIST     /* [ ] or ( ) */
};

/*
 * A value as somebody wrote it, and where it stands. The strings are
 * borrowed, except in what given_copy() has made. A list or group inside a list
 * is there as an item without any of its own.
 */
struct given {
    const char *text;
    enum value_form form;
    const char *file;    /* NULL: the command line */
    unsigned line;       /* without a file: how it was given */
    struct given *items; /* of VALUE_LIST, each with its own place */
    size_t item_count;
};

#define GIVEN_BY_OPTION 1 /* by an option of its own, such as --mixin; 0: by --set or -o */

/* A copy that owns its strings and ends with given_done(). text may be NULL. 0 or -ENOMEM. */
int given_copy(const struct given *given, struct given *ret);
void given_done(struct given *given);

/* Whether they are the same value, wherever they stand: as written, and every item. */
bool given_equal(const struct given *one, const struct given *other);

/* Whether it is text: in quotes, or from a command line, where everything is. */
bool given_is_text(const struct given *given);

/* Each returns 0 and *ret, or -EINVAL (not of that type) or -ERANGE (too large to hold). */
int value_boolean(const char *text, enum value_form form, bool *ret);    /* true, false */
int value_integer(const char *text, enum value_form form, int64_t *ret); /* 12, 0x1f; "12" */
int value_number(const char *text, enum value_form form, double *ret);   /* 12, 1.5; finite */
int value_size(const char *text, enum value_form form,
               uint64_t *ret); /* bytes; "64K" "1M" "2G" (1024s) */
int value_duration(const char *text, enum value_form form,
                   double *ret); /* seconds; "250ms" "30s" "5m" "2h" "1d" "10us" */
int value_mode(const char *text, enum value_form form,
               uint32_t *ret); /* permissions, octal digits in quotes: "0660"; up to 0777 */

/* Shortest text that reads back as the same value: "64K", "250ms". buffer of at least 32. */
char *value_format_size(uint64_t bytes, char *buffer);
char *value_format_duration(double seconds, char *buffer);

/* The value as a person would find it in the file, for "found ...": quoted if it was a string. To
 * free. */
char *value_show(const char *text, enum value_form form);

#endif
