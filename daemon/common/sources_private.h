/* SPDX-License-Identifier: MIT */
/*
 * sources_private.h - the memory of sources, for the files that read and write it
 *
 * sources.c counts; sources_shown.c makes the memory, and tells what is in it.
 */
#ifndef SOCKSERVERD_COMMON_SOURCES_PRIVATE_H
#define SOCKSERVERD_COMMON_SOURCES_PRIVATE_H

#include <stdatomic.h>

#include "common/sources.h"

#define SOURCE_WINDOW_NS (10 * INT64_C(1000000000))
#define REASON_WORDS     (SOURCE_REASON_SIZE / sizeof(uint64_t))

struct place {
    _Atomic uint64_t word;
    _Atomic uint64_t high, low; /* the source; zeroes: none */
    _Atomic int64_t due;        /* when the next request would come evenly */
    _Atomic int64_t used;       /* when a request last came or went */
    _Atomic int64_t penalised_until;
    _Atomic uint64_t window; /* requests of this period of ten seconds and of the one before */
    _Atomic uint32_t refused;
    _Atomic uint32_t kind;
    _Atomic uint64_t reason[REASON_WORDS];
} __attribute__((aligned(128)));

struct claim {
    _Atomic uint64_t intent;
    _Atomic uint32_t done; /* the last step that somebody has seen */
    uint32_t unused;
};

struct sources {
    uint64_t key[2];
    _Atomic int64_t penalised_until; /* the latest of all */
    _Atomic uint64_t uncounted;
    _Atomic uint32_t claims_used;
    _Atomic int64_t turn __attribute__((aligned(64))); /* when the listener's next is due */
    struct place places[SOURCES_MOST] __attribute__((aligned(4096)));
    struct claim claims[SOURCE_CLAIMS];
};

#define STEP_BITS  23
#define STEP_MASK  ((1u << STEP_BITS) - 1)
#define COUNT_MASK ((1u << 20) - 1)

/* Of a place's word. */
static inline uint32_t
count_of(uint64_t word)
{
    return (uint32_t)(word >> (STEP_BITS + 20)) & COUNT_MASK;
}

/* From the highest bit: the number of the period, requests in the one before, and in this one. */
#define WINDOW_BITS    20
#define WINDOW_MASK    ((1u << WINDOW_BITS) - 1)
#define WINDOW_NUMBERS ((1u << 24) - 1)

static inline uint64_t
window_at(uint64_t window, int64_t now)
{
    uint64_t number = (uint64_t)(now / SOURCE_WINDOW_NS) & WINDOW_NUMBERS, then = window >> 40;

    if (then == number)
        return window;
    uint64_t before = then == ((number - 1) & WINDOW_NUMBERS) ? window & WINDOW_MASK : 0;
    return number << 40 | before << WINDOW_BITS;
}

static inline bool
source_is_penalised(const struct place *place, int64_t now)
{
    return atomic_load_explicit(&place->penalised_until, memory_order_relaxed) > now;
}

/* When one may come; not later than now: it may come now. */
static inline int64_t
source_next_due(int64_t due, const struct source_rate *rate)
{
    return due - rate->tolerance;
}

/* Takes a turn of a rate. Returns 0, or when the next one may be taken. */
int64_t sources_take_due(_Atomic int64_t *due, const struct source_rate *rate, int64_t now);

/* The place whose request the claim counts, or -1. */
int64_t sources_held(const struct sources *sources, uint32_t claim);
/* The first place in which the source can be found, or -1. */
int64_t sources_place(const struct sources *sources, struct source_key key);

#endif
