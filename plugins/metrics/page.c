/* SPDX-License-Identifier: MIT */
/*
 * page.c - /: the page that an operator leaves open
 *
 * It is page.html, with its names in {{double braces}} replaced by what rows.c
 * writes. live.c keeps it alive.
 *
 * Runs in:  a handler.
 * Owns:     the text of the page, until it is sent.
 * Failures: a daemon that cannot be asked: 503.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "metrics.h"
#include "page_html.h"
#include "rows.h"
#include "view.h"

#define NONCE 16 /* bytes */

/* ---- the page ------------------------------------------------------------------------------- */

static int
make_nonce(char text[2 * NONCE + 1])
{
    unsigned char bytes[NONCE];

    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
        return -EIO;
    for (size_t i = 0; i < NONCE; i++) {
        text[2 * i] = "0123456789abcdef"[bytes[i] >> 4];
        text[2 * i + 1] = "0123456789abcdef"[bytes[i] & 15];
    }
    text[2 * NONCE] = '\0';
    return 0;
}

/* Nothing on the page comes from elsewhere, no text becomes markup in its script, and nobody frames
 * it. The picture is the mark in its tab. */
static void
add_policy(struct text *head, const char *nonce)
{
    text_add_string(head, "Content-Security-Policy: default-src 'none'; script-src 'nonce-");
    text_add_string(head, nonce);
    text_add_string(head, "'; style-src 'nonce-");
    text_add_string(head, nonce);
    text_add_string(head, "'; img-src data:; connect-src 'self'; base-uri 'none'; "
                          "form-action 'none'; frame-ancestors 'none'; "
                          "require-trusted-types-for 'script'; trusted-types 'none'\r\n");
    response_field(head, "Referrer-Policy", "no-referrer");
    response_field(head, "Cross-Origin-Opener-Policy", "same-origin");
    response_field(head, "Cross-Origin-Resource-Policy", "same-origin");
}

/* The page with everything in its place. */
static void
write_page(struct text *text, const struct view *view, const char *nonce)
{
    const char *from = (const char *)page_html, *name;

    while ((name = strstr(from, "{{")) != NULL) {
        const char *end = strstr(name, "}}");
        size_t size = (size_t)(end - name) - 2;
        text_add(text, from, (size_t)(name - from));
        if (size == 5 && memcmp(name + 2, "nonce", size) == 0)
            text_add_string(text, nonce);
        else
            (void)rows_write(text, view, name + 2, size);
        from = end + 2;
    }
    text_add_string(text, from);
}

static int
send_page(struct exchange *exchange, const struct text *body, const char *nonce)
{
    char room[HEAD_ROOM];
    struct text head = TEXT_IN(room);

    if (body->failed)
        return response_plain(exchange, HTTP_STATUS_SERVICE_UNAVAILABLE);
    response_begin(exchange, &head, HTTP_STATUS_OK);
    response_field(&head, "Content-Type", "text/html; charset=utf-8");
    response_field(&head, "Cache-Control", "no-store");
    add_policy(&head, nonce);
    response_number(&head, "Content-Length", body->size);
    response_allow(exchange, body->size);
    return response_send(exchange, &head, body->data, body->size);
}

int
answer_page(struct exchange *exchange)
{
    struct history *history = watcher_of(exchange)->history;
    struct text body = TEXT_GROWING;
    struct replies replies = {0};
    char nonce[2 * NONCE + 1];
    int error = replies_ask(exchange, &replies);

    if (error == 0)
        error = make_nonce(nonce);
    if (error == 0) {
        (void)pthread_mutex_lock(&history->lock);
        const struct view view = {
            .history = history, .requests = replies.requests, .sources = replies.sources};
        write_page(&body, &view, nonce);
        (void)pthread_mutex_unlock(&history->lock);
        error = send_page(exchange, &body, nonce);
    } else {
        error = answer_deaf(exchange, error);
    }
    text_done(&body);
    replies_done(&replies);
    return error;
}
