/* SPDX-License-Identifier: MIT */
/*
 * suggest.h - the known name nearest to a mistyped one
 */
#ifndef SOCKSERVERD_COMMON_SUGGEST_H
#define SOCKSERVERD_COMMON_SUGGEST_H

/*
 * The name in the NULL-terminated list that a person most likely meant by
 * word (few edits, transpositions and case counted lightly), or NULL if none
 * is near.
 */
const char *suggest(const char *word, const char *const *names);

/* Appends `; did you mean "NAME"?` to nothing or gives "": a string to free, never NULL but without
 * memory. */
char *suggest_phrase(const char *word, const char *const *names);

#endif
