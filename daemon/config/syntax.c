/* SPDX-License-Identifier: MIT */
/*
 * syntax.c - says what "syntax error" means
 *
 * libconfig tells a line and two words. A message shows the line and the likely
 * cause: each rule below knows one mistake that people make. The rules also try
 * the line before, since libconfig may notice a mistake one token late.
 *
 * Runs in:  the process that reads the configuration (supervisor/change/load.c).
 * Owns:     nothing.
 * Failures: mistakes go to struct errors.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "config/source.h"

#define LONGEST_SHOWN 100

/* A line of the file, without the white space around it. */
struct line {
    const char *text;
    size_t size;
    unsigned number;
};

static void
trim(struct line *line)
{
    while (line->size > 0 && isspace((unsigned char)line->text[0])) {
        line->text++;
        line->size--;
    }
    while (line->size > 0 && isspace((unsigned char)line->text[line->size - 1]))
        line->size--;
}

static struct line
line_at(const char *text, unsigned number)
{
    struct line line = {.text = text, .number = number};

    for (unsigned i = 1; i < number && *line.text != '\0'; i++) {
        line.text += strcspn(line.text, "\n");
        line.text += *line.text == '\n';
    }
    line.size = strcspn(line.text, "\n");
    trim(&line);
    return line;
}

static bool
is_blank(const struct line *line)
{
    return line->size == 0 || line->text[0] == '#' || strncmp(line->text, "//", 2) == 0;
}

/* Returns the nearest line before this one that is not empty; its size is 0 if there is none. */
static struct line
line_before(const char *text, unsigned number)
{
    struct line found = {.text = text};

    for (unsigned i = 1; i < number && *text != '\0'; i++) {
        struct line line = {.text = text, .size = strcspn(text, "\n"), .number = i};

        text += line.size;
        text += *text == '\n';
        trim(&line);
        if (!is_blank(&line))
            found = line;
    }
    return found;
}

/* ---- rules: each returns a hint to free, or NULL -------------------------- */

static char *
hint(const char *format, size_t size, const char *word)
{
    char *text;

    return asprintf(&text, format, (int)size, word) < 0 ? NULL : text;
}

static size_t
word_at(const char *at)
{
    return strspn(at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:/*%@");
}

static bool
is_word(const char *word, size_t size, const char *const *words)
{
    for (; *words != NULL; words++)
        if (strlen(*words) == size && strncasecmp(word, *words, size) == 0)
            return true;
    return false;
}

/* Finds: mixin = threading; enabled = on; read_timeout = 30s; name = 'x'; */
static char *
bare_value(const struct line *line)
{
    static const char *const switches[] = {"on", "off", "yes", "no", NULL};
    static const char *const fine[] = {"true", "false", NULL};
    const char *equals = memchr(line->text, '=', line->size), *value;
    char *end;
    size_t size;

    if (equals == NULL)
        return NULL;
    value = equals + 1 + strspn(equals + 1, " \t");
    size = word_at(value);
    if (*value == '\'')
        return hint("text stands in double quotes%.*s", 0, "");
    if (size == 0 || is_word(value, size, fine))
        return NULL;
    if (is_word(value, size, switches))
        return hint("\"%.*s\" is not known here: write true or false", size, value);
    if (isalpha((unsigned char)*value) || strchr("/@*", *value) != NULL)
        return hint("text stands in quotes: \"%.*s\"", size, value);
    (void)strtod(value, &end);
    end += strspn(end, "L");
    if (end < value + size)
        return hint("what is no plain number stands in quotes: \"%.*s\"", size, value);
    return NULL;
}

/* Finds: upper.mixin = ...; 9p = ... */
static char *
bad_name(const struct line *line)
{
    size_t size = word_at(line->text);
    const char *behind = line->text + size + strspn(line->text + size, " \t");

    if (size == 0 || *behind != '=')
        return NULL;
    if (memchr(line->text, '.', size) != NULL)
        return hint("a name cannot hold a dot, as \"%.*s\" does: use groups, in braces", size,
                    line->text);
    if (!isalpha((unsigned char)line->text[0]))
        return hint("a name begins with a letter, which \"%.*s\" does not", size, line->text);
    return NULL;
}

/* Finds: upper { ... }; mixin "threading"; */
static char *
missing_equals(const struct line *line)
{
    size_t size = word_at(line->text);
    const char *behind = line->text + size + strspn(line->text + size, " \t");

    if (size == 0 || size >= line->size || (*behind != '{' && *behind != '"'))
        return NULL;
    return hint("\"=\" is missing behind \"%.*s\"", size, line->text);
}

/* Finds: address = ; */
static char *
missing_value(const struct line *line)
{
    const char *equals = memchr(line->text, '=', line->size);
    const char *behind = equals == NULL ? NULL : equals + 1 + strspn(equals + 1, " \t");
    size_t size = word_at(line->text);

    if (behind == NULL || size == 0 || (*behind != ';' && *behind != '}'))
        return NULL;
    return hint("a value is missing behind \"%.*s\"", size, line->text);
}

static char *
include_alone(const struct line *line)
{
    const char *include = memmem(line->text, line->size, "@include", strlen("@include"));

    if (include == NULL)
        return NULL;
    return hint("@include and a name in quotes stand on a line of their own%.*s", 0, "");
}

static char *(*const rules[])(const struct line *line) = {
    include_alone, bad_name, missing_equals, missing_value, bare_value,
};

static char *
from_rules(const struct line *line)
{
    char *found = NULL;

    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]) && found == NULL; i++)
        found = rules[i](line);
    return found;
}

/* Finds: [ 1, 2, ] on one line, or with the bracket on the next. */
static char *
trailing_comma(const struct line *line, const struct line *before)
{
    char last = before->size > 0 ? before->text[before->size - 1] : '\0';

    for (size_t i = 0; i < line->size; i++) {
        char c = line->text[i];

        if (last == ',' && c != '\0' && strchr("})]", c) != NULL)
            return hint("the last entry has no comma behind it, before \"%.*s\"", 1,
                        &line->text[i]);
        if (!isspace((unsigned char)c))
            last = c;
    }
    return NULL;
}

/* Finds what only the whole file shows: quotes and brackets that have no partner. */
static char *
from_places(const struct source *source, const char *file, unsigned line, bool last)
{
    const struct source_place *quote = &source->long_string, *open = &source->open_bracket;
    const struct source_place *stray = &source->stray_bracket;
    char *text = NULL;
    int length = 0;

    if (quote->line != 0 && quote->line <= line && strcmp(quote->file, file) == 0)
        length = asprintf(&text, "a quote (\") is missing in line %u", quote->line);
    else if (stray->line != 0 && stray->line == line && strcmp(stray->file, file) == 0)
        length = asprintf(&text, "\"%c\" closes nothing", stray->bracket);
    else if (last && open->line != 0 && strcmp(open->file, file) == 0)
        length = asprintf(&text, "\"%c\" of line %u is never closed", open->bracket, open->line);
    return length < 0 ? NULL : text;
}

static bool
is_last(const char *text, unsigned number)
{
    const char *rest = line_at(text, number).text;

    rest += strcspn(rest, "\n");
    return rest[strspn(rest, " \t\r\n")] == '\0';
}

static char *
explain_line(const struct source *source, unsigned number)
{
    struct line line = line_at(source->text, number), before = line_before(source->text, number);
    unsigned there;
    const char *file = source_place(source, number, &there);
    char *found = from_places(source, file, there, is_last(source->text, number));

    if (found == NULL)
        found = from_rules(&line);
    if (found == NULL)
        found = trailing_comma(&line, &before);
    if (found == NULL)
        found = from_rules(&before);
    return found;
}

/* Writes the line for a message: nothing in it spoils a terminal, and a long line is cut. */
static void
show_line(const struct line *line, char *buffer)
{
    size_t size = line->size < LONGEST_SHOWN ? line->size : LONGEST_SHOWN;

    for (size_t i = 0; i < size; i++)
        buffer[i] = iscntrl((unsigned char)line->text[i]) ? ' ' : line->text[i];
    strcpy(buffer + size, size < line->size ? "..." : "");
}

static void
explain_syntax(const struct source *source, unsigned number, struct errors *errors)
{
    _cleanup_free_ char *cause = explain_line(source, number);
    struct line line = line_at(source->text, number);
    char shown[LONGEST_SHOWN + 4];
    const char *file = source_place(source, number, &number);

    show_line(&line, shown);
    if (*shown == '\0')
        errors_add(errors, file, number, "syntax error at the end: %s",
                   cause == NULL ? "something is missing before" : cause);
    else
        errors_add(errors, file, number, "syntax error: %s; the line reads: %s",
                   cause == NULL ? "expected settings, each like: name = value" : cause, shown);
}

/* Explains a name that is there twice; libconfig tells where the second one is. */
static void
explain_duplicate(const struct source *source, const char *file, unsigned line,
                  struct errors *errors)
{
    for (size_t i = 0; i < source->entry_count; i++) {
        const struct source_entry *entry = &source->entries[i];

        if (entry->line != line || strcmp(entry->file, file) != 0)
            continue;
        for (size_t j = 0; j < i; j++) {
            const struct source_entry *earlier = &source->entries[j];

            if (strcmp(earlier->path, entry->path) != 0)
                continue;
            errors_add(errors, file, line, "%s: given a second time; the first is in %s:%u",
                       entry->path, earlier->file, earlier->line);
            return;
        }
    }
    errors_add(errors, file, line, "a name is given a second time in its group");
}

void
source_explain(const struct source *source, unsigned number, const char *error,
               struct errors *errors)
{
    unsigned line;
    const char *file = source_place(source, number, &line);

    if (error != NULL && strstr(error, "duplicate") != NULL)
        explain_duplicate(source, file, line, errors);
    else if (error == NULL || strcmp(error, "syntax error") == 0)
        explain_syntax(source, number, errors);
    else
        errors_add(errors, file, line, "%s", error);
}
