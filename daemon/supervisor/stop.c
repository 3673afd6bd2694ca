/* SPDX-License-Identifier: MIT */
/*
 * stop.c - how the daemon ends: announced, then drained, and cut at the second signal
 *
 * With pre_stop_delay it goes on serving for a while, and says only that it is not ready. Then
 * every listener drains, for its drain_timeout at most. A signal that comes meanwhile takes the
 * next of these steps at once. The command of --run is told first, and has the daemon until it
 * ends.
 *
 * Runs in:  the supervisor.
 * Owns:     the timer of pre_stop_delay.
 * Failures: without a timer, the stop is not announced, which is logged.
 */
#include "supervisor/stop.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "common/log.h"
#include "supervisor/change/reload.h"
#include "supervisor/command.h"
#include "supervisor/listener/helpers.h"
#include "supervisor/notify.h"
#include "supervisor/operations.h"

#define END_GRACE_USEC UINT64_C(10000000) /* behind a drain: to kill what does not end */

/* Whether the daemon's end must wait for the listener. */
static bool
holds_up(const struct stop *stop, const struct listener *listener)
{
    if (listener_state(listener) == LISTENER_STOPPED)
        return false;
    return stop->cutting || stop->roster->stage != DAEMON_STOPS ||
           listener_settings(listener)->block_on_close;
}

bool
stop_may_end(const struct stop *stop)
{
    const struct roster *roster = stop->roster;

    for (size_t i = 0; i < roster->count; i++)
        if (holds_up(stop, roster->listeners[i]))
            return false;
    for (size_t i = 0; i < roster->removed_count; i++)
        if (holds_up(stop, roster->removed[i]))
            return false;
    return !helpers_any();
}

static double
longer(double seconds, const struct listener *listener)
{
    double drain = listener_settings(listener)->drain_timeout;

    return drain > seconds ? drain : seconds;
}

/* Returns how long the slowest listener may take to drain, or to be killed if it does not end. */
static uint64_t
longest_drain_usec(const struct roster *roster)
{
    double seconds = 0;

    for (size_t i = 0; i < roster->count; i++)
        seconds = longer(seconds, roster->listeners[i]);
    for (size_t i = 0; i < roster->removed_count; i++) /* they may be draining still */
        seconds = longer(seconds, roster->removed[i]);
    return (uint64_t)(seconds * 1e6) + END_GRACE_USEC;
}

void
stop_begin(struct stop *stop)
{
    struct roster *roster = stop->roster;

    stop->pre_stop = sd_event_source_disable_unref(stop->pre_stop);
    command_signal(stop->command, SIGTERM);
    roster->stage = DAEMON_STOPS;
    reload_abort(stop->change, -ESHUTDOWN, "the daemon stops");
    operations_abandon(stop->operations, NULL, -ESHUTDOWN, "the daemon stops");
    roster_each(roster, listener_keep_sockets);
    notify_stopping(longest_drain_usec(roster));
    for (size_t i = 0; i < roster->count; i++)
        listener_stop(roster->listeners[i], !stop->failed && !stop->once);
    roster_review(roster);
}

static int
on_pre_stop(sd_event_source *source, uint64_t when, void *userdata)
{
    struct stop *stop = userdata;

    (void)source, (void)when;
    log_notice("pre_stop_delay is over: running requests may finish");
    stop_begin(stop);
    return 0;
}

/* Goes on serving for pre_stop_delay, so that those who send clients here hear first that they
 * should not. Returns false if there is no such time: the stop begins at once. */
static bool
begin_pre_stop(struct stop *stop, const char *name)
{
    struct roster *roster = stop->roster;
    uint64_t usec = (uint64_t)(roster->pre_stop_delay * 1e6);

    if (usec == 0 || roster->stage != DAEMON_SERVES || stop->once)
        return false;
    int r = sd_event_add_time_relative(roster->host.event, &stop->pre_stop, CLOCK_MONOTONIC, usec,
                                       0, on_pre_stop, stop);
    if (r < 0) {
        log_error("pre_stop_delay: no timer for it: %s; stopping at once", strerror(-r));
        return false;
    }
    roster->leaving = true;
    log_notice("%s: not ready any more, stopping in %g s", name, roster->pre_stop_delay);
    notify_stopping(usec + longest_drain_usec(roster));
    roster_review(roster);
    return true;
}

static void
cut_all(struct stop *stop)
{
    stop->cutting = true;
    command_signal(stop->command, SIGKILL);
    roster_each(stop->roster, listener_cut);
    roster_review(stop->roster);
}

/* A signal is for the command first, which is served to its end. One that a terminal sent has
 * reached it already. Whether that is all. */
static bool
pass_on(struct stop *stop, const struct signalfd_siginfo *info)
{
    int number = (int)info->ssi_signo;

    if (!command_runs(stop->command) || stop->asked)
        return false;
    stop->asked = true;
    if (info->ssi_code != SI_KERNEL)
        command_signal(stop->command, number);
    return true;
}

void
stop_take_signal(struct stop *stop, const char *name, const struct signalfd_siginfo *info)
{
    if (pass_on(stop, info))
        return;
    if (stop->pre_stop != NULL) {
        log_notice("%s again: stopping, running requests may finish", name);
        stop_begin(stop);
    } else if (stop->roster->stage != DAEMON_STOPS) {
        if (begin_pre_stop(stop, name))
            return;
        log_notice("%s: stopping, running requests may finish", name);
        stop_begin(stop);
    } else if (!stop->cutting) {
        log_notice("%s again: ending running requests", name);
        cut_all(stop);
    }
}

void
stop_done(struct stop *stop)
{
    stop->pre_stop = sd_event_source_disable_unref(stop->pre_stop);
}
