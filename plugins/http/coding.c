/* SPDX-License-Identifier: MIT */
/*
 * coding.c - the field Accept-Encoding: whether a client takes gzip
 *
 * Of the codings that a client names with a weight, gzip and no coding at all ("identity") are
 * looked at; "*" stands for gzip where that is not named. Whoever names neither gets none.
 *
 * Runs in:  a handler.
 * Owns:     nothing.
 * Failures: an item with a mistake in its weight is one that is not wanted.
 */
#include "coding.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

#define UNKNOWN (-1)

/* "q=1", "q=0.25": in thousandths; 0 if it is no weight. */
static int
parse_weight(const char *text, size_t size)
{
    int weight = 0, unit = 1000;

    if (size < 3 || strncasecmp(text, "q=", 2) != 0 || (text[2] != '0' && text[2] != '1'))
        return 0;
    weight = (text[2] - '0') * unit;
    if (size == 3)
        return weight;
    if (text[3] != '.' || size > 7)
        return 0;
    for (size_t i = 4; i < size; i++) {
        if (text[i] < '0' || text[i] > '9')
            return 0;
        unit /= 10;
        weight += (text[i] - '0') * unit;
    }
    return weight <= 1000 ? weight : 0;
}

/* The size of the text up to the end of an item's part, without white space behind it. */
static size_t
part_size(const char *text, const char *ends)
{
    size_t size = strcspn(text, ends);

    while (size > 0 && (text[size - 1] == ' ' || text[size - 1] == '\t'))
        size--;
    return size;
}

/* The weight that stands behind a coding's name: 1000 if there is none. */
static int
weight_behind(const char *text)
{
    text += strspn(text, " \t");
    if (*text != ';')
        return 1000;
    text += 1 + strspn(text + 1, " \t");
    return parse_weight(text, part_size(text, ","));
}

static bool
is(const char *text, size_t size, const char *name)
{
    return size == strlen(name) && strncasecmp(text, name, size) == 0;
}

bool
coding_prefers_gzip(const char *field)
{
    int gzip = UNKNOWN, any = UNKNOWN, identity = UNKNOWN;

    while (field != NULL && *(field += strspn(field, " \t,")) != '\0') {
        size_t size = part_size(field, ",;");
        int weight = weight_behind(field + size);

        if (is(field, size, "gzip") || is(field, size, "x-gzip"))
            gzip = weight;
        else if (is(field, size, "*"))
            any = weight;
        else if (is(field, size, "identity"))
            identity = weight;
        field += strcspn(field, ",");
    }
    if (gzip == UNKNOWN)
        gzip = any;
    return gzip > 0 && gzip >= identity;
}
