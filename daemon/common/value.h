/* SPDX-License-Identifier: MIT */
/*
 * value.h - text to typed value and back, the same for settings and plugin options
 *
 * A value comes from three places: a configuration file (where libconfig
 * knows whether it was a string, a number or a boolean), a command line (plain
 * text), and the settings a worker inherits (plain text). All are carried as
 * text and a hint of how it was written.
 */
#ifndef SOCKSERVERD_COMMON_VALUE_H
#define SOCKSERVERD_COMMON_VALUE_H

#include <stdbool.h>
#include <stdint.h>

/* How the value was written. */
enum value_form {
    VALUE_PLAIN,   /* command line or worker: could be anything */
    VALUE_STRING,  /* "..." in the file */
    VALUE_INTEGER, /* 12 */
    VALUE_FLOAT,   /* 1.5 */
    VALUE_BOOLEAN, /* true */
    VALUE_GROUP    /* { }, [ ] or ( ): never a right value here */
};

/* Each: 0 and *ret, or -EINVAL (not of that type) or -ERANGE (too large to hold). */
int value_boolean(const char *text, enum value_form form, bool *ret);    /* true, false */
int value_integer(const char *text, enum value_form form, int64_t *ret); /* 12, 0x1f; "12" */
int value_number(const char *text, enum value_form form, double *ret);   /* 12, 1.5; finite */
int value_size(const char *text, enum value_form form,
               uint64_t *ret); /* bytes; "64K" "1M" "2G" (1024s) */
int value_duration(const char *text, enum value_form form,
                   double *ret); /* seconds; "250ms" "30s" "5m" "2h" "1d" "10us" */

/* Shortest text that reads back as the same value: "64K", "250ms". buffer of at least 32. */
char *value_format_size(uint64_t bytes, char *buffer);
char *value_format_duration(double seconds, char *buffer);

/* The value as a person would find it in the file, for "found ...": quoted if it was a string. To
 * free. */
char *value_show(const char *text, enum value_form form);

#endif
