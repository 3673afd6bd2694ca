/* SPDX-License-Identifier: MIT */
/*
 * head.h - the head of a request: its first line and its fields
 */
#ifndef SOCKSERVERD_PLUGINS_WEB_HEAD_H
#define SOCKSERVERD_PLUGINS_WEB_HEAD_H

#include <http_parser.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The fields that are looked at. */
enum field {
    FIELD_HOST,
    FIELD_CONTENT_LENGTH,
    FIELD_TRANSFER_ENCODING,
    FIELD_EXPECT,
    FIELD_ACCEPT,
    FIELD_ACCEPT_ENCODING,
    FIELD_RANGE,
    FIELD_IF_RANGE,
    FIELD_IF_MATCH,
    FIELD_IF_NONE_MATCH,
    FIELD_IF_MODIFIED_SINCE,
    FIELD_IF_UNMODIFIED_SINCE,
    FIELD_COUNT,
    FIELD_OTHER = FIELD_COUNT
};

struct head {
    /* To be read once the head is complete. */
    enum http_method method;
    const char *target;              /* as it was sent: visible ASCII */
    const char *fields[FIELD_COUNT]; /* without white space around them; NULL: not there */
    uint64_t body;                   /* bytes that follow the head */
    bool chunked;                    /* or so many, in chunks */
    bool old;                        /* HTTP/1.0 */
    bool keep_alive;                 /* the client wants to go on */

    /* head.c's own. */
    http_parser parser;
    char *memory; /* of the lines */
    size_t used, capacity;
    unsigned lines, blank;
    const char *name, *value; /* of the line that is being parsed */
    size_t name_size, value_size;
};

/* Begins a head, whose lines go into memory of this capacity, which the caller owns. */
void head_init(struct head *head, char *memory, size_t capacity);

/* Takes the next line, with its end. 0: there is more to come; 1: the head is complete; or the
 * status to refuse it with. */
int head_line(struct head *head, const char *line, size_t size);

/* Whether nothing but empty lines has come. */
bool head_is_empty(const struct head *head);

/* Whether the text is one that may stand in Host: a name or an address, and a port. */
bool host_is_valid(const char *host, size_t size);

#endif
