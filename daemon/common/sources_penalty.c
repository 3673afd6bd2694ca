/* SPDX-License-Identifier: MIT */
/*
 * sources_penalty.c - how fast requests may come, and whom nobody serves now
 *
 * A rate is GCRA: one number says when the next request would come if all came
 * evenly, and a request may come earlier than that by the burst.
 *
 * Runs in:  a serving context of a worker, a zygote, the supervisor.
 * Owns:     nothing.
 * Failures: none.
 */
#include <stdio.h>
#include <string.h>

#include "common/sources_private.h"

/* ---- rates --------------------------------------------------------------------- */

struct source_rate
source_rate(uint32_t count, double period, uint32_t burst)
{
    struct source_rate rate = {0};

    if (count == 0)
        return rate;
    rate.interval = (int64_t)(period * 1e9 / count);
    if (rate.interval == 0)
        rate.interval = 1;
    rate.tolerance = rate.interval * (burst > 0 ? (int64_t)burst - 1 : 0);
    return rate;
}

int64_t
sources_take_due(_Atomic int64_t *due, const struct source_rate *rate, int64_t now)
{
    int64_t old = atomic_load(due), next;

    if (rate->interval == 0)
        return 0;
    do {
        /* What a spoilt memory says must not close the door for good. */
        if (old > now + rate->tolerance + rate->interval)
            old = now + rate->tolerance + rate->interval;
        if (source_next_due(old, rate) > now)
            return source_next_due(old, rate);
        next = (old > now ? old : now) + rate->interval;
    } while (!atomic_compare_exchange_weak(due, &old, next));
    return 0;
}

int64_t
sources_take_turn(struct sources *sources, const struct source_rate *rate, int64_t now)
{
    return sources_take_due(&sources->turn, rate, now);
}

int64_t
sources_next_turn(const struct sources *sources, const struct source_rate *rate, int64_t now)
{
    int64_t due = atomic_load(&sources->turn);

    if (rate->interval == 0 || source_next_due(due, rate) <= now)
        return 0;
    return due > now + rate->tolerance + rate->interval ? now + rate->interval
                                                        : source_next_due(due, rate);
}

/* ---- penalties ----------------------------------------------------------------- */

const char *
source_penalty_name(uint32_t kind)
{
    static const char *const names[] = {
        [PENALTY_NONE] = "none", [PENALTY_CRASH] = "crash",     [PENALTY_HANDSHAKE] = "handshake",
        [PENALTY_SLOW] = "slow", [PENALTY_HANDLER] = "handler",
    };

    return names[kind < PENALTY_KINDS ? kind : PENALTY_NONE];
}

bool
sources_any_penalised(const struct sources *sources, int64_t now)
{
    return atomic_load_explicit(&sources->penalised_until, memory_order_relaxed) > now;
}

static void
note_latest(struct sources *sources, int64_t until)
{
    int64_t latest = atomic_load(&sources->penalised_until);

    while (latest < until &&
           !atomic_compare_exchange_weak(&sources->penalised_until, &latest, until))
        ;
}

static void
write_reason(struct place *place, const struct source_penalties *penalty)
{
    uint64_t words[REASON_WORDS] = {0};

    if (penalty->reason != NULL)
        (void)snprintf((char *)words, sizeof(words), "%s", penalty->reason);
    atomic_store(&place->kind, penalty->kind);
    for (size_t i = 0; i < REASON_WORDS; i++)
        atomic_store_explicit(&place->reason[i], words[i], memory_order_relaxed);
}

static void
add_penalty(struct sources *sources, struct place *place, const struct source_penalties *penalty,
            int64_t now)
{
    int64_t old = atomic_load(&place->penalised_until), until;

    do {
        until = (old > now ? old : now) + penalty->seconds;
        if (until > now + penalty->most)
            until = now + penalty->most;
        if (until < old && old <= now + penalty->most)
            return;
    } while (!atomic_compare_exchange_weak(&place->penalised_until, &old, until));
    note_latest(sources, until);
    write_reason(place, penalty);
}

bool
sources_penalise(struct sources *sources, uint32_t claim, struct source_key key,
                 const struct source_penalties *penalty, int64_t now)
{
    static const struct source_limits none = {0};
    int64_t index = sources_place(sources, key);

    if (penalty->seconds <= 0 || claim >= SOURCE_CLAIMS)
        return false;
    int64_t held = sources_held(sources, claim);
    if (held >= 0 && held != index)
        return false; /* it runs a request of another source */
    if (held >= 0 || (index >= 0 && source_is_penalised(&sources->places[index], now))) {
        add_penalty(sources, &sources->places[index], penalty, now);
        return true;
    }
    /* The place is held until the penalty keeps it. */
    (void)sources_enter(sources, claim, key, &none, now);
    bool added = sources_penalise_held(sources, claim, penalty, now);
    sources_leave(sources, claim);
    return added;
}

bool
sources_penalise_held(struct sources *sources, uint32_t claim,
                      const struct source_penalties *penalty, int64_t now)
{
    int64_t held = sources_held(sources, claim);

    if (held < 0 || penalty->seconds <= 0)
        return false;
    add_penalty(sources, &sources->places[held], penalty, now);
    return true;
}

bool
sources_pardon(struct sources *sources, struct source_key key, int64_t now)
{
    int64_t index = sources_place(sources, key);

    return index >= 0 && atomic_exchange(&sources->places[index].penalised_until, 0) > now;
}
