/* SPDX-License-Identifier: MIT */
/*
 * errors.c - a list of mistakes that only grows
 *
 * Adding cannot fail visibly: without memory the list is marked exhausted,
 * which counts as one more mistake, so that nothing wrong passes as right.
 *
 * Runs in:  supervisor and worker, wherever something a person wrote is read.
 * Owns:     the texts, until errors_done().
 * Failures: never logs.
 */
#include "common/errors.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/printable.h"

#define LONGEST_MESSAGE 1000 /* bytes; a log line holds it, with its place */

/* Returns the length of the place that a text begins with: "FILE:LINE: ", "FILE: " or nothing. */
static size_t
place_size(const char *text)
{
    const char *colon = strstr(text, ": ");

    return colon == NULL ? 0 : (size_t)(colon + 2 - text);
}

/* Lets the last text tell how many more mistakes there are; it keeps the place of the first of
 * them. */
static void
count_more(struct errors *errors, size_t count)
{
    char **last = &errors->texts[ERRORS_TOLD], *text;
    size_t size = place_size(*last);

    errors->more += count;
    if (errors->more == 1)
        return; /* it tells that one itself */
    if (asprintf(&text, "%.*sthere are %zu more mistakes, from here on", (int)size, *last,
                 errors->more) < 0) {
        errors->exhausted = true;
        return;
    }
    free(*last);
    *last = text;
}

/* Adds text, which the list then owns, to a list of any length. NULL is a text for which memory
 * ran out. */
static void
push(struct errors *errors, char *text)
{
    char **texts = NULL;

    if (text != NULL)
        texts = reallocarray(errors->texts, errors->count + 1, sizeof(char *));
    if (texts == NULL) {
        free(text);
        errors->exhausted = true;
        return;
    }
    errors->texts = texts;
    errors->texts[errors->count++] = text;
}

/* Adds text, which the list then owns, or only counts it if the list is full. */
static void
append(struct errors *errors, char *text)
{
    if (errors_full(errors)) {
        free(text);
        count_more(errors, 1);
        return;
    }
    push(errors, text);
    if (errors_full(errors))
        count_more(errors, 1);
}

/* Puts the place before the message. Both may hold bytes from files, so those that a terminal
 * must not get are made visible. */
static char *
join_place(const char *file, unsigned line, const char *message)
{
    _cleanup_free_ char *shown = printable_text(message, LONGEST_MESSAGE), *name = NULL;
    char *text;
    int length;

    if (file == NULL || shown == NULL)
        return take_pointer(shown);
    name = printable_text(file, SIZE_MAX - 1);
    if (name == NULL)
        return NULL;
    if (line == 0)
        length = asprintf(&text, "%s: %s", name, shown);
    else
        length = asprintf(&text, "%s:%u: %s", name, line, shown);
    return length < 0 ? NULL : text;
}

char *
errors_format(struct errors *errors, const char *format, va_list arguments)
{
    char *text;

    if (vasprintf(&text, format, arguments) >= 0)
        return text;
    errors->exhausted = true;
    return NULL;
}

void
errors_add(struct errors *errors, const char *file, unsigned line, const char *format, ...)
{
    va_list arguments;
    char *text;

    if (errors_full(errors)) {
        count_more(errors, 1);
        return;
    }
    va_start(arguments, format);
    _cleanup_free_ char *message = errors_format(errors, format, arguments);
    va_end(arguments);
    if (message == NULL)
        return;
    text = join_place(file, line, message);
    if (text == NULL)
        errors->exhausted = true;
    else
        append(errors, text);
}

void
errors_move(struct errors *errors, struct errors *other)
{
    if (errors->count == 0) { /* the list is moved whole, however long it is */
        other->exhausted |= errors->exhausted;
        *errors = *other;
        *other = (struct errors){0};
        return;
    }
    for (size_t i = 0; i < other->count; i++)
        append(errors, other->texts[i]);
    if (other->more > 1) /* its last text counted as one */
        count_more(errors, other->more - 1);
    errors->exhausted |= other->exhausted;
    free(other->texts);
    *other = (struct errors){0};
}

bool
errors_full(const struct errors *errors)
{
    return errors->count > ERRORS_TOLD;
}

bool
errors_any(const struct errors *errors)
{
    return errors->count > 0 || errors->exhausted;
}

void
errors_repeat(struct errors *errors, const char *text)
{
    push(errors, printable_text(text, SIZE_MAX - 1));
}

void
errors_quote(struct errors *errors, const char *text)
{
    while (*text != '\0') {
        size_t size = strcspn(text, "\n");
        _cleanup_free_ char *line = strndup(text, size);

        if (size > 0)
            push(errors, line == NULL ? NULL : printable_text(line, LONGEST_MESSAGE));
        text += size;
        text += *text == '\n';
    }
}

/* Joins all texts, with `between` behind each of them except for the last, which `last` follows. */
static char *
join(const struct errors *errors, const char *between, const char *last)
{
    static const char exhausted[] = "out of memory: more mistakes may follow";
    size_t count = errors->count + errors->exhausted, size = sizeof(exhausted) + strlen(last);
    char *joined, *end;

    for (size_t i = 0; i < errors->count; i++)
        size += strlen(errors->texts[i]) + strlen(between);
    joined = malloc(size);
    if (joined == NULL)
        return NULL;
    *joined = '\0';
    end = joined;
    for (size_t i = 0; i < count; i++)
        end = stpcpy(stpcpy(end, i < errors->count ? errors->texts[i] : exhausted),
                     i + 1 < count ? between : last);
    return joined;
}

char *
errors_join(const struct errors *errors)
{
    return join(errors, "\n", "\n");
}

char *
errors_line(const struct errors *errors)
{
    return join(errors, "; ", "");
}

void
errors_done(struct errors *errors)
{
    for (size_t i = 0; i < errors->count; i++)
        free(errors->texts[i]);
    free(errors->texts);
    *errors = (struct errors){0};
}
