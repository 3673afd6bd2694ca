/* SPDX-License-Identifier: MIT */
/*
 * printable.c - what a terminal and a log can show without being deceived
 *
 * Runs in:  every process.
 * Owns:     nothing.
 * Failures: only want of memory, in printable_text().
 */
#include "common/printable.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/array.h"

bool
printable_point(uint32_t point)
{
    static const struct {
        uint32_t first, last;
    } hidden[] = {
        {0x00, 0x1f},     {0x7f, 0x9f},           /* control characters */
        {0x61c, 0x61c},   {0x200e, 0x200f},       /* marks of direction */
        {0x2028, 0x202e},                         /* ends of lines, and of direction */
        {0x2066, 0x2069}, {0xd800, 0xdfff},       /* isolates; no characters at all */
        {0xfff9, 0xfffb}, {0x110000, UINT32_MAX}, /* annotations; beyond Unicode */
    };

    for (size_t i = 0; i < ARRAY_SIZE(hidden); i++)
        if (point >= hidden[i].first && point <= hidden[i].last)
            return false;
    return true;
}

size_t
printable_size(const char *text)
{
    static const uint32_t lowest[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned char first = (unsigned char)text[0];
    size_t size = first < 0xc0 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf8 ? 4 : 0;
    uint32_t point = size > 0 ? first & (0xffu >> (size + 1)) : 0;

    if (first < 0x80)
        return printable_point(first);
    for (size_t i = 1; i < size; i++) {
        if (((unsigned char)text[i] & 0xc0) != 0x80)
            return 0;
        point = point << 6 | ((unsigned char)text[i] & 0x3f);
    }
    return point >= lowest[size] && printable_point(point) ? size : 0;
}

char *
printable_text(const char *text, size_t most)
{
    size_t length = strnlen(text, most + 1);
    char *shown = malloc(length * 4 + sizeof("...")), *end = shown;
    const char *stop = text + (length > most ? most : length);

    if (shown == NULL)
        return NULL;
    while (text < stop) {
        size_t size = printable_size(text);

        if (size > (size_t)(stop - text))
            break; /* the cut is in its middle */
        if (size == 0)
            end += sprintf(end, "\\x%02x", (unsigned char)*text++);
        else
            end = mempcpy(end, text, size);
        text += size;
    }
    strcpy(end, *text == '\0' ? "" : "...");
    return shown;
}

void
printable_put(FILE *out, const char *text)
{
    while (*text != '\0') {
        size_t size = printable_size(text);

        if (size == 0)
            (void)fprintf(out, "\\x%02x", (unsigned char)*text++);
        else
            (void)fwrite(text, size, 1, out);
        text += size;
    }
}

void
printable_copy(char *to, size_t room, const char *text, bool whole)
{
    size_t used = 0, kept = 0; /* kept: how much stays if "..." must follow */

    while (*text != '\0') {
        size_t size = printable_size(text);
        size_t width = size > 0 ? size : 4;

        if (used + width > room) {
            whole = false;
            break;
        }
        if (size > 0)
            memcpy(to + used, text, size);
        else
            (void)snprintf(to + used, width + 1, "\\x%02x", (unsigned char)*text);
        used += width;
        text += size > 0 ? size : 1;
        if (used + 3 <= room)
            kept = used;
    }
    if (!whole)
        memcpy(to + kept, "...", 3);
    to[whole ? used : kept + 3] = '\0';
}
