/* SPDX-License-Identifier: MIT */
/*
 * metrics.c - what all listeners have counted, in a form that costs little to make and to read
 *
 * A scrape comes every few seconds, for hundreds of listeners. As JSON members
 * their figures would cost more than all else that a scrape needs; so those of
 * a listener are one text, whose columns are named once. The reply is described
 * in org.sockserver.Control.varlink.
 *
 * Runs in:  the supervisor.
 * Owns:     nothing.
 * Failures: NULL without memory. What cannot be found out is "-".
 */
#include <stdio.h>
#include <string.h>

#include "common/array.h"
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

/* ---- text ------------------------------------------------------------------------------------ */

#define DIGITS 20

struct row {
    size_t size;
    char text[(COUNTER_COUNT + 32) * (DIGITS + 1)];
};

static char *
begin_figure(struct row *row)
{
    if (row->size > 0)
        row->text[row->size++] = ' ';
    return row->text + row->size;
}

static void
put_number(struct row *row, uint64_t number)
{
    char digits[DIGITS], *place = begin_figure(row);
    size_t start = DIGITS;

    do {
        digits[--start] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    memcpy(place, digits + start, DIGITS - start);
    row->size += DIGITS - start;
}

static void
put_unknown(struct row *row)
{
    *begin_figure(row) = '-';
    row->size++;
}

/* One that is told if it is not negative. */
static void
put_real(struct row *row, double number)
{
    char text[DIGITS + 1];

    if (!(number >= 0 && number < 1e15)) {
        put_unknown(row);
        return;
    }
    int size = snprintf(text, sizeof(text), "%.1f", number);
    memcpy(begin_figure(row), text, (size_t)size);
    row->size += (size_t)size;
}

static json_t *
row_text(const struct row *row)
{
    return json_stringn(row->text, row->size);
}

/* ---- columns -----------------------------------------------------------------------------------
 */

struct look {
    const struct control *control;
    struct listener_status status;
    struct health health;
    struct accept_queue queue;
    bool queue_known;
    uint64_t memory;
};

static void
put_shape(struct row *row, const struct look *look)
{
    const struct listener_status *status = &look->status;
    uint64_t now = monotonic_usec();

    put_number(row, status->sums.active);
    put_number(row, status->sums.idle);
    put_number(row, status->max_connections);
    put_number(row, status->generation);
    put_number(row, status->draining);
    put_number(row, status->restarts);
    put_number(row, status->since == 0 ? 0 : now - status->since);
    put_number(row, status->pid_count);
    put_number(row, look->health.places);
    put_number(row, look->health.ready);
    put_number(row, look->health.drains);
    if (look->memory > 0)
        put_number(row, look->memory);
    else
        put_unknown(row);
}

static void
put_queue(struct row *row, const struct look *look)
{
    const struct accept_queue *queue = &look->queue;

    for (int in_bytes = 0; in_bytes < 2; in_bytes++)
        if (look->queue_known && queue->in_bytes == (in_bytes == 1))
            put_number(row, queue->length);
        else
            put_unknown(row);
    if (look->queue_known && queue->limit > 0)
        put_number(row, queue->limit);
    else
        put_unknown(row);
}

static void
put_recent(struct row *row, const struct look *look)
{
    struct histogram recent;

    put_real(row,
             samples_recent(&look->control->samples, &look->status, monotonic_usec(), &recent));
    put_real(row, histogram_quantile(&recent, 0.50) / 1000);
    put_real(row, histogram_quantile(&recent, 0.99) / 1000);
}

/* In the order in which put_shape(), put_queue() and put_recent() put the figures. */
static const char *const columns[] = {
    "active",
    "idle",
    "max_connections",
    "generation",
    "draining",
    "restarts",
    "state_us",
    "workers",
    "places",
    "ready",
    "drains",
    "memory",
    "queue_connections",
    "queue_bytes",
    "queue_limit",
    "expires",
    "per_second",
    "p50_us",
    "p99_us",
};

static json_t *
name_columns(void)
{
    json_t *names = json_array();

    for (size_t i = 0; i < COUNTER_COUNT; i++)
        varlink_append(&names, json_string(counter_table[i].name));
    for (size_t i = 0; i < ARRAY_SIZE(columns); i++)
        varlink_append(&names, json_string(columns[i]));
    return names;
}

static json_t *
figures(const struct look *look)
{
    struct row row = {0};

    for (size_t i = 0; i < COUNTER_COUNT; i++)
        put_number(&row, counter_shown(&look->status.sums, &counter_table[i]));
    put_shape(&row, look);
    put_queue(&row, look);
    if (look->status.certificate != NULL)
        put_number(&row, look->status.expires);
    else
        put_unknown(&row);
    put_recent(&row, look);
    return row_text(&row);
}

/* ---- times
 * --------------------------------------------------------------------------------------- */

static json_t *
name_bounds(void)
{
    json_t *bounds = json_array();

    for (size_t i = 0; i < ARRAY_SIZE(powers); i++)
        varlink_append(&bounds, json_integer((json_int_t)1 << powers[i]));
    return bounds;
}

/* How many took less than each bound, and how many there were. */
static json_t *
times(const struct histogram *histogram)
{
    struct row row = {0};
    uint64_t below = 0;
    unsigned bucket = 0;

    for (size_t i = 0; i < ARRAY_SIZE(powers); i++) {
        for (; histogram_floor(bucket) < UINT64_C(1) << powers[i]; bucket++)
            below += histogram->buckets[bucket];
        put_number(&row, below);
    }
    for (; bucket < HISTOGRAM_BUCKETS; bucket++)
        below += histogram->buckets[bucket];
    put_number(&row, below);
    return row_text(&row);
}

/* ---- the whole
 * ------------------------------------------------------------------------------------- */

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
    control_look_at(control->host.roster, listener, ret->status.accepting_active, &ret->health);
    listener_visit_workers(listener, add_memory, &ret->memory);
    ret->queue_known = ret->status.fd >= 0 && queue_look(ret->status.fd, &ret->queue) == 0;
}

static json_t *
describe(const struct look *look)
{
    const struct listener_status *status = &look->status;
    json_t *metrics = json_object();

    varlink_set(&metrics, "name", varlink_text(status->name));
    varlink_set(&metrics, "state", varlink_text(status->state));
    varlink_set(&metrics, "address", varlink_text(status->address));
    varlink_set(&metrics, "plugin", varlink_text(status->plugin));
    varlink_set(&metrics, "mixin", varlink_text(status->mixin));
    if (status->problem != NULL)
        varlink_set(&metrics, "problem", varlink_text(status->problem));
    if (!look->health.ready)
        varlink_set(&metrics, "reason", varlink_text(look->health.reason));
    if (status->certificate != NULL)
        varlink_set(&metrics, "certificate", varlink_text(status->certificate));
    varlink_set(&metrics, "figures", figures(look));
    varlink_set(&metrics, "times", times(&status->sums.handling));
    return metrics;
}

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

json_t *
control_metrics(struct control *control)
{
    const struct roster *roster = control->host.roster;
    json_t *reply = json_object(), *listeners = json_array();
    bool ready = control_is_up(roster);

    for (size_t i = 0; i < roster->count; i++) {
        struct look look;
        look_at(control, roster->listeners[i], &look);
        ready = ready && (look.health.ready || !listener_settings(roster->listeners[i])->enabled);
        varlink_append(&listeners, describe(&look));
    }
    varlink_set(&reply, "daemon", control_daemon(control));
    varlink_set(&reply, "memory", control_integer(own_memory(control)));
    varlink_set(&reply, "ready", json_boolean(ready));
    varlink_set(&reply, "stopping", json_boolean(roster_ends(roster)));
    varlink_set(&reply, "bounds_ns", name_bounds());
    varlink_set(&reply, "columns", name_columns());
    varlink_set(&reply, "listeners", listeners);
    return reply;
}
