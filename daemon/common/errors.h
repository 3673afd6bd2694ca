/* SPDX-License-Identifier: MIT */
/*
 * errors.h - the mistakes found in something a person wrote
 *
 * Reading a configuration or loading a plugin finds any number of mistakes.
 * They are gathered here, in the order found; the caller decides whether to
 * print them (--check), log them, send them (reload) or assert on them (tests).
 */
#ifndef SOCKSERVERD_COMMON_ERRORS_H
#define SOCKSERVERD_COMMON_ERRORS_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct errors {
    char **texts; /* whole lines without newline, "FILE:LINE: ..." where there is a place */
    size_t count;
    size_t more;    /* of the last text, if there are too many to be told one by one */
    bool exhausted; /* memory ran out: texts are missing */
};

/* So many mistakes are told, and then one more text says how many others there are. */
#define ERRORS_TOLD 100

/* Adds one mistake. file may be NULL (no place), line 0 (no line). Never fails visibly. */
void errors_add(struct errors *errors, const char *file, unsigned line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Returns a mistake's text, which the caller frees; without memory NULL, and errors is marked
 * exhausted. */
char *errors_format(struct errors *errors, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));

/* Adds a whole text of another process's list, with its place. A list takes all of them before it
 * takes anything else. */
void errors_repeat(struct errors *errors, const char *text);

/* Adds each line of what another program has said, however many there are: that program has
 * limited its list. The caller must not call errors_add() on this list afterwards. */
void errors_quote(struct errors *errors, const char *text);

/* Moves every text of other behind the texts of errors, and empties other. */
void errors_move(struct errors *errors, struct errors *other);

/* True if further mistakes are only counted, so that the caller need not put them into words. */
bool errors_full(const struct errors *errors);

bool errors_any(const struct errors *errors);

/* Returns all texts, each with a newline, as one string that the caller frees; NULL without
 * memory. */
char *errors_join(const struct errors *errors);
/* Returns all texts on one line, with "; " between them, as a string that the caller frees; NULL
 * without memory. */
char *errors_line(const struct errors *errors);

void errors_done(struct errors *errors);

#endif
