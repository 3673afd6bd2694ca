/* SPDX-License-Identifier: MIT */
/*
 * sources.c - how many requests each source has, how fast they come, and whom nobody serves now
 *
 * A place holds one source. A source may stand in the eight places of one set,
 * which a keyed hash chooses, so that nobody can aim at a set. The place's word
 * has the count, and the claim and step that changed it last; a place whose word
 * has the mark is just being given to another source, by the claim in it.
 *
 * A context's steps have numbers that grow. Before a step it writes in its claim
 * what it wants; the step is one compare-and-swap of a word, which then has the
 * step's number. Whoever replaces that word writes the number to the `done` of
 * its claim first. So a step took effect if it stands in the word or in `done`,
 * and can take effect no more if it stands in neither and its context is dead.
 * A number returns after eight million steps: a process that is stopped between
 * two instructions for so long could miscount.
 *
 * Two contexts that meet a new source at the same moment can give it two places,
 * of which only the first is found afterwards; the other is idle soon.
 *
 * Runs in:  a serving context of a worker, a zygote, the supervisor.
 * Owns:     the mapping, until sources_detach().
 * Failures: of making and mapping: returned; there are no others.
 */
#include "common/sources_private.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#ifndef SOURCES_STEP
#define SOURCES_STEP() ((void)0) /* a test ends the process here */
#endif

#define WAYS     8u
#define SETS     (SOURCES_MOST / WAYS)
#define ATTEMPTS 8  /* at a source whose place goes to another one meanwhile */
#define PATIENCE 64 /* looks at a place that is just being given away */

/* ---- words and intents --------------------------------------------------------- */

#define MARK (UINT64_C(1) << 63)

enum intent { INTENT_NONE, INTENT_ENTER, INTENT_HOLD, INTENT_LEAVE, INTENT_REPLACE };

/* From the lowest bit: the step, the claim, the count; the mark is the highest. */
static uint64_t
word_of(uint32_t count, uint32_t claim, uint32_t step)
{
    return step | (uint64_t)claim << STEP_BITS | (uint64_t)count << (STEP_BITS + 20);
}

/* From the lowest bit: the step, the place, what is done, and the process that does it. */
struct wish {
    enum intent intent;
    uint32_t step, place;
    pid_t process;
};

static uint64_t
pack_wish(const struct wish *wish)
{
    return wish->step | (uint64_t)wish->place << STEP_BITS | (uint64_t)wish->intent << 39 |
           (uint64_t)wish->process << 42;
}

static struct wish
read_wish(const struct claim *claim)
{
    uint64_t intent = atomic_load(&claim->intent);

    return (struct wish){
        .intent = (enum intent)(intent >> 39 & 7),
        .step = (uint32_t)intent & STEP_MASK,
        .place = (uint32_t)(intent >> STEP_BITS) & (SOURCES_MOST - 1),
        .process = (pid_t)(intent >> 42),
    };
}

/* A context as it does its steps. */
struct actor {
    struct sources *sources;
    struct claim *claim;
    uint32_t number; /* of the claim */
    struct wish wish;
};

static struct actor
act_as(struct sources *sources, uint32_t claim)
{
    struct claim *at = &sources->claims[claim % SOURCE_CLAIMS];

    return (struct actor){sources, at, claim % SOURCE_CLAIMS, read_wish(at)};
}

static void
declare(struct actor *actor, enum intent intent)
{
    actor->wish.intent = intent;
    SOURCES_STEP();
    atomic_store(&actor->claim->intent, pack_wish(&actor->wish));
    SOURCES_STEP();
}

/* Says what the next step is for. */
static void
begin_step(struct actor *actor, enum intent intent, uint32_t place)
{
    actor->wish.step = (actor->wish.step + 1) & STEP_MASK;
    actor->wish.place = place;
    declare(actor, intent);
}

/* Notes in the claim that made this word that its step took effect. */
static void
witness(struct sources *sources, uint64_t word)
{
    uint32_t step = (uint32_t)word & STEP_MASK;
    struct claim *claim = &sources->claims[(word >> STEP_BITS) % SOURCE_CLAIMS];
    uint32_t done = atomic_load(&claim->done);

    while (((step - done) & STEP_MASK) - 1 < STEP_MASK / 2 && /* it is a later one */
           !atomic_compare_exchange_weak(&claim->done, &done, step))
        ;
}

/* Replaces a word by one of this step, if it is still what it was. */
static bool
replace_word(struct actor *actor, struct place *place, uint64_t *word, uint32_t count,
             uint64_t mark)
{
    uint64_t found = *word;

    witness(actor->sources, found);
    SOURCES_STEP();
    bool replaced = atomic_compare_exchange_strong(
        &place->word, &found, mark | word_of(count, actor->number, actor->wish.step));
    SOURCES_STEP();
    *word = found;
    return replaced;
}

/* Whether the step that a dead context has declared took effect. */
static bool
took_effect(const struct actor *actor, const struct place *place)
{
    uint64_t word = atomic_load(&place->word) & ~MARK; /* before `done`: see the head */
    uint64_t own = word_of(0, actor->number, actor->wish.step);

    return (word & (word_of(0, SOURCE_CLAIMS - 1, STEP_MASK))) == own ||
           atomic_load(&actor->claim->done) == actor->wish.step;
}

/* ---- where a source stands ----------------------------------------------------- */

#define ROTATE(x, n) ((x) << (n) | (x) >> (64 - (n)))

static void
sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = ROTATE(v[1], 13) ^ v[0];
    v[0] = ROTATE(v[0], 32);
    v[2] += v[3];
    v[3] = ROTATE(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = ROTATE(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = ROTATE(v[1], 17) ^ v[2];
    v[2] = ROTATE(v[2], 32);
}

/* SipHash-1-3 of the sixteen bytes. */
static uint32_t
set_of(const struct sources *sources, struct source_key key)
{
    uint64_t v[4] = {
        sources->key[0] ^ UINT64_C(0x736f6d6570736575),
        sources->key[1] ^ UINT64_C(0x646f72616e646f6d),
        sources->key[0] ^ UINT64_C(0x6c7967656e657261),
        sources->key[1] ^ UINT64_C(0x7465646279746573),
    };
    const uint64_t words[] = {key.high, key.low, UINT64_C(16) << 56};

    for (size_t i = 0; i < 3; i++) {
        v[3] ^= words[i];
        sip_round(v);
        v[0] ^= words[i];
    }
    v[2] ^= 0xff;
    for (size_t i = 0; i < 3; i++)
        sip_round(v);
    return (uint32_t)((v[0] ^ v[1] ^ v[2] ^ v[3]) % SETS);
}

static bool
is_of(const struct place *place, struct source_key key)
{
    return atomic_load_explicit(&place->low, memory_order_acquire) == key.low &&
           atomic_load_explicit(&place->high, memory_order_acquire) == key.high;
}

/* The first place of the set that the source has, or -1. */
static int64_t
find(const struct sources *sources, uint32_t set, struct source_key key)
{
    for (uint32_t i = set * WAYS; i < (set + 1) * WAYS; i++)
        if (is_of(&sources->places[i], key) && (atomic_load(&sources->places[i].word) & MARK) == 0)
            return i;
    return -1;
}

int64_t
sources_place(const struct sources *sources, struct source_key key)
{
    return find(sources, set_of(sources, key), key);
}

static bool
is_kept(const struct place *place, uint64_t word, int64_t now)
{
    return (word & MARK) != 0 || count_of(word) > 0 ||
           atomic_load_explicit(&place->penalised_until, memory_order_relaxed) > now;
}

/* The place of the set that was idle for longest, or -1. */
static int64_t
oldest(const struct sources *sources, uint32_t set, int64_t now)
{
    int64_t found = -1, since = INT64_MAX;

    for (uint32_t i = set * WAYS; i < (set + 1) * WAYS; i++) {
        const struct place *place = &sources->places[i];
        int64_t used = atomic_load_explicit(&place->used, memory_order_relaxed);

        if (used < since && !is_kept(place, atomic_load(&place->word), now)) {
            found = i;
            since = used;
        }
    }
    return found;
}

/* What a place is when nobody has used it yet, except for its word. */
static void
clean(struct place *place, struct source_key key, int64_t now)
{
    atomic_store(&place->penalised_until, 0);
    atomic_store(&place->due, 0);
    atomic_store(&place->window, 0);
    atomic_store(&place->refused, 0);
    atomic_store(&place->kind, PENALTY_NONE);
    for (size_t i = 0; i < REASON_WORDS; i++)
        if (atomic_load_explicit(&place->reason[i], memory_order_relaxed) != 0)
            atomic_store(&place->reason[i], 0);
    atomic_store(&place->used, now);
    SOURCES_STEP();
    atomic_store(&place->high, key.high);
    SOURCES_STEP();
    atomic_store(&place->low, key.low);
    SOURCES_STEP();
}

/* Takes the mark away: the place may be found. Nobody else changes a word with a mark. */
static void
unmark(struct actor *actor, struct place *place)
{
    atomic_store(&place->word, word_of(0, actor->number, actor->wish.step));
    SOURCES_STEP();
}

/* Gives an idle place to the source. False: it is idle no more. */
static bool
give_place(struct actor *actor, uint32_t index, struct source_key key, int64_t now)
{
    struct place *place = &actor->sources->places[index];
    uint64_t word = atomic_load(&place->word);
    bool given = false;

    begin_step(actor, INTENT_REPLACE, index);
    if (!is_kept(place, word, now) && replace_word(actor, place, &word, 0, MARK)) {
        given = !is_kept(place, 0, now); /* a penalty may have come in between */
        if (given)
            clean(place, key, now);
        unmark(actor, place);
    }
    declare(actor, INTENT_NONE);
    return given;
}

/* The source's place, which it is given if it has none; -1: all of its set are kept. */
static int64_t
find_or_give(struct actor *actor, struct source_key key, int64_t now)
{
    const struct sources *sources = actor->sources;
    uint32_t set = set_of(sources, key);

    for (int i = 0; i < PATIENCE; i++) {
        int64_t found = find(sources, set, key);
        if (found >= 0)
            return found;
        int64_t idle = oldest(sources, set, now);
        if (idle < 0)
            return -1;
        if (give_place(actor, (uint32_t)idle, key, now))
            return find(sources, set, key); /* or the one that another has just been given */
    }
    return -1;
}

/* ---- counting ------------------------------------------------------------------ */

enum taken { TAKEN, TAKEN_NOT, TAKEN_MOVED };

/* Counts one more, unless there are `most`. */
static enum taken
take(struct actor *actor, uint32_t index, struct source_key key, uint32_t most)
{
    struct place *place = &actor->sources->places[index];
    uint64_t word = atomic_load(&place->word);
    enum taken taken = TAKEN;

    begin_step(actor, INTENT_ENTER, index);
    do {
        if ((word & MARK) != 0 || !is_of(place, key))
            taken = TAKEN_MOVED;
        else if ((most > 0 && count_of(word) >= most) || count_of(word) == COUNT_MASK)
            taken = TAKEN_NOT;
    } while (taken == TAKEN && !replace_word(actor, place, &word, count_of(word) + 1, 0));
    declare(actor, taken == TAKEN ? INTENT_HOLD : INTENT_NONE);
    return taken;
}

/* Does the step that the claim's wish declares: one less. */
static void
finish_leaving(struct actor *actor)
{
    struct place *place = &actor->sources->places[actor->wish.place];
    uint64_t word = atomic_load(&place->word);

    while ((word & MARK) == 0 && count_of(word) > 0 &&
           !replace_word(actor, place, &word, count_of(word) - 1, 0))
        ;
    declare(actor, INTENT_NONE);
}

static void
give_back(struct actor *actor)
{
    begin_step(actor, INTENT_LEAVE, actor->wish.place);
    finish_leaving(actor);
}

/* ---- requests ------------------------------------------------------------------ */

/* It is only shown: of two at the same moment, one may be lost. */
static void
note_arrival(struct place *place, int64_t now)
{
    uint64_t window = window_at(atomic_load_explicit(&place->window, memory_order_relaxed), now);

    if ((window & WINDOW_MASK) < WINDOW_MASK)
        window++;
    atomic_store_explicit(&place->window, window, memory_order_relaxed);
    atomic_store_explicit(&place->used, now, memory_order_relaxed);
}

static enum source_verdict
refuse(struct place *place, enum source_verdict verdict)
{
    atomic_fetch_add_explicit(&place->refused, 1, memory_order_relaxed);
    return verdict;
}

static pid_t only_process; /* 0: contexts are processes of their own */

void
sources_note_process(void)
{
    only_process = getpid();
}

/* Notes how far the claims are used: a reader of all looks no further. What an earlier context has
 * left in the claim is taken back. */
static struct actor
act(struct sources *sources, uint32_t claim)
{
    struct actor actor = act_as(sources, claim);
    uint32_t used = atomic_load_explicit(&sources->claims_used, memory_order_relaxed);

    while (used <= claim && !atomic_compare_exchange_weak(&sources->claims_used, &used, claim + 1))
        ;
    if (actor.wish.intent != INTENT_NONE) {
        sources_repair(sources, claim);
        actor = act_as(sources, claim);
    }
    actor.wish.process = only_process != 0 ? only_process : getpid();
    return actor;
}

static enum source_verdict
let_in_uncounted(struct sources *sources)
{
    atomic_fetch_add_explicit(&sources->uncounted, 1, memory_order_relaxed);
    return SOURCE_ADMITTED;
}

enum source_verdict
sources_enter(struct sources *sources, uint32_t claim, struct source_key key,
              const struct source_limits *limits, int64_t now)
{
    if (claim >= SOURCE_CLAIMS)
        return let_in_uncounted(sources);
    struct actor actor = act(sources, claim);
    for (int i = 0; i < ATTEMPTS; i++) {
        int64_t index = find_or_give(&actor, key, now);
        if (index < 0)
            break;
        struct place *place = &sources->places[index];
        if (source_is_penalised(place, now))
            return refuse(place, SOURCE_PENALISED);
        enum taken taken = take(&actor, (uint32_t)index, key, limits->most);
        if (taken == TAKEN_NOT)
            return refuse(place, SOURCE_BUSY);
        if (taken == TAKEN_MOVED)
            continue;
        note_arrival(place, now);
        if (sources_take_due(&place->due, &limits->rate, now) == 0)
            return SOURCE_ADMITTED;
        give_back(&actor);
        return refuse(place, SOURCE_FAST);
    }
    return let_in_uncounted(sources);
}

void
sources_leave(struct sources *sources, uint32_t claim)
{
    if (claim >= SOURCE_CLAIMS)
        return;
    struct actor actor = act_as(sources, claim);
    if (actor.wish.intent == INTENT_HOLD)
        give_back(&actor);
}

/* The place may go to another source meanwhile, whose rate then pays for this one's. */
enum source_verdict
sources_pass(struct sources *sources, uint32_t claim, struct source_key key,
             const struct source_limits *limits, int64_t now)
{
    if (claim >= SOURCE_CLAIMS)
        return let_in_uncounted(sources);
    struct actor actor = act(sources, claim);
    int64_t index = find_or_give(&actor, key, now);
    if (index < 0)
        return let_in_uncounted(sources);
    struct place *place = &sources->places[index];
    if (source_is_penalised(place, now))
        return refuse(place, SOURCE_PENALISED);
    note_arrival(place, now);
    return sources_take_due(&place->due, &limits->rate, now) == 0 ? SOURCE_ADMITTED
                                                                  : refuse(place, SOURCE_FAST);
}

enum source_verdict
sources_foresee(const struct sources *sources, struct source_key key,
                const struct source_limits *limits, int64_t now)
{
    int64_t index = sources_place(sources, key);

    if (index < 0)
        return SOURCE_ADMITTED;
    const struct place *place = &sources->places[index];
    if (source_is_penalised(place, now))
        return SOURCE_PENALISED;
    if (limits->most > 0 && count_of(atomic_load(&place->word)) >= limits->most)
        return SOURCE_BUSY;
    bool fast =
        limits->rate.interval > 0 && source_next_due(atomic_load(&place->due), &limits->rate) > now;
    return fast ? SOURCE_FAST : SOURCE_ADMITTED;
}

/* ---- the dead ------------------------------------------------------------------ */

/* A place that was just being given away becomes nobody's. */
static void
finish_replacing(struct actor *actor)
{
    static const struct source_key nobody;
    struct place *place = &actor->sources->places[actor->wish.place];
    uint64_t marked = MARK | word_of(0, actor->number, actor->wish.step);

    if (atomic_load(&place->word) == marked) {
        clean(place, nobody, 0);
        unmark(actor, place);
    }
    declare(actor, INTENT_NONE);
}

void
sources_repair(struct sources *sources, uint32_t claim)
{
    if (claim >= SOURCE_CLAIMS)
        return;
    struct actor actor = act_as(sources, claim);
    const struct place *place = &sources->places[actor.wish.place];
    switch (actor.wish.intent) {
    case INTENT_NONE:
        break;
    case INTENT_ENTER:
        if (took_effect(&actor, place))
            give_back(&actor);
        else
            declare(&actor, INTENT_NONE);
        break;
    case INTENT_HOLD:
        give_back(&actor);
        break;
    case INTENT_LEAVE:
        if (took_effect(&actor, place))
            declare(&actor, INTENT_NONE);
        else
            finish_leaving(&actor);
        break;
    case INTENT_REPLACE:
        finish_replacing(&actor);
        break;
    default:
        declare(&actor, INTENT_NONE); /* somebody has spoilt it */
    }
}

uint32_t
sources_sweep(struct sources *sources, uint32_t first, uint32_t count)
{
    uint32_t alive = 0, used = sources_claims_used(sources);

    for (uint32_t i = first; i < used && i - first < count; i++) {
        struct wish wish = read_wish(&sources->claims[i]);

        if (wish.intent == INTENT_NONE)
            continue;
        if (wish.process > 0 && kill(wish.process, 0) < 0 && errno == ESRCH)
            sources_repair(sources, i);
        else
            alive++;
    }
    return alive;
}

int64_t
sources_held(const struct sources *sources, uint32_t claim)
{
    struct wish wish = read_wish(&sources->claims[claim % SOURCE_CLAIMS]);

    return claim < SOURCE_CLAIMS && wish.intent == INTENT_HOLD ? (int64_t)wish.place : -1;
}

uint32_t
sources_claims_used(const struct sources *sources)
{
    uint32_t used = atomic_load(&sources->claims_used);

    return used < SOURCE_CLAIMS ? used : SOURCE_CLAIMS;
}
