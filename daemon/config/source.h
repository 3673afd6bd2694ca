/* SPDX-License-Identifier: MIT */
/*
 * source.h - the text of a configuration file, for what libconfig does not tell
 *
 * libconfig 1.5 wraps integers beyond 32 bits without a word, ends the process
 * when told to read a folder, and explains no mistake. So the text is read
 * once, kept, and looked through here before libconfig parses it.
 */
#ifndef SOCKSERVERD_CONFIG_SOURCE_H
#define SOCKSERVERD_CONFIG_SOURCE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/errors.h"

#define SOURCE_DEPTH 8  /* settings nested deeper mean nothing to the daemon */
#define SOURCE_NAME  64 /* and longer names are none of its own */

/* One `name = ...` of the file or of those it includes, or one item of a list. */
struct source_entry {
    char *path; /* "listeners.upper.spare", "listeners.upper.groups.[0]" */
    char *file;
    unsigned line;
    char *number; /* what was written, where libconfig's number is not that; or NULL */
};

struct source {
    char *name;   /* as given */
    char *folder; /* what @include is relative to */
    char *text;   /* NUL-terminated */
    size_t size;
    struct source_entry *entries;
    size_t entry_count;
    const struct source_entry **by_path; /* the same, sorted */

    /* Suspicious places, for the words about a syntax error; line 0: none. */
    struct source_place {
        char *file;
        unsigned line;
        char bracket;
    } open_bracket, stray_bracket, long_string;

    /* Only while looking through. */
    char names[SOURCE_DEPTH][SOURCE_NAME];
    struct source_bracket {
        unsigned line;
        char bracket;
        bool named;    /* what stands in it has a path */
        unsigned item; /* of a list: the number of the present item */
        bool begun;    /* of a list: its value was seen */
    } * brackets;
    size_t depth;
    unsigned include_depth, include_count;
};

/*
 * Reads the file and looks through it and what it includes. Returns 0;
 * -EINVAL if libconfig must not see it (a mistake was added); -ENOMEM.
 * *source is for source_done() in every case.
 */
int source_open(struct source *source, const char *name, struct errors *errors);
void source_done(struct source *source);

/* Where libconfig says it is: an included file's name as written becomes a path. To free. */
char *source_file(const struct source *source, const char *included);

/* What stands at path, or NULL: the place of a list's item is known nowhere else. */
const struct source_entry *source_find(const struct source *source, const char *path);

/* The number as written at path, if libconfig's is not to be trusted, else NULL. */
const char *source_number(const struct source *source, const char *path);

/* Adds a mistake that explains libconfig's error at this place. */
void source_explain(const struct source *source, const char *file, unsigned line, const char *error,
                    struct errors *errors);

/* The whole file, NUL-terminated. 0 or a negative errno; -EFBIG above 16 MiB. */
int source_read(const char *name, bool regular, char **ret_text, size_t *ret_size);

#endif
