/* SPDX-License-Identifier: MIT */
/*
 * live.c - /live.json: what keeps the page alive
 *
 * The page's script asks for it again and again: for what has changed since it
 * last did, and for the charts of the listeners that are in view. It says
 * which in its query:
 *
 *     since=MS      the look that it knows already, as the last answer told it
 *     full=0-17,33  listeners, by their rows, whose charts it wants as a whole
 *     tail=18-20    and those of which it wants the points after that look
 *
 * Row 0 is that of all listeners together. The script and this file belong
 * together; nobody else shall rely on the form of the answer.
 *
 * Runs in:  a handler.
 * Owns:     the text of an answer, until it is sent.
 * Failures: a daemon that cannot be asked: 503.
 */
#include <string.h>

#include "metrics.h"
#include "rows.h"
#include "view.h"

#define RANGES     64 /* of rows, in a query */
#define LONGEST    20 /* points that a tail may have; who misses more gets all */
#define SERIES_MAX 63 /* levels of a chart that is sent as text */

/* ---- what the script asks for --------------------------------------------------------------- */

struct range {
    uint64_t from, to;
};

struct query {
    uint64_t since;
    size_t full_count, tail_count;
    struct range full[RANGES], tail[RANGES];
};

static uint64_t
read_number(const char **at)
{
    uint64_t number = 0;

    for (; **at >= '0' && **at <= '9'; ++*at)
        number = number < UINT64_C(1) << 56 ? number * 10 + (uint64_t)(**at - '0') : number;
    return number;
}

/* "0-17,33"; what is no range ends them. */
static size_t
read_ranges(const char *at, struct range ranges[RANGES])
{
    size_t count = 0;

    while (count < RANGES && *at >= '0' && *at <= '9') {
        struct range *range = &ranges[count++];
        range->from = range->to = read_number(&at);
        if (*at == '-') {
            at++;
            range->to = read_number(&at);
        }
        at += *at == ',';
    }
    return count;
}

/* What stands behind "name=" in the query; "": nothing. */
static const char *
find_parameter(const char *target, const char *name)
{
    size_t size = strlen(name);

    for (const char *at = strchr(target, '?'); at != NULL; at = strchr(at, '&')) {
        at++;
        if (strncmp(at, name, size) == 0 && at[size] == '=')
            return at + size + 1;
    }
    return "";
}

static void
read_query(const char *target, struct query *ret)
{
    const char *since = find_parameter(target, "since");

    ret->since = read_number(&since);
    ret->full_count = read_ranges(find_parameter(target, "full"), ret->full);
    ret->tail_count = read_ranges(find_parameter(target, "tail"), ret->tail);
}

/* ---- charts --------------------------------------------------------------------------------- */

static const struct track *
track_of(const struct history *history, uint64_t row)
{
    return row == 0 ? &history->all : row <= history->count ? &history->tracks[row - 1] : NULL;
}

static void
add_value(struct text *text, double value)
{
    if (value < 0)
        text_add_string(text, "null");
    else
        text_add_number(text, (uint64_t)value);
}

/*
 * ["MAXIMUM","LEVELS"]: a character for each point, the oldest first. "." is not known, "0" is 0,
 * and the others are shares of the maximum. Behind a character, "!" and another one say how often
 * it comes again.
 */
static const char levels[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_";

static char
level_of(double value, double most)
{
    if (value < 0)
        return '.';
    unsigned level = most > 0 ? (unsigned)(value / most * SERIES_MAX + 0.5) : 0;
    return levels[value > 0 && level == 0 ? 1 : level];
}

static void
add_run(struct text *text, char level, size_t count)
{
    const char more[] = {'!', levels[count - 1]};

    text_add(text, &level, 1);
    if (count > 3)
        text_add(text, more, 2);
    for (size_t i = 1; i < count && count <= 3; i++)
        text_add(text, &level, 1);
}

static void
add_whole_series(struct text *text, const struct history *history, const struct track *track,
                 enum series series)
{
    double most = 0;
    size_t run = 0;
    char last = '\0';

    for (size_t i = 0; i < HISTORY_POINTS; i++) {
        double value = history_point(history, track, series, i);
        most = value > most ? value : most;
    }
    text_add_string(text, "[");
    text_add_number(text, (uint64_t)most);
    text_add_string(text, ",\"");
    for (size_t age = HISTORY_POINTS; age-- > 0;) {
        char level = level_of(history_point(history, track, series, age), most);
        if (run > 0 && (level != last || run == SERIES_MAX)) {
            add_run(text, last, run);
            run = 0;
        }
        last = level;
        run++;
    }
    add_run(text, last, run);
    text_add_string(text, "\"]");
}

static void
add_tail(struct text *text, const struct history *history, const struct track *track,
         size_t missing)
{
    for (size_t age = missing; age-- > 0;) {
        text_add_string(text, "[");
        for (int series = 0; series < SERIES_COUNT; series++) {
            text_add(text, ",", series > 0);
            add_value(text, history_point(history, track, (enum series)series, age));
        }
        text_add_string(text, age > 0 ? "]," : "]");
    }
}

static void
add_whole(struct text *text, const struct history *history, const struct track *track)
{
    for (int series = 0; series < SERIES_COUNT; series++) {
        text_add(text, ",", series > 0);
        add_whole_series(text, history, track, (enum series)series);
    }
}

/* Charts of these rows, as a whole or (missing > 0) so many of their last points. */
static void
add_charts(struct text *text, const struct history *history, const struct range *ranges,
           size_t count, size_t missing)
{
    bool first = true;

    for (size_t i = 0; i < count; i++)
        for (uint64_t row = ranges[i].from; row <= ranges[i].to; row++) {
            const struct track *track = track_of(history, row);
            if (track == NULL)
                break;
            text_add_string(text, first ? "\"" : ",\n\"");
            text_add_number(text, row);
            text_add_string(text, "\":[");
            if (missing > 0)
                add_tail(text, history, track, missing);
            else
                add_whole(text, history, track);
            text_add_string(text, "]");
            first = false;
        }
}

/* ---- the answer ----------------------------------------------------------------------------- */

static void
add_member(struct text *text, const char *name, uint64_t number)
{
    text_add_json(text, name);
    text_add_string(text, ":");
    text_add_number(text, number);
    text_add_string(text, ",");
}

static void
write_live(struct text *text, const struct view *view, const struct query *query)
{
    const struct history *history = view->history;
    int64_t known = (int64_t)((double)query->since / (history->interval * 1e3));
    int64_t missing = history->slot - known;
    bool late =
        missing < 0 || missing > LONGEST; /* it has missed too much, or knows another life */

    text_add_string(text, "{");
    add_member(text, "slot", (uint64_t)history->slot);
    add_member(text, "points", HISTORY_POINTS);
    add_member(text, "interval", (uint64_t)(history->interval * 1e3 + 0.5));
    add_member(text, "looked", (uint64_t)history->looked);
    rows_write_all(text, view);
    text_add_string(text, ",\n\"full\":{");
    add_charts(text, history, query->full, query->full_count, 0);
    if (late && query->full_count > 0 && query->tail_count > 0)
        text_add_string(text, ",\n");
    if (late)
        add_charts(text, history, query->tail, query->tail_count, 0);
    text_add_string(text, "},\n\"tail\":{");
    if (!late && missing > 0)
        add_charts(text, history, query->tail, query->tail_count, (size_t)missing);
    text_add_string(text, "}}\n");
}

int
answer_live(struct exchange *exchange)
{
    struct history *history = watcher_of(exchange)->history;
    struct text body = TEXT_GROWING;
    struct replies replies = {0};
    struct query query;
    int error = replies_ask(exchange, &replies);

    read_query(exchange->head->target, &query);
    if (error == 0) {
        (void)pthread_mutex_lock(&history->lock);
        const struct view view = {.history = history,
                                  .requests = replies.requests,
                                  .sources = replies.sources,
                                  .since = (int64_t)query.since};
        write_live(&body, &view, &query);
        (void)pthread_mutex_unlock(&history->lock);
        error = answer_text(exchange, HTTP_STATUS_OK, "application/json", &body);
    } else {
        error = answer_deaf(exchange, error);
    }
    text_done(&body);
    replies_done(&replies);
    return error;
}
