/* SPDX-License-Identifier: MIT */
/*
 * rows.c - the tables and texts of the page, once as HTML for its first sight, and then as JSON
 *
 * Both forms are written by the same functions, so that a cell says the same
 * in both, and all that comes from the daemon or from clients is escaped in two
 * places only. The first element of a row in JSON is what its class is in HTML.
 *
 * Runs in:  a handler, with the history's lock.
 * Owns:     nothing.
 * Failures: kept in the text.
 */
#include "rows.h"

#include <stdio.h>
#include <string.h>

#include "units.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- two forms ------------------------------------------------------------------------------ */

struct out {
    struct text *text;
    bool json;
    bool first; /* JSON: no row has been written */
    bool begun; /* HTML: a cell of this row has been written */
};

static void
begin_row(struct out *out, const char *kind)
{
    if (out->json) {
        text_add_string(out->text, out->first ? "[" : ",\n[");
        text_add_json(out->text, kind);
    } else if (*kind == '\0') {
        text_add_string(out->text, "<tr>");
    } else {
        text_add_string(out->text, "<tr class=");
        text_add_string(out->text, kind);
        text_add_string(out->text, ">");
    }
    out->first = out->begun = false;
}

/* The first cell of a row is its heading. */
static void
add_cell(struct out *out, const char *value)
{
    const char *shown = value == NULL || *value == '\0' ? "–" : value;

    if (out->json) {
        text_add_string(out->text, ",");
        text_add_json(out->text, shown);
    } else {
        text_add_string(out->text, out->begun ? "<td>" : "<th scope=row>");
        text_add_html(out->text, shown);
    }
    out->begun = true;
}

static void
end_row(struct out *out)
{
    text_add_string(out->text, out->json ? "]" : "\n");
}

static void
add_count(struct out *out, double number)
{
    char text[UNITS_SIZE];

    units_count(text, number);
    add_cell(out, text);
}

/* ---- listeners ------------------------------------------------------------------------------ */

static bool
is_ready(const struct track *track)
{
    return track->figures[COLUMN_READY] > 0;
}

static const char *
kind_of(const struct track *track)
{
    const char *state = track->state;

    if (strcmp(state, "failed") == 0 || strcmp(state, "backing off") == 0)
        return "bad";
    if (strcmp(state, "stopped") == 0 || strcmp(state, "drained") == 0)
        return "off";
    return strcmp(state, "serving") == 0 && is_ready(track) ? "" : "warn";
}

/* The daemon's word, and "full" for one that serves and takes nobody. */
static const char *
word_of(const struct track *track)
{
    bool full = strcmp(track->state, "serving") == 0 && !is_ready(track) && track->reason != NULL &&
                strcmp(track->reason, "full") == 0;

    return full ? "full" : track->state;
}

static void
write_cells(const struct track *track, char cells[CELL_COUNT][CELL_SIZE])
{
    const double *figures = track->figures;
    char active[UNITS_SIZE], places[UNITS_SIZE];

    (void)snprintf(cells[CELL_STATE], CELL_SIZE, "%s", word_of(track));
    units_rate(cells[CELL_RATE], figures[COLUMN_PER_SECOND]);
    units_time(cells[CELL_P50], figures[COLUMN_P50]);
    units_time(cells[CELL_P99], figures[COLUMN_P99]);
    if (figures[COLUMN_QUEUE_CONNECTIONS] < 0 && figures[COLUMN_QUEUE_BYTES] > 0)
        units_bytes(cells[CELL_QUEUE], figures[COLUMN_QUEUE_BYTES]);
    else if (figures[COLUMN_QUEUE_CONNECTIONS] < 0 && figures[COLUMN_QUEUE_BYTES] == 0)
        units_count(cells[CELL_QUEUE], 0);
    else
        units_count(cells[CELL_QUEUE], figures[COLUMN_QUEUE_CONNECTIONS]);
    units_count(cells[CELL_REFUSED], history_sum(track, SERIES_REFUSED));
    units_count(active, figures[COLUMN_ACTIVE]);
    units_count(places, figures[COLUMN_PLACES]);
    (void)snprintf(cells[CELL_ACTIVE], CELL_SIZE, "%.10s/%.10s", active, places);
}

void
rows_note(struct track *track, int64_t looked)
{
    char cells[CELL_COUNT][CELL_SIZE] = {0};

    write_cells(track, cells);
    if (memcmp(cells, track->cells, sizeof(cells)) == 0)
        return;
    memcpy(track->cells, cells, sizeof(cells));
    track->changed = looked;
}

static void
add_listener(struct out *out, const struct track *track, size_t number)
{
    begin_row(out, kind_of(track));
    if (out->json) {
        text_add_string(out->text, ",");
        text_add_number(out->text, number);
    } else {
        add_cell(out, track->name);
        text_add_string(out->text, "<small>");
        text_add_html(out->text, track->address);
        text_add_string(out->text, "</small>");
    }
    for (int i = 0; i < CELL_COUNT; i++)
        add_cell(out, track->cells[i]);
    end_row(out);
}

static void
add_listeners(struct out *out, const struct view *view)
{
    for (size_t i = 0; i < view->history->count; i++)
        if (!out->json || view->history->tracks[i].changed > view->since)
            add_listener(out, &view->history->tracks[i], i);
}

/* ---- what wants attention ------------------------------------------------------------------- */

static void
add_troubles(struct out *out, const struct view *view)
{
    for (size_t i = 0; i < view->history->count; i++) {
        const struct track *track = &view->history->tracks[i];
        if (is_ready(track))
            continue;
        begin_row(out, kind_of(track));
        add_cell(out, track->name);
        add_cell(out, word_of(track));
        add_cell(out, track->problem != NULL ? track->problem : track->reason);
        end_row(out);
    }
}

static void
format_time(time_t moment, char text[UNITS_SIZE])
{
    struct tm parts;

    text[0] = '\0';
    if (gmtime_r(&moment, &parts) != NULL)
        (void)strftime(text, UNITS_SIZE, "%H:%M:%S", &parts);
}

static void
add_incidents(struct out *out, const struct view *view)
{
    const struct incident *incidents[LATELY_MOST];
    size_t count = lately_list(&view->history->lately, incidents);

    for (size_t i = 0; i < count; i++) {
        const struct incident *incident = incidents[i];
        char moment[UNITS_SIZE], number[UNITS_SIZE], what[64];
        format_time(incident->last, moment);
        units_count(number, (double)incident->count);
        (void)snprintf(what, sizeof(what), incident->count > 1 ? "%s ×%s" : "%s", incident->what,
                       number);
        begin_row(out, "");
        add_cell(out, moment);
        add_cell(out, incident->who);
        add_cell(out, what);
        add_cell(out, incident->why);
        end_row(out);
    }
}

static void
add_refusals(struct out *out, const struct view *view)
{
    for (size_t i = 0; i < REFUSAL_REASONS; i++) {
        double sum = 0;
        for (size_t j = 0; j < HISTORY_POINTS; j++)
            sum += view->history->refusals[i][j];
        if (sum == 0)
            continue;
        begin_row(out, "");
        add_cell(out, refusal_words[i]);
        add_count(out, sum);
        end_row(out);
    }
}

#define DAY         86400.0
#define SOON        14 /* days */
#define ENDS_BEFORE 2  /* days: from then on hours are told */

static void
add_certificates(struct out *out, const struct view *view)
{
    double now = (double)time(NULL);

    for (size_t i = 0; i < view->history->count; i++) {
        const struct track *track = &view->history->tracks[i];
        double left = track->figures[COLUMN_EXPIRES] - now;
        char age[UNITS_SIZE], text[UNITS_SIZE + 16];
        if (track->certificate == NULL || track->figures[COLUMN_EXPIRES] < 0)
            continue;
        units_age(age, left < 0 ? -left : left);
        (void)snprintf(text, sizeof(text), left < 0 ? "expired %s ago" : "%s left", age);
        begin_row(out, left < 0 ? "bad" : left < SOON * DAY ? "warn" : "");
        add_cell(out, track->name);
        add_cell(out, track->certificate);
        add_cell(out, text);
        end_row(out);
    }
}

/* ---- who ------------------------------------------------------------------------------------ */

static const char *
string_of(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

static double
number_of(const json_t *object, const char *name)
{
    return json_number_value(json_object_get(object, name));
}

static void
add_requests(struct out *out, const struct view *view)
{
    const json_t *requests = json_object_get(view->requests, "requests"), *request;
    size_t i;

    json_array_foreach(requests, i, request)
    {
        char age[UNITS_SIZE];
        units_age(age, number_of(request, "age_us") / 1e6);
        begin_row(out, "");
        add_cell(out, string_of(request, "client"));
        add_cell(out, string_of(request, "listener"));
        add_cell(out, string_of(request, "stage"));
        add_cell(out, age);
        end_row(out);
    }
}

static void
add_sources(struct out *out, const struct view *view)
{
    const json_t *sources = json_object_get(view->sources, "sources"), *source;
    size_t i;

    json_array_foreach(sources, i, source)
    {
        bool penalised = number_of(source, "penalty_us") > 0;
        const char *reason = string_of(source, "reason");
        char rate[UNITS_SIZE];
        units_rate(rate, number_of(source, "rate"));
        begin_row(out, penalised ? "warn" : "");
        add_cell(out, string_of(source, "source"));
        add_cell(out, string_of(source, "listener"));
        add_cell(out, rate);
        add_count(out, number_of(source, "active"));
        add_count(out, number_of(source, "refused"));
        add_cell(out, !penalised ? NULL : reason != NULL ? reason : string_of(source, "penalty"));
        end_row(out);
    }
}

/* ---- texts ---------------------------------------------------------------------------------- */

static size_t
ready_count(const struct history *history)
{
    size_t count = 0;

    for (size_t i = 0; i < history->count; i++)
        count += is_ready(&history->tracks[i]);
    return count;
}

#define TEXT_SIZE 64

static void
text_ready(const struct history *history, char *text)
{
    (void)snprintf(text, TEXT_SIZE, "%s",
                   history->stopping ? "stopping"
                   : history->ready  ? "ready"
                                     : "not ready");
}

/* The class of the same. */
static void
text_kind(const struct history *history, char *text)
{
    const char *kind = history->ready && !history->stopping ? "" : "warn";

    for (size_t i = 0; i < history->count; i++)
        if (strcmp(kind_of(&history->tracks[i]), "bad") == 0)
            kind = "bad";
    (void)snprintf(text, TEXT_SIZE, "%s", kind);
}

static void
text_listeners(const struct history *history, char *text)
{
    (void)snprintf(text, TEXT_SIZE, "%zu of %zu", ready_count(history), history->count);
}

static void
text_left_out(const struct history *history, char *text)
{
    text[0] = '\0';
    if (history->left_out > 0)
        (void)snprintf(text, TEXT_SIZE, "%zu more listeners are not shown here", history->left_out);
}

static void
text_rate(const struct history *history, char *text)
{
    units_rate(text, history->all.figures[COLUMN_PER_SECOND]);
}

#define MINUTE 60

/* The last point of a minute in which there was one. */
static void
write_latency(const struct history *history, enum series series, char *text)
{
    double value = -1;

    for (size_t age = 0; age < HISTORY_POINTS && value < 0; age++)
        if (age == 0 || (double)age * history->interval < MINUTE)
            value = history_point(history, &history->all, series, age);
    units_time(text, value);
}

static void
text_p50(const struct history *history, char *text)
{
    write_latency(history, SERIES_P50, text);
}

static void
text_p99(const struct history *history, char *text)
{
    write_latency(history, SERIES_P99, text);
}

static void
text_active(const struct history *history, char *text)
{
    units_count(text, history->all.figures[COLUMN_ACTIVE]);
}

static void
text_queue(const struct history *history, char *text)
{
    units_count(text, history->all.figures[COLUMN_QUEUE_CONNECTIONS]);
}

static void
text_refused(const struct history *history, char *text)
{
    units_count(text, history_sum(&history->all, SERIES_REFUSED));
}

static void
text_restarts(const struct history *history, char *text)
{
    units_count(text, history->all.figures[COLUMN_RESTARTS]);
}

static void
text_lost(const struct history *history, char *text)
{
    units_count(text, history->log_lost + history->all.figures[COLUMN_LOG_LOST]);
}

static void
text_memory(const struct history *history, char *text)
{
    units_bytes(text, history->memory > 0 ? history->memory : -1);
}

static void
text_uptime(const struct history *history, char *text)
{
    units_age(text, history->uptime);
}

static void
text_version(const struct history *history, char *text)
{
    (void)snprintf(text, TEXT_SIZE, "%s", history->version);
}

static void
text_pid(const struct history *history, char *text)
{
    (void)snprintf(text, TEXT_SIZE, "%.0f", history->pid);
}

static void
text_at(const struct history *history, char *text)
{
    format_time(time(NULL) - (history_now() - history->looked) / 1000, text);
}

static void
text_looked(const struct history *history, char *text)
{
    (void)snprintf(text, TEXT_SIZE, "%lld", (long long)history->looked);
}

static void
text_roster(const struct history *history, char *text)
{
    (void)snprintf(text, TEXT_SIZE, "%016llx", (unsigned long long)history->roster);
}

static void
text_span(const struct history *history, char *text)
{
    units_age(text, history->interval * HISTORY_POINTS);
}

/* ---- what there is -------------------------------------------------------------------------- */

static const struct {
    const char *name;
    void (*add)(struct out *out, const struct view *view);
} tables[] = {
    {"listeners", add_listeners},       {"troubles", add_troubles}, {"incidents", add_incidents},
    {"refusals", add_refusals},         {"requests", add_requests}, {"sources", add_sources},
    {"certificates", add_certificates},
};

static const struct {
    const char *name;
    void (*write)(const struct history *history, char *text);
} texts[] = {
    {"kind", text_kind},
    {"ready", text_ready},
    {"up", text_listeners},
    {"left_out", text_left_out},
    {"rate", text_rate},
    {"p50", text_p50},
    {"p99", text_p99},
    {"active", text_active},
    {"queue", text_queue},
    {"refused", text_refused},
    {"restarts", text_restarts},
    {"lost", text_lost},
    {"memory", text_memory},
    {"uptime", text_uptime},
    {"pid", text_pid},
    {"version", text_version},
    {"at", text_at},
    {"looked", text_looked},
    {"roster", text_roster},
    {"span", text_span},
};

static bool
is_name(const char *name, const char *text, size_t size)
{
    return strlen(name) == size && memcmp(name, text, size) == 0;
}

bool
rows_write(struct text *text, const struct view *view, const char *name, size_t size)
{
    struct out out = {.text = text, .first = true};
    char line[TEXT_SIZE];

    for (size_t i = 0; i < COUNT(tables); i++)
        if (is_name(tables[i].name, name, size)) {
            tables[i].add(&out, view);
            return true;
        }
    for (size_t i = 0; i < COUNT(texts); i++)
        if (is_name(texts[i].name, name, size)) {
            texts[i].write(view->history, line);
            text_add_html(text, line);
            return true;
        }
    return false;
}

static void
add_name(struct text *text, const char *name, bool first)
{
    if (!first)
        text_add_string(text, ",\n");
    text_add_json(text, name);
    text_add_string(text, ":");
}

void
rows_write_all(struct text *text, const struct view *view)
{
    char line[TEXT_SIZE];

    text_add_string(text, "\"texts\":{");
    for (size_t i = 0; i < COUNT(texts); i++) {
        add_name(text, texts[i].name, i == 0);
        texts[i].write(view->history, line);
        text_add_json(text, line);
    }
    text_add_string(text, "},\n\"tables\":{");
    for (size_t i = 0; i < COUNT(tables); i++) {
        struct out out = {.text = text, .json = true, .first = true};
        add_name(text, tables[i].name, i == 0);
        text_add_string(text, "[");
        tables[i].add(&out, view);
        text_add_string(text, "]");
    }
    text_add_string(text, "}");
}
