/* SPDX-License-Identifier: MIT */
/*
 * listener_events.c - what a listener's workers do, and what follows
 *
 * Runs in:  the supervisor.
 * Owns:     nothing; the listener is listener.c's.
 * Failures: logged here: each worker's death, each new reason why none starts.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "supervisor/listener/listener_private.h"

/* ---- problems ----------------------------------------------------------------------- */

static void
remember_problem(struct listener *listener, const char *text)
{
    free(listener->last_problem);
    listener->last_problem = strdup(text);
}

static void
set_problem(struct listener *listener, const char *text)
{
    char *copy = strdup(text);

    free(listener->problem);
    listener->problem = copy;
    remember_problem(listener, text);
}

void
listener_log_problem(struct listener *listener, const char *text, uint64_t delay_usec)
{
    bool known = listener->problem != NULL && strcmp(listener->problem, text) == 0;

    if (listener->host->keep_trying)
        log_here(listener, known ? LOG_DEBUG : LOG_ERR, "%s (next try in %.1f s)", text,
                 (double)delay_usec / 1e6);
    else
        log_here(listener, LOG_ERR, "%s", text);
    if (!known)
        set_problem(listener, text);
}

static void
fail_for(struct listener *listener, const char *text, uint64_t delay)
{
    listener_log_problem(listener, text, delay);
    if (listener->host->keep_trying)
        listener_retry_later(listener, delay);
    listener_enter(listener, LISTENER_FAILED);
}

void
listener_fail(struct listener *listener, const char *text)
{
    fail_for(listener, text, backoff_after_failure(&listener->backoff));
}

void
listener_fail_taken(struct listener *listener, const char *text)
{
    fail_for(listener, text, backoff_while_taken(&listener->backoff));
}

/* Reports mistakes of the configuration; each says itself where it is. */
static void
report_mistakes(const struct listener *listener, const struct process *process)
{
    const struct errors *mistakes = process_mistakes(process);

    if (listener->host->configuration_errors != NULL) {
        process_add_mistakes(process, listener->host->configuration_errors);
        return;
    }
    for (size_t i = 0; i < mistakes->count; i++)
        log_here(listener, LOG_ERR, "%s", mistakes->texts[i]);
}

/* Fails the listener, and reports the same mistakes only once. */
static void
fail_misconfigured(struct listener *listener, const struct process *process, const char *text)
{
    if (listener->problem == NULL || strcmp(listener->problem, text) != 0)
        report_mistakes(listener, process);
    set_problem(listener, text);
    if (listener->host->keep_trying && listener->host->configuration_errors == NULL)
        listener_retry_later(listener, backoff_after_failure(&listener->backoff));
    listener_enter(listener, LISTENER_FAILED);
}

/* ---- the present generation ----------------------------------------------------------- */

/* Ends the whole generation when one worker cannot start: the others would fail alike. */
static void
on_present_failed(struct listener *listener, const struct process *process)
{
    _cleanup_free_ char *line = errors_line(process_mistakes(process));
    const char *text = line == NULL ? strerror(ENOMEM) : line;

    if (listener->state != LISTENER_STARTING)
        return; /* when this replacement ends, the next one is tried */
    generation_cut(listener_dismiss(listener));
    listener->misconfigured = process_failure(process) == FAILURE_CONFIGURATION;
    if (listener->misconfigured)
        fail_misconfigured(listener, process, text);
    else
        listener_fail(listener, text);
}

/* Goes on after a worker's death, and starts the next one as soon as the back-off allows. */
static void
replace(struct listener *listener, const struct process *process)
{
    uint64_t served = process_served_usec(process);
    uint64_t delay = served > 0 ? backoff_after_death(&listener->backoff, served)
                                : backoff_after_failure(&listener->backoff);
    char death[640];

    listener->restarts++;
    (void)snprintf(death, sizeof(death), "worker %d %s", (int)process_pid(process),
                   process_fate(process));
    if (process_has_failed(process)) {
        _cleanup_free_ char *line = errors_line(process_mistakes(process));
        listener_log_problem(listener, line == NULL ? strerror(ENOMEM) : line, delay);
    } else {
        remember_problem(listener, death);
        if (delay == 0)
            log_here(listener, LOG_ERR, "%s; starting another", death);
        else
            log_here(listener, LOG_ERR, "%s; starting another in %.1f s", death,
                     (double)delay / 1e6);
    }
    listener_retry_later(listener, delay);
    if (generation_count(listener->present, PROCESS_SERVING) == 0)
        listener_enter(listener, LISTENER_BACKING);
}

/* Stops after a worker's death under --once: the request was lost with the worker, and there is no
 * second try. */
static void
give_up(struct listener *listener, const struct process *process)
{
    char text[640];

    (void)snprintf(text, sizeof(text), "worker %d %s", (int)process_pid(process),
                   process_fate(process));
    log_here(listener, LOG_ERR, "%s", text);
    set_problem(listener, text);
    listener_cut(listener);
}

static void
die_at_start(struct listener *listener, const struct process *process)
{
    char text[640];

    generation_cut(listener_dismiss(listener));
    (void)snprintf(text, sizeof(text), "worker %d %s before it was ready",
                   (int)process_pid(process), process_fate(process));
    listener_fail(listener, text);
}

static void
on_present_gone(struct listener *listener, const struct process *process)
{
    if (listener->state == LISTENER_STARTING)
        die_at_start(listener, process);
    else if (listener->host->spawn.once)
        give_up(listener, process);
    else
        replace(listener, process);
}

static void
on_stop_asked(struct listener *listener)
{
    if (!listener->host->spawn.once)
        log_here(listener, LOG_NOTICE, "the plugin asked to stop");
    listener_stop(listener, false);
}

/* The workers beside those of a handler that spins are ready, or could not start. */
static void
on_another_prepared(struct listener *listener, int error, struct errors *why, void *userdata)
{
    (void)userdata;
    if (error == 0) {
        listener_commit(listener);
        return;
    }
    _cleanup_free_ char *line = errors_line(why);
    log_here(listener, error == -EINTR ? LOG_NOTICE : LOG_ERR,
             "cannot replace the worker whose handler spins: %s",
             line == NULL ? strerror(-error) : line);
}

/* Others take its place first, so that no client is refused and those beside it may finish. */
static void
on_another_asked(struct listener *listener, const struct process *process)
{
    const struct listener_preparation preparation = {
        .settings = listener->settings,
        .spawn = &listener->host->spawn,
        .prepared = on_another_prepared,
    };
    char text[96];

    (void)snprintf(text, sizeof(text), "worker %d has a handler that spins",
                   (int)process_pid(process));
    remember_problem(listener, text);
    if (listener->host->spawn.once) {
        log_here(listener, LOG_ERR, "%s", text);
        set_problem(listener, text);
        listener_cut(listener);
        return;
    }
    int r = listener_prepare(listener, &preparation, NULL);
    if (r == 0)
        listener->restarts++;
    log_here(listener, LOG_ERR, "%s; %s%s", text,
             r == 0        ? "starting another beside it"
             : r == -EBUSY ? "another is being prepared already"
                           : "cannot start another: ",
             r == 0 || r == -EBUSY ? "" : strerror(-r));
}

static void
on_present(struct listener *listener, const struct process *process, enum process_event event)
{
    switch (event) {
    case PROCESS_HAS_FAILED:
        on_present_failed(listener, process);
        break;
    case PROCESS_WANTS_STOP:
        on_stop_asked(listener);
        break;
    case PROCESS_WANTS_ANOTHER:
        on_another_asked(listener, process);
        break;
    case PROCESS_IS_GONE:
        on_present_gone(listener, process);
        break;
    case PROCESS_IS_READY:
    case PROCESS_HAS_STOPPED:
    case PROCESS_HAS_PULSE:
        break; /* listener_proceed() looks at the workers */
    }
}

/* ---- the one that is being prepared ------------------------------------------------------ */

static void
tell_preparer(struct listener *listener, int error, struct errors *why)
{
    listener_discard(listener);
    listener->prepared(listener, error, why, listener->prepared_userdata);
    errors_done(why);
}

void
listener_fail_next(struct listener *listener, int error, const char *text)
{
    struct errors why = {0};

    if (listener->next == NULL)
        return;
    errors_add(&why, listener->next_settings->file, listener->next_settings->line,
               "listeners.%s: %s", listener->next_settings->name, text);
    tell_preparer(listener, error, &why);
}

static void
on_next(struct listener *listener, const struct process *process, enum process_event event)
{
    struct errors why = {0};
    char text[640];

    switch (event) {
    case PROCESS_IS_READY:
        if (generation_is_ready(listener->next))
            listener->prepared(listener, 0, NULL, listener->prepared_userdata);
        break;
    case PROCESS_HAS_FAILED:
        process_add_mistakes(process, &why);
        tell_preparer(listener, -ECANCELED, &why);
        break;
    case PROCESS_WANTS_STOP:
        listener_fail_next(listener, -ECANCELED, "the plugin asked to stop before it served");
        break;
    case PROCESS_IS_GONE:
        (void)snprintf(text, sizeof(text), "worker %d %s before it served",
                       (int)process_pid(process), process_fate(process));
        listener_fail_next(listener, -ECANCELED, text);
        break;
    case PROCESS_WANTS_ANOTHER:
    case PROCESS_HAS_STOPPED:
    case PROCESS_HAS_PULSE:
        break;
    }
}

/* ---- those that leave ---------------------------------------------------------------------- */

static void
on_leaving(struct listener *listener, const struct process *process, enum process_event event)
{
    if (event == PROCESS_IS_GONE && !process_ended_well(process) && !process_has_failed(process))
        log_here(listener, LOG_WARNING, "worker %d %s while draining", (int)process_pid(process),
                 process_fate(process));
    /* Somebody may wait for the end of accepting, and a removed listener for its last process. */
    if (event == PROCESS_HAS_STOPPED || event == PROCESS_IS_GONE)
        listener->host->changed(listener, listener->host->userdata);
}

/* A worker's answer is the occasion to look at the socket: a plugin may have shut it down and go on
 * without it. Workers that hold another socket than the listener's are of no use. */
static void
on_pulse(struct listener *listener, const struct generation *generation)
{
    if (generation == listener->present && listener->state == LISTENER_SERVING &&
        listener_look_at_socket(listener) == SOCKET_REPLACED)
        generation_cut(listener->present);
}

void
listener_on_process(struct generation *generation, struct process *process,
                    enum process_event event, void *userdata)
{
    struct listener *listener = userdata;

    if (event == PROCESS_HAS_PULSE) {
        on_pulse(listener, generation);
        return;
    }
    if (generation == listener->present)
        on_present(listener, process, event);
    else if (generation == listener->next)
        on_next(listener, process, event);
    else
        on_leaving(listener, process, event);
    listener_proceed(listener);
}
