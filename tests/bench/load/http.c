/* SPDX-License-Identifier: MIT */
/*
 * http.c - the bytes of an HTTP answer: its head, and a body of a length that the head tells
 */
#include "http.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* The body's length; false if it is no such answer as is measured. */
static bool
head_length(char *head, uint64_t *ret)
{
    static const char ok[] = "HTTP/1.1 200 ", name[] = "\ncontent-length:";

    if (strncmp(head, ok, sizeof(ok) - 1) != 0)
        return false;
    const char *length = strcasestr(head, name);
    return length != NULL && sscanf(length + sizeof(name) - 1, " %lu", ret) == 1;
}

static enum answer_state
take_body(struct answer *answer, size_t size)
{
    if (size > answer->left)
        return ANSWER_BAD;
    answer->left -= size;
    return answer->left == 0 ? ANSWER_COMPLETE : ANSWER_INCOMPLETE;
}

enum answer_state
answer_take(struct answer *answer, const char *bytes, size_t size)
{
    if (answer->left > 0)
        return take_body(answer, size);

    size_t room = ANSWER_HEAD - 1 - answer->size, part = size < room ? size : room;
    memcpy(answer->head + answer->size, bytes, part);
    answer->head[answer->size + part] = '\0';
    char *end = strstr(answer->head, "\r\n\r\n");
    if (end == NULL) {
        answer->size += part;
        return part < size ? ANSWER_BAD : ANSWER_INCOMPLETE;
    }
    end += 4;
    size_t of_head = (size_t)(end - answer->head) - answer->size;
    *end = '\0';
    answer->size = 0;
    return head_length(answer->head, &answer->left) ? take_body(answer, size - of_head)
                                                    : ANSWER_BAD;
}
