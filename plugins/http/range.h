/* SPDX-License-Identifier: MIT */
/*
 * range.h - the field Range
 */
#ifndef SOCKSERVERD_PLUGINS_HTTP_RANGE_H
#define SOCKSERVERD_PLUGINS_HTTP_RANGE_H

#include <stddef.h>
#include <stdint.h>

#define MOST_RANGES 16

struct range {
    int64_t first, last; /* of the file's bytes, both included */
};

struct ranges {
    size_t count; /* in their order, none of which touches the next */
    struct range all[MOST_RANGES];
};

/* What becomes of a request with this field for a file of this size: 206 with *ret filled in, 416,
 * or 200: the field is to be ignored. */
int ranges_parse(const char *field, int64_t size, struct ranges *ret);

#endif
