/* SPDX-License-Identifier: MIT */
/*
 * history.c - what the page shows: how each listener is, and 120 points of how it was
 *
 * Whoever looks at the daemon brings a snapshot: the sampler's thread at each
 * interval, and a handler whose client wants to see what is newer. The first
 * look in an interval adds a point to the charts. A point is two bytes, so that
 * a listener costs less than two kilobytes.
 *
 * Runs in:  handlers, and the sampler's thread, with the history's lock.
 * Owns:     all that is remembered; nothing of a snapshot.
 * Failures: returned; what was known before stays.
 */
#include "history.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "points.h"
#include "rows.h"

/* ---- life ----------------------------------------------------------------------------------- */

int64_t
history_now(void)
{
    struct timespec time;

    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

struct history *
history_new(double interval)
{
    struct history *history = calloc(1, sizeof(*history));

    if (history == NULL)
        return NULL;
    history->interval = interval;
    memset(history->all.points, 0xff, sizeof(history->all.points));
    (void)pthread_mutex_init(&history->lock, NULL);
    return history;
}

static void
track_done(struct track *track)
{
    free(track->name);
    free(track->address);
    free(track->problem);
    free(track->reason);
    free(track->certificate);
    free(track->times);
    *track = (struct track){0};
}

static void
forget(struct history *history)
{
    for (size_t i = 0; i < history->count; i++)
        track_done(&history->tracks[i]);
    free(history->tracks);
    free(history->bounds);
    history->tracks = NULL;
    history->bounds = NULL;
    history->count = history->bound_count = 0;
}

void
history_free(struct history *history)
{
    if (history == NULL)
        return;
    forget(history);
    (void)pthread_mutex_destroy(&history->lock);
    free(history);
}

/* ---- which listeners there are -------------------------------------------------------------- */

static size_t
shown_of(const struct snapshot *snapshot)
{
    return snapshot->count < HISTORY_LISTENERS ? snapshot->count : HISTORY_LISTENERS;
}

/* FNV-1a over all names. */
static uint64_t
roster_of(const struct snapshot *snapshot)
{
    uint64_t hash = UINT64_C(14695981039346656037);

    for (size_t i = 0; i < shown_of(snapshot); i++)
        for (const char *c = snapshot->listeners[i].name;; c++) {
            hash = (hash ^ (unsigned char)*c) * UINT64_C(1099511628211);
            if (*c == '\0')
                break;
        }
    return hash;
}

/* The track of that name, which the history does not have afterwards; or a new one. */
static int
take_track(struct history *history, const char *name, struct track *ret)
{
    for (size_t i = 0; i < history->count; i++)
        if (history->tracks[i].name != NULL && strcmp(history->tracks[i].name, name) == 0) {
            *ret = history->tracks[i];
            history->tracks[i] = (struct track){0};
            return 0;
        }
    *ret = (struct track){.name = strdup(name),
                          .times = calloc(history->bound_count + 1, sizeof(*ret->times))};
    memset(ret->points, 0xff, sizeof(ret->points));
    return ret->name == NULL || ret->times == NULL ? -ENOMEM : 0;
}

static int
follow_roster(struct history *history, const struct snapshot *snapshot)
{
    uint64_t roster = roster_of(snapshot);
    size_t count = shown_of(snapshot);

    history->left_out = snapshot->count - count;
    if (history->tracks != NULL && history->roster == roster && history->count == count)
        return 0;
    struct track *tracks = calloc(count + 1, sizeof(*tracks));
    if (tracks == NULL)
        return -ENOMEM;
    int error = 0;
    for (size_t i = 0; i < count && error == 0; i++)
        error = take_track(history, snapshot->listeners[i].name, &tracks[i]);
    for (size_t i = 0; i < history->count; i++)
        track_done(&history->tracks[i]);
    free(history->tracks);
    history->tracks = tracks;
    history->count = count;
    history->roster = roster;
    if (error < 0)
        forget(history);
    return error;
}

/* Another version of the daemon may have other bounds; then all begins anew. */
static int
follow_bounds(struct history *history, const struct snapshot *snapshot)
{
    size_t size = snapshot->bound_count * sizeof(double);

    if (history->bounds != NULL && history->bound_count == snapshot->bound_count &&
        memcmp(history->bounds, snapshot->bounds, size) == 0)
        return 0;
    forget(history);
    history->bounds = malloc(size + 1);
    if (history->bounds == NULL)
        return -ENOMEM;
    memcpy(history->bounds, snapshot->bounds, size);
    history->bound_count = snapshot->bound_count;
    return 0;
}

/* ---- figures -------------------------------------------------------------------------------- */

static const char *const column_names[COLUMN_COUNT] = {
    [COLUMN_ACCEPTED] = "accepted",
    [COLUMN_ACTIVE] = "active",
    [COLUMN_PLACES] = "places",
    [COLUMN_QUEUE_CONNECTIONS] = "queue_connections",
    [COLUMN_QUEUE_BYTES] = "queue_bytes",
    [COLUMN_PER_SECOND] = "per_second",
    [COLUMN_P50] = "p50_us",
    [COLUMN_P99] = "p99_us",
    [COLUMN_READY] = "ready",
    [COLUMN_EXPIRES] = "expires",
    [COLUMN_FAILED] = "failed",
    [COLUMN_RESTARTS] = "restarts",
    [COLUMN_LOG_LOST] = "log_lost",
    [COLUMN_REFUSED] = "refused",
    [COLUMN_REASONS] = "denied",
    "unannounced",
    "handshakes_failed",
    "limited",
    "penalised",
    "full",
    "rejected",
};

const char *const refusal_words[REFUSAL_REASONS] = {
    "denied", "no PROXY header", "handshake failed", "limited", "penalised", "full", "rejected"};

double
history_number(struct figure figure)
{
    double value = 0, digit = 0;

    if (figure.size == 0)
        return -1;
    for (size_t i = 0; i < figure.size; i++)
        if (figure.text[i] == '.')
            digit = 1;
        else if (digit == 0)
            value = value * 10 + (figure.text[i] - '0');
        else
            value += (figure.text[i] - '0') * (digit /= 10);
    return value;
}

/* ---- a look --------------------------------------------------------------------------------- */

static int
keep_text(char **place, const char *text)
{
    if (text == NULL || *place == NULL ? text == *place : strcmp(text, *place) == 0)
        return 0;
    char *copy = text == NULL ? NULL : strdup(text);
    if (text != NULL && copy == NULL)
        return -ENOMEM;
    free(*place);
    *place = copy;
    return 0;
}

static int
keep_texts(struct track *track, const struct listener_snapshot *listener)
{
    int error = keep_text(&track->address, listener->address);

    if (error == 0)
        error = keep_text(&track->problem, listener->problem);
    if (error == 0)
        error = keep_text(&track->reason, listener->reason);
    if (error == 0)
        error = keep_text(&track->certificate, listener->certificate);
    return error;
}

static bool
is_down(const char *state)
{
    return strcmp(state, "failed") == 0 || strcmp(state, "backing off") == 0;
}

static void
note_growth(struct history *history, const struct track *track, const double *now, int column,
            const char *what, const char *why)
{
    double more = history_growth(track->figures[column], now[column]);

    if (more >= 1 && track->state[0] != '\0')
        lately_note(&history->lately, track->name, what, why, (uint64_t)more);
}

static void
note_incidents(struct history *history, const struct track *track,
               const struct listener_snapshot *listener, const double *now)
{
    bool was = is_down(track->state), is = is_down(listener->state);

    if (is && !was)
        lately_note(&history->lately, track->name, listener->state, listener->problem, 1);
    if (was && strcmp(listener->state, "serving") == 0)
        lately_note(&history->lately, track->name, "serves again", NULL, 1);
    note_growth(history, track, now, COLUMN_RESTARTS, "worker replaced", listener->problem);
    note_growth(history, track, now, COLUMN_FAILED, "requests failed", NULL);
    note_growth(history, track, now, COLUMN_LOG_LOST, "log lines lost", NULL);
    for (int i = 0; i < REFUSAL_REASONS; i++)
        note_growth(history, track, now, COLUMN_REASONS + i, "refused", refusal_words[i]);
}

static void
look_at(struct history *history, struct track *track, const struct listener_snapshot *listener,
        const int columns[COLUMN_COUNT])
{
    double now[COLUMN_COUNT];
    size_t size = strnlen(listener->state, CELL_SIZE - 1);

    for (int i = 0; i < COLUMN_COUNT; i++) {
        now[i] = history_number(snapshot_figure(listener, columns[i]));
        if (i != COLUMN_P50 && i != COLUMN_P99 && now[i] > 0)
            history->all.figures[i] += now[i];
    }
    note_incidents(history, track, listener, now);
    memcpy(track->figures, now, sizeof(now));
    memcpy(track->state, listener->state, size);
    track->state[size] = '\0';
}

static double
member(const json_t *daemon, const char *name)
{
    const json_t *value = json_object_get(daemon, name);

    return json_is_integer(value) ? (double)json_integer_value(value) : 0;
}

static void
look_at_daemon(struct history *history, const struct snapshot *snapshot)
{
    const json_t *daemon = snapshot->daemon;
    const char *version = json_string_value(json_object_get(daemon, "version"));
    double lost = member(daemon, "log_lost"), instance = member(daemon, "instance");

    if (history->instance > 0 && instance != history->instance)
        lately_note(&history->lately, "daemon", "executed anew", version, 1);
    else if (lost > history->log_lost && history->instance > 0)
        lately_note(&history->lately, "daemon", "log lines lost", NULL,
                    (uint64_t)(lost - history->log_lost));
    history->log_lost = lost;
    history->instance = instance;
    history->pid = member(daemon, "pid");
    history->uptime = member(daemon, "uptime_us") / 1e6;
    history->memory = member(snapshot->reply, "memory");
    history->ready = snapshot->ready;
    history->stopping = snapshot->stopping;
    size_t size = version == NULL ? 0 : strnlen(version, CELL_SIZE - 1);
    if (size > 0)
        memcpy(history->version, version, size);
    history->version[size] = '\0';
}

int
history_look(struct history *history, const struct snapshot *snapshot, bool to_show)
{
    int64_t now = history_now(), slot = (int64_t)((double)now / (history->interval * 1e3));
    int columns[COLUMN_COUNT], error;

    if (snapshot->bound_count > HISTORY_BOUNDS)
        return -EBADMSG;
    for (int i = 0; i < COLUMN_COUNT; i++)
        columns[i] = snapshot_column(snapshot, column_names[i]);
    error = follow_bounds(history, snapshot);
    if (error == 0)
        error = follow_roster(history, snapshot);
    for (size_t i = 0; i < history->count && error == 0; i++)
        error = keep_texts(&history->tracks[i], &snapshot->listeners[i]);
    if (error < 0)
        return error;
    double rate = to_show ? 0 : history->all.figures[COLUMN_PER_SECOND];
    memset(history->all.figures, 0, sizeof(history->all.figures));
    history->all.figures[COLUMN_PER_SECOND] = rate;
    for (size_t i = 0; i < history->count; i++)
        look_at(history, &history->tracks[i], &snapshot->listeners[i], columns);
    look_at_daemon(history, snapshot);
    if (slot > history->slot)
        points_add(history, snapshot, slot, now);
    for (size_t i = 0; i < history->count && to_show; i++)
        rows_note(&history->tracks[i], now);
    if (to_show)
        history->looked = now;
    return 0;
}
