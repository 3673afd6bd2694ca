/* SPDX-License-Identifier: MIT */
/*
 * serve.c - one request and its answer
 *
 * Runs in:  a handler.
 * Owns:     the descriptor of what is sent.
 * Failures: returned; they end the connection. response_failed() logs that of a file, and answers.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "coding.h"
#include "http.h"

static const struct site *
site_of(const struct exchange *exchange)
{
    return exchange->web->data;
}

/* What may be over when the client asks again. */
static bool
is_passing(int error)
{
    return error == -EMFILE || error == -ENFILE || error == -ENOMEM || error == -EAGAIN ||
           error == -ENODATA;
}

int
response_failed(struct exchange *exchange, const char *doing, int error)
{
    ss_log(LOG_ERR, "%.200s: cannot %s: %s", exchange->head->target, doing,
           error == -ENODATA ? "it has fewer bytes than its size says" : strerror(-error));
    return response_plain(exchange, is_passing(error) ? HTTP_STATUS_SERVICE_UNAVAILABLE
                                                      : HTTP_STATUS_INTERNAL_SERVER_ERROR);
}

/* The address of the folder, relative to whatever host and scheme the client knows it by: a path
 * that begins with exactly one "/" names no other host. */
static int
redirect(struct exchange *exchange, const struct target *target)
{
    struct text head = TEXT_GROWING;

    response_begin(exchange, &head, HTTP_STATUS_MOVED_PERMANENTLY);
    text_add_string(&head, "Location: /");
    text_add_url(&head, target->path);
    text_add(&head, "/", 1);
    if (target->query != NULL) {
        text_add(&head, "?", 1);
        text_add_string(&head, target->query);
    }
    text_add(&head, "\r\n", 2);
    int error = response_send_plain(exchange, &head);
    text_done(&head);
    return error;
}

static int
send_listing(struct exchange *exchange, const struct target *target, int folder)
{
    struct text page = TEXT_GROWING, head = TEXT_GROWING;
    int error = listing_make(site_of(exchange), target->path, folder, &page);

    if (error < 0) {
        error = response_failed(exchange, "list the folder", error);
    } else {
        response_begin(exchange, &head, HTTP_STATUS_OK);
        response_field(&head, "Content-Type", "text/html; charset=utf-8");
        response_field(&head, "Content-Security-Policy", "default-src 'none'");
        response_number(&head, "Content-Length", page.size);
        response_allow(exchange, page.size);
        error = response_send(exchange, &head, page.data, page.size);
    }
    text_done(&head);
    text_done(&page);
    return error;
}

int
serve(struct exchange *exchange, const struct target *target)
{
    const struct head *head = exchange->head;
    struct resource resource = {.fd = -1};
    int status = resource_find(site_of(exchange), target,
                               coding_prefers_gzip(head->fields[FIELD_ACCEPT_ENCODING]), &resource);

    if (status < 0)
        return response_failed(exchange, "open it", status);
    if (status == HTTP_STATUS_MOVED_PERMANENTLY)
        return redirect(exchange, target);
    if (status != HTTP_STATUS_OK)
        return response_plain(exchange, status);
    int error = resource.type != NULL ? content_send(exchange, &resource)
                                      : send_listing(exchange, target, resource.fd);
    (void)close(resource.fd);
    return error;
}
