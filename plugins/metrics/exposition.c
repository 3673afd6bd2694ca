/* SPDX-License-Identifier: MIT */
/*
 * exposition.c - /metrics: what was counted, as Prometheus reads it
 *
 * A table has a row for each family of metrics. The two forms differ in the
 * names of a few lines only: OpenMetrics leaves _total and _info out of a
 * family's name, tells units, and has an end. No label has values that clients
 * can choose.
 *
 * Runs in:  a handler.
 * Owns:     the text, until it is sent.
 * Failures: a daemon that cannot be asked: 503.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../web/weights.h"
#include "metrics.h"

#define PREFIX     "sockserverd_"
#define PLAIN_TYPE "text/plain; version=0.0.4; charset=utf-8"
#define OPEN_TYPE  "application/openmetrics-text; version=1.0.0; charset=utf-8"
#define MICRO      6 /* digits behind the point */

enum kind { COUNTER, GAUGE, INFO, HISTOGRAM };

/* Columns that are one family, told apart by a label. */
struct part {
    const char *value, *column;
};

struct exposition {
    struct text *text;
    const struct snapshot *snapshot;
    bool open;
    const struct family *family; /* that is written now */
    struct text labels;          /* listener="NAME" of each listener, one behind the other */
    size_t *ends;                /* of these */
};

struct family {
    const char *name; /* without the prefix, and without the end that its kind has */
    enum kind kind;
    const char *unit;                       /* the name ends with it; NULL: none */
    void (*samples)(struct exposition *to); /* NULL: those of the column, or of the parts */
    const char *column;                     /* or a member of the daemon's */
    const char *label;                      /* of the parts */
    const struct part *parts;               /* value NULL: no more */
    bool micros;                            /* seconds, counted in microseconds */
    const char *help;
};

/* ---- lines -------------------------------------------------------------------------------- */

static void
add_label_value(struct text *text, const char *value)
{
    while (*value != '\0') {
        size_t size = strcspn(value, "\\\"\n");
        text_add(text, value, size);
        value += size;
        if (*value == '\0')
            break;
        const char escaped[] = {'\\', *value == '\n' ? 'n' : *value};
        text_add(text, escaped, sizeof(escaped));
        value++;
    }
}

static void
add_label(struct text *text, const char *name, const char *value)
{
    text_add_string(text, name);
    text_add(text, "=\"", 2);
    add_label_value(text, value);
    text_add(text, "\"", 1);
}

static void
add_head_line(struct exposition *to, const char *what, const char *value)
{
    static const char *const plain_ends[] = {
        [COUNTER] = "_total", [GAUGE] = "", [INFO] = "_info", [HISTOGRAM] = ""};

    text_add_string(to->text, what);
    text_add_string(to->text, PREFIX);
    text_add_string(to->text, to->family->name);
    if (!to->open)
        text_add_string(to->text, plain_ends[to->family->kind]);
    text_add(to->text, " ", 1);
    text_add_string(to->text, value);
    text_add(to->text, "\n", 1);
}

static void
add_head(struct exposition *to)
{
    static const char *const plain[] = {
        [COUNTER] = "counter", [GAUGE] = "gauge", [INFO] = "gauge", [HISTOGRAM] = "histogram"};
    const struct family *family = to->family;

    add_head_line(to, "# HELP ", family->help);
    add_head_line(to, "# TYPE ", to->open && family->kind == INFO ? "info" : plain[family->kind]);
    if (to->open && family->unit != NULL)
        add_head_line(to, "# UNIT ", family->unit);
}

static void
begin_sample(struct exposition *to, const char *end)
{
    text_add(to->text, PREFIX, sizeof(PREFIX) - 1);
    text_add_string(to->text, to->family->name);
    text_add_string(to->text, end);
}

static const char *
end_of(const struct family *family)
{
    return family->kind == COUNTER ? "_total" : family->kind == INFO ? "_info" : "";
}

/* Microseconds become seconds. */
static void
add_value(struct exposition *to, struct figure figure)
{
    static const char zeroes[] = "0.000000";
    size_t whole = figure.size > MICRO ? figure.size - MICRO : 0;

    text_add(to->text, " ", 1);
    if (!to->family->micros) {
        text_add(to->text, figure.text, figure.size);
    } else if (whole > 0) {
        text_add(to->text, figure.text, whole);
        text_add(to->text, ".", 1);
        text_add(to->text, figure.text + whole, MICRO);
    } else {
        text_add(to->text, zeroes, sizeof(zeroes) - 1 - figure.size);
        text_add(to->text, figure.text, figure.size);
    }
    text_add(to->text, "\n", 1);
}

static void
add_flag(struct exposition *to, bool flag)
{
    text_add(to->text, flag ? " 1\n" : " 0\n", 3);
}

/* What stands before and behind the label of the listener in lines of a family, which are many. */
struct frame {
    struct text before, behind;
    char room[2][192];
};

/* One with a label more, or NULL; its value needs no escapes. */
static void
make_frame(const struct exposition *to, const char *end, const char *label, const char *value,
           struct frame *ret)
{
    *ret = (struct frame){0};
    ret->before = (struct text)TEXT_IN(ret->room[0]);
    ret->behind = (struct text)TEXT_IN(ret->room[1]);
    text_add_string(&ret->before, PREFIX);
    text_add_string(&ret->before, to->family->name);
    text_add_string(&ret->before, end);
    text_add(&ret->before, "{", 1);
    if (label != NULL) {
        text_add(&ret->behind, ",", 1);
        add_label(&ret->behind, label, value);
    }
    text_add(&ret->behind, "}", 1);
}

/* Begins a line of that listener; the value follows. */
static void
begin_line(struct exposition *to, const struct frame *frame, size_t listener)
{
    size_t from = listener > 0 ? to->ends[listener - 1] : 0;

    text_add(to->text, frame->before.data, frame->before.size);
    text_add(to->text, to->labels.data + from, to->ends[listener] - from);
    text_add(to->text, frame->behind.data, frame->behind.size);
}

/* ---- samples ------------------------------------------------------------------------------ */

static void
add_column(struct exposition *to, const char *name, const char *label, const char *value)
{
    int column = snapshot_column(to->snapshot, name);
    struct frame frame;

    make_frame(to, end_of(to->family), label, value, &frame);
    for (size_t i = 0; i < to->snapshot->count; i++) {
        struct figure figure = snapshot_figure(&to->snapshot->listeners[i], column);
        if (figure.size == 0)
            continue;
        begin_line(to, &frame, i);
        add_value(to, figure);
    }
}

#define BOUNDS_MOST 64

/* The frames of all bounds and of infinity; returns how many. */
static size_t
make_buckets(const struct exposition *to, struct frame ret[BOUNDS_MOST + 1])
{
    size_t count =
        to->snapshot->bound_count < BOUNDS_MOST ? to->snapshot->bound_count : BOUNDS_MOST;
    char bound[24];

    for (size_t i = 0; i < count; i++) {
        (void)snprintf(bound, sizeof(bound), "%.12g", to->snapshot->bounds[i] / 1e9);
        make_frame(to, "_bucket", "le", bound, &ret[i]);
    }
    make_frame(to, "_bucket", "le", "+Inf", &ret[count]);
    return count;
}

static void
add_count(struct exposition *to, const struct frame *frame, size_t listener, struct figure count)
{
    begin_line(to, frame, listener);
    text_add(to->text, " ", 1);
    text_add(to->text, count.text, count.size);
    text_add(to->text, "\n", 1);
}

static void
add_histogram(struct exposition *to)
{
    struct frame buckets[BOUNDS_MOST + 1], sum, count;
    size_t bounds = make_buckets(to, buckets);
    int column = snapshot_column(to->snapshot, to->family->column);

    make_frame(to, "_sum", NULL, NULL, &sum);
    make_frame(to, "_count", NULL, NULL, &count);
    for (size_t i = 0; i < to->snapshot->count; i++) {
        const struct listener_snapshot *listener = &to->snapshot->listeners[i];
        struct figure all = listener->times[to->snapshot->bound_count];
        if (all.size == 0)
            continue;
        for (size_t j = 0; j < bounds; j++)
            add_count(to, &buckets[j], i, listener->times[j]);
        add_count(to, &buckets[bounds], i, all);
        begin_line(to, &sum, i);
        add_value(to, snapshot_figure(listener, column));
        add_count(to, &count, i, all);
    }
}

/* A whole number of the daemon's. */
static void
add_whole(struct exposition *to, const json_t *number)
{
    char text[24];

    if (!json_is_integer(number) || json_integer_value(number) < 0)
        return;
    int size = snprintf(text, sizeof(text), "%lld", (long long)json_integer_value(number));
    begin_sample(to, end_of(to->family));
    add_value(to, (struct figure){.text = text, .size = (size_t)size});
}

static void
add_of_daemon(struct exposition *to)
{
    add_whole(to, json_object_get(to->snapshot->daemon, to->family->column));
}

static void
add_memory(struct exposition *to)
{
    add_whole(to, json_object_get(to->snapshot->reply, "memory"));
}

static void
add_ready(struct exposition *to)
{
    begin_sample(to, "");
    add_flag(to, to->snapshot->ready);
}

static void
add_stopping(struct exposition *to)
{
    begin_sample(to, "");
    add_flag(to, to->snapshot->stopping);
}

static const char *const states[] = {"stopped",     "starting", "serving", "failed",
                                     "backing off", "draining", "drained"};

static void
add_states(struct exposition *to)
{
    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        struct frame frame;
        make_frame(to, "", "state", states[i], &frame);
        for (size_t j = 0; j < to->snapshot->count; j++) {
            begin_line(to, &frame, j);
            add_flag(to, strcmp(to->snapshot->listeners[j].state, states[i]) == 0);
        }
    }
}

/* The name of a plugin's file, without folders and its end. */
static void
add_plugin(struct exposition *to, const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    size_t size = strlen(name);
    char text[256];

    if (size > 3 && strcmp(name + size - 3, ".so") == 0)
        size -= 3;
    (void)snprintf(text, sizeof(text), "%.*s", (int)size, name);
    add_label(to->text, "plugin", text);
}

static void
add_listeners(struct exposition *to)
{
    for (size_t i = 0; i < to->snapshot->count; i++) {
        const struct listener_snapshot *listener = &to->snapshot->listeners[i];
        begin_sample(to, "_info");
        text_add(to->text, "{", 1);
        add_label(to->text, "listener", listener->name);
        text_add(to->text, ",", 1);
        add_label(to->text, "address", listener->address);
        text_add(to->text, ",", 1);
        add_plugin(to, listener->plugin);
        text_add(to->text, ",", 1);
        add_label(to->text, "mixin", listener->mixin);
        text_add(to->text, "}", 1);
        add_flag(to, true);
    }
}

static void
add_build(struct exposition *to)
{
    const char *version = json_string_value(json_object_get(to->snapshot->daemon, "version"));

    begin_sample(to, end_of(to->family));
    text_add(to->text, "{", 1);
    add_label(to->text, "version", version == NULL ? "" : version);
    text_add(to->text, "}", 1);
    add_flag(to, true);
}

/* ---- the table ------------------------------------------------------------------------------- */

static const struct part ends[] = {
    {"done", "done"},         {"refused", "refused"}, {"failed", "failed"},
    {"vanished", "vanished"}, {"cut", "cut"},         {"idle", "idle_ended"},
    {"slow", "slow_ended"},   {"unsent", "unsent"},   {NULL, NULL},
};

static const struct part refusals[] = {
    {"denied", "denied"},
    {"no_proxy_header", "unannounced"},
    {"handshake_failed", "handshakes_failed"},
    {"limited", "limited"},
    {"penalised", "penalised"},
    {"full", "full"},
    {"rejected", "rejected"},
    {NULL, NULL},
};

static const struct family families[] = {
    {.name = "build", .kind = INFO, .samples = add_build, .help = "The daemon's version."},
    {.name = "start_time_seconds",
     .unit = "seconds",
     .kind = GAUGE,
     .samples = add_of_daemon,
     .column = "instance",
     .micros = true,
     .help = "When the program was executed, by a start or an upgrade, since 1970."},
    {.name = "ready",
     .kind = GAUGE,
     .samples = add_ready,
     .help = "1 if the daemon has started, does not stop, and each enabled listener is ready."},
    {.name = "stopping",
     .kind = GAUGE,
     .samples = add_stopping,
     .help = "1 while the daemon is about to stop."},
    {.name = "supervisor_cpu_seconds",
     .unit = "seconds",
     .kind = COUNTER,
     .samples = add_of_daemon,
     .column = "cpu_us",
     .micros = true,
     .help = "Processor time of the supervisor."},
    {.name = "supervisor_memory_bytes",
     .unit = "bytes",
     .kind = GAUGE,
     .samples = add_memory,
     .help = "What the supervisor occupies; shared pages count in parts (PSS)."},
    {.name = "supervisor_log_lines_lost",
     .kind = COUNTER,
     .samples = add_of_daemon,
     .column = "log_lost",
     .help = "Lines of the supervisor that the log could not take."},
    {.name = "listener", .kind = INFO, .samples = add_listeners, .help = "What a listener is."},
    {.name = "listener_state",
     .kind = GAUGE,
     .samples = add_states,
     .help = "1 for the state that a listener is in."},
    {.name = "listener_ready",
     .kind = GAUGE,
     .column = "ready",
     .help = "1 if the listener can take clients: bound, served, not draining, not full."},
    {.name = "listener_draining",
     .kind = GAUGE,
     .column = "drains",
     .help = "1 if the listener is to get no more clients: it drains or has drained, or the daemon "
             "stops."},
    {.name = "accepted",
     .kind = COUNTER,
     .column = "accepted",
     .help = "Connections accepted and datagrams received."},
    {.name = "requests",
     .kind = COUNTER,
     .label = "end",
     .parts = ends,
     .help = "Requests that have ended, by how they did."},
    {.name = "refused",
     .kind = COUNTER,
     .label = "reason",
     .parts = refusals,
     .help = "Requests that were refused, by the reason."},
    {.name = "datagrams_truncated",
     .kind = COUNTER,
     .column = "truncated",
     .help = "Datagrams longer than max_packet_size."},
    {.name = "received_bytes",
     .unit = "bytes",
     .kind = COUNTER,
     .column = "bytes_in",
     .help = "Bytes received from clients."},
    {.name = "sent_bytes",
     .unit = "bytes",
     .kind = COUNTER,
     .column = "bytes_out",
     .help = "Bytes sent to clients."},
    {.name = "requests_active",
     .kind = GAUGE,
     .column = "active",
     .help = "Requests that run now."},
    {.name = "requests_limit",
     .kind = GAUGE,
     .column = "places",
     .help = "How many requests may run: max_connections of all workers."},
    {.name = "queue_connections",
     .kind = GAUGE,
     .column = "queue_connections",
     .help = "Connections that wait in the kernel to be accepted."},
    {.name = "queue_bytes",
     .unit = "bytes",
     .kind = GAUGE,
     .column = "queue_bytes",
     .help = "Memory of datagrams that wait in the kernel."},
    {.name = "queue_limit",
     .kind = GAUGE,
     .column = "queue_limit",
     .help = "How many connections, or bytes of datagrams, may wait there."},
    {.name = "request_duration_seconds",
     .unit = "seconds",
     .kind = HISTOGRAM,
     .samples = add_histogram,
     .column = "busy_us",
     .micros = true,
     .help = "Time from accept to close of requests that have ended."},
    {.name = "workers",
     .kind = GAUGE,
     .column = "workers",
     .help = "Worker processes of the present generation."},
    {.name = "worker_restarts",
     .kind = COUNTER,
     .column = "restarts",
     .help = "Workers that died or hung and were replaced."},
    {.name = "cpu_seconds",
     .unit = "seconds",
     .kind = COUNTER,
     .column = "cpu_us",
     .micros = true,
     .help = "Processor time of the listener's workers, and of their children that have ended."},
    {.name = "memory_bytes",
     .unit = "bytes",
     .kind = GAUGE,
     .column = "memory",
     .help = "What the listener's workers occupy; shared pages count in parts (PSS)."},
    {.name = "log_lines_lost",
     .kind = COUNTER,
     .column = "log_lost",
     .help = "Lines of the listener's workers that the log could not take."},
    {.name = "generation",
     .kind = GAUGE,
     .column = "generation",
     .help = "Number of the present generation of workers."},
    {.name = "generations_draining",
     .kind = GAUGE,
     .column = "draining",
     .help = "Older generations that still run requests."},
    {.name = "certificate_expiry_timestamp_seconds",
     .unit = "seconds",
     .kind = GAUGE,
     .column = "expires",
     .help = "When the listener's first certificate expires, since 1970."},
};

/* ---- the whole ---------------------------------------------------------------------------- */

static void
add_family(struct exposition *to, const struct family *family)
{
    to->family = family;
    add_head(to);
    if (family->samples != NULL)
        family->samples(to);
    else if (family->column != NULL)
        add_column(to, family->column, NULL, NULL);
    for (const struct part *part = family->parts; part != NULL && part->value != NULL; part++)
        add_column(to, part->column, family->label, part->value);
}

/* The label that says which listener it is stands in each of its lines. */
static bool
make_labels(struct exposition *to)
{
    to->ends = calloc(to->snapshot->count + 1, sizeof(*to->ends));
    for (size_t i = 0; to->ends != NULL && i < to->snapshot->count; i++) {
        add_label(&to->labels, "listener", to->snapshot->listeners[i].name);
        to->ends[i] = to->labels.size;
    }
    return to->ends != NULL && !to->labels.failed;
}

void
exposition_write(struct text *text, const struct snapshot *snapshot, bool open)
{
    struct exposition to = {
        .text = text, .snapshot = snapshot, .open = open, .labels = TEXT_GROWING};

    if (make_labels(&to))
        for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++)
            add_family(&to, &families[i]);
    else
        text->failed = true;
    if (open)
        text_add_string(text, "# EOF\n");
    text_done(&to.labels);
    free(to.ends);
}

bool
exposition_is_open(const char *accept)
{
    int open = 0, plain = 0;
    struct weighted item;

    while (weights_next(&accept, &item))
        if (weighted_is(&item, "application/openmetrics-text"))
            open = item.weight > open ? item.weight : open;
        else if (weighted_is(&item, "text/plain"))
            plain = item.weight > plain ? item.weight : plain;
    return open > 0 && open >= plain;
}

int
answer_metrics(struct exchange *exchange)
{
    bool open = exposition_is_open(exchange->head->fields[FIELD_ACCEPT]);
    struct text body = TEXT_GROWING;
    struct snapshot snapshot = {0};
    struct talk talk;

    talk_begin(&talk, exchange->request, watcher_of(exchange)->timeout);
    int error = snapshot_take(&talk, false, &snapshot);
    talk_end(&talk);
    if (error == 0) {
        exposition_write(&body, &snapshot, open);
        error = answer_text(exchange, HTTP_STATUS_OK, open ? OPEN_TYPE : PLAIN_TYPE, &body);
    } else {
        error = answer_deaf(exchange, error);
    }
    text_done(&body);
    snapshot_done(&snapshot);
    return error;
}
