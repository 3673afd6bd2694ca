/* SPDX-License-Identifier: MIT */
/*
 * connection.c - one HTTP request after the other on a connection, and what is told of them
 *
 * Whatever leaves in doubt where the next request begins ends the connection with its answer.
 *
 * Runs in:  a handler thread, child or coroutine.
 * Owns:     a head's memory, while it is read and answered; an idle connection has none.
 * Failures: returned; web_failed() logs them.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "web.h"

/* ---- what is told of a request ------------------------------------------------------------ */

#define SHOWN 100 /* characters of a target, in the log */

/* The last request of a connection, for its access line. */
struct last {
    int64_t number; /* of the connection's requests; 0: there was none */
    const char *method;
    char target[SHOWN + 4];
    int status;
};

static void
last_note(struct last *last, const struct exchange *exchange)
{
    bool known = exchange->head->target != NULL; /* its first line was understood */
    const char *target = known ? exchange->head->target : "?";
    size_t size = strnlen(target, SHOWN + 1);

    last->number++;
    last->method = known ? http_method_str(exchange->head->method) : "?";
    last->status = exchange->status;
    memcpy(last->target, target, size);
    memcpy(last->target + (size > SHOWN ? SHOWN : size), "...", 4);
    if (size <= SHOWN)
        last->target[size] = '\0';
}

/* A target is visible ASCII, so that nothing in it can forge a line of the log. */
static void
last_log(const struct last *last, struct ss_request *request)
{
    ss_log(LOG_INFO, "%s: %s %s %d", ss_client_name(request), last->method, last->target,
           last->status);
}

/* The access line tells of the last request, and how many there were. */
static void
last_tell(const struct last *last, struct ss_request *request)
{
    char text[SHOWN + 96];

    if (last->number == 0)
        return;
    int size = snprintf(text, sizeof(text), "%s %s %d", last->method, last->target, last->status);
    if (last->number > 1)
        (void)snprintf(text + size, sizeof(text) - (size_t)size, " (%ld requests)",
                       (long)last->number);
    ss_set_outcome(request, text);
}

/* ---- one request -------------------------------------------------------------------------- */

/* 200: the head is there. 0: the client has ended before it. An HTTP status: it is refused with
 * that. A negative errno: it did not come. */
static int
read_head(struct ss_request *request, struct head *head)
{
    for (;;) {
        char *line;
        ssize_t size = ss_readline(request, &line);

        if (size == -EMSGSIZE)
            return head_is_empty(head) ? HTTP_STATUS_URI_TOO_LONG
                                       : HTTP_STATUS_REQUEST_HEADER_FIELDS_TOO_LARGE;
        if (size < 0)
            return (int)size;
        if (size == 0)
            return head_is_empty(head) ? 0 : HTTP_STATUS_BAD_REQUEST;
        int status = head_line(head, line, (size_t)size);
        if (status != 0)
            return status == 1 ? HTTP_STATUS_OK : status;
    }
}

static int
discard(struct ss_request *request, uint64_t size)
{
    char waste[2048];

    while (size > 0) {
        ssize_t got = ss_read(request, waste, size < sizeof(waste) ? size : sizeof(waste));
        if (got <= 0)
            return got < 0 ? (int)got : -ECONNRESET;
        size -= (uint64_t)got;
    }
    return 0;
}

/* The body is of no use to anybody, but the next request comes behind it. 0, a status to refuse
 * the request with, or a negative errno. */
static int
pass_body(struct exchange *exchange)
{
    const struct head *head = exchange->head;

    if (head->body > exchange->web->max_body)
        return HTTP_STATUS_PAYLOAD_TOO_LARGE;
    if (head->chunked)
        exchange->close = true;
    if (head->body == 0)
        return 0;
    if (head->fields[FIELD_EXPECT] != NULL && !head->old) {
        /* The client may send it or not, now that it knows the answer. */
        exchange->close = true;
        return 0;
    }
    return discard(exchange->request, head->body);
}

/* Has the plugin answer a request whose head is complete; memory has room for its target. */
static int
serve(struct exchange *exchange, char *memory)
{
    const struct head *head = exchange->head;
    const char *expected = head->fields[FIELD_EXPECT];
    struct target target;

    if (head->method != HTTP_GET && head->method != HTTP_HEAD)
        return response_plain(exchange, HTTP_STATUS_METHOD_NOT_ALLOWED);
    if (expected != NULL && strcasecmp(expected, "100-continue") != 0)
        return response_plain(exchange, HTTP_STATUS_EXPECTATION_FAILED);
    int status = target_parse(head->target, memory, &target);
    return status == 0 ? exchange->web->serve(exchange, &target) : response_plain(exchange, status);
}

static int
refuse(struct exchange *exchange, int status)
{
    exchange->close = true;
    return response_plain(exchange, status);
}

/* A slow client is told so, if it has begun to speak; it cannot hold us up with that, since the
 * deadline is over. */
static int
give_up(struct exchange *exchange, int error)
{
    if (error == -ETIMEDOUT && !head_is_empty(exchange->head))
        (void)refuse(exchange, HTTP_STATUS_REQUEST_TIMEOUT);
    return error;
}

/* Reads a head and answers it. 1: there may be another, 0: there is not, or a negative errno. */
static int
exchange_run(struct exchange *exchange, struct head *head, char *memory, struct last *last)
{
    int status = read_head(exchange->request, head);

    exchange->without_body = head->method == HTTP_HEAD; /* refusals of one have none either */
    if (status <= 0)
        return status == 0 ? 0 : give_up(exchange, status);
    exchange->close = !head->keep_alive || last->number + 1 >= exchange->web->max_requests;
    int refused = status == HTTP_STATUS_OK ? pass_body(exchange) : status;
    if (refused < 0)
        return give_up(exchange, refused);
    exchange->close = exchange->close || ss_cancelled(exchange->request);
    response_allow(exchange, 0);
    int error = refused > 0 ? refuse(exchange, refused) : serve(exchange, memory);
    last_note(last, exchange);
    if (exchange->web->log_requests)
        last_log(last, exchange->request);
    return error < 0 ? error : !exchange->close;
}

static int
answer(struct ss_request *request, const struct web *web, struct last *last)
{
    size_t size = web->max_head;
    char *memory = malloc(2 * size); /* the lines, and the target, decoded */
    struct head head;
    struct exchange exchange = {.request = request, .web = web, .head = &head};

    if (memory == NULL)
        return -ENOMEM;
    head_init(&head, memory, size);
    int result = exchange_run(&exchange, &head, memory + size, last);
    free(memory);
    return result;
}

/* ---- the connection ----------------------------------------------------------------------- */

/* Waits for the next request: 1, or 0 at the end, or a negative errno. */
static int
await(struct ss_request *request, const struct web *web, bool first)
{
    (void)ss_set_deadline(request, first ? web->head_timeout : web->idle_timeout);
    int result = ss_wait_input(request, -1);
    if (result == -ECANCELED || (result == -ETIMEDOUT && !first))
        return 0;
    if (result > 0 && !first)
        (void)ss_set_deadline(request, web->head_timeout);
    return result;
}

int
web_serve(struct ss_request *request, const struct web *web)
{
    struct last last = {0};
    int result = 1;

    while (result > 0) {
        result = await(request, web, last.number == 0);
        if (result > 0)
            result = answer(request, web, &last);
    }
    last_tell(&last, request);
    return result;
}

void
web_failed(struct ss_request *request, int error)
{
    (void)request;
    if (error != -ETIMEDOUT)
        ss_log(LOG_ERR, "handle failed: %s", strerror(-error));
}
