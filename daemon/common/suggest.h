/* SPDX-License-Identifier: MIT */
/*
 * suggest.h - the known name nearest to a mistyped one
 */
#ifndef SOCKSERVERD_COMMON_SUGGEST_H
#define SOCKSERVERD_COMMON_SUGGEST_H

/*
 * Returns the name in the NULL-terminated list that a person most likely
 * meant by word (few edits; swapped letters and case count little), or NULL
 * if none is near.
 */
const char *suggest(const char *word, const char *const *names);

/* Returns `; did you mean "NAME"?`, or "" if no name is near, as a string that the caller frees;
 * NULL without memory. */
char *suggest_phrase(const char *word, const char *const *names);

#endif
