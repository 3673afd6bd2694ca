/* SPDX-License-Identifier: MIT */
/*
 * text.c - text that is put together, escaped for where it goes
 *
 * Runs in:  a handler.
 * Owns:     the memory of a text that grows.
 * Failures: kept in the text, so that whoever puts it together asks once at its end.
 */
#include "text.h"

#include <stdlib.h>
#include <string.h>

#define LEAST 4096

void
text_done(struct text *text)
{
    if (text->grows)
        free(text->data);
    *text = (struct text){.grows = text->grows};
}

void
text_add_in_more_room(struct text *text, const void *bytes, size_t size)
{
    size_t wanted = (text->size + size) * 2;

    if (wanted < LEAST)
        wanted = LEAST;
    char *data = text->failed || !text->grows ? NULL : realloc(text->data, wanted);
    if (data == NULL) {
        text->failed = true;
        return;
    }
    text->data = data;
    text->capacity = wanted;
    memcpy(text->data + text->size, bytes, size);
    text->size += size;
}

void
text_add_string(struct text *text, const char *string)
{
    text_add(text, string, strlen(string));
}

static void
add_digits(struct text *text, uint64_t number, unsigned base)
{
    char digits[24];
    size_t start = sizeof(digits);

    do {
        digits[--start] = "0123456789abcdef"[number % base];
        number /= base;
    } while (number > 0);
    text_add(text, digits + start, sizeof(digits) - start);
}

void
text_add_number(struct text *text, uint64_t number)
{
    add_digits(text, number, 10);
}

void
text_add_hex(struct text *text, uint64_t number)
{
    add_digits(text, number, 16);
}

static bool
stands_for_itself(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("-._~/", c) != NULL);
}

void
text_add_url(struct text *text, const char *string)
{
    for (; *string != '\0'; string++) {
        unsigned char byte = (unsigned char)*string;
        const char code[] = {'%', "0123456789ABCDEF"[byte >> 4], "0123456789ABCDEF"[byte & 15]};

        if (stands_for_itself(*string))
            text_add(text, string, 1);
        else
            text_add(text, code, sizeof(code));
    }
}

void
text_add_json(struct text *text, const char *string)
{
    text_add(text, "\"", 1);
    while (*string != '\0') {
        size_t size = 0;
        while ((unsigned char)string[size] >= ' ' && string[size] != '"' && string[size] != '\\')
            size++;
        text_add(text, string, size);
        string += size;
        if (*string == '\0')
            break;
        unsigned char byte = (unsigned char)*string++;
        const char code[] = {
            '\\', 'u', '0', '0', "01"[byte >> 4 & 1], "0123456789abcdef"[byte & 15]};
        const char escaped[] = {'\\', (char)byte};
        if (byte >= ' ')
            text_add(text, escaped, sizeof(escaped));
        else
            text_add(text, code, sizeof(code));
    }
    text_add(text, "\"", 1);
}

void
text_add_html(struct text *text, const char *string)
{
    static const char *const entities[128] = {
        ['<'] = "&lt;", ['>'] = "&gt;", ['&'] = "&amp;", ['"'] = "&quot;", ['\''] = "&#39;"};

    for (; *string != '\0'; string++) {
        unsigned char byte = (unsigned char)*string;

        if (byte < ' ' || byte == 0x7f)
            text_add(text, "?", 1);
        else if (byte < 128 && entities[byte] != NULL)
            text_add_string(text, entities[byte]);
        else
            text_add(text, string, 1);
    }
}
