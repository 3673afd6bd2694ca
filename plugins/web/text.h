/* SPDX-License-Identifier: MIT */
/*
 * text.h - text that is put together: in memory of a fixed size, or in memory that grows
 */
#ifndef SOCKSERVERD_PLUGINS_WEB_TEXT_H
#define SOCKSERVERD_PLUGINS_WEB_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct text {
    char *data;
    size_t size, capacity;
    bool grows;  /* data is allocated, and freed by text_done() */
    bool failed; /* something had no room; nothing more is added */
};

#define TEXT_IN(array)                                                                             \
    {                                                                                              \
        .data = (array), .capacity = sizeof(array)                                                 \
    }
#define TEXT_GROWING                                                                               \
    {                                                                                              \
        .grows = true                                                                              \
    }

void text_done(struct text *text);

/* What text_add() does where there is no room. */
void text_add_in_more_room(struct text *text, const void *bytes, size_t size);

/* Texts of a megabyte are made of small pieces, so it has only a few instructions. */
static inline void
text_add(struct text *text, const void *bytes, size_t size)
{
    if (size == 0)
        return;
    if (text->failed || size > text->capacity - text->size) {
        text_add_in_more_room(text, bytes, size);
        return;
    }
    memcpy(text->data + text->size, bytes, size);
    text->size += size;
}

void text_add_string(struct text *text, const char *string);
void text_add_number(struct text *text, uint64_t number);
void text_add_hex(struct text *text, uint64_t number);

/* Percent-encoded: everything but letters, digits, "-", ".", "_", "~" and "/". */
void text_add_url(struct text *text, const char *string);

/* As a string of JSON, with its quotation marks. */
void text_add_json(struct text *text, const char *string);

/* As text of an HTML page or a quoted attribute; control characters become "?". */
void text_add_html(struct text *text, const char *string);

#endif
