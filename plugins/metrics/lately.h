/* SPDX-License-Identifier: MIT */
/*
 * lately.h - what went wrong lately
 */
#ifndef SOCKSERVERD_PLUGINS_METRICS_LATELY_H
#define SOCKSERVERD_PLUGINS_METRICS_LATELY_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define REFUSAL_REASONS 7
#define LATELY_MOST     32 /* the oldest gives way */

struct incident {
    time_t first, last; /* since 1970; last 0: an empty place */
    uint64_t count;
    char who[64];
    char what[32];
    char why[160];
};

struct lately {
    struct incident incidents[LATELY_MOST];
};

/* Notes that something happened so many times; what repeats itself within a minute is one incident.
 * why may be NULL. */
void lately_note(struct lately *lately, const char *who, const char *what, const char *why,
                 uint64_t count);

/* The incidents of the last day, the last one first; returns how many there are. */
size_t lately_list(const struct lately *lately, const struct incident *ret[LATELY_MOST]);

#endif
