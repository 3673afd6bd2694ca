/* SPDX-License-Identifier: MIT */
/*
 * status.c - /status.json: everything that the plugin knows of the daemon, for scripts and the page
 *
 * Its members are described in sockserverd-metrics(7). Figures stand there
 * under the names of the daemon's columns, as they came.
 *
 * Runs in:  a handler.
 * Owns:     the daemon's replies, for one answer.
 * Failures: a daemon that cannot be asked: 503.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "metrics.h"

#define FORMAT     "1" /* of the whole; it changes when a member changes its meaning or leaves */
#define BUSIEST    20  /* requests and sources that are told */
#define MICROS     1000000
#define NANOSECOND 1000

static void
add_member(struct text *text, const char *name, const char *value)
{
    text_add_json(text, name);
    text_add(text, ":", 1);
    if (value == NULL)
        text_add_string(text, "null");
    else
        text_add_json(text, value);
    text_add(text, ",", 1);
}

static void
add_bool(struct text *text, const char *name, bool value)
{
    text_add_json(text, name);
    text_add_string(text, value ? ":true," : ":false,");
}

static void
add_figure(struct text *text, struct figure figure)
{
    if (figure.size > 0)
        text_add(text, figure.text, figure.size);
    else
        text_add_string(text, "null");
}

static bool
is_one(struct figure figure)
{
    return figure.size == 1 && *figure.text == '1';
}

static void
add_listener(struct text *text, const struct snapshot *snapshot,
             const struct listener_snapshot *listener)
{
    text_add(text, "{", 1);
    add_member(text, "name", listener->name);
    add_member(text, "state", listener->state);
    add_member(text, "address", listener->address);
    add_member(text, "plugin", listener->plugin);
    add_member(text, "mixin", listener->mixin);
    add_member(text, "problem", listener->problem);
    add_member(text, "reason", listener->reason);
    add_member(text, "certificate", listener->certificate);
    for (size_t i = 0; i < snapshot->column_count; i++) {
        const char *name = snapshot->columns[i];
        if (strcmp(name, "ready") == 0 || strcmp(name, "drains") == 0) {
            add_bool(text, name, is_one(listener->figures[i]));
            continue;
        }
        text_add_json(text, name);
        text_add(text, ":", 1);
        add_figure(text, listener->figures[i]);
        text_add(text, ",", 1);
    }
    text_add_string(text, "\"times\":[");
    for (size_t i = 0; i <= snapshot->bound_count; i++) {
        text_add(text, ",", i > 0);
        add_figure(text, listener->times[i]);
    }
    text_add_string(text, "]}");
}

/* Some JSON of the daemon's own. */
static void
add_json(struct text *text, const char *name, const json_t *value)
{
    char *dump = value == NULL ? NULL : json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);

    text_add_json(text, name);
    text_add(text, ":", 1);
    text_add_string(text, dump == NULL ? "null" : dump);
    text_add(text, ",", 1);
    free(dump);
}

static void
add_time(struct text *text)
{
    struct timespec now = {0};

    (void)clock_gettime(CLOCK_REALTIME, &now);
    text_add_string(text, "\"time_us\":");
    text_add_number(text, (uint64_t)now.tv_sec * MICROS + (uint64_t)now.tv_nsec / NANOSECOND);
    text_add(text, ",", 1);
}

void
status_write(struct text *text, const struct snapshot *snapshot, const json_t *requests,
             const json_t *sources)
{
    text_add_string(text, "{\"format\":" FORMAT ",");
    add_time(text);
    add_bool(text, "ready", snapshot->ready);
    add_bool(text, "stopping", snapshot->stopping);
    add_json(text, "daemon", snapshot->daemon);
    add_json(text, "memory", json_object_get(snapshot->reply, "memory"));
    add_json(text, "bounds_ns", json_object_get(snapshot->reply, "bounds_ns"));
    add_json(text, "requests", requests);
    add_json(text, "sources", sources);
    text_add_string(text, "\"listeners\":[");
    for (size_t i = 0; i < snapshot->count; i++) {
        text_add(text, ",", i > 0);
        add_listener(text, snapshot, &snapshot->listeners[i]);
    }
    text_add_string(text, "]}\n");
}

int
answer_status(struct exchange *exchange)
{
    struct text body = TEXT_GROWING;
    json_t *requests = NULL, *sources = NULL;
    struct snapshot snapshot = {0};
    struct talk talk;

    talk_begin(&talk, exchange->request, watcher_of(exchange)->timeout);
    int error = snapshot_take(&talk, true, &snapshot);
    if (error == 0)
        error =
            talk_ask(&talk, CONTROL "GetRequests", json_pack("{s:i}", "limit", BUSIEST), &requests);
    if (error == 0)
        error =
            talk_ask(&talk, CONTROL "GetSources", json_pack("{s:i}", "limit", BUSIEST), &sources);
    talk_end(&talk);
    if (error == 0) {
        status_write(&body, &snapshot, json_object_get(requests, "requests"),
                     json_object_get(sources, "sources"));
        error = answer_text(exchange, HTTP_STATUS_OK, "application/json", &body);
    } else {
        error = answer_deaf(exchange, error);
    }
    text_done(&body);
    snapshot_done(&snapshot);
    json_decref(requests);
    json_decref(sources);
    return error;
}
