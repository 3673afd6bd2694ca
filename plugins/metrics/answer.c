/* SPDX-License-Identifier: MIT */
/*
 * answer.c - answers of the plugin: a text of the moment
 *
 * Runs in:  a handler.
 * Owns:     nothing.
 * Failures: returned; they end the connection.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "metrics.h"

const struct watcher *
watcher_of(const struct exchange *exchange)
{
    return exchange->web->data;
}

int
answer_text(struct exchange *exchange, int status, const char *type, const struct text *body)
{
    char room[HEAD_ROOM];
    struct text head = TEXT_IN(room);

    if (body->failed)
        return response_plain(exchange, HTTP_STATUS_SERVICE_UNAVAILABLE);
    response_begin(exchange, &head, status);
    response_field(&head, "Content-Type", type);
    response_field(&head, "Cache-Control", "no-store");
    response_number(&head, "Content-Length", body->size);
    response_allow(exchange, body->size);
    return response_send(exchange, &head, body->data, body->size);
}

int
answer_line(struct exchange *exchange, int status, const char *line)
{
    struct text body = TEXT_GROWING;

    text_add_string(&body, line);
    text_add(&body, "\n", 1);
    int error = answer_text(exchange, status, "text/plain; charset=utf-8", &body);
    text_done(&body);
    return error;
}

int
answer_deaf(struct exchange *exchange, int error)
{
    char line[128];

    (void)snprintf(line, sizeof(line), "the daemon does not answer: %s", strerror(-error));
    return answer_line(exchange, HTTP_STATUS_SERVICE_UNAVAILABLE, line);
}
