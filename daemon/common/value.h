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

/* A value as somebody wrote it, and where it stands. The strings are borrowed, except for those
 * that given_copy() has made. A list inside a list is an item that has no items. */
struct given {
    const char *key; /* of an item of a group; else NULL */
    const char *text;
    enum value_form form;
    const char *file;    /* NULL: the command line */
    unsigned line;       /* without a file: how it was given */
    struct given *items; /* of VALUE_LIST, and of a group in a list, each with its own place */
    size_t item_count;
};

#define GIVEN_BY_OPTION 1 /* an option such as --mixin gave it; 0: --set or -o did */

/* Makes a copy that owns its strings; given_done() releases it. text may be NULL. Returns 0 or
 * -ENOMEM. */
int given_copy(const struct given *given, struct given *ret);
void given_done(struct given *given);

/* True if both are written the same, with all their items; places and what stands in groups are not
 * compared. */
bool given_equal(const struct given *one, const struct given *other);

/* True if the value is text: it stands in quotes, or comes from a command line, where everything
 * is text. */
bool given_is_text(const struct given *given);

/* Each returns 0 and *ret, or -EINVAL (not of that type) or -ERANGE (too large to hold). */
int value_boolean(const char *text, enum value_form form, bool *ret);    /* true, false */
int value_integer(const char *text, enum value_form form, int64_t *ret); /* 12, 0x1f; "12" */
int value_number(const char *text, enum value_form form, double *ret);   /* 12, 1.5; finite */
int value_size(const char *text, enum value_form form,
               uint64_t *ret); /* bytes; "64K" "1M" "2G" (1024s) */
int value_duration(const char *text, enum value_form form,
                   double *ret); /* seconds; "250ms" "30s" "5m" "2h" "1d" "10us" */
/* "20/s", "600/m", "1000/h": how many in a second, a minute or an hour, which *ret_period is in
 * seconds. */
int value_rate(const char *text, enum value_form form, uint32_t *ret_count, uint32_t *ret_period);
int value_mode(const char *text, enum value_form form,
               uint32_t *ret); /* permissions, octal digits in quotes: "0660"; up to 0777 */

/* Both write the shortest text that reads back as the same value: "64K", "250ms". buffer has at
 * least 32 bytes, and is returned. */
char *value_format_size(uint64_t bytes, char *buffer);
char *value_format_duration(double seconds, char *buffer);
char *value_format_rate(uint32_t count, uint32_t period, char *buffer); /* does the same */

/* Returns the value as a person would find it in the file, for "found ...": a string is in
 * quotes. The caller frees it; NULL without memory. */
char *value_show(const char *text, enum value_form form);

#endif
