/* SPDX-License-Identifier: MIT */
/*
 * view.c - what the page shows is asked of the daemon, unless somebody has just done so
 *
 * Runs in:  a handler.
 * Owns:     the daemon's replies, until replies_done().
 * Failures: returned.
 */
#include "view.h"

#define BUSIEST 12   /* requests and sources that are told */
#define FRESH   1000 /* milliseconds: a look so young is the moment's */

/* Looks at the daemon unless somebody has just done so. */
static int
look(struct talk *talk, struct history *history)
{
    struct snapshot snapshot;

    (void)pthread_mutex_lock(&history->lock);
    bool fresh = history->looked > 0 && history_now() - history->looked < FRESH;
    (void)pthread_mutex_unlock(&history->lock);
    if (fresh)
        return 0;
    int error = snapshot_take(talk, true, &snapshot);
    if (error < 0)
        return error;
    (void)pthread_mutex_lock(&history->lock);
    error = history_look(history, &snapshot, true);
    (void)pthread_mutex_unlock(&history->lock);
    snapshot_done(&snapshot);
    return error;
}

int
replies_ask(struct exchange *exchange, struct replies *ret)
{
    const struct watcher *watcher = watcher_of(exchange);
    struct talk talk;

    talk_begin(&talk, exchange->request, watcher->timeout);
    int error = look(&talk, watcher->history);
    if (error == 0)
        error = talk_ask(&talk, CONTROL "GetRequests", json_pack("{s:i}", "limit", BUSIEST),
                         &ret->requests);
    if (error == 0)
        error = talk_ask(&talk, CONTROL "GetSources", json_pack("{s:i}", "limit", BUSIEST),
                         &ret->sources);
    talk_end(&talk);
    return error;
}

void
replies_done(struct replies *replies)
{
    json_decref(replies->requests);
    json_decref(replies->sources);
}
