/* SPDX-License-Identifier: MIT */
/*
 * operations.c - what an operator may ask of the running daemon, and who waits for it
 *
 * An operation on a listener is an order to it, and a wait for the state that
 * the order leads to. A reload or an upgrade is run by change/, which says when
 * it ends. All of them stand in one list, which the event loop looks at
 * whenever something has changed, so nobody is called back from within
 * something else.
 *
 * Runs in:  the supervisor.
 * Owns:     the operations that are not done.
 * Failures: told to whoever asked.
 */
#include "supervisor/operations.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"

enum awaited {
    AWAIT_SERVICE,
    AWAIT_QUIET, /* nothing is accepted any more */
    AWAIT_END    /* nor does anything run */
};

struct operation {
    struct operation *next;
    struct operations *operations;
    struct roster *roster;
    enum operation_kind kind;
    struct listener *listener; /* NULL: the operation concerns the whole daemon */
    operation_done done;       /* NULL: nobody wants to know (any more) */
    void *userdata;
    bool queued;            /* it has not begun: another must end first */
    sd_event_source *delay; /* of a drain: it is announced until this timer ends; NULL: it is not */
    uint64_t drains_at;     /* then, by CLOCK_MONOTONIC */
    struct operation *leader; /* ends with that one, whose answer it gets; NULL: none */
    bool prepares;            /* it prepares a new generation, which is not ready yet */
    bool ended;               /* it has ended, with error and why: */
    int error;
    struct errors why;
};

/* Ends those that were asked before the leader began, with its answer. */
static void
end_followers(struct operation *leader, int error, const struct errors *why)
{
    struct operation *one = leader->operations->list;

    for (; one != NULL; one = one->next) {
        if (one->leader != leader || one->ended)
            continue;
        for (size_t i = 0; i < why->count; i++)
            errors_add(&one->why, NULL, 0, "%s", why->texts[i]);
        one->ended = true;
        one->error = error;
    }
}

void
operation_end_with(struct operation *operation, int error, struct errors *why)
{
    if (!operation->ended) {
        end_followers(operation, error, why);
        operation->ended = true;
        operation->error = error;
        errors_move(&operation->why, why);
        roster_review(operation->roster);
    }
    errors_done(why);
}

void
operation_end(struct operation *operation, int error, const char *text)
{
    struct errors why = {0};

    if (text != NULL)
        errors_add(&why, NULL, 0, "%s", text);
    operation_end_with(operation, error, &why);
}

/* ---- announcing a drain --------------------------------------------------------------------- */

static const struct operation *
find_announced(const struct operations *operations, const struct listener *listener)
{
    for (const struct operation *one = operations->list; one != NULL; one = one->next)
        if (one->delay != NULL && one->listener == listener && !one->ended)
            return one;
    return NULL;
}

bool
operations_announce(const struct operations *operations, const struct listener *listener)
{
    return find_announced(operations, listener) != NULL;
}

static void
announce_no_more(struct operation *operation)
{
    operation->delay = sd_event_source_disable_unref(operation->delay);
}

static int
on_announced(sd_event_source *source, uint64_t when, void *userdata)
{
    struct operation *operation = userdata;

    (void)source, (void)when;
    announce_no_more(operation);
    if (!operation->ended)
        listener_drain(operation->listener);
    roster_review(operation->roster);
    return 0;
}

/* Puts the drain off for pre_stop_delay, or until one that is announced already. Returns false if
 * it shall begin at once: nobody has to hear of it first, or has heard, because the daemon stops.
 */
static bool
announce(struct operation *operation)
{
    const struct roster *roster = operation->roster;
    const struct operation *other = find_announced(operation->operations, operation->listener);
    uint64_t now = 0, usec = (uint64_t)(roster->pre_stop_delay * 1e6);

    if (usec == 0 || roster_ends(roster) || listener_state(operation->listener) != LISTENER_SERVING)
        return false;
    int r = sd_event_now(roster->host.event, CLOCK_MONOTONIC, &now);
    operation->drains_at = other != NULL ? other->drains_at : now + usec;
    if (r >= 0)
        r = sd_event_add_time(roster->host.event, &operation->delay, CLOCK_MONOTONIC,
                              operation->drains_at, 1, on_announced, operation);
    if (r < 0) {
        log_listener(listener_settings(operation->listener)->name, LOG_ERR,
                     "pre_stop_delay: no timer for it: %s; draining at once", strerror(-r));
        return false;
    }
    log_listener(listener_settings(operation->listener)->name, LOG_NOTICE,
                 "not ready any more, draining in %g s",
                 (double)(operation->drains_at - now) / 1e6);
    return true;
}

/* Who waits for the drain of a listener asks the program again that takes the daemon over, but
 * nobody asks for one that he does not wait for. */
static bool
is_waited_for(const struct operations *operations, const struct listener *listener)
{
    for (const struct operation *one = operations->list; one != NULL; one = one->next)
        if (one->delay != NULL && one->listener == listener && one->done != NULL)
            return true;
    return false;
}

void
operations_hurry(struct operations *operations)
{
    for (struct operation *one = operations->list; one != NULL; one = one->next) {
        if (one->delay == NULL || one->ended || is_waited_for(operations, one->listener))
            continue;
        log_listener(listener_settings(one->listener)->name, LOG_NOTICE,
                     "draining at once, because of the upgrade");
        announce_no_more(one);
        listener_drain(one->listener);
    }
}

/* Takes back what was announced: the listener goes on. */
static void
unannounce(struct operation *operation)
{
    for (struct operation *one = operation->operations->list; one != NULL; one = one->next)
        if (one->delay != NULL && one->listener == operation->listener) {
            announce_no_more(one);
            operation_end(one, -ECANCELED, "it was told to go on meanwhile");
        }
}

/* ---- what is done to a listener ----------------------------------------------------------- */

static void
drain(struct operation *operation)
{
    if (!announce(operation))
        listener_drain(operation->listener);
}

static void
resume(struct operation *operation)
{
    unannounce(operation);
    listener_resume(operation->listener);
}

static void
stop(struct operation *operation)
{
    listener_stop(operation->listener, true);
}

static void
start(struct operation *operation)
{
    unannounce(operation);
    listener_start(operation->listener);
}

static void
on_prepared(struct listener *listener, int error, struct errors *why, void *userdata)
{
    struct operation *operation = userdata;

    operation->prepares = false;
    if (error < 0)
        operation_end_with(operation, error == -EINTR ? -ECANCELED : error, why);
    else
        listener_commit(listener);
    roster_review(operation->roster);
}

static void
restart(struct operation *operation)
{
    struct listener *listener = operation->listener;
    enum listener_state state = listener_state(listener);
    const struct listener_preparation preparation = {
        .settings = listener_settings(listener),
        .spawn = &operation->roster->host.spawn,
        .prepared = on_prepared,
        .userdata = operation,
    };

    if (state != LISTENER_SERVING && state != LISTENER_BACKING) {
        listener_start(listener);
        return;
    }
    int r = listener_prepare(listener, &preparation, NULL);
    if (r < 0)
        operation_end(operation, r, "another restart is under way");
    else
        operation->prepares = true;
}

static const struct kind {
    const char *verb; /* in the log, after "told to" */
    enum awaited awaited;
    void (*begin)(struct operation *operation);
} kinds[] = {
    [OPERATION_DRAIN] = {"drain", AWAIT_QUIET, drain},
    [OPERATION_DRAIN_TO_THE_END] = {"drain", AWAIT_END, drain},
    [OPERATION_RESUME] = {"resume", AWAIT_SERVICE, resume},
    [OPERATION_STOP] = {"stop", AWAIT_END, stop},
    [OPERATION_START] = {"start", AWAIT_SERVICE, start},
    [OPERATION_RESTART] = {"restart", AWAIT_SERVICE, restart},
};

/* ---- waiting for a listener ---------------------------------------------------------------- */

/* Ends the operation of a listener that neither serves nor is about to. */
static void
end_unserved(struct operation *operation)
{
    const char *problem = listener_problem(operation->listener);
    enum listener_state state = listener_state(operation->listener);
    struct errors why = {0};

    errors_add(&why, NULL, 0, "listeners.%s: %s%s%s", listener_settings(operation->listener)->name,
               listener_state_name(state), problem == NULL ? "" : ": ",
               problem == NULL ? "" : problem);
    operation_end_with(operation, -ECANCELED, &why);
}

static void
look_for_service(struct operation *operation)
{
    struct listener *listener = operation->listener;

    if (operation->prepares || !listener_is_settled(listener))
        return;
    if (listener_state(listener) == LISTENER_SERVING)
        operation_end(operation, 0, NULL);
    else if (!listener_is_wanted(listener) || listener_problem(listener) != NULL)
        end_unserved(operation);
}

static void
look_for_end(struct operation *operation, enum awaited awaited)
{
    enum listener_state state = listener_state(operation->listener);

    if (operation->delay != NULL && listener_is_wanted(operation->listener))
        return;
    announce_no_more(operation);
    if (listener_is_wanted(operation->listener))
        operation_end(operation, -ECANCELED, "it was started again meanwhile");
    else if (state == LISTENER_DRAINED || state == LISTENER_STOPPED)
        operation_end(operation, 0, NULL);
    else if (awaited == AWAIT_QUIET && !listener_accepts(operation->listener))
        operation_end(operation, 0, NULL);
}

static void
look(struct operation *operation)
{
    if (operation->ended || operation->queued || operation->leader != NULL ||
        operation->listener == NULL)
        return;
    enum awaited awaited = kinds[operation->kind].awaited;
    if (awaited == AWAIT_SERVICE)
        look_for_service(operation);
    else
        look_for_end(operation, awaited);
}

/* ---- the list ------------------------------------------------------------------------------- */

static void
operation_free(struct operation *operation)
{
    announce_no_more(operation);
    errors_done(&operation->why);
    free(operation);
}

/* Takes one ended operation off the list, or returns NULL. */
static struct operation *
take_ended(struct operations *operations)
{
    for (struct operation **place = &operations->list; *place != NULL; place = &(*place)->next)
        if ((*place)->ended && !(*place)->prepares) {
            struct operation *operation = *place;
            *place = operation->next;
            return operation;
        }
    return NULL;
}

/* Whether a restart of the listener must wait for what runs already. */
static bool
must_wait(const struct operations *operations, const struct listener *listener)
{
    if (operations_running(operations, OPERATION_RELOAD) ||
        operations_running(operations, OPERATION_UPGRADE))
        return true;
    for (const struct operation *one = operations->list; one != NULL; one = one->next)
        if (one->listener == listener && one->prepares)
            return true;
    return false;
}

/* Begins the restart that has waited longest, if it is its turn. */
static void
begin_queued(struct operations *operations)
{
    struct operation *first = operations_first_queued(operations);

    if (first == NULL || first->listener == NULL || must_wait(operations, first->listener))
        return;
    first->queued = false;
    operation_lead(first);
    kinds[first->kind].begin(first);
    roster_review(operations->roster);
}

void
operations_step(struct operations *operations)
{
    struct operation *operation;

    begin_queued(operations);
    for (operation = operations->list; operation != NULL; operation = operation->next)
        look(operation);
    while ((operation = take_ended(operations)) != NULL) {
        if (operation->done != NULL)
            operation->done(operation->userdata, operation->error, &operation->why);
        operation_free(operation);
    }
}

void
operations_abandon(struct operations *operations, const struct listener *listener, int error,
                   const char *text)
{
    for (struct operation *one = operations->list; one != NULL; one = one->next)
        if (listener == NULL ? one->listener != NULL || one->queued : one->listener == listener)
            operation_end(one, error, text);
}

void
operations_forget(struct operations *operations, const void *userdata)
{
    for (struct operation *one = operations->list; one != NULL; one = one->next)
        if (one->userdata == userdata)
            one->done = NULL;
}

bool
operations_running(const struct operations *operations, enum operation_kind kind)
{
    for (const struct operation *one = operations->list; one != NULL; one = one->next)
        if (one->kind == kind && !one->ended && !one->queued && one->leader == NULL)
            return true;
    return false;
}

bool
operations_preparing(const struct operations *operations)
{
    for (const struct operation *one = operations->list; one != NULL; one = one->next)
        if (one->prepares)
            return true;
    return false;
}

void
operations_free(struct operations *operations)
{
    struct operation *operation;

    while ((operation = operations->list) != NULL) {
        operations->list = operation->next;
        operation_free(operation);
    }
}

/* ---- beginning ------------------------------------------------------------------------------ */

int
operations_note(struct operations *operations, enum operation_kind kind, operation_done done,
                void *userdata, struct operation **ret)
{
    struct operation *operation = calloc(1, sizeof(*operation));

    if (operation == NULL)
        return -ENOMEM;
    operation->operations = operations;
    operation->roster = operations->roster;
    operation->kind = kind;
    operation->done = done;
    operation->userdata = userdata;
    operation->next = operations->list;
    operations->list = operation;
    *ret = operation;
    return 0;
}

int
operations_queue(struct operations *operations, enum operation_kind kind, operation_done done,
                 void *userdata)
{
    struct operation *operation;
    int r = operations_note(operations, kind, done, userdata, &operation);

    if (r < 0)
        return r;
    operation->queued = true;
    roster_review(operations->roster);
    return 0;
}

struct operation *
operations_first_queued(const struct operations *operations)
{
    struct operation *first = NULL;

    for (struct operation *one = operations->list; one != NULL; one = one->next)
        if (one->queued && !one->ended)
            first = one; /* the list has the latest first */
    return first;
}

enum operation_kind
operation_kind(const struct operation *operation)
{
    return operation->kind;
}

void
operation_lead(struct operation *leader)
{
    for (struct operation *one = leader->operations->list; one != NULL; one = one->next)
        if (one->queued && !one->ended && one->kind == leader->kind &&
            one->listener == leader->listener) {
            one->queued = false;
            one->leader = leader;
        }
}

int
operations_begin(struct operations *operations, enum operation_kind kind, const char *name,
                 operation_done done, void *userdata)
{
    struct listener *listener = roster_find(operations->roster, name);
    struct operation *operation;

    if (operations->roster->stage == DAEMON_STOPS)
        return -ESHUTDOWN;
    if (listener == NULL)
        return -ENOENT;
    int r = operations_note(operations, kind, done, userdata, &operation);
    if (r < 0)
        return r;
    operation->listener = listener;
    roster_review(operations->roster);
    log_listener(name, LOG_NOTICE, "told to %s", kinds[kind].verb);
    operation->queued = kind == OPERATION_RESTART && (operations_first_queued(operations) != NULL ||
                                                      must_wait(operations, listener));
    if (!operation->queued)
        kinds[kind].begin(operation);
    return 0;
}
