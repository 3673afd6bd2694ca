/* SPDX-License-Identifier: MIT */
/*
 * range.c - the field Range: which bytes of a file a client wants
 *
 * No set of ranges makes an answer larger than the file: ranges that overlap, or that are closer
 * together than what would be written between them, become one, and a field with more than
 * MOST_RANGES is ignored, as one with a mistake is.
 *
 * Runs in:  a handler.
 * Owns:     nothing.
 * Failures: none.
 */
#include "range.h"

#include <http_parser.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define CLOSE_BY 128 /* bytes: about the head of a part */

/* The number at *at, at most INT64_MAX; -1: there is none. */
static int64_t
number(const char **at)
{
    int64_t value = -1;

    for (; **at >= '0' && **at <= '9'; (*at)++) {
        int64_t digit = **at - '0';
        if (value < 0)
            value = 0;
        value = value > (INT64_MAX - digit) / 10 ? INT64_MAX : value * 10 + digit;
    }
    return value;
}

static void
skip_space(const char **at)
{
    *at += strspn(*at, " \t");
}

/* "1-2", "1-" or "-2" as bytes of the file; first > last: it has none of them. */
static bool
parse_one(const char **at, int64_t size, struct range *ret)
{
    int64_t first = number(at);

    if (*(*at)++ != '-')
        return false;
    int64_t last = number(at);
    if (first < 0) {
        if (last < 0)
            return false;
        *ret = (struct range){.first = last < size ? size - last : 0, .last = size - 1};
        return true;
    }
    if (last >= 0 && last < first)
        return false;
    *ret = (struct range){.first = first, .last = last < 0 || last >= size ? size - 1 : last};
    return true;
}

static int
compare(const void *one, const void *other)
{
    const struct range *a = one, *b = other;

    return a->first < b->first ? -1 : a->first > b->first;
}

static void
merge(struct ranges *ranges)
{
    size_t kept = 0;

    qsort(ranges->all, ranges->count, sizeof(ranges->all[0]), compare);
    for (size_t i = 1; i < ranges->count; i++) {
        struct range *before = &ranges->all[kept], range = ranges->all[i];

        if (range.first - before->last > CLOSE_BY)
            ranges->all[++kept] = range;
        else if (range.last > before->last)
            before->last = range.last;
    }
    ranges->count = kept + 1;
}

int
ranges_parse(const char *field, int64_t size, struct ranges *ret)
{
    struct range range;
    size_t asked = 0;

    ret->count = 0;
    if (strncasecmp(field, "bytes=", 6) != 0)
        return HTTP_STATUS_OK;
    for (const char *at = field + 6;; at++) {
        skip_space(&at);
        if (asked++ == MOST_RANGES || !parse_one(&at, size, &range))
            return HTTP_STATUS_OK;
        if (range.first <= range.last)
            ret->all[ret->count++] = range;
        skip_space(&at);
        if (*at == '\0')
            break;
        if (*at != ',')
            return HTTP_STATUS_OK;
    }
    if (ret->count == 0)
        return HTTP_STATUS_RANGE_NOT_SATISFIABLE;
    merge(ret);
    return HTTP_STATUS_PARTIAL_CONTENT;
}
