/* SPDX-License-Identifier: MIT */
/*
 * history.h - what the page shows of the daemon: how it is, and how it was in the last while
 */
#ifndef SOCKSERVERD_PLUGINS_METRICS_HISTORY_H
#define SOCKSERVERD_PLUGINS_METRICS_HISTORY_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "lately.h"
#include "snapshot.h"

#define HISTORY_POINTS    120
#define HISTORY_LISTENERS 1000 /* those behind them are not shown */
#define HISTORY_BOUNDS    64   /* of times; a daemon that has more is not understood */

/* What the charts show, of the time between two points; packed as of points.c. */
enum series {
    SERIES_RATE,    /* tenths of requests accepted per second */
    SERIES_P50,     /* microseconds within which half of the requests ended */
    SERIES_P99,     /* and 99 of 100 */
    SERIES_QUEUE,   /* what waits in the kernel, connections or bytes */
    SERIES_REFUSED, /* requests */
    SERIES_COUNT
};

/* What a row of the page's table says, ready to be shown. */
enum cell {
    CELL_STATE,
    CELL_RATE,
    CELL_P50,
    CELL_P99,
    CELL_QUEUE,
    CELL_REFUSED,
    CELL_ACTIVE,
    CELL_COUNT
};

#define CELL_SIZE 24

/* Figures that are looked at. */
enum column {
    COLUMN_ACCEPTED,
    COLUMN_ACTIVE,
    COLUMN_PLACES,
    COLUMN_QUEUE_CONNECTIONS,
    COLUMN_QUEUE_BYTES,
    COLUMN_PER_SECOND,
    COLUMN_P50,
    COLUMN_P99,
    COLUMN_READY,
    COLUMN_EXPIRES,
    COLUMN_FAILED,
    COLUMN_RESTARTS,
    COLUMN_LOG_LOST,
    COLUMN_REFUSED,
    COLUMN_REASONS, /* of refusals: so many columns from here on */
    COLUMN_COUNT = COLUMN_REASONS + REFUSAL_REASONS
};

/* A listener. */
struct track {
    char *name, *address;
    char *problem, *reason; /* NULL: there is none */
    char *certificate;
    char state[CELL_SIZE];
    char cells[CELL_COUNT][CELL_SIZE];
    int64_t changed;              /* the look at which the cells became what they are */
    bool known;                   /* it has been counted before */
    double figures[COLUMN_COUNT]; /* at the last look; negative: not known */
    double sampled[COLUMN_COUNT]; /* at the last point */
    double *times;                /* at the last point; one more than there are bounds */
    uint16_t points[SERIES_COUNT][HISTORY_POINTS];
};

struct history {
    pthread_mutex_t lock; /* of all that follows; nobody waits for anything else while he has it */
    double interval;      /* seconds from point to point */
    int64_t looked;  /* CLOCK_MONOTONIC, milliseconds: the last look that was to be shown; 0: there
                        was none */
    int64_t sampled; /* the same: the last point */
    int64_t slot;    /* of it: points are at this place, modulo their number */
    uint64_t roster; /* differs when the listeners are others, or in another order */

    size_t bound_count;
    double *bounds;   /* nanoseconds */
    struct track all; /* the sum of all; it has no texts */
    struct track *tracks;
    size_t count, left_out;

    bool ready, stopping;
    char version[CELL_SIZE];
    double uptime, memory, log_lost, pid, instance; /* seconds, bytes, lines */
    uint32_t refusals[REFUSAL_REASONS][HISTORY_POINTS];
    struct lately lately;
};

/* Names of the columns from COLUMN_REASONS on, in words. */
extern const char *const refusal_words[REFUSAL_REASONS];

/* NULL: there is no memory. */
struct history *history_new(double interval);
void history_free(struct history *history);

/* Takes in how the daemon is now; a point is added if it is time for one. to_show: the snapshot
 * tells of the last minute, too, and the cells are written anew. 0 or a negative errno; what was
 * known is whole then, too. */
int history_look(struct history *history, const struct snapshot *snapshot, bool to_show);

/* CLOCK_MONOTONIC, in milliseconds. */
int64_t history_now(void);

/* A point's value, or -1: it is not known. age: how many points lie between it and the last. */
double history_point(const struct history *history, const struct track *track, enum series series,
                     size_t age);
/* The sum of a series. */
double history_sum(const struct track *track, enum series series);

/* A figure as a number; -1: it is not known. */
double history_number(struct figure figure);
/* By how much a counter grew; one that has fallen began anew. -1: that is not known. */
double history_growth(double before, double now);

#endif
