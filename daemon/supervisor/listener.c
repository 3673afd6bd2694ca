/* SPDX-License-Identifier: MIT */
/*
 * listener.c - one entry of the configuration and what becomes of it
 *
 * A state machine. Its events are the supervisor's orders, the timer that
 * ends a back-off, and what its worker processes do. The processes started
 * together are a generation; each generation has as many as the mixin asks
 * for (`cpus` for none, else one) and works on the listener's one socket,
 * which stays open from the first start to the drain: while a worker is
 * replaced, clients wait in the socket's queue.
 *
 *     STOPPED -> STARTING -> SERVING -> DRAINING -> STOPPED
 *                  ^  |        |
 *                  |  v        v
 *                  FAILED    BACKING -> SERVING
 *
 * Runs in:  the supervisor.
 * Owns:     the socket, the processes and their restarts.
 * Failures: logged here, when something changes, not again for every try.
 */
#include "supervisor/listener.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "supervisor/backoff.h"
#include "supervisor/process.h"
#include "supervisor/socket.h"

struct listener {
    const struct listener_host *host;
    struct settings settings;
    enum listener_state state;
    struct listening_socket socket;

    unsigned generation; /* number of the present one, from 1 on */
    bool serving;        /* the generation has begun to serve: replacements join at once */
    struct process **processes;
    size_t process_count; /* places in processes; NULL where one is missing */

    struct backoff backoff;
    sd_event_source *retry; /* starts what is missing */
    char *problem;
    bool misconfigured;

    struct counter_sums past; /* of workers that are gone */
    uint64_t restarts, since;
};

static void start_missing(struct listener *listener);

#define log_here(listener, level, ...) log_listener((listener)->settings.name, (level), __VA_ARGS__)

/* ---- small questions ------------------------------------------------------------- */

static size_t
count_in(const struct listener *listener, enum process_state state)
{
    size_t count = 0;

    for (size_t i = 0; i < listener->process_count; i++)
        count += listener->processes[i] != NULL && process_state(listener->processes[i]) == state;
    return count;
}

bool
listener_has_processes(const struct listener *listener)
{
    for (size_t i = 0; i < listener->process_count; i++)
        if (listener->processes[i] != NULL)
            return true;
    return false;
}

static bool
all_have_stopped(const struct listener *listener)
{
    for (size_t i = 0; i < listener->process_count; i++)
        if (listener->processes[i] != NULL && !process_has_stopped(listener->processes[i]))
            return false;
    return true;
}

static const char *
plugin_name(const struct settings *settings)
{
    const char *file = settings->plugin_file != NULL ? settings->plugin_file : settings->plugin;
    const char *slash = strrchr(file, '/');

    return slash == NULL ? file : slash + 1;
}

/* ---- changing state ---------------------------------------------------------------- */

static void
enter(struct listener *listener, enum listener_state state)
{
    if (listener->state == state)
        return;
    listener->state = state;
    (void)sd_event_now(listener->host->event, CLOCK_MONOTONIC, &listener->since);
    listener->host->changed(listener, listener->host->userdata);
}

static void
retry_later(struct listener *listener, uint64_t delay_usec)
{
    uint64_t now = 0;

    (void)sd_event_now(listener->host->event, CLOCK_MONOTONIC, &now);
    (void)sd_event_source_set_time(listener->retry, now + delay_usec);
    (void)sd_event_source_set_enabled(listener->retry, SD_EVENT_ONESHOT);
}

static void
become_stopped(struct listener *listener)
{
    socket_close(&listener->socket);
    listener->serving = false;
    enter(listener, LISTENER_STOPPED);
}

/* A copy with its lines joined; NULL without memory. */
static char *
one_line(const char *text)
{
    size_t size = strlen(text);

    while (size > 0 && text[size - 1] == '\n')
        size--;
    char *line = strndup(text, size);
    for (char *c = line; c != NULL && *c != '\0'; c++)
        if (*c == '\n')
            *c = ' ';
    return line;
}

/* One line for each new reason; the same again is only for who debugs. */
static void
log_problem(struct listener *listener, const char *text, uint64_t delay_usec)
{
    _cleanup_free_ char *line = one_line(text);
    bool known = line != NULL && listener->problem != NULL && strcmp(listener->problem, line) == 0;

    if (listener->host->keep_trying)
        log_here(listener, known ? LOG_DEBUG : LOG_ERR, "%s (next try in %.1f s)",
                 line == NULL ? text : line, (double)delay_usec / 1e6);
    else
        log_here(listener, LOG_ERR, "%s", line == NULL ? text : line);
    if (!known) {
        free(listener->problem);
        listener->problem = take_pointer(line);
    }
}

/* It could not start. text may have several lines. */
static void
fail(struct listener *listener, const char *text)
{
    uint64_t delay = backoff_after_failure(&listener->backoff);

    log_problem(listener, text, delay);
    if (listener->host->keep_trying)
        retry_later(listener, delay);
    enter(listener, LISTENER_FAILED);
}

static void
begin_serving(struct listener *listener)
{
    const struct settings *settings = &listener->settings;
    char workers[32] = "";

    for (size_t i = 0; i < listener->process_count; i++)
        if (listener->processes[i] != NULL)
            process_serve(listener->processes[i]);
    listener->misconfigured = false;
    free(take_pointer(listener->problem));
    if (listener->state != LISTENER_SERVING && listener->state != LISTENER_BACKING) {
        if (listener->process_count > 1)
            (void)snprintf(workers, sizeof(workers), ", %zu workers", listener->process_count);
        log_here(listener, LOG_NOTICE, "listening on %s (%s, %s%s)", listener->socket.address,
                 mixin_names[settings->mixin], plugin_name(settings), workers);
    }
    listener->serving = true;
    enter(listener, LISTENER_SERVING);
}

/* ---- what processes do ---------------------------------------------------------------- */

static void
on_process_ready(struct listener *listener)
{
    if (listener->state == LISTENER_DRAINING || listener->state == LISTENER_STOPPED)
        return;
    /* A new generation begins when all of it is there; a replacement at once. */
    if (listener->serving || count_in(listener, PROCESS_READY) == listener->process_count)
        begin_serving(listener);
}

/* Each line of text is one mistake, with its own file and line. */
static void
report_mistakes(struct listener *listener, const char *text)
{
    while (*text != '\0') {
        int size = (int)strcspn(text, "\n");
        if (size > 0 && listener->host->configuration_errors != NULL)
            errors_add(listener->host->configuration_errors, NULL, 0, "%.*s", size, text);
        else if (size > 0)
            log_here(listener, LOG_ERR, "%.*s", size, text);
        text += size;
        text += *text == '\n';
    }
}

static void
cut_processes(struct listener *listener)
{
    for (size_t i = 0; i < listener->process_count; i++)
        if (listener->processes[i] != NULL)
            process_cut(listener->processes[i]);
}

/* Only once for the same mistakes. */
static void
fail_misconfigured(struct listener *listener, const char *text)
{
    if (listener->problem == NULL || strcmp(listener->problem, text) != 0)
        report_mistakes(listener, text);
    free(listener->problem);
    listener->problem = strdup(text);
    if (listener->host->keep_trying && listener->host->configuration_errors == NULL)
        retry_later(listener, backoff_after_failure(&listener->backoff));
    enter(listener, LISTENER_FAILED);
}

/* A worker cannot start, and the others of its generation would fail alike. */
static void
on_process_failed(struct listener *listener, const struct process *process)
{
    const char *text;
    bool misconfigured = process_failure(process, &text) == FAILURE_CONFIGURATION;

    if (listener->state != LISTENER_STARTING)
        return; /* a replacement's end brings the next try */
    cut_processes(listener);
    listener->misconfigured = misconfigured;
    if (misconfigured)
        fail_misconfigured(listener, text);
    else
        fail(listener, text);
}

/* A worker that had served is dead: the listener goes on, with the next one as soon as allowed. */
static void
replace(struct listener *listener, const struct process *process)
{
    uint64_t served = process_served_usec(process);
    uint64_t delay = served > 0 ? backoff_after_death(&listener->backoff, served)
                                : backoff_after_failure(&listener->backoff);

    if (process_has_failed(process)) {
        const char *text;
        (void)process_failure(process, &text);
        log_problem(listener, text, delay);
    } else if (delay == 0)
        log_here(listener, LOG_ERR, "worker %d %s; starting another", (int)process_pid(process),
                 process_fate(process));
    else
        log_here(listener, LOG_ERR, "worker %d %s; starting another in %.1f s",
                 (int)process_pid(process), process_fate(process), (double)delay / 1e6);
    retry_later(listener, delay);
    if (count_in(listener, PROCESS_SERVING) == 0)
        enter(listener, LISTENER_BACKING);
}

/* Under --once there is no second try: the request was lost with its worker. */
static void
give_up(struct listener *listener, const struct process *process)
{
    char text[256];

    (void)snprintf(text, sizeof(text), "worker %d %s", (int)process_pid(process),
                   process_fate(process));
    log_here(listener, LOG_ERR, "%s", text);
    free(listener->problem);
    listener->problem = strdup(text);
    cut_processes(listener);
    if (listener_has_processes(listener))
        enter(listener, LISTENER_DRAINING);
    else
        become_stopped(listener);
}

static void
die_at_start(struct listener *listener, const struct process *process)
{
    char text[256];

    cut_processes(listener);
    (void)snprintf(text, sizeof(text), "worker %d %s before it was ready",
                   (int)process_pid(process), process_fate(process));
    fail(listener, text);
}

static void
remember_sums(struct listener *listener, const struct process *process)
{
    struct counter_sums sums;
    uint32_t slots;
    const struct counters *counters = process_counters(process, &slots);

    counters_sum(counters, slots, &sums);
    counter_sums_add_past(&listener->past, &sums);
}

static void
on_process_gone(struct listener *listener, struct process *process)
{
    remember_sums(listener, process);
    listener->restarts += process_served_usec(process) > 0 && !process_ended_well(process);
    for (size_t i = 0; i < listener->process_count; i++)
        if (listener->processes[i] == process)
            listener->processes[i] = NULL;

    switch (listener->state) {
    case LISTENER_STARTING:
        die_at_start(listener, process);
        break;
    case LISTENER_SERVING:
    case LISTENER_BACKING:
        if (listener->host->spawn.once)
            give_up(listener, process);
        else
            replace(listener, process);
        break;
    case LISTENER_DRAINING:
        if (!process_ended_well(process) && !process_has_failed(process))
            log_here(listener, LOG_WARNING, "worker %d %s while draining",
                     (int)process_pid(process), process_fate(process));
        if (!listener_has_processes(listener))
            become_stopped(listener);
        break;
    case LISTENER_FAILED:
    case LISTENER_STOPPED:
        break;
    }
    process_free(process);
}

/* Once no worker accepts any more, new clients are refused instead of being kept waiting. */
static void
on_process_stopped(struct listener *listener)
{
    if (listener->state == LISTENER_DRAINING && all_have_stopped(listener))
        socket_close(&listener->socket);
}

static void
on_process(struct process *process, enum process_event event, void *userdata)
{
    struct listener *listener = userdata;

    switch (event) {
    case PROCESS_IS_READY:
        on_process_ready(listener);
        break;
    case PROCESS_HAS_FAILED:
        on_process_failed(listener, process);
        break;
    case PROCESS_HAS_STOPPED:
        on_process_stopped(listener);
        break;
    case PROCESS_WANTS_STOP:
        if (!listener->host->spawn.once)
            log_here(listener, LOG_NOTICE, "the plugin asked to stop");
        listener_drain(listener);
        break;
    case PROCESS_IS_GONE:
        on_process_gone(listener, process);
        break;
    }
}

/* ---- starting -------------------------------------------------------------------------- */

static int
start_process(struct listener *listener, size_t place)
{
    const struct process_setup setup = {
        .event = listener->host->event,
        .settings = &listener->settings,
        .options = &listener->host->spawn,
        .socket_fd = listener->socket.fd,
        .address = listener->socket.address,
        .stream = listener->socket.stream,
        .handler = on_process,
        .userdata = listener,
    };

    return process_new(&setup, &listener->processes[place]);
}

static void
start_missing(struct listener *listener)
{
    char text[128];

    for (size_t i = 0; i < listener->process_count; i++) {
        int r = listener->processes[i] == NULL ? start_process(listener, i) : 0;
        if (r == 0)
            continue;
        (void)snprintf(text, sizeof(text), "cannot start a worker: %s", strerror(-r));
        if (listener->serving) {
            uint64_t delay = backoff_after_failure(&listener->backoff);
            log_problem(listener, text, delay);
            retry_later(listener, delay);
        } else {
            cut_processes(listener);
            fail(listener, text);
        }
        return;
    }
}

static int
open_socket(struct listener *listener)
{
    _cleanup_free_ char *text = NULL;

    if (listener->socket.fd >= 0)
        return 0;
    int r = socket_open(&listener->settings, &listener->socket, &text);
    if (r < 0)
        fail(listener, text == NULL ? strerror(-r) : text);
    return r;
}

static void
start_generation(struct listener *listener)
{
    if (open_socket(listener) < 0)
        return;
    listener->generation++;
    listener->serving = false;
    enter(listener, LISTENER_STARTING);
    start_missing(listener);
}

static int
on_retry(sd_event_source *source, uint64_t when, void *userdata)
{
    struct listener *listener = userdata;

    (void)source;
    (void)when;
    if (listener->state == LISTENER_FAILED && listener_has_processes(listener))
        retry_later(listener, BACKOFF_FIRST_USEC); /* what is left of the last try still ends */
    else if (listener->state == LISTENER_FAILED)
        start_generation(listener);
    else if (listener->state == LISTENER_SERVING || listener->state == LISTENER_BACKING)
        start_missing(listener);
    return 0;
}

void
listener_start(struct listener *listener)
{
    if (listener->state == LISTENER_STOPPED && !listener_has_processes(listener))
        start_generation(listener);
}

/* ---- stopping --------------------------------------------------------------------------- */

static void
stop(struct listener *listener, void (*end)(struct listener *listener))
{
    (void)sd_event_source_set_enabled(listener->retry, SD_EVENT_OFF);
    end(listener);
    if (!listener_has_processes(listener)) {
        become_stopped(listener);
        return;
    }
    enter(listener, LISTENER_DRAINING);
    on_process_stopped(listener);
}

static void
drain_processes(struct listener *listener)
{
    uint64_t milliseconds = (uint64_t)(listener->settings.drain_timeout * 1000);

    for (size_t i = 0; i < listener->process_count; i++)
        if (listener->processes[i] != NULL)
            process_drain(listener->processes[i], milliseconds);
}

void
listener_drain(struct listener *listener)
{
    if (listener->state != LISTENER_STOPPED && listener->state != LISTENER_DRAINING)
        stop(listener, drain_processes);
}

void
listener_cut(struct listener *listener)
{
    if (listener->state != LISTENER_STOPPED)
        stop(listener, cut_processes);
}

void
listener_tell(struct listener *listener, unsigned order, uint64_t value, int fd)
{
    for (size_t i = 0; i < listener->process_count; i++)
        if (listener->processes[i] != NULL)
            process_tell(listener->processes[i], order, value, fd);
}

/* ---- beginning and end -------------------------------------------------------------------- */

int
listener_new(const struct listener_host *host, const struct settings *settings,
             struct listener **ret)
{
    struct listener *listener = calloc(1, sizeof(*listener));

    if (listener == NULL)
        return -ENOMEM;
    listener->host = host;
    listener->socket = LISTENING_SOCKET_NONE;
    listener->process_count =
        settings->mixin == MIXIN_NONE && settings->cpus > 1 ? settings->cpus : 1;
    listener->processes = calloc(listener->process_count, sizeof(*listener->processes));
    int r = listener->processes == NULL ? -ENOMEM : settings_copy(settings, &listener->settings);
    if (r >= 0)
        r = sd_event_add_time(host->event, &listener->retry, CLOCK_MONOTONIC, UINT64_MAX, 0,
                              on_retry, listener);
    if (r >= 0)
        r = sd_event_source_set_enabled(listener->retry, SD_EVENT_OFF);
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
    for (size_t i = 0; listener->processes != NULL && i < listener->process_count; i++)
        process_free(listener->processes[i]);
    free(listener->processes);
    (void)sd_event_source_disable_unref(listener->retry);
    socket_close(&listener->socket);
    settings_done(&listener->settings);
    free(listener->problem);
    free(listener);
}

/* ---- what others ask ------------------------------------------------------------------------ */

enum listener_state
listener_state(const struct listener *listener)
{
    return listener->state;
}

const char *
listener_state_name(enum listener_state state)
{
    static const char *const names[] = {
        [LISTENER_STOPPED] = "stopped",     [LISTENER_STARTING] = "starting",
        [LISTENER_SERVING] = "serving",     [LISTENER_FAILED] = "failed",
        [LISTENER_BACKING] = "backing off", [LISTENER_DRAINING] = "draining",
    };

    return names[state];
}

const struct settings *
listener_settings(const struct listener *listener)
{
    return &listener->settings;
}

bool
listener_is_misconfigured(const struct listener *listener)
{
    return listener->misconfigured;
}

const char *
listener_problem(const struct listener *listener)
{
    return listener->problem;
}

void
listener_visit_workers(const struct listener *listener,
                       void (*visit)(const struct listener_worker *worker, void *userdata),
                       void *userdata)
{
    for (size_t i = 0; i < listener->process_count; i++) {
        const struct process *process = listener->processes[i];
        if (process == NULL)
            continue;
        struct listener_worker worker = {
            .pid = process_pid(process),
            .generation = listener->generation,
            .draining = process_state(process) == PROCESS_DRAINING,
        };
        worker.counters = process_counters(process, &worker.slots);
        visit(&worker, userdata);
    }
}

static void
add_worker(const struct listener_worker *worker, void *userdata)
{
    struct listener_status *status = userdata;
    struct counter_sums sums;

    counters_sum(worker->counters, worker->slots, &sums);
    counter_sums_add(&status->sums, &sums);
    if (status->pid_count < LISTENER_PIDS)
        status->pids[status->pid_count++] = worker->pid;
}

void
listener_status(const struct listener *listener, struct listener_status *ret)
{
    const struct settings *settings = &listener->settings;

    *ret = (struct listener_status){
        .name = settings->name,
        .state = listener_state_name(listener->state),
        .address = listener->socket.fd >= 0 ? listener->socket.address : settings->address.text,
        .plugin = settings->plugin_file,
        .mixin = mixin_names[settings->mixin],
        .problem = listener->problem,
        .max_connections = settings->max_connections,
        .generation = listener->generation,
        .sums = listener->past,
        .restarts = listener->restarts,
        .since = listener->since,
        .fd = listener->socket.fd,
        .stream = listener->socket.stream,
    };
    listener_visit_workers(listener, add_worker, ret);
}
