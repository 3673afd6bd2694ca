/* SPDX-License-Identifier: MIT */
/*
 * operations.c - what an operator may ask of one listener while the daemon runs
 *
 * An operation is an order to the listener, and a wait for the state that it
 * leads to. Waits are looked at from the loop whenever some listener has
 * changed, so nobody is called back from within something else.
 *
 * Runs in:  the supervisor.
 * Owns:     the orders that are not done.
 * Failures: told to whoever asked.
 */
#include "supervisor/operations.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/channel.h"
#include "common/log.h"
#include "supervisor/supervisor_private.h"

enum awaited {
    AWAIT_SERVICE,
    AWAIT_QUIET, /* nothing is accepted any more */
    AWAIT_END    /* nor does anything run */
};

struct order {
    struct order *next;
    struct supervisor *supervisor;
    struct listener *listener;
    enum awaited awaited;
    operation_done done; /* NULL: nobody wants to know any more */
    void *userdata;
    bool prepares; /* a new generation, not there yet */
    bool ended;    /* with this: */
    int error;
    char *text;
};

/* ---- orders ------------------------------------------------------------------------------ */

static void
order_end(struct order *order, int error, const char *text)
{
    if (order->ended)
        return;
    order->ended = true;
    order->error = error;
    order->text = text == NULL ? NULL : strdup(text);
    supervisor_review(order->supervisor);
}

/* The listener neither serves nor is about to. */
static void
end_unserved(struct order *order)
{
    const char *problem = listener_problem(order->listener);
    enum listener_state state = listener_state(order->listener);
    char text[1024];

    (void)snprintf(text, sizeof(text), "listeners.%s: %s%s%s",
                   listener_settings(order->listener)->name, listener_state_name(state),
                   problem == NULL ? "" : ": ", problem == NULL ? "" : problem);
    order_end(order, -ECANCELED, text);
}

static void
look_for_service(struct order *order)
{
    if (order->prepares || !listener_is_settled(order->listener))
        return;
    enum listener_state state = listener_state(order->listener);
    if (state == LISTENER_SERVING)
        order_end(order, 0, NULL);
    else if (!listener_is_wanted(order->listener) || listener_problem(order->listener) != NULL)
        end_unserved(order);
}

static void
look_for_end(struct order *order)
{
    enum listener_state state = listener_state(order->listener);

    if (listener_is_wanted(order->listener))
        order_end(order, -ECANCELED, "it was started again meanwhile");
    else if (state == LISTENER_DRAINED || state == LISTENER_STOPPED)
        order_end(order, 0, NULL);
    else if (order->awaited == AWAIT_QUIET && !listener_accepts(order->listener))
        order_end(order, 0, NULL);
}

static void
look(struct order *order)
{
    if (order->awaited == AWAIT_SERVICE)
        look_for_service(order);
    else
        look_for_end(order);
}

static void
order_free(struct order *order)
{
    free(order->text);
    free(order);
}

/* Takes one ended order off the list, or returns NULL. */
static struct order *
take_ended(struct supervisor *supervisor)
{
    for (struct order **place = &supervisor->orders; *place != NULL; place = &(*place)->next)
        if ((*place)->ended && !(*place)->prepares) {
            struct order *order = *place;
            *place = order->next;
            return order;
        }
    return NULL;
}

void
orders_step(struct supervisor *supervisor)
{
    struct order *order;

    for (order = supervisor->orders; order != NULL; order = order->next)
        if (!order->ended)
            look(order);
    while ((order = take_ended(supervisor)) != NULL) {
        if (order->done != NULL)
            order->done(order->userdata, order->error, order->text);
        order_free(order);
    }
}

void
orders_abandon(struct supervisor *supervisor, const struct listener *listener, int error,
               const char *text)
{
    for (struct order *order = supervisor->orders; order != NULL; order = order->next)
        if (listener == NULL || order->listener == listener)
            order_end(order, error, text);
}

void
orders_free(struct supervisor *supervisor)
{
    struct order *order;

    while ((order = supervisor->orders) != NULL) {
        supervisor->orders = order->next;
        order_free(order);
    }
}

bool
orders_prepare(const struct supervisor *supervisor)
{
    for (const struct order *order = supervisor->orders; order != NULL; order = order->next)
        if (order->prepares)
            return true;
    return false;
}

void
supervisor_forget(struct supervisor *supervisor, const void *userdata)
{
    for (struct order *order = supervisor->orders; order != NULL; order = order->next)
        if (order->userdata == userdata)
            order->done = NULL;
    if (supervisor->reload != NULL)
        reload_forget(supervisor->reload, userdata);
    if (supervisor->upgrade != NULL)
        upgrade_forget(supervisor->upgrade, userdata);
}

/* Finds the listener and makes a place for the order; what: as the log has it. 0 or a negative
 * errno. */
static int
order_new(struct supervisor *supervisor, const char *name, const char *what, enum awaited awaited,
          operation_done done, void *userdata, struct order **ret)
{
    struct listener *listener = supervisor_find_listener(supervisor, name);

    if (supervisor->stopping)
        return -ESHUTDOWN;
    if (listener == NULL)
        return -ENOENT;
    struct order *order = calloc(1, sizeof(*order));
    if (order == NULL)
        return -ENOMEM;
    order->supervisor = supervisor;
    order->listener = listener;
    order->awaited = awaited;
    order->done = done;
    order->userdata = userdata;
    order->next = supervisor->orders;
    supervisor->orders = order;
    supervisor_review(supervisor);
    log_listener(name, LOG_NOTICE, "told to %s", what);
    *ret = order;
    return 0;
}

/* ---- the operations ------------------------------------------------------------------------ */

int
supervisor_drain(struct supervisor *supervisor, const char *name, bool wait, operation_done done,
                 void *userdata)
{
    struct order *order;
    int r = order_new(supervisor, name, "drain", wait ? AWAIT_END : AWAIT_QUIET, done, userdata,
                      &order);

    if (r == 0)
        listener_drain(order->listener);
    return r;
}

int
supervisor_resume(struct supervisor *supervisor, const char *name, operation_done done,
                  void *userdata)
{
    struct order *order;
    int r = order_new(supervisor, name, "resume", AWAIT_SERVICE, done, userdata, &order);

    if (r == 0)
        listener_resume(order->listener);
    return r;
}

int
supervisor_stop_listener(struct supervisor *supervisor, const char *name, operation_done done,
                         void *userdata)
{
    struct order *order;
    int r = order_new(supervisor, name, "stop", AWAIT_END, done, userdata, &order);

    if (r == 0)
        listener_stop(order->listener, true);
    return r;
}

int
supervisor_start_listener(struct supervisor *supervisor, const char *name, operation_done done,
                          void *userdata)
{
    struct order *order;
    int r = order_new(supervisor, name, "start", AWAIT_SERVICE, done, userdata, &order);

    if (r == 0)
        listener_start(order->listener);
    return r;
}

static void
on_prepared(struct listener *listener, int error, const char *text, void *userdata)
{
    struct order *order = userdata;

    order->prepares = false;
    if (error < 0)
        order_end(order, error, text);
    else
        listener_commit(listener);
    supervisor_review(order->supervisor);
}

int
supervisor_restart_listener(struct supervisor *supervisor, const char *name, operation_done done,
                            void *userdata)
{
    struct order *order;

    if (supervisor->reload != NULL)
        return -EBUSY;
    int r = order_new(supervisor, name, "restart", AWAIT_SERVICE, done, userdata, &order);
    if (r < 0)
        return r;
    struct listener *listener = order->listener;
    enum listener_state state = listener_state(listener);
    if (state != LISTENER_SERVING && state != LISTENER_BACKING) {
        listener_start(listener);
        return 0;
    }
    r = listener_prepare(listener, listener_settings(listener), &supervisor->host.spawn, NULL,
                         on_prepared, order);
    if (r < 0)
        order_end(order, r, "another restart is under way");
    else
        order->prepares = true;
    return 0;
}

/* ---- the daemon ----------------------------------------------------------------------------- */

int
supervisor_set_log_level(struct supervisor *supervisor, int level)
{
    if (level < LOG_EMERG || level > LOG_DEBUG)
        return -EINVAL;
    supervisor->log_level = (unsigned)level + 1;
    supervisor_log_change_level(supervisor, level);
    return 0;
}

size_t
supervisor_listener_count(const struct supervisor *supervisor)
{
    return supervisor->count;
}

struct listener *
supervisor_listener(const struct supervisor *supervisor, size_t index)
{
    return index < supervisor->count ? supervisor->listeners[index] : NULL;
}

struct listener *
supervisor_find_listener(const struct supervisor *supervisor, const char *name)
{
    for (size_t i = 0; i < supervisor->count; i++)
        if (strcmp(listener_settings(supervisor->listeners[i])->name, name) == 0)
            return supervisor->listeners[i];
    return NULL;
}

const struct config *
supervisor_configuration(const struct supervisor *supervisor)
{
    return supervisor->config;
}
