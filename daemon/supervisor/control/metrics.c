/* SPDX-License-Identifier: MIT */
/*
 * metrics.c - what all listeners have counted, in a form that costs little to make and to read
 *
 * A scrape comes every few seconds, for hundreds of listeners. As JSON members
 * their figures would cost more than all else that a scrape needs; so those of
 * a listener are one text, whose columns are named once, and the listeners are
 * written as text at once. The reply is described in
 * org.sockserver.Control.varlink.
 *
 * Runs in:  the supervisor.
 * Owns:     the message, until it is handed out.
 * Failures: NULL without memory. What cannot be found out is "-".
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/array.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/mixins.h"
#include "common/usage.h"
#include "common/varlink.h"
#include "supervisor/control/control_private.h"
#include "supervisor/listener/process.h"
#include "supervisor/socket/queue.h"

#define WEIGH_USEC UINT64_C(30000000) /* between two looks at the supervisor's memory */

/* The bounds of times are powers of two of a nanosecond, from 16 microseconds to 69 seconds: so the
 * buckets of histogram.h lie on one side of each. */
static const unsigned char powers[] = {14, 16, 18, 20, 21, 22, 23, 24, 25, 26,
                                       27, 28, 29, 30, 31, 32, 33, 34, 35, 36};

/* ---- text ------------------------------------------------------------------------- */

#define DIGITS 20

static void
put(struct varlink_output *output, const char *text)
{
    (void)varlink_put(text, strlen(text), output);
}

/* Some JSON, which it releases; NULL: there was no memory for it. */
static void
put_json(struct varlink_output *output, json_t *value)
{
    size_t flags = JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(6);

    if (value == NULL || json_dump_callback(value, varlink_put, output, flags) < 0)
        output->lacks = true;
    json_decref(value);
}

/* A member; nearly all texts need no escapes. */
static void
put_text(struct varlink_output *output, const char *name, const char *text)
{
    size_t size = 0;

    while (text[size] >= ' ' && text[size] < 0x7f && text[size] != '"' && text[size] != '\\')
        size++;
    put(output, name);
    if (text[size] != '\0') {
        put_json(output, varlink_text(text));
        return;
    }
    put(output, "\"");
    (void)varlink_put(text, size, output);
    put(output, "\"");
}

/* Each figure has a space behind it. */
static void
put_number(struct varlink_output *output, uint64_t number)
{
    char digits[DIGITS + 1];
    size_t start = DIGITS;

    digits[DIGITS] = ' ';
    do {
        digits[--start] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    (void)varlink_put(digits + start, sizeof(digits) - start, output);
}

static void
put_if(struct varlink_output *output, bool known, uint64_t number)
{
    if (known)
        put_number(output, number);
    else
        put(output, "- ");
}

/* One that is known if it is not negative. */
static void
put_real(struct varlink_output *output, double number)
{
    char text[32] = "- ";

    if (number >= 0 && number < 1e15)
        (void)snprintf(text, sizeof(text), "%.1f ", number);
    put(output, text);
}

/* ---- columns ----------------------------------------------------------------------- */

struct look {
    const struct control *control;
    struct listener_status status;
    struct health health;
    struct accept_queue queue;
    bool queue_known;
    uint64_t memory;
};

static void
put_shape(struct varlink_output *output, const struct look *look)
{
    const struct listener_status *status = &look->status;
    uint64_t now = monotonic_usec();

    put_number(output, status->sums.active);
    put_number(output, status->sums.idle);
    put_number(output, status->max_connections);
    put_number(output, status->generation);
    put_number(output, status->draining);
    put_number(output, status->restarts);
    put_number(output, status->since == 0 ? 0 : now - status->since);
    put_number(output, status->pid_count);
    put_number(output, look->health.places);
    put_number(output, look->health.ready);
    put_number(output, look->health.drains);
    put_if(output, look->memory > 0, look->memory);
}

static void
put_queue(struct varlink_output *output, const struct look *look)
{
    const struct accept_queue *queue = &look->queue;

    put_if(output, look->queue_known && !queue->in_bytes, queue->length);
    put_if(output, look->queue_known && queue->in_bytes, queue->length);
    put_if(output, look->queue_known && queue->limit > 0, queue->limit);
    put_if(output, look->status.certificate != NULL, look->status.expires);
}

static void
put_recent(struct varlink_output *output, const struct look *look)
{
    struct histogram recent;

    put_real(output,
             samples_recent(&look->control->samples, &look->status, monotonic_usec(), &recent));
    put_real(output, histogram_quantile(&recent, 0.50) / 1000);
    put_real(output, histogram_quantile(&recent, 0.99) / 1000);
}

/* In the order in which put_shape(), put_queue() and put_recent() put the figures. */
static const char *const columns[] = {
    "active",   "idle",     "max_connections",   "generation",  "draining",
    "restarts", "state_us", "workers",           "places",      "ready",
    "drains",   "memory",   "queue_connections", "queue_bytes", "queue_limit",
    "expires",
};
static const char *const recent_columns[] = {"per_second", "p50_us", "p99_us"};

static json_t *
name_columns(bool recent)
{
    json_t *names = json_array();

    for (size_t i = 0; i < COUNTER_COUNT; i++)
        varlink_append(&names, json_string(counter_table[i].name));
    for (size_t i = 0; i < ARRAY_SIZE(columns); i++)
        varlink_append(&names, json_string(columns[i]));
    for (size_t i = 0; recent && i < ARRAY_SIZE(recent_columns); i++)
        varlink_append(&names, json_string(recent_columns[i]));
    return names;
}

/* ---- times ---------------------------------------------------------------------------- */

static json_t *
name_bounds(void)
{
    json_t *bounds = json_array();

    for (size_t i = 0; i < ARRAY_SIZE(powers); i++)
        varlink_append(&bounds, json_integer((json_int_t)1 << powers[i]));
    return bounds;
}

/* How many took less than each bound, and how many there were. */
static void
put_times(struct varlink_output *output, const struct histogram *histogram)
{
    uint64_t below = 0;
    unsigned bucket = 0;

    for (size_t i = 0; i < ARRAY_SIZE(powers); i++) {
        for (; histogram_floor(bucket) < UINT64_C(1) << powers[i]; bucket++)
            below += histogram->buckets[bucket];
        put_number(output, below);
    }
    for (; bucket < HISTOGRAM_BUCKETS; bucket++)
        below += histogram->buckets[bucket];
    put_number(output, below);
}

/* ---- a listener ------------------------------------------------------------------------ */

static void
add_memory(const struct listener_worker *worker, void *userdata)
{
    uint64_t *memory = userdata;

    *memory += process_memory(worker->process);
}

static void
look_at(const struct control *control, const struct listener *listener, struct look *ret)
{
    *ret = (struct look){.control = control};
    listener_status(listener, &ret->status);
    control_look_at(&control->host, listener, ret->status.accepting_active, &ret->health);
    listener_visit_workers(listener, add_memory, &ret->memory);
    ret->queue_known = ret->status.fd >= 0 && queue_look(ret->status.fd, &ret->queue) == 0;
}

static void
put_listener(struct varlink_output *output, const struct look *look, bool recent)
{
    const struct listener_status *status = &look->status;

    put_text(output, "{\"name\":", status->name);
    put_text(output, ",\"state\":", status->state);
    put_text(output, ",\"address\":", status->address);
    put_text(output, ",\"plugin\":", status->plugin);
    put_text(output, ",\"mixin\":", status->mixin);
    if (status->problem != NULL)
        put_text(output, ",\"problem\":", status->problem);
    if (!look->health.ready)
        put_text(output, ",\"reason\":", look->health.reason);
    if (status->certificate != NULL)
        put_text(output, ",\"certificate\":", status->certificate);
    put(output, ",\"figures\":\"");
    for (size_t i = 0; i < COUNTER_COUNT; i++)
        put_number(output, counter_shown(&status->sums, &counter_table[i]));
    put_shape(output, look);
    put_queue(output, look);
    if (recent)
        put_recent(output, look);
    put(output, "\",\"times\":\"");
    put_times(output, &status->sums.handling);
    put(output, "\"}");
}

/* ---- the whole -------------------------------------------------------------------------- */

/* The kernel walks through all pages for it, and there are many: some for each worker. */
static uint64_t
own_memory(struct control *control)
{
    uint64_t now = monotonic_usec();

    if (now < control->weigh_at)
        return control->memory;
    control->weigh_at = now + WEIGH_USEC;
    control->memory = usage_memory();
    return control->memory;
}

/* All but the listeners. */
static json_t *
describe(struct control *control, bool ready, bool recent)
{
    json_t *reply = json_object();

    varlink_set(&reply, "daemon", control_daemon(control));
    varlink_set(&reply, "memory", control_integer(own_memory(control)));
    varlink_set(&reply, "ready", json_boolean(ready));
    varlink_set(&reply, "stopping", json_boolean(roster_ends(control->host.roster)));
    varlink_set(&reply, "bounds_ns", name_bounds());
    varlink_set(&reply, "columns", name_columns(recent));
    return reply;
}

/* The parameters are those of describe(), and as the last of them the listeners. */
static char *
finish(struct varlink_output *listeners, json_t *others, size_t *ret_size)
{
    struct varlink_output output = {0};

    put(&output, "{\"parameters\":");
    put_json(&output, others);
    if (!output.lacks)
        output.size--; /* the brace is closed below */
    put(&output, ",\"listeners\":[");
    (void)varlink_put(listeners->bytes, listeners->size, &output);
    put(&output, "]}}");
    (void)varlink_put("", 1, &output);
    bool lacks = output.lacks || listeners->lacks;
    free(listeners->bytes);
    if (lacks)
        free(take_pointer(output.bytes));
    *ret_size = output.size;
    return output.bytes;
}

char *
control_metrics(struct control *control, bool recent, size_t *ret_size)
{
    const struct roster *roster = control->host.roster;
    struct varlink_output listeners = {0};
    bool ready = control_is_up(roster);

    for (size_t i = 0; i < roster->count; i++) {
        struct look look;
        look_at(control, roster->listeners[i], &look);
        ready = ready && (look.health.ready || !listener_settings(roster->listeners[i])->enabled);
        if (i > 0)
            put(&listeners, ",");
        put_listener(&listeners, &look, recent);
    }
    return finish(&listeners, describe(control, ready, recent), ret_size);
}
