/* SPDX-License-Identifier: MIT */
/*
 * status_table.c - what the daemon says of itself, as tables
 *
 * Runs in:  sockserverctl.
 * Owns:     nothing.
 * Failures: what the daemon left out, or what makes no sense, is shown as "-" or 0.
 */
#include "ctl/status.h"

#include <inttypes.h>
#include <string.h>

#include "common/array.h"
#include "ctl/text.h"

/* ---- printing -------------------------------------------------------------------------------- */

void
print_rows(const struct column *columns, size_t count, const json_t *items,
           void (*fill)(struct row *row, const json_t *item))
{
    struct terminal terminal = terminal_look();
    struct table table;

    table_init(&table, columns, count);
    for (size_t i = 0; i < json_array_size(items); i++) {
        struct row *row = table_add(&table);
        if (row != NULL)
            fill(row, json_array_get(items, i));
    }
    table_print(&table, stdout, terminal.width, terminal.colours, "\n");
    table_done(&table);
}

void
print_json(const json_t *reply)
{
    (void)json_dumpf(reply, stdout, JSON_INDENT(2));
    (void)putchar('\n');
}

/* ---- looking into JSON --------------------------------------------------------------------- */

const char *
text_member(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text == NULL ? "" : text;
}

uint64_t
count_member(const json_t *object, const char *name)
{
    json_int_t value = json_integer_value(json_object_get(object, name));

    return value < 0 ? 0 : (uint64_t)value;
}

double
number_member(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);

    return json_is_number(value) ? json_number_value(value) : -1;
}

/* ---- the cells ------------------------------------------------------------------------------ */

void
show_name(const json_t *listener, char *buffer)
{
    (void)snprintf(buffer, SHOW_SIZE, "%s", text_member(listener, "name"));
}

void
show_state(const json_t *listener, char *buffer)
{
    uint64_t draining = count_member(listener, "draining");

    (void)snprintf(buffer, SHOW_SIZE, "%s", text_member(listener, "state"));
    if (draining > 0)
        (void)snprintf(buffer + strlen(buffer), 32, " +%" PRIu64, draining);
}

static void
show_address(const json_t *listener, char *buffer)
{
    (void)snprintf(buffer, SHOW_SIZE, "%s", text_member(listener, "address"));
}

static void
show_plugin(const json_t *listener, char *buffer)
{
    const char *plugin = text_member(listener, "plugin"), *slash = strrchr(plugin, '/');

    (void)snprintf(buffer, SHOW_SIZE, "%s", slash == NULL ? plugin : slash + 1);
}

static void
show_mixin(const json_t *listener, char *buffer)
{
    (void)snprintf(buffer, SHOW_SIZE, "%s", text_member(listener, "mixin"));
}

void
show_active(const json_t *listener, char *buffer)
{
    char active[TEXT_SIZE], most[TEXT_SIZE];

    (void)snprintf(buffer, SHOW_SIZE, "%s/%s", text_count(count_member(listener, "active"), active),
                   text_count(count_member(listener, "max_connections"), most));
}

static void
show_accepted(const json_t *listener, char *buffer)
{
    (void)text_count(count_member(listener, "accepted"), buffer);
}

void
show_rate(const json_t *listener, char *buffer)
{
    (void)text_rate(number_member(listener, "accepted_per_second"), buffer);
}

static void
show_failed(const json_t *listener, char *buffer)
{
    (void)text_count(count_member(listener, "failed"), buffer);
}

/* Shows a time of the last minute, or of all time if nothing happened in that minute. */
static void
show_time(const json_t *listener, const char *which, char *buffer)
{
    double time = number_member(json_object_get(listener, "recent"), which);

    if (time < 0)
        time = number_member(json_object_get(listener, "total"), which);
    if (time < 0)
        (void)snprintf(buffer, SHOW_SIZE, "-");
    else
        (void)text_time(time, buffer);
}

static void
show_p50(const json_t *listener, char *buffer)
{
    show_time(listener, "p50_us", buffer);
}

static void
show_p99(const json_t *listener, char *buffer)
{
    show_time(listener, "p99_us", buffer);
}

void
show_queue(const json_t *listener, char *buffer)
{
    const json_t *queue = json_object_get(listener, "queue");

    if (json_is_integer(json_object_get(queue, "connections")))
        (void)text_count(count_member(queue, "connections"), buffer);
    else if (json_is_integer(json_object_get(queue, "bytes")))
        (void)text_bytes(count_member(queue, "bytes"), buffer);
    else
        (void)snprintf(buffer, SHOW_SIZE, "-");
}

void
show_generation(const json_t *listener, char *buffer)
{
    (void)snprintf(buffer, SHOW_SIZE, "%" PRIu64, count_member(listener, "generation"));
}

void
show_restarts(const json_t *listener, char *buffer)
{
    (void)text_count(count_member(listener, "restarts"), buffer);
}

void
show_uptime(const json_t *listener, char *buffer)
{
    (void)text_age(count_member(listener, "state_us"), buffer);
}

/* These are the columns and the functions that fill them, in the same order. */
static const struct column columns[] = {
    {"NAME", false, 0, 8},    {"STATE", false, 0, 0},   {"ADDRESS", false, 0, 21},
    {"PLUGIN", false, 9, 0},  {"MIXIN", false, 5, 0},   {"ACTIVE", true, 0, 0},
    {"ACCEPTED", true, 8, 0}, {"/S", true, 0, 0},       {"FAILED", true, 0, 0},
    {"P50", true, 3, 0},      {"P99", true, 1, 0},      {"QUEUE", true, 2, 0},
    {"GEN", true, 7, 0},      {"RESTARTS", true, 6, 0}, {"UPTIME", true, 4, 0},
};

static void (*const show[])(const json_t *listener, char *buffer) = {
    show_name,   show_state,    show_address,    show_plugin,   show_mixin,
    show_active, show_accepted, show_rate,       show_failed,   show_p50,
    show_p99,    show_queue,    show_generation, show_restarts, show_uptime,
};

_Static_assert(ARRAY_SIZE(columns) == ARRAY_SIZE(show), "each column has its function");

static enum colour
state_colour(const char *state)
{
    static const struct {
        const char *state;
        enum colour colour;
    } colours[] = {
        {"serving", COLOUR_GREEN},
        {"failed", COLOUR_RED},
        {"stopped", COLOUR_DIM},
        {"backing off", COLOUR_RED},
    };

    for (size_t i = 0; i < ARRAY_SIZE(colours); i++)
        if (strcmp(colours[i].state, state) == 0)
            return colours[i].colour;
    return COLOUR_YELLOW;
}

static enum colour
cell_colour(const json_t *listener, size_t column)
{
    if (show[column] == show_state)
        return state_colour(text_member(listener, "state"));
    if (show[column] == show_failed && count_member(listener, "failed") > 0)
        return COLOUR_YELLOW;
    if (show[column] == show_restarts && count_member(listener, "restarts") > 0)
        return COLOUR_YELLOW;
    return COLOUR_NONE;
}

void
status_fill(struct table *table, const json_t *status)
{
    const json_t *listener;
    size_t i;

    table_init(table, columns, ARRAY_SIZE(columns));
    json_array_foreach(json_object_get(status, "listeners"), i, listener)
    {
        struct row *row = table_add(table);
        for (size_t j = 0; row != NULL && j < ARRAY_SIZE(columns); j++) {
            char text[SHOW_SIZE];
            show[j](listener, text);
            row_set(row, j, cell_colour(listener, j), text);
        }
        const char *problem = text_member(listener, "problem");
        if (row != NULL && *problem != '\0' &&
            strcmp(text_member(listener, "state"), "serving") != 0)
            row_note(row, problem);
    }
}

static const struct column request_columns[] = {
    {"LISTENER", false, 0, 8}, {"REQUEST", true, 0, 0},  {"AGE", true, 0, 0},
    {"STAGE", false, 0, 0},    {"CLIENT", false, 0, 12}, {"WORKER", true, 1, 0},
    {"CONTEXT", true, 2, 0},
};

void
requests_fill(struct table *table, const json_t *requests)
{
    const json_t *request;
    size_t i;

    table_init(table, request_columns, ARRAY_SIZE(request_columns));
    json_array_foreach(json_object_get(requests, "requests"), i, request)
    {
        struct row *row = table_add(table);
        char text[TEXT_SIZE];
        if (row == NULL)
            return;
        row_set(row, 0, COLOUR_NONE, text_member(request, "listener"));
        (void)snprintf(text, sizeof(text), "%" PRIu64, count_member(request, "number"));
        row_set(row, 1, COLOUR_NONE, text);
        row_set(row, 2, COLOUR_NONE, text_time((double)count_member(request, "age_us"), text));
        row_set(row, 3, COLOUR_NONE, text_member(request, "stage"));
        const char *client = text_member(request, "client");
        row_set(row, 4, COLOUR_NONE, *client == '\0' ? "-" : client);
        (void)snprintf(text, sizeof(text), "%" PRIu64, count_member(request, "worker"));
        row_set(row, 5, COLOUR_NONE, text);
        (void)snprintf(text, sizeof(text), "%" PRIu64, count_member(request, "context"));
        row_set(row, 6, COLOUR_NONE, text);
    }
}

void
status_headline(const json_t *status, FILE *out)
{
    const json_t *daemon = json_object_get(status, "daemon");
    char uptime[TEXT_SIZE];

    size_t count = json_array_size(json_object_get(status, "listeners"));

    (void)fprintf(out, "sockserverd %s, pid %" PRIu64 ", up %s, %zu listener%s, ",
                  text_member(daemon, "version"), count_member(daemon, "pid"),
                  text_age(count_member(daemon, "uptime_us"), uptime), count,
                  count == 1 ? "" : "s");
    print_clean(out, text_member(daemon, "configuration"));
}
