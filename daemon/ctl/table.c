/* SPDX-License-Identifier: MIT */
/*
 * table.c - columns of text that fit the terminal
 *
 * Runs in:  sockserverctl.
 * Owns:     the texts of its cells.
 * Failures: without memory, cells stay empty.
 */
#include "ctl/table.h"

#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "ctl/text.h"

#define GAP         2
#define NOTE_INDENT 2
#define GONE        SIZE_MAX /* a column that was left out */

void
table_init(struct table *table, const struct column *columns, size_t count)
{
    *table = (struct table){.columns = columns, .column_count = count};
}

void
table_done(struct table *table)
{
    table_cut(table, 0);
    free(table->rows);
    *table = (struct table){0};
}

struct row *
table_add(struct table *table)
{
    struct row *rows = reallocarray(table->rows, table->row_count + 1, sizeof(*rows));

    if (rows == NULL)
        return NULL;
    table->rows = rows;
    rows[table->row_count] =
        (struct row){.cells = calloc(table->column_count, sizeof(struct cell))};
    if (rows[table->row_count].cells == NULL)
        return NULL;
    return &rows[table->row_count++];
}

void
row_set(struct row *row, size_t column, enum colour colour, const char *text)
{
    free(row->cells[column].text);
    row->cells[column] = (struct cell){.text = text_clean(text), .colour = colour};
}

void
row_note(struct row *row, const char *text)
{
    free(row->note);
    row->note = text_clean(text);
}

const char *
colour_code(enum colour colour, bool colours)
{
    static const char *const codes[] = {
        [COLOUR_NONE] = "\033[0m",   [COLOUR_BOLD] = "\033[1m",   [COLOUR_DIM] = "\033[2m",
        [COLOUR_RED] = "\033[1;31m", [COLOUR_GREEN] = "\033[32m", [COLOUR_YELLOW] = "\033[33m",
    };

    return colours ? codes[colour] : "";
}

/* ---- layout ----------------------------------------------------------------------------- */

static void
measure(const struct table *table, size_t *widths)
{
    for (size_t i = 0; i < table->column_count; i++) {
        widths[i] = text_width(table->columns[i].title);
        for (size_t j = 0; j < table->row_count; j++) {
            const char *text = table->rows[j].cells[i].text;
            size_t width = text == NULL ? 0 : text_width(text);
            if (width > widths[i])
                widths[i] = width;
        }
    }
}

static size_t
total(const size_t *widths, size_t count)
{
    size_t sum = 0;

    for (size_t i = 0; i < count; i++)
        if (widths[i] != GONE)
            sum += widths[i] + GAP;
    return sum == 0 ? 0 : sum - GAP;
}

/* Shortens the columns that may be shortened. Returns true if the table fits then. */
static bool
shorten(const struct table *table, size_t *widths, size_t width)
{
    size_t now = total(widths, table->column_count);

    for (size_t i = 0; i < table->column_count && now > width; i++) {
        size_t least = table->columns[i].least;
        if (widths[i] == GONE || least == 0 || widths[i] <= least)
            continue;
        size_t spare = widths[i] - least, excess = now - width;
        size_t cut = spare < excess ? spare : excess;
        widths[i] -= cut;
        now -= cut;
    }
    return now <= width;
}

/* Leaves out the column that matters least. Returns false if no column may go. */
static bool
drop_one(const struct table *table, size_t *widths)
{
    size_t victim = table->column_count;

    for (size_t i = 0; i < table->column_count; i++)
        if (widths[i] != GONE && table->columns[i].drop > 0 &&
            (victim == table->column_count || table->columns[i].drop > table->columns[victim].drop))
            victim = i;
    if (victim == table->column_count)
        return false;
    widths[victim] = GONE;
    return true;
}

/* Makes the table fit. The columns that are left are shortened no more than they must be. */
static void
fit(const struct table *table, size_t *widths, size_t width)
{
    _cleanup_free_ size_t *tried = calloc(table->column_count + 1, sizeof(*tried));

    measure(table, widths);
    if (width == 0 || tried == NULL)
        return;
    for (;;) {
        memcpy(tried, widths, table->column_count * sizeof(*tried));
        if (shorten(table, tried, width) || !drop_one(table, widths))
            break;
    }
    memcpy(widths, tried, table->column_count * sizeof(*tried));
}

/* ---- printing --------------------------------------------------------------------------- */

static void
print_spaces(FILE *out, size_t count)
{
    (void)fprintf(out, "%*s", (int)count, "");
}

static bool
is_last(const struct table *table, const size_t *widths, size_t column)
{
    for (size_t i = column + 1; i < table->column_count; i++)
        if (widths[i] != GONE)
            return false;
    return true;
}

static void
print_cell(const struct table *table, const size_t *widths, size_t column, const char *text,
           const char *colour, const char *plain, FILE *out)
{
    _cleanup_free_ char *shown = text_shorten(text == NULL ? "" : text, widths[column]);
    size_t used = shown == NULL ? 0 : text_width(shown);
    size_t padding = used < widths[column] ? widths[column] - used : 0;
    bool last = is_last(table, widths, column);

    if (table->columns[column].right)
        print_spaces(out, padding);
    (void)fprintf(out, "%s%s%s", colour, shown == NULL ? "" : shown, *colour == '\0' ? "" : plain);
    if (!last)
        print_spaces(out, (table->columns[column].right ? 0 : padding) + GAP);
}

static void
print_row(const struct table *table, const size_t *widths, const struct row *row, bool colours,
          FILE *out)
{
    const char *plain = colour_code(COLOUR_NONE, colours);

    for (size_t i = 0; i < table->column_count; i++) {
        if (widths[i] == GONE)
            continue;
        if (row == NULL)
            print_cell(table, widths, i, table->columns[i].title, colour_code(COLOUR_BOLD, colours),
                       plain, out);
        else
            print_cell(table, widths, i, row->cells[i].text,
                       row->cells[i].colour == COLOUR_NONE
                           ? ""
                           : colour_code(row->cells[i].colour, colours),
                       plain, out);
    }
}

/* Returns the number of bytes in the next line of a note; words stay whole where possible. */
static size_t
note_part(const char *note, size_t columns)
{
    size_t fits = text_prefix(note, columns), part = fits;

    if (note[fits] == '\0')
        return fits;
    while (part > 0 && note[part] != ' ')
        part--;
    return part == 0 ? fits : part;
}

static size_t
note_columns(size_t width)
{
    return width == 0 ? SIZE_MAX : width > 2 * NOTE_INDENT ? width - NOTE_INDENT : 1;
}

static void
print_note(const char *note, size_t width, bool colours, FILE *out, const char *end)
{
    while (*note != '\0') {
        size_t part = note_part(note, note_columns(width));
        part = part == 0 ? strlen(note) : part;
        print_spaces(out, NOTE_INDENT);
        (void)fprintf(out, "%s%.*s%s%s", colour_code(COLOUR_RED, colours), (int)part, note,
                      colour_code(COLOUR_NONE, colours), end);
        note += part;
        note += *note == ' ';
    }
}

static size_t
note_lines(const char *note, size_t width)
{
    size_t lines = 0;

    while (note != NULL && *note != '\0') {
        size_t part = note_part(note, note_columns(width));
        note += part == 0 ? strlen(note) : part;
        note += *note == ' ';
        lines++;
    }
    return lines;
}

size_t
table_lines(const struct table *table, size_t width)
{
    size_t lines = table->row_count + 1;

    for (size_t i = 0; i < table->row_count; i++)
        lines += note_lines(table->rows[i].note, width);
    return lines;
}

void
table_cut(struct table *table, size_t rows)
{
    while (table->row_count > rows) {
        struct row *row = &table->rows[--table->row_count];
        for (size_t i = 0; i < table->column_count; i++)
            free(row->cells[i].text);
        free(row->cells);
        free(row->note);
    }
}

void
table_print(const struct table *table, FILE *out, size_t width, bool colours, const char *end)
{
    _cleanup_free_ size_t *widths = calloc(table->column_count + 1, sizeof(*widths));

    if (widths == NULL)
        return;
    fit(table, widths, width);
    print_row(table, widths, NULL, colours, out);
    (void)fputs(end, out);
    for (size_t i = 0; i < table->row_count; i++) {
        print_row(table, widths, &table->rows[i], colours, out);
        (void)fputs(end, out);
        if (table->rows[i].note != NULL)
            print_note(table->rows[i].note, width, colours, out, end);
    }
}
