/* SPDX-License-Identifier: MIT */
/*
 * lately.c - what went wrong lately: a short list, in which the oldest gives way
 *
 * Runs in:  a handler, or the sampler's thread, with the history's lock.
 * Owns:     nothing; the list is a part of the history.
 * Failures: none.
 */
#include "lately.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOGETHER 60    /* seconds */
#define LATELY   86400 /* seconds: what is older is not lately */

/* A copy that ends between two characters of UTF-8, not within one. */
static void
copy(char *to, size_t room, const char *from)
{
    size_t size = from == NULL ? 0 : strlen(from);

    if (size >= room) {
        size = room - 1;
        while (size > 0 && ((unsigned char)from[size] & 0xc0) == 0x80)
            size--;
    }
    if (size > 0)
        memcpy(to, from, size);
    to[size] = '\0';
}

/* Where to note it: the same that has just happened, or else the oldest. */
static struct incident *
find_place(struct lately *lately, const char *who, const char *what, time_t now)
{
    struct incident *oldest = &lately->incidents[0];

    for (size_t i = 0; i < LATELY_MOST; i++) {
        struct incident *incident = &lately->incidents[i];
        if (incident->last + TOGETHER >= now && strcmp(incident->what, what) == 0 &&
            strncmp(incident->who, who, sizeof(incident->who) - 1) == 0)
            return incident;
        if (incident->last < oldest->last)
            oldest = incident;
    }
    *oldest = (struct incident){.first = now};
    return oldest;
}

void
lately_note(struct lately *lately, const char *who, const char *what, const char *why,
            uint64_t count)
{
    time_t now = time(NULL);
    struct incident *incident = find_place(lately, who, what, now);

    incident->last = now;
    incident->count += count;
    copy(incident->who, sizeof(incident->who), who);
    copy(incident->what, sizeof(incident->what), what);
    copy(incident->why, sizeof(incident->why), why);
}

static int
compare(const void *one, const void *other)
{
    const struct incident *first = *(const struct incident *const *)one;
    const struct incident *second = *(const struct incident *const *)other;

    return first->last == second->last  ? strcmp(first->who, second->who)
           : first->last < second->last ? 1
                                        : -1;
}

size_t
lately_list(const struct lately *lately, const struct incident *ret[LATELY_MOST])
{
    time_t now = time(NULL);
    size_t count = 0;

    for (size_t i = 0; i < LATELY_MOST; i++)
        if (lately->incidents[i].last + LATELY > now)
            ret[count++] = &lately->incidents[i];
    qsort(ret, count, sizeof(ret[0]), compare);
    return count;
}
