/* SPDX-License-Identifier: MIT */
/*
 * source.h - the text of a configuration file, for what libconfig does not tell
 *
 * libconfig 1.5 wraps integers beyond 32 bits without a word, ends the process
 * when told to read a folder, knows no absolute path of an included file, and
 * explains no mistake. So every file is read once, here; the files make one
 * text, which is looked through, and libconfig parses that text and opens
 * nothing.
 */
#ifndef SOCKSERVERD_CONFIG_SOURCE_H
#define SOCKSERVERD_CONFIG_SOURCE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/errors.h"

#define SOURCE_DEPTH 8  /* settings nested deeper mean nothing to the daemon */
#define SOURCE_NAME  64 /* and no name that the daemon knows is longer */

/* One `name = ...` of the file or of those it includes, or one item of a list. */
struct source_entry {
    char *path; /* "listeners.upper.spare", "listeners.upper.groups.[0]" */
    const char *file;
    unsigned line;
    char *number; /* what was written, where libconfig's number is not that; or NULL */
};

struct source {
    char *name;   /* as given */
    char *folder; /* what @include is relative to */
    char *text;   /* with what it includes; NUL-terminated */
    size_t size, room;
    unsigned lines; /* of the text: the number of the last one */
    char **files;   /* the names that places and entries point to */
    size_t file_count;
    struct source_piece *pieces; /* where each line of the text comes from */
    size_t piece_count;
    struct source_entry *entries;
    size_t entry_count, entry_room;
    const struct source_entry **by_path; /* the same, sorted */

    /* Suspicious places, for the words about a syntax error; line 0: none. */
    struct source_place {
        const char *file;
        unsigned line;
        char bracket;
    } open_bracket, stray_bracket, long_string;

    /* These are used only while the text is looked through. */
    char names[SOURCE_DEPTH][SOURCE_NAME];
    struct source_bracket {
        unsigned line;
        unsigned settings; /* inside */
        char bracket;
        bool named;    /* what stands in it has a path */
        unsigned item; /* of a list: the number of the present item */
        bool begun;    /* of a list: its value was seen */
    } * brackets;
    size_t depth;
    unsigned include_depth, include_count;
    unsigned settings, outside; /* in the whole text; of these, in no bracket */
};

/* From line `first` of the text on, the lines are the lines of file from `line` on. */
struct source_piece {
    unsigned first;
    const char *file;
    unsigned line;
};

/*
 * Reads the file and looks through it and the files it includes. Returns 0;
 * -EINVAL if libconfig must not see it (a mistake was added); or -ENOMEM.
 * source_done() releases *source in every case.
 */
int source_open(struct source *source, const char *name, struct errors *errors);
void source_done(struct source *source);

/* Returns the file, and *ret_line in it, that a line of the text came from. The name lives as
 * long as source. */
const char *source_place(const struct source *source, unsigned line, unsigned *ret_line);

/* Returns the entry at path, or NULL. Only an entry knows where an item of a list stands. */
const struct source_entry *source_find(const struct source *source, const char *path);

/* Returns the number as it is written at path if libconfig's is not to be trusted, else NULL. */
const char *source_number(const struct source *source, const char *path);

/* Adds a mistake that explains libconfig's error in this line of the text. */
void source_explain(const struct source *source, unsigned line, const char *error,
                    struct errors *errors);

/* ---- source_entries.c: what stands at which path -------------------------------------------- */

/* Adds the value that begins in the brackets that are open now, if it has a path. file comes
 * from source_keep_name(), number is copied and may be NULL. Returns 0 or -ENOMEM. */
int source_add_entry(struct source *source, const char *name, const char *file, unsigned line,
                     const char *number);
/* Sorts the entries, which must happen before source_find(). Returns 0 or -ENOMEM. */
int source_sort_entries(struct source *source);
void source_free_entries(struct source *source);

/* ---- source_text.c: reading files, and joining them ----------------------------------------- */

#define SOURCE_LARGEST      (1u << 20) /* bytes of a file, with those it includes */
#define SOURCE_LARGEST_TEXT "1 MiB"

/*
 * Reads the whole file and ends it with a NUL byte; the caller frees
 * *ret_text. It must be a regular file, and this never waits for it. Returns
 * 0 or a negative errno, which source_problem() puts in words.
 */
int source_read(const char *name, char **ret_text, size_t *ret_size);
/* Does the same with a file that is no configuration, of at most so many bytes. */
int source_read_some(const char *name, size_t largest, char **ret_text, size_t *ret_size);
const char *source_problem(int error);

/* Returns a copy of the name that lives as long as source; NULL without memory. */
const char *source_keep_name(struct source *source, const char *name);
/* Appends to the text. Returns 0 or -ENOMEM. */
int source_append(struct source *source, const char *text, size_t size);
/* Says that the text appended from now on has the lines of file from `line` on. Returns 0 or
 * -ENOMEM. */
int source_begin_piece(struct source *source, const char *file, unsigned line);

#endif
