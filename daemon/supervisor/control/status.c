/* SPDX-License-Identifier: MIT */
/*
 * status.c - how the daemon and its listeners are, as JSON
 *
 * The members are described in org.sockserver.Control.varlink.
 *
 * Runs in:  the supervisor.
 * Owns:     nothing.
 * Failures: what cannot be found out is left out.
 */
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/usage.h"
#include "common/varlink.h"
#include "supervisor/control/control_private.h"
#include "supervisor/socket/queue.h"

json_t *
control_integer(uint64_t value)
{
    return json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value);
}

json_t *
control_daemon(const struct control *control)
{
    json_t *daemon = json_object();

    varlink_set(&daemon, "pid", json_integer(getpid()));
    varlink_set(&daemon, "version", json_string(SOCKSERVERD_VERSION));
    varlink_set(&daemon, "instance", control_integer(control->instance));
    varlink_set(&daemon, "uptime_us", control_integer(monotonic_usec() - control->started));
    varlink_set(&daemon, "configuration", varlink_text(control->file));
    varlink_set(&daemon, "log_level", varlink_text(log_level_names[log_level()]));
    varlink_set(&daemon, "cpu_us", control_integer(usage_cpu() / 1000));
    varlink_set(&daemon, "log_lost", control_integer(log_dropped()));
    return daemon;
}

static json_t *
describe_times(const struct histogram *histogram)
{
    json_t *times = json_object();
    double p50 = histogram_quantile(histogram, 0.50), p99 = histogram_quantile(histogram, 0.99);

    varlink_set(&times, "count", control_integer(histogram_count(histogram)));
    if (p50 >= 0) {
        varlink_set(&times, "p50_us", json_real(p50 / 1000));
        varlink_set(&times, "p99_us", json_real(p99 / 1000));
    }
    return times;
}

static json_t *
describe_queue(const struct listener_status *status)
{
    json_t *description = json_object();
    struct accept_queue queue;

    if (status->fd < 0 || queue_look(status->fd, &queue) < 0)
        return description;
    varlink_set(&description, queue.in_bytes ? "bytes" : "connections",
                control_integer(queue.length));
    if (queue.limit > 0)
        varlink_set(&description, "limit", control_integer(queue.limit));
    return description;
}

static json_t *
describe_workers(const struct listener_status *status)
{
    json_t *workers = json_array();

    for (size_t i = 0; i < status->pid_count; i++)
        varlink_append(&workers, json_integer(status->pids[i]));
    return workers;
}

static json_t *
describe_tls(const struct listener_status *status)
{
    json_t *tls = json_object();

    if (status->tls_known)
        varlink_set(&tls, "ktls", json_boolean(status->ktls));
    if (status->certificate != NULL) {
        varlink_set(&tls, "certificate", varlink_text(status->certificate));
        varlink_set(&tls, "expires", control_integer(status->expires));
    }
    return tls;
}

static void
add_state(json_t **listener, const struct listener_status *status)
{
    varlink_set(listener, "name", varlink_text(status->name));
    varlink_set(listener, "state", varlink_text(status->state));
    varlink_set(listener, "state_us",
                control_integer(status->since == 0 ? 0 : monotonic_usec() - status->since));
    varlink_set(listener, "address", varlink_text(status->address));
    varlink_set(listener, "plugin", varlink_text(status->plugin));
    varlink_set(listener, "mixin", varlink_text(status->mixin));
    varlink_set(listener, "control_access", varlink_text(status->control_access));
    varlink_set(listener, "max_connections", json_integer(status->max_connections));
    varlink_set(listener, "generation", json_integer(status->generation));
    varlink_set(listener, "draining", json_integer(status->draining));
    varlink_set(listener, "workers", describe_workers(status));
    varlink_set(listener, "restarts", control_integer(status->restarts));
    varlink_set(listener, "problem", varlink_text(status->problem));
    if (status->tls)
        varlink_set(listener, "tls", describe_tls(status));
}

static void
add_sums(json_t **listener, const struct counter_sums *sums)
{
    varlink_set(listener, "active", control_integer(sums->active));
    varlink_set(listener, "idle", control_integer(sums->idle));
    for (size_t i = 0; i < COUNTER_COUNT; i++)
        varlink_set(listener, counter_table[i].name,
                    control_integer(counter_shown(sums, &counter_table[i])));
}

static json_t *
describe_listener(const struct control *control, const struct listener *source)
{
    json_t *listener = json_object();
    struct listener_status status;
    struct histogram recent;

    listener_status(source, &status);
    double rate = samples_recent(&control->samples, &status, monotonic_usec(), &recent);
    add_state(&listener, &status);
    add_sums(&listener, &status.sums);
    varlink_set(&listener, "accepted_per_second", json_real(rate));
    varlink_set(&listener, "recent", describe_times(&recent));
    varlink_set(&listener, "total", describe_times(&status.sums.handling));
    varlink_set(&listener, "queue", describe_queue(&status));
    return listener;
}

json_t *
control_status(const struct control *control, const char *name)
{
    const struct roster *roster = control->host.roster;
    json_t *status = json_object(), *listeners = json_array();

    for (size_t i = 0; i < roster->count; i++) {
        const struct listener *listener = roster->listeners[i];
        if (name == NULL || strcmp(listener_settings(listener)->name, name) == 0)
            varlink_append(&listeners, describe_listener(control, listener));
    }
    varlink_set(&status, "daemon", control_daemon(control));
    varlink_set(&status, "listeners", listeners);
    return status;
}
