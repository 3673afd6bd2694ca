/* SPDX-License-Identifier: MIT */
/*
 * table.h - columns of text that fit the terminal
 */
#ifndef SOCKSERVERD_CTL_TABLE_H
#define SOCKSERVERD_CTL_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum colour { COLOUR_NONE, COLOUR_BOLD, COLOUR_DIM, COLOUR_RED, COLOUR_GREEN, COLOUR_YELLOW };

struct column {
    const char *title;
    bool right;    /* figures */
    unsigned drop; /* left out before those with a smaller number; 0: never */
    size_t least;  /* may be shortened to so many columns; 0: not at all */
};

struct cell {
    char *text; /* clean; NULL: empty */
    enum colour colour;
};

struct row {
    struct cell *cells; /* one for each column */
    char *note;         /* beneath it, wrapped; NULL: none */
};

struct table {
    const struct column *columns;
    size_t column_count;
    struct row *rows;
    size_t row_count;
};

/* Begins an empty table. columns must outlive it. */
void table_init(struct table *table, const struct column *columns, size_t count);
void table_done(struct table *table);

/* Adds an empty row, which the table owns. Returns NULL without memory. */
struct row *table_add(struct table *table);
/* Both copy the text and clean it. */
void row_set(struct row *row, size_t column, enum colour colour, const char *text);
void row_note(struct row *row, const char *text);

/* Removes all rows except for the first `rows`. */
void table_cut(struct table *table, size_t rows);
/* Returns how many lines table_print() will print. */
size_t table_lines(const struct table *table, size_t width);

/* Leaves out and shortens columns until the rest fits into width; 0 is any width. Each line ends
 * with `end`. */
void table_print(const struct table *table, FILE *out, size_t width, bool colours, const char *end);

/* Returns the escape sequence that begins a colour, or "" without colours. COLOUR_NONE ends any
 * colour. */
const char *colour_code(enum colour colour, bool colours);

#endif
