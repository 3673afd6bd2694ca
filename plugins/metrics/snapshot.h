/* SPDX-License-Identifier: MIT */
/*
 * snapshot.h - what the daemon's listeners had counted at one moment
 */
#ifndef SOCKSERVERD_PLUGINS_METRICS_SNAPSHOT_H
#define SOCKSERVERD_PLUGINS_METRICS_SNAPSHOT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "../control/ask.h"

/* A figure as the daemon wrote it, without an end; size 0: the daemon does not know it. */
struct figure {
    const char *text;
    size_t size;
};

/* Texts are NULL where the daemon has none. */
struct listener_snapshot {
    const char *name, *state, *address, *plugin, *mixin;
    const char *problem;     /* what went wrong last */
    const char *reason;      /* why it is not ready */
    const char *certificate; /* that expires first */
    struct figure *figures;  /* as many as there are columns */
    struct figure *times;    /* as many as there are bounds, and one */
};

struct snapshot {
    json_t *reply; /* what all texts belong to */
    const json_t *daemon;
    bool ready, stopping;

    size_t bound_count;
    double *bounds; /* nanoseconds */
    size_t column_count;
    const char **columns;
    size_t count;
    struct listener_snapshot *listeners;
    struct figure *memory; /* of all figures and times */
};

/* Asks the daemon; recent: also what happened in the last minute. Returns 0 and *ret, for
 * snapshot_done(), or a negative errno. */
int snapshot_take(struct talk *talk, bool recent, struct snapshot *ret);
/* Makes one of the daemon's reply, which it takes over in every case. */
int snapshot_read(json_t *reply, struct snapshot *ret);
void snapshot_done(struct snapshot *snapshot);

/* Returns the place of a column among all, or -1: this daemon does not have it. */
int snapshot_column(const struct snapshot *snapshot, const char *name);
/* That figure of a listener; -1 as the column gives one that is not known. */
struct figure snapshot_figure(const struct listener_snapshot *listener, int column);

#endif
