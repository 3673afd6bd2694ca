/* SPDX-License-Identifier: MIT */
/*
 * snapshot.c - what the daemon's listeners had counted at one moment
 *
 * The daemon names the columns, and gives each listener's figures as one text.
 * The figures are not read as numbers here: most of them are written again as
 * they came.
 *
 * Runs in:  a handler thread, child or coroutine.
 * Owns:     the daemon's reply.
 * Failures: returned; -EBADMSG: the daemon's reply is not what this plugin knows.
 */
#include "snapshot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- texts -------------------------------------------------------------------------------- */

/* Cuts a text at its spaces into so many figures; those that are not there are unknown. */
static void
cut(const char *text, struct figure *ret, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t size = text == NULL ? 0 : strcspn(text, " ");
        bool known = size > 0 && *text != '-';
        ret[i] = (struct figure){.text = known ? text : "", .size = known ? size : 0};
        if (text != NULL)
            text += text[size] == ' ' ? size + 1 : size;
    }
}

static const char *
member(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

static void
read_listener(const struct snapshot *snapshot, const json_t *from, struct figure *memory,
              struct listener_snapshot *ret)
{
    *ret = (struct listener_snapshot){
        .name = member(from, "name"),
        .state = member(from, "state"),
        .address = member(from, "address"),
        .plugin = member(from, "plugin"),
        .mixin = member(from, "mixin"),
        .problem = member(from, "problem"),
        .reason = member(from, "reason"),
        .certificate = member(from, "certificate"),
        .figures = memory,
        .times = memory + snapshot->column_count,
    };
    cut(member(from, "figures"), ret->figures, snapshot->column_count);
    cut(member(from, "times"), ret->times, snapshot->bound_count + 1);
}

/* ---- the reply ---------------------------------------------------------------------------- */

static bool
is_whole(const struct listener_snapshot *listener)
{
    return listener->name != NULL && listener->state != NULL && listener->address != NULL &&
           listener->plugin != NULL && listener->mixin != NULL;
}

static int
read_names(const json_t *columns, const json_t *bounds, struct snapshot *snapshot)
{
    for (size_t i = 0; i < snapshot->column_count; i++) {
        snapshot->columns[i] = json_string_value(json_array_get(columns, i));
        if (snapshot->columns[i] == NULL)
            return -EBADMSG;
    }
    for (size_t i = 0; i < snapshot->bound_count; i++) {
        snapshot->bounds[i] = json_number_value(json_array_get(bounds, i));
        if (i > 0 && !(snapshot->bounds[i] > snapshot->bounds[i - 1]))
            return -EBADMSG;
    }
    return 0;
}

static int
read_listeners(const json_t *listeners, struct snapshot *snapshot)
{
    size_t width = snapshot->column_count + snapshot->bound_count + 1;

    for (size_t i = 0; i < snapshot->count; i++) {
        read_listener(snapshot, json_array_get(listeners, i), snapshot->memory + i * width,
                      &snapshot->listeners[i]);
        if (!is_whole(&snapshot->listeners[i]))
            return -EBADMSG;
    }
    return 0;
}

int
snapshot_read(json_t *reply, struct snapshot *ret)
{
    const json_t *columns = json_object_get(reply, "columns");
    const json_t *bounds = json_object_get(reply, "bounds_ns");
    const json_t *listeners = json_object_get(reply, "listeners");
    struct snapshot snapshot = {
        .reply = reply,
        .daemon = json_object_get(reply, "daemon"),
        .ready = json_is_true(json_object_get(reply, "ready")),
        .stopping = json_is_true(json_object_get(reply, "stopping")),
        .bound_count = json_array_size(bounds),
        .column_count = json_array_size(columns),
        .count = json_array_size(listeners),
    };
    size_t width = snapshot.column_count + snapshot.bound_count + 1;

    snapshot.bounds = calloc(snapshot.bound_count + 1, sizeof(*snapshot.bounds));
    snapshot.columns = calloc(snapshot.column_count + 1, sizeof(*snapshot.columns));
    snapshot.listeners = calloc(snapshot.count + 1, sizeof(*snapshot.listeners));
    snapshot.memory = reallocarray(NULL, (snapshot.count + 1) * width, sizeof(*snapshot.memory));
    int error = 0;
    if (snapshot.bounds == NULL || snapshot.columns == NULL || snapshot.listeners == NULL ||
        snapshot.memory == NULL)
        error = -ENOMEM;
    if (error == 0)
        error = read_names(columns, bounds, &snapshot);
    if (error == 0)
        error = read_listeners(listeners, &snapshot);
    if (error == 0)
        *ret = snapshot;
    else
        snapshot_done(&snapshot);
    return error;
}

int
snapshot_take(struct talk *talk, bool recent, struct snapshot *ret)
{
    json_t *reply = NULL;
    int error = talk_ask(talk, CONTROL "GetMetrics", json_pack("{s:b}", "recent", recent), &reply);

    return error < 0 ? error : snapshot_read(reply, ret);
}

void
snapshot_done(struct snapshot *snapshot)
{
    free(snapshot->bounds);
    free(snapshot->columns);
    free(snapshot->listeners);
    free(snapshot->memory);
    json_decref(snapshot->reply);
    *snapshot = (struct snapshot){0};
}

/* ---- figures ------------------------------------------------------------------------------ */

int
snapshot_column(const struct snapshot *snapshot, const char *name)
{
    for (size_t i = 0; i < snapshot->column_count; i++)
        if (strcmp(snapshot->columns[i], name) == 0)
            return (int)i;
    return -1;
}

struct figure
snapshot_figure(const struct listener_snapshot *listener, int column)
{
    return column < 0 ? (struct figure){.text = ""} : listener->figures[column];
}
