/* SPDX-License-Identifier: MIT */
/*
 * suggest.c - how far two names are apart, in slips of the hand
 *
 * distance() counts the optimal string alignment distance in half edits: a
 * letter that is added, lost or replaced costs two, as do two letters that are
 * swapped; another case, or a hyphen for an underscore, costs one. A name that
 * only lacks or adds an end ("thread", "allow_reuse_address") is near, too.
 *
 * Runs in:  supervisor and worker, when a mistake is reported.
 * Owns:     nothing.
 * Failures: only want of memory, in suggest_phrase().
 */
#include "common/suggest.h"

#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LONGEST 64 /* no known name is longer */
#define EDIT    2u

static unsigned
replace_cost(char one, char other)
{
    if (one == other)
        return 0;
    if (tolower((unsigned char)one) == tolower((unsigned char)other))
        return 1;
    if (strchr("-_", one) != NULL && strchr("-_", other) != NULL)
        return 1;
    return EDIT;
}

static unsigned
least(unsigned one, unsigned other)
{
    return one < other ? one : other;
}

static unsigned
distance(const char *word, size_t word_length, const char *name, size_t name_length)
{
    unsigned rows[3][LONGEST + 1];
    unsigned *before = rows[0], *last = rows[1], *now = rows[2];

    for (size_t j = 0; j <= name_length; j++)
        last[j] = (unsigned)j * EDIT;
    for (size_t i = 1; i <= word_length; i++) {
        unsigned *spare = before;

        now[0] = (unsigned)i * EDIT;
        for (size_t j = 1; j <= name_length; j++) {
            now[j] = last[j - 1] + replace_cost(word[i - 1], name[j - 1]);
            now[j] = least(now[j], least(last[j], now[j - 1]) + EDIT);
            if (i > 1 && j > 1 && word[i - 1] == name[j - 2] && word[i - 2] == name[j - 1])
                now[j] = least(now[j], before[j - 2] + EDIT);
        }
        before = last;
        last = now;
        now = spare;
    }
    return last[name_length];
}

/* True for "thread" and "threading", "forks" and "forking", "allow_reuse_address" and
 * "reuse_address". */
static bool
shares_an_end(const char *one, size_t one_length, const char *other, size_t other_length)
{
    size_t shorter = one_length < other_length ? one_length : other_length, same = 0;

    if (shorter < 4)
        return false;
    while (same < shorter &&
           tolower((unsigned char)one[same]) == tolower((unsigned char)other[same]))
        same++;
    return (same >= 4 && same * 4 >= shorter * 3) ||
           strcasecmp(one + one_length - shorter, other + other_length - shorter) == 0;
}

/* Returns how far the two are apart, or a cost beyond every limit. */
static unsigned
cost(const char *word, size_t word_length, const char *name)
{
    size_t name_length = strlen(name);
    size_t longer = word_length > name_length ? word_length : name_length;
    unsigned limit = longer / 3 == 0 ? EDIT : (unsigned)(longer / 3) * EDIT;
    unsigned far;

    if (name_length > LONGEST)
        return ~0u;
    far = distance(word, word_length, name, name_length);
    /* If every letter of a very short word were replaced, that would be no slip. */
    if (far <= limit && far < least((unsigned)word_length, (unsigned)name_length) * EDIT)
        return far;
    if (shares_an_end(word, word_length, name, name_length))
        return LONGEST * EDIT + far; /* behind every true slip */
    return ~0u;
}

const char *
suggest(const char *word, const char *const *names)
{
    size_t length = strlen(word);
    unsigned nearest = ~0u;
    const char *found = NULL;

    if (length == 0 || length > LONGEST)
        return NULL;
    for (; *names != NULL; names++) {
        unsigned far = cost(word, length, *names);

        if (far < nearest) {
            nearest = far;
            found = *names;
        }
    }
    return found;
}

char *
suggest_phrase(const char *word, const char *const *names)
{
    const char *name = suggest(word, names);
    char *phrase;

    if (name == NULL)
        return strdup("");
    return asprintf(&phrase, "; did you mean \"%s\"?", name) < 0 ? NULL : phrase;
}
