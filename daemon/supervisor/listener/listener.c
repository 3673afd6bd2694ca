/* SPDX-License-Identifier: MIT */
/*
 * listener.c - one entry of the configuration and what becomes of it
 *
 * A listener is a state machine. Its events are orders, the timer that ends a
 * back-off, and what its worker processes do (listener_events.c). The processes
 * started together are a generation. One is present; another may be prepared
 * beside it; up to four older ones drain. All work on the listener's one
 * socket, which stays open while workers come and go: clients wait in its
 * queue.
 *
 *  state     | start       drain     resume    stop      | worker dies   back-off ends
 *  ----------+-------------------------------------------+-----------------------------
 *  STOPPED   | STARTING    -         -         -         |
 *  STARTING  | -           DRAINING  -         DRAINING  | FAILED
 *  SERVING   | -           DRAINING  -         DRAINING  | BACKING (1)   worker started
 *  FAILED    | STARTING    DRAINED   -         STOPPED   |               STARTING
 *  BACKING   | tried now   DRAINING  -         DRAINING  |               SERVING
 *  DRAINING  | later (2)   -         STARTING  socket    | DRAINED or
 *            |                                 closed,   | STOPPED with
 *            |                                 STOPPED   | the last one
 *  DRAINED   | STARTING    -         STARTING  STOPPED   |
 *
 *  A host's name is looked up in STARTING, before there are workers.
 *
 *  (1) the first death in a while is replaced at once; SERVING while others serve
 *  (2) at once towards DRAINED; towards STOPPED when the socket is closed
 *
 * prepare is possible in every state and changes none; commit makes the
 * prepared generation the present one. The old one is told to drain first, and
 * only when it has said that it accepts no more does the new one serve: a
 * request that begins after a reload is answered by the new code, and the
 * modes of the one socket are never set by two at a time.
 *
 * Runs in:  the supervisor.
 * Owns:     the sockets, the generations and their restarts.
 * Failures: logged here, when something changes, not again for every try.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/cleanup.h"
#include "common/probes.h"
#include "supervisor/listener/listener_private.h"
#include "supervisor/socket/socket_change.h"

#define IMPATIENCE_USEC UINT64_C(3000000) /* an old generation stops accepting at once */

/* ---- changing state ---------------------------------------------------------------- */

static uint64_t
now_usec(const struct listener *listener)
{
    uint64_t now = 0;

    (void)sd_event_now(listener->host->event, CLOCK_MONOTONIC, &now);
    return now;
}

void
listener_enter(struct listener *listener, enum listener_state state)
{
    if (listener->state == state)
        return;
    PROBE(listener__state, listener->settings->name, listener_state_name(listener->state),
          listener_state_name(state));
    listener->state = state;
    if (state == LISTENER_STOPPED)
        kept_unref(take_pointer(listener->kept));
    listener->tried |= state != LISTENER_STARTING;
    listener->since = now_usec(listener);
    listener->host->changed(listener, listener->host->userdata);
}

static void
arm(const struct listener *listener, sd_event_source *timer, uint64_t delay_usec)
{
    (void)sd_event_source_set_time(timer, now_usec(listener) + delay_usec);
    (void)sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT);
}

static void
disarm(sd_event_source *timer)
{
    (void)sd_event_source_set_enabled(timer, SD_EVENT_OFF);
}

void
listener_retry_later(struct listener *listener, uint64_t delay_usec)
{
    arm(listener, listener->retry, delay_usec);
}

void
listener_retry_no_more(struct listener *listener)
{
    disarm(listener->retry);
}

/* ---- serving ---------------------------------------------------------------------------- */

static const char *
plugin_name(const struct settings *settings)
{
    const char *file = settings->plugin_file != NULL ? settings->plugin_file : settings->plugin;
    const char *slash = strrchr(file, '/');

    return slash == NULL ? file : slash + 1;
}

static void
log_serving(const struct listener *listener)
{
    const struct settings *settings = listener->settings;
    size_t size = generation_size(listener->present);
    char workers[32] = "";

    if (size > 1)
        (void)snprintf(workers, sizeof(workers), ", %zu workers", size);
    if (listener->state != LISTENER_SERVING && listener->state != LISTENER_BACKING)
        log_here(listener, LOG_NOTICE, "listening on %s (%s, %s%s)", listener->socket.address,
                 mixin_names[settings->mixin], plugin_name(settings), workers);
    else if (!generation_is_serving(listener->present))
        log_here(listener, LOG_NOTICE, "generation %u serves (%s, %s%s)",
                 generation_number(listener->present), mixin_names[settings->mixin],
                 plugin_name(settings), workers);
}

static void
begin_serving(struct listener *listener)
{
    disarm(listener->impatience);
    log_serving(listener);
    if (!generation_is_serving(listener->present))
        listener_tls_note(&listener->tls, listener->host->event, listener->present,
                          listener->settings);
    generation_serve(listener->present);
    listener->misconfigured = false;
    free(take_pointer(listener->problem));
    if (generation_count(listener->present, PROCESS_SERVING) > 0)
        listener_enter(listener, LISTENER_SERVING);
    listener->host->changed(listener, listener->host->userdata);
}

/* Whether a ready worker can serve: in a new generation all must be ready first, a replacement
 * serves at once. */
static bool
can_serve(const struct listener *listener)
{
    const struct generation *present = listener->present;

    if (present == NULL || generation_count(present, PROCESS_READY) == 0)
        return false;
    return generation_is_serving(present) || generation_is_ready(present);
}

static void
serve_if_possible(struct listener *listener)
{
    if (!can_serve(listener))
        return;
    if (generation_is_serving(listener->present) || listener->former.fd >= 0 ||
        listener_leaving_have_stopped(listener))
        begin_serving(listener);
    else
        arm(listener, listener->impatience, IMPATIENCE_USEC);
}

static int
on_impatience(sd_event_source *source, uint64_t when, void *userdata)
{
    struct listener *listener = userdata;

    (void)source;
    (void)when;
    if (can_serve(listener))
        begin_serving(listener);
    return 0;
}

/* Once no worker accepts any more, clients are refused instead of being kept waiting. */
static void
close_socket(struct listener *listener)
{
    socket_give_up(&listener->socket);
    if (!listener->start_again)
        return;
    listener->start_again = false;
    listener_enter(listener, LISTENER_STOPPED);
    listener_start_generation(listener); /* it runs beside the workers that still drain */
}

void
listener_proceed(struct listener *listener)
{
    bool quiet;

    listener_forget_the_gone(listener);
    quiet = listener_leaving_have_stopped(listener);
    if (quiet)
        socket_give_up(&listener->former);
    if (listener->state != LISTENER_DRAINING) {
        serve_if_possible(listener);
        return;
    }
    if (listener->goal == GOAL_STOPPED && quiet)
        close_socket(listener);
    if (listener->state == LISTENER_DRAINING && listener->leaving_count == 0)
        listener_enter(listener,
                       listener->goal == GOAL_DRAINED ? LISTENER_DRAINED : LISTENER_STOPPED);
}

/* ---- starting -------------------------------------------------------------------------- */

int
listener_look_at_socket(struct listener *listener)
{
    int r = socket_revive(&listener->socket, listener->settings);

    if (r > 0)
        log_here(listener, LOG_WARNING, "its socket was shut down: listening on %s again",
                 listener->socket.address);
    else if (r < 0)
        log_here(listener, LOG_ERR, "its socket was shut down, and cannot listen on %s again: %s",
                 listener->socket.address, strerror(-r));
    return r;
}

void
listener_start_missing(struct listener *listener)
{
    (void)listener_look_at_socket(listener);
    int r = generation_start_missing(listener->present, &listener->socket);
    char text[256], reason[SPAWN_REASON_SIZE];

    if (r == 0)
        return;
    (void)snprintf(text, sizeof(text), "cannot start a worker: %s", spawn_reason(r, reason));
    if (generation_is_serving(listener->present)) {
        uint64_t delay = backoff_after_failure(&listener->backoff);
        listener_log_problem(listener, text, delay);
        listener_retry_later(listener, delay);
    } else {
        generation_cut(listener_dismiss(listener));
        listener_fail(listener, text);
    }
}

static int
open_socket(struct listener *listener, const struct resolved *found)
{
    _cleanup_free_ char *text = NULL;

    if (listener->socket.fd >= 0)
        return 0;
    int r = socket_open(listener->settings, found, &listener->socket, &text);
    if (r == -EADDRINUSE) {
        listener_fail_taken(listener, text == NULL ? strerror(-r) : text);
        return r;
    }
    backoff_not_taken(&listener->backoff);
    if (r < 0)
        listener_fail(listener, text == NULL ? strerror(-r) : text);
    return r;
}

static void
start_workers(struct listener *listener, const struct resolved *found)
{
    if (open_socket(listener, found) < 0)
        return;
    int r = listener_new_generation(listener, listener->settings, &listener->host->spawn,
                                    &listener->present);
    if (r < 0) {
        listener_fail(listener, strerror(-r));
        return;
    }
    listener_take_kept(listener);
    listener_enter(listener, LISTENER_STARTING);
    listener_start_missing(listener);
}

static void
on_looked_up(const struct resolved *found, const char *problem, void *userdata)
{
    struct listener *listener = userdata;

    if (listener->next != NULL) {
        listener_put_off(listener); /* the next generation may end it */
        return;
    }
    listener_look_up_no_more(listener);
    if (found == NULL)
        listener_fail(listener, problem);
    else
        start_workers(listener, found);
}

static void
look_up(struct listener *listener)
{
    char text[256], reason[SPAWN_REASON_SIZE];

    if (listener->lookup != NULL)
        return;
    listener_enter(listener, LISTENER_STARTING);
    const struct lookup_setup setup = {
        .event = listener->host->event,
        .address = &listener->settings->address,
        .patience_usec = LOOKUP_USEC,
        .done = on_looked_up,
        .userdata = listener,
    };
    int r = lookup_new(&setup, &listener->lookup);
    if (r == 0)
        return;
    (void)snprintf(text, sizeof(text), "cannot look its address up: %s", spawn_reason(r, reason));
    listener_fail(listener, text);
}

void
listener_look_up_no_more(struct listener *listener)
{
    lookup_free(take_pointer(listener->lookup));
}

void
listener_put_off(struct listener *listener)
{
    if (listener->lookup == NULL)
        return;
    listener_look_up_no_more(listener);
    listener_retry_later(listener, BACKOFF_FIRST_USEC);
    listener_enter(listener, LISTENER_FAILED);
}

void
listener_start_generation(struct listener *listener)
{
    listener->goal = GOAL_SERVE;
    if (listener->socket.fd < 0 && socket_needs_lookup(listener->settings))
        look_up(listener);
    else
        start_workers(listener, NULL);
}

static int
on_retry(sd_event_source *source, uint64_t when, void *userdata)
{
    struct listener *listener = userdata;

    (void)source;
    (void)when;
    if (listener->state == LISTENER_FAILED && listener->next != NULL)
        listener_retry_later(listener, BACKOFF_FIRST_USEC); /* the next generation may end it */
    else if (listener->state == LISTENER_FAILED)
        listener_start_generation(listener);
    else if (listener->present != NULL)
        listener_start_missing(listener);
    return 0;
}

void
listener_heal(struct listener *listener)
{
    bool waits = listener->state == LISTENER_FAILED || listener->state == LISTENER_BACKING;

    listener->backoff = (struct backoff){0};
    if (waits && listener->goal == GOAL_SERVE)
        listener_retry_later(listener, 0);
}

void
listener_start(struct listener *listener)
{
    switch (listener->state) {
    case LISTENER_STOPPED:
    case LISTENER_DRAINED:
        listener_start_generation(listener);
        break;
    case LISTENER_DRAINING:
        listener_resume(listener);
        listener->start_again = listener->goal == GOAL_STOPPED;
        listener_proceed(listener);
        break;
    case LISTENER_FAILED:
    case LISTENER_BACKING:
        listener_heal(listener);
        break;
    case LISTENER_STARTING:
    case LISTENER_SERVING:
        break;
    }
}

void
listener_resume(struct listener *listener)
{
    bool drains = listener->state == LISTENER_DRAINING || listener->state == LISTENER_DRAINED;

    if (drains && listener->goal == GOAL_DRAINED)
        listener_start_generation(listener);
}

/* ---- stopping --------------------------------------------------------------------------- */

/* Makes sure that nothing starts by itself any more. Returns the generation that was present and
 * now leaves, or NULL. */
static struct generation *
quiesce(struct listener *listener, enum listener_goal goal)
{
    listener_fail_next(listener, -EINTR, "it was told to stop meanwhile");
    listener_look_up_no_more(listener);
    disarm(listener->retry);
    disarm(listener->impatience);
    listener->start_again = false;
    listener->goal = goal;
    return listener_dismiss(listener);
}

static void
settle(struct listener *listener)
{
    /* Even if nothing is left to wait for, the listener passes through DRAINING. */
    listener_enter(listener, LISTENER_DRAINING);
    listener_proceed(listener);
}

void
listener_drain(struct listener *listener)
{
    if (listener->goal != GOAL_SERVE)
        return;
    struct generation *generation = quiesce(listener, GOAL_DRAINED);
    if (generation != NULL)
        generation_drain(generation, false);
    settle(listener);
}

void
listener_stop(struct listener *listener, bool answer_queue)
{
    if (listener->goal == GOAL_STOPPED) {
        listener->start_again = false;
        return;
    }
    struct generation *generation = quiesce(listener, GOAL_STOPPED);
    /* The workers that have accepted so far answer the queue; without them nobody could. */
    answer_queue = answer_queue && generation != NULL && socket_freeze(&listener->socket);
    if (generation != NULL)
        generation_drain(generation, answer_queue);
    settle(listener);
}

void
listener_keep_sockets(struct listener *listener)
{
    socket_keep(&listener->socket);
    socket_keep(&listener->former);
    socket_keep(&listener->next_socket);
}

void
listener_cut(struct listener *listener)
{
    if (listener->state == LISTENER_STOPPED)
        return;
    (void)quiesce(listener, GOAL_STOPPED);
    for (size_t i = 0; i < listener->leaving_count; i++)
        generation_cut(listener->leaving[i]);
    settle(listener);
}

void
listener_tell(struct listener *listener, enum message_type type, uint64_t value, int fd)
{
    if (listener->present != NULL)
        generation_tell(listener->present, type, value, fd);
    if (listener->next != NULL)
        generation_tell(listener->next, type, value, fd);
    for (size_t i = 0; i < listener->leaving_count; i++)
        generation_tell(listener->leaving[i], type, value, fd);
}

/* ---- beginning and end -------------------------------------------------------------------- */

static int
make_timer(struct listener *listener, sd_event_time_handler_t handler, sd_event_source **ret)
{
    int r = sd_event_add_time(listener->host->event, ret, CLOCK_MONOTONIC, UINT64_MAX, 0, handler,
                              listener);

    return r < 0 ? r : sd_event_source_set_enabled(*ret, SD_EVENT_OFF);
}

int
listener_new(const struct listener_host *host, const struct settings *settings,
             struct listener **ret)
{
    struct listener *listener = calloc(1, sizeof(*listener));

    if (listener == NULL)
        return -ENOMEM;
    listener->host = host;
    listener->socket = listener->former = listener->next_socket = LISTENING_SOCKET_NONE;
    listener->since = now_usec(listener);
    listener->settings = settings_ref(settings);
    listener->name = strdup(settings->name);
    listener->tls.name = listener->name;
    if (listener->name == NULL) {
        listener_free(listener);
        return -ENOMEM;
    }
    int r = make_timer(listener, on_retry, &listener->retry);
    if (r >= 0)
        r = make_timer(listener, on_impatience, &listener->impatience);
    if (r < 0) {
        listener_free(listener);
        return r;
    }
    *ret = listener;
    return 0;
}

void
listener_free(struct listener *listener)
{
    if (listener == NULL)
        return;
    generation_free(listener->present);
    generation_free(listener->next);
    for (size_t i = 0; i < listener->leaving_count; i++)
        generation_free(listener->leaving[i]);
    free(listener->leaving);
    source_table_free(listener->sources);
    kept_unref(listener->kept);
    listener_look_up_no_more(listener);
    (void)sd_event_source_disable_unref(listener->retry);
    (void)sd_event_source_disable_unref(listener->impatience);
    socket_close(&listener->socket);
    socket_close(&listener->former);
    socket_close(&listener->next_socket);
    listener_tls_done(&listener->tls);
    settings_unref(listener->settings);
    settings_unref(listener->next_settings);
    free(listener->problem);
    free(listener->last_problem);
    free(listener->name);
    free(listener);
}
