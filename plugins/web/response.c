/* SPDX-License-Identifier: MIT */
/*
 * response.c - the head of an answer, and answers that say only what their status means
 *
 * Runs in:  a handler.
 * Owns:     nothing.
 * Failures: returned.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "date.h"
#include "web.h"

#define GRACE 60.0 /* seconds that min_rate gives to an answer of any size */

void
response_field(struct text *head, const char *name, const char *value)
{
    text_add_string(head, name);
    text_add(head, ": ", 2);
    text_add_string(head, value);
    text_add(head, "\r\n", 2);
}

void
response_number(struct text *head, const char *name, uint64_t value)
{
    text_add_string(head, name);
    text_add(head, ": ", 2);
    text_add_number(head, value);
    text_add(head, "\r\n", 2);
}

static void
add_what_the_status_needs(struct text *head, int status)
{
    if (status == HTTP_STATUS_METHOD_NOT_ALLOWED)
        response_field(head, "Allow", "GET, HEAD");
    else if (status == HTTP_STATUS_SERVICE_UNAVAILABLE)
        response_field(head, "Retry-After", "1");
}

void
response_begin(struct exchange *exchange, struct text *head, int status)
{
    const struct head *asked = exchange->head;
    char now[DATE_SIZE];

    exchange->status = status;
    text_add_string(head, "HTTP/1.1 ");
    text_add_number(head, (uint64_t)status);
    text_add(head, " ", 1);
    text_add_string(head, http_status_str((enum http_status)status));
    text_add_string(head, "\r\nX-Content-Type-Options: nosniff\r\n");
    date_write(date_now(), now);
    response_field(head, "Date", now);
    add_what_the_status_needs(head, status);
    if (exchange->close)
        text_add_string(head, "Connection: close\r\n");
    else if (asked->old)
        text_add_string(head, "Connection: keep-alive\r\n");
}

int
response_send(struct exchange *exchange, struct text *head, const void *body, size_t size)
{
    text_add(head, "\r\n", 2);
    if (head->failed)
        return -ENOMEM;
    int error = ss_write(exchange->request, head->data, head->size);
    if (error == 0 && !exchange->without_body)
        error = ss_write(exchange->request, body, size);
    return error;
}

int
response_send_plain(struct exchange *exchange, struct text *head)
{
    char body[64];
    int size = snprintf(body, sizeof(body), "%d %s\n", exchange->status,
                        http_status_str((enum http_status)exchange->status));

    response_field(head, "Content-Type", "text/plain; charset=utf-8");
    response_number(head, "Content-Length", (uint64_t)size);
    return response_send(exchange, head, body, (size_t)size);
}

int
response_plain(struct exchange *exchange, int status)
{
    char room[HEAD_ROOM];
    struct text head = TEXT_IN(room);

    response_begin(exchange, &head, status);
    return response_send_plain(exchange, &head);
}

void
response_allow(const struct exchange *exchange, uint64_t size)
{
    uint64_t rate = exchange->web->min_rate;

    (void)ss_set_deadline(exchange->request, rate > 0 ? GRACE + (double)size / (double)rate : 0);
}
