/* SPDX-License-Identifier: MIT */
/*
 * text.h - text that is put together: in memory of a fixed size, or in memory that grows
 */
#ifndef SOCKSERVERD_PLUGINS_WEB_TEXT_H
#define SOCKSERVERD_PLUGINS_WEB_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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

void text_add(struct text *text, const void *bytes, size_t size);
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
