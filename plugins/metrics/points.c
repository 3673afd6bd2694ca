/* SPDX-License-Identifier: MIT */
/*
 * points.c - the points of the charts: what was counted between two of them
 *
 * Runs in:  handlers, and the sampler's thread, with the history's lock.
 * Owns:     nothing.
 * Failures: none.
 */
#include "points.h"

#include <string.h>

/* ---- points --------------------------------------------------------------------------------- */

#define UNKNOWN  UINT16_MAX
#define MANTISSA 11 /* bits of a point; the others say how often that is doubled */

static uint16_t
pack(double value)
{
    unsigned doubled = 0;

    if (!(value >= 0))
        return UNKNOWN;
    while (value >= (1 << MANTISSA) - 0.5 && doubled < 31) {
        value /= 2;
        doubled++;
    }
    return value < (1 << MANTISSA) - 1 ? (uint16_t)(doubled << MANTISSA | (unsigned)(value + 0.5))
                                       : UNKNOWN - 1;
}

static double
unpack(uint16_t point)
{
    double value = point & ((1u << MANTISSA) - 1);

    return point == UNKNOWN ? -1 : value * (double)(UINT64_C(1) << (point >> MANTISSA));
}

static size_t
place_of(int64_t slot)
{
    return (size_t)(slot % HISTORY_POINTS);
}

double
history_point(const struct history *history, const struct track *track, enum series series,
              size_t age)
{
    if ((int64_t)age > history->slot)
        return -1;
    return unpack(track->points[series][place_of(history->slot - (int64_t)age)]);
}

double
history_sum(const struct track *track, enum series series)
{
    double sum = 0;

    for (size_t i = 0; i < HISTORY_POINTS; i++) {
        double value = unpack(track->points[series][i]);
        sum += value > 0 ? value : 0;
    }
    return sum;
}

/* The share (0.5, 0.99) of what was counted between two points, in microseconds; -1: nothing. */
static double
quantile(const struct history *history, const double *counts, double share)
{
    size_t last = history->bound_count;
    double wanted = counts[last] * share, below = 0;

    if (last == 0 || !(counts[last] > 0))
        return -1;
    for (size_t i = 0; i < last; i++) {
        double floor = i > 0 ? history->bounds[i - 1] : 0, width = history->bounds[i] - floor;
        if (counts[i] >= wanted)
            return (floor + width * (wanted - below) / (counts[i] - below)) / 1000;
        below = counts[i];
    }
    return history->bounds[last - 1] / 1000; /* that, at least */
}

/* ---- a point -------------------------------------------------------------------------------- */

/* What was counted between two points. */
struct growth {
    double accepted, refused, queue;
    double counts[HISTORY_BOUNDS + 1]; /* requests that took less than each bound, and all */
};

double
history_growth(double before, double now)
{
    return now < 0 || before < 0 ? -1 : now >= before ? now - before : now;
}

static void
put_point(const struct history *history, struct track *track, const struct growth *growth,
          double seconds)
{
    size_t place = place_of(history->slot);

    track->points[SERIES_RATE][place] = pack(growth->accepted * 10 / seconds);
    track->points[SERIES_P50][place] = pack(quantile(history, growth->counts, 0.5));
    track->points[SERIES_P99][place] = pack(quantile(history, growth->counts, 0.99));
    track->points[SERIES_QUEUE][place] = pack(growth->queue);
    track->points[SERIES_REFUSED][place] = pack(growth->refused);
}

/* Times only grow, unless all of them began anew. */
static void
take_times(const struct history *history, struct track *track,
           const struct listener_snapshot *listener, double *ret)
{
    size_t last = history->bound_count;
    bool anew = history_number(listener->times[last]) < track->times[last];

    for (size_t i = 0; i <= last; i++) {
        double now = history_number(listener->times[i]), before = anew ? 0 : track->times[i];
        ret[i] = now > before ? now - before : 0;
        track->times[i] = now > 0 ? now : 0;
    }
}

/* Also notes what was counted for the next point. */
static void
take_growth(struct history *history, struct track *track, const struct listener_snapshot *listener,
            struct growth *ret)
{
    const double *now = track->figures, *before = track->sampled;
    double queue = now[COLUMN_QUEUE_CONNECTIONS];

    *ret = (struct growth){
        .accepted = history_growth(before[COLUMN_ACCEPTED], now[COLUMN_ACCEPTED]),
        .refused = history_growth(before[COLUMN_REFUSED], now[COLUMN_REFUSED]),
        .queue = queue >= 0 ? queue : now[COLUMN_QUEUE_BYTES],
    };
    take_times(history, track, listener, ret->counts);
    for (size_t i = 0; i < REFUSAL_REASONS && track->known; i++) {
        double more = history_growth(before[COLUMN_REASONS + i], now[COLUMN_REASONS + i]);
        history->refusals[i][place_of(history->slot)] += more > 0 ? (uint32_t)more : 0;
    }
    memcpy(track->sampled, now, sizeof(track->sampled));
}

static void
sum_up(struct growth *sum, const struct growth *one, bool in_connections, size_t bound_count)
{
    sum->accepted += one->accepted > 0 ? one->accepted : 0;
    sum->refused += one->refused > 0 ? one->refused : 0;
    sum->queue += in_connections ? one->queue : 0;
    for (size_t i = 0; i <= bound_count; i++)
        sum->counts[i] += one->counts[i];
}

static void
blank(struct track *track, size_t place)
{
    for (int i = 0; i < SERIES_COUNT; i++)
        track->points[i][place] = UNKNOWN;
}

/* Goes on to this slot; those in between are not known. */
static void
go_on(struct history *history, int64_t slot)
{
    int64_t from = slot - history->slot > HISTORY_POINTS ? slot - HISTORY_POINTS : history->slot;

    for (int64_t i = from + 1; i <= slot; i++) {
        size_t place = place_of(i);
        blank(&history->all, place);
        for (size_t j = 0; j < history->count; j++)
            blank(&history->tracks[j], place);
        for (size_t j = 0; j < REFUSAL_REASONS; j++)
            history->refusals[j][place] = 0;
    }
    history->slot = slot;
}

void
points_add(struct history *history, const struct snapshot *snapshot, int64_t slot, int64_t now)
{
    double seconds = (double)(now - history->sampled) / 1e3;
    bool first = history->sampled == 0 || seconds <= 0;
    struct growth one, sum = {0};

    go_on(history, slot);
    for (size_t i = 0; i < history->count; i++) {
        struct track *track = &history->tracks[i];
        take_growth(history, track, &snapshot->listeners[i], &one);
        if (track->known && !first) {
            put_point(history, track, &one, seconds);
            sum_up(&sum, &one, track->figures[COLUMN_QUEUE_CONNECTIONS] >= 0, history->bound_count);
        }
        track->known = true;
    }
    if (!first)
        put_point(history, &history->all, &sum, seconds);
    history->sampled = now;
}
