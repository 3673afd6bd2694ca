/* SPDX-License-Identifier: MIT */
/*
 * text.c - figures and names as a person reads them on a terminal
 *
 * Runs in:  sockserverctl.
 * Owns:     nothing.
 * Failures: NULL without memory.
 */
#include "ctl/text.h"

#include <langinfo.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>
#include <wctype.h>

#include "common/cleanup.h"
#include "common/printable.h"

/* Returns the length of the character at text, and its columns; -1: it cannot be printed. */
static size_t
look_at(const char *text, int *ret_columns)
{
    mbstate_t state = {0};
    wchar_t character;
    size_t size = mbrtowc(&character, text, strlen(text), &state);

    *ret_columns = -1;
    if (size == 0 || size > strlen(text))
        return 1;
    if (iswprint((wint_t)character) && printable_point((uint32_t)character))
        *ret_columns = wcwidth(character);
    return size;
}

char *
text_clean(const char *text)
{
    char *clean = malloc(strlen(text) + 1), *end = clean;

    if (clean == NULL)
        return NULL;
    while (*text != '\0') {
        int columns;
        size_t size = look_at(text, &columns);
        if (columns < 0) {
            *end++ = '?';
        } else {
            memcpy(end, text, size);
            end += size;
        }
        text += size;
    }
    *end = '\0';
    return clean;
}

void
print_clean(FILE *out, const char *text)
{
    _cleanup_free_ char *clean = text_clean(text);

    (void)fputs(clean == NULL ? "?" : clean, out);
}

size_t
text_width(const char *text)
{
    size_t width = 0;

    while (*text != '\0') {
        int columns;
        text += look_at(text, &columns);
        width += columns < 0 ? 1 : (size_t)columns;
    }
    return width;
}

size_t
text_prefix(const char *text, size_t columns)
{
    const char *at = text;
    size_t used = 0;

    while (*at != '\0') {
        int width;
        size_t size = look_at(at, &width);
        used += width < 0 ? 1 : (size_t)width;
        if (used > columns)
            break;
        at += size;
    }
    return (size_t)(at - text);
}

/* Returns the beginning of the longest end of text that is at most so wide. */
static const char *
suffix_of(const char *text, size_t columns)
{
    while (text_width(text) > columns) {
        int width;
        text += look_at(text, &width);
    }
    return text;
}

char *
text_shorten(const char *text, size_t columns)
{
    const char *ellipsis = strcmp(nl_langinfo(CODESET), "UTF-8") == 0 ? "\u2026" : "~";
    char *shorter = NULL;

    if (text_width(text) <= columns || columns < 3)
        return strdup(text);
    size_t head = (columns - 1) / 2;
    if (asprintf(&shorter, "%.*s%s%s", (int)text_prefix(text, head), text, ellipsis,
                 suffix_of(text, columns - 1 - head)) < 0)
        return NULL;
    return shorter;
}

/* Writes 3 figures at most: "1.2M", "45M". */
static char *
scale(double value, double step, const char *const *units, char *buffer)
{
    while (value >= step * 0.9995 && units[1] != NULL) {
        value /= step;
        units++;
    }
    (void)snprintf(buffer, TEXT_SIZE, value < 9.95 && **units != '\0' ? "%.1f%s" : "%.0f%s", value,
                   *units);
    return buffer;
}

static const char *const count_units[] = {"", "k", "M", "G", "T", "P", "E", NULL};

char *
text_count(uint64_t count, char *buffer)
{
    if (count < 100000)
        (void)snprintf(buffer, TEXT_SIZE, "%u", (unsigned)count);
    else
        (void)scale((double)count, 1000, count_units, buffer);
    return buffer;
}

char *
text_rate(double rate, char *buffer)
{
    if (rate <= 0)
        (void)snprintf(buffer, TEXT_SIZE, "0");
    else if (rate < 99.95)
        (void)snprintf(buffer, TEXT_SIZE, "%.1f", rate);
    else if (rate < 99999.5)
        (void)snprintf(buffer, TEXT_SIZE, "%.0f", rate);
    else
        (void)scale(rate, 1000, count_units, buffer);
    return buffer;
}

char *
text_time(double microseconds, char *buffer)
{
    static const char *const units[] = {"us", "ms", "s", NULL};

    return scale(microseconds, 1000, units, buffer);
}

char *
text_bytes(uint64_t bytes, char *buffer)
{
    static const char *const units[] = {"", "K", "M", "G", "T", "P", "E", NULL};

    return scale((double)bytes, 1024, units, buffer);
}

char *
text_age(uint64_t microseconds, char *buffer)
{
    static const struct {
        uint64_t seconds;
        char unit;
    } units[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};
    uint64_t seconds = microseconds / 1000000;
    size_t i = 0;

    while (i < 3 && seconds < units[i].seconds)
        i++;
    if (i == 3)
        (void)snprintf(buffer, TEXT_SIZE, "%us", (unsigned)seconds);
    else
        (void)snprintf(buffer, TEXT_SIZE, "%u%c %u%c", (unsigned)(seconds / units[i].seconds),
                       units[i].unit, (unsigned)(seconds % units[i].seconds / units[i + 1].seconds),
                       units[i + 1].unit);
    return buffer;
}
