/* SPDX-License-Identifier: MIT */
/*
 * listener_status.c - what others may know about a listener
 *
 * Runs in:  the supervisor.
 * Owns:     nothing.
 * Failures: none.
 */
#include "supervisor/listener/listener_private.h"

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
        [LISTENER_DRAINED] = "drained",
    };

    return names[state];
}

const struct settings *
listener_settings(const struct listener *listener)
{
    return listener->settings;
}

struct listening_socket *
listener_socket(struct listener *listener)
{
    return &listener->socket;
}

struct listening_socket *
listener_next_socket(struct listener *listener)
{
    return &listener->next_socket;
}

bool
listener_has_processes(const struct listener *listener)
{
    if (listener->leaving_count > 0)
        return true;
    return (listener->present != NULL && !generation_is_empty(listener->present)) ||
           (listener->next != NULL && !generation_is_empty(listener->next));
}

bool
listener_accepts(const struct listener *listener)
{
    return listener->present != NULL || !listener_leaving_have_stopped(listener);
}

bool
listener_is_settled(const struct listener *listener)
{
    if (listener->next != NULL || listener->state == LISTENER_STARTING)
        return false;
    return listener->state != LISTENER_SERVING || generation_is_serving(listener->present);
}

bool
listener_was_tried(const struct listener *listener)
{
    return listener->tried;
}

bool
listener_is_wanted(const struct listener *listener)
{
    return listener->goal == GOAL_SERVE || listener->start_again;
}

const char *
listener_problem(const struct listener *listener)
{
    return listener->problem;
}

bool
listener_plugin_changed(const struct listener *listener)
{
    return listener->present != NULL && generation_plugin_changed(listener->present);
}

/* ---- workers ----------------------------------------------------------------------------- */

static void
visit(const struct generation *generation, bool draining,
      void (*visitor)(const struct listener_worker *worker, void *userdata), void *userdata)
{
    for (size_t i = 0; i < generation_size(generation); i++) {
        const struct process *process = generation_process(generation, i);
        if (process == NULL)
            continue;
        struct listener_worker worker = {
            .pid = process_pid(process),
            .generation = generation_number(generation),
            .draining = draining,
            .process = process,
        };
        worker.counters = process_counters(process, &worker.slots);
        visitor(&worker, userdata);
    }
}

struct sources *
listener_sources(const struct listener *listener, int *ret_fd)
{
    if (ret_fd != NULL)
        *ret_fd = source_table_fd(listener->sources);
    return source_table_sources(listener->sources);
}

void
listener_visit_workers(const struct listener *listener,
                       void (*visitor)(const struct listener_worker *worker, void *userdata),
                       void *userdata)
{
    if (listener->present != NULL)
        visit(listener->present, false, visitor, userdata);
    for (size_t i = 0; i < listener->leaving_count; i++)
        visit(listener->leaving[i], true, visitor, userdata);
}

static void
add_worker(const struct listener_worker *worker, void *userdata)
{
    struct listener_status *status = userdata;
    struct counter_sums sums;

    process_sums(worker->process, &sums);
    counter_sums_add(&status->sums, &sums);
    status->accepting_active += worker->draining ? 0 : sums.active;
    if (!worker->draining && status->pid_count < LISTENER_PIDS)
        status->pids[status->pid_count++] = worker->pid;
}

void
listener_status(const struct listener *listener, struct listener_status *ret)
{
    const struct settings *settings = listener->settings;
    bool open = listener->socket.fd >= 0;

    *ret = (struct listener_status){
        .name = settings->name,
        .state = listener_state_name(listener->state),
        .address = open ? listener->socket.address : settings->address.text,
        .plugin = settings->plugin_file != NULL ? settings->plugin_file : settings->plugin,
        .mixin = mixin_names[settings->mixin],
        .control_access = settings->control_access == CONTROL_NONE ? "none" : "read",
        .problem = listener->problem != NULL ? listener->problem : listener->last_problem,
        .max_connections = settings->max_connections,
        .generation =
            listener->present != NULL ? generation_number(listener->present) : listener->number,
        .draining = (unsigned)listener->leaving_count,
        .sums = listener->totals,
        .restarts = listener->restarts,
        .since = listener->since,
        .fd = listener->socket.fd,
        .tls = settings_want_tls(settings),
        .tls_known = listener->tls.known,
        .ktls = listener->tls.ktls,
        .certificate = listener->tls.path,
        .expires = listener->tls.ends,
        .stream = open ? listener->socket.stream : address_is_stream(&settings->address),
    };
    listener_visit_workers(listener, add_worker, ret);
}
