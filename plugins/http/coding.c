/* SPDX-License-Identifier: MIT */
/*
 * coding.c - the field Accept-Encoding: whether a client takes gzip
 *
 * Of the codings that a client names with a weight, gzip and no coding at all ("identity") are
 * looked at; "*" stands for gzip where that is not named. Whoever names neither gets none.
 *
 * Runs in:  a handler.
 * Owns:     nothing.
 * Failures: none.
 */
#include "coding.h"

#include <stddef.h>

#include "../web/weights.h"

#define UNKNOWN (-1)

bool
coding_prefers_gzip(const char *field)
{
    int gzip = UNKNOWN, any = UNKNOWN, identity = UNKNOWN;
    struct weighted item;

    while (weights_next(&field, &item)) {
        item.weight = item.specific ? 0 : item.weight; /* no coding has parameters */
        if (weighted_is(&item, "gzip") || weighted_is(&item, "x-gzip"))
            gzip = item.weight;
        else if (weighted_is(&item, "*"))
            any = item.weight;
        else if (weighted_is(&item, "identity"))
            identity = item.weight;
    }
    if (gzip == UNKNOWN)
        gzip = any;
    return gzip > 0 && gzip >= identity;
}
