/* SPDX-License-Identifier: MIT */
/*
 * supervisor.c - the process that owns the sockets and watches the workers
 *
 * It has one thread and one event loop. It never loads a plugin, never reads what a client sends,
 * and never waits: whatever a listener does, the others and the signals are attended to.
 *
 * This file alone connects the rooms below: the listeners there are
 * (roster.c), what operators ask (operations.c), another configuration or
 * program (change/), the log (log.c), the control socket (control/), and the
 * command that the daemon was started for (command.c), and its end (stop.c).
 *
 * Runs in:  the supervisor.
 * Owns:     the event loop and the state of the rooms, until supervisor_run()
 *           returns.
 * Failures: a listener's are its own (listener.c); what remains is the
 *           loop's, which ends the daemon.
 */
#include "supervisor/supervisor.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-event.h>
#include <time.h>
#include <unistd.h>

#include "common/array.h"
#include "common/errors.h"
#include "common/log.h"
#include "common/patience.h"
#include "supervisor/change/reload.h"
#include "supervisor/change/upgrade.h"
#include "supervisor/command.h"
#include "supervisor/control/control.h"
#include "supervisor/listener/helpers.h"
#include "supervisor/log.h"
#include "supervisor/notify.h"
#include "supervisor/operations.h"
#include "supervisor/roster.h"
#include "supervisor/signals.h"
#include "supervisor/socket/adopt.h"
#include "supervisor/stop.h"

#define START_USEC    UINT64_C(40000000) /* the slowest worker may take to become ready */
#define SHORTAGE_NSEC 10000000

struct supervisor {
    struct config *config; /* the one that the daemon was started with */
    struct supervisor_options options;
    sd_event *event;
    struct errors mistakes; /* found by workers during the start */

    struct roster roster;
    struct supervisor_log log;
    struct operations operations;
    struct change change;
    struct control *control;
    struct command command; /* of --run */

    struct stop stop;

    bool reload_again;  /* a SIGHUP came while it could not be obeyed */
    bool upgrade_again; /* a SIGUSR2 did */
    int result;
};

static void begin_reload(struct supervisor *supervisor);
static void begin_upgrade(struct supervisor *supervisor);

/* ---- looking at the whole ------------------------------------------------------------- */

static void
stop_because(struct supervisor *supervisor, int result, const char *why)
{
    log_error("%s", why);
    supervisor->result = result;
    supervisor->stop.failed = true;
    stop_begin(&supervisor->stop);
}

/* The command of --run has what it needs. */
static void
start_command(struct supervisor *supervisor)
{
    if (supervisor->command.arguments == NULL)
        return;
    int r = command_start(&supervisor->command, supervisor->event, &supervisor->roster);
    if (r >= 0)
        return;
    log_error("cannot run %s: %s", supervisor->command.arguments[0], strerror(-r));
    stop_because(supervisor, r, "there is nothing to serve for: stopping");
}

/* Ends the start, now that every listener has shown whether it starts. */
static void
conclude_start(struct supervisor *supervisor)
{
    struct roster *roster = &supervisor->roster;

    roster->host.configuration_errors = NULL;
    if (errors_any(&supervisor->mistakes)) {
        for (size_t i = 0; i < supervisor->mistakes.count; i++)
            log_error("%s", supervisor->mistakes.texts[i]);
        stop_because(supervisor, -EINVAL, "the configuration has mistakes: not starting");
    } else if (supervisor->options.strict && roster_any_failed(roster)) {
        stop_because(supervisor, -ECANCELED, "a listener cannot start: not starting");
    } else {
        if (!roster_any_failed(roster))
            adopt_discard(NULL); /* nobody will need the sockets that are left */
        roster->stage = DAEMON_SERVES;
        notify_ready();
        start_command(supervisor);
    }
}

/* Lets the rooms go on with what has become possible. */
static void
step(struct supervisor *supervisor)
{
    struct roster *roster = &supervisor->roster;

    if (roster->stage == DAEMON_STARTS && roster_all_tried(roster))
        conclude_start(supervisor);
    const struct config *changed = reload_step(&supervisor->change);
    if (changed != NULL) {
        roster->pre_stop_delay = changed->pre_stop_delay;
        config_forget_listeners(supervisor->config); /* lists of networks are large */
    }
    if (changed != NULL && !supervisor->options.once)
        control_configure(supervisor->control, changed);
    change_step(&supervisor->change);
    operations_step(&supervisor->operations);
    if (roster->stage != DAEMON_SERVES || roster->leaving)
        return;
    if (supervisor->reload_again && !operations_running(&supervisor->operations, OPERATION_RELOAD))
        begin_reload(supervisor);
    if (supervisor->upgrade_again &&
        !operations_running(&supervisor->operations, OPERATION_UPGRADE))
        begin_upgrade(supervisor);
}

static int
on_review(sd_event_source *source, void *userdata)
{
    struct supervisor *supervisor = userdata;
    struct roster *roster = &supervisor->roster;

    (void)source;
    step(supervisor);
    roster_sweep(roster);
    helpers_reap();
    notify_status(roster->listeners, roster->count);
    bool stopping = roster->stage == DAEMON_STOPS;
    if ((stopping || supervisor->options.end_when_idle) && stop_may_end(&supervisor->stop) &&
        !command_runs(&supervisor->command)) {
        if (supervisor->result == 0 && !stopping && roster_any_problem(roster))
            supervisor->result = -ECANCELED;
        return sd_event_exit(supervisor->event, 0);
    }
    return 0;
}

/* ---- signals ----------------------------------------------------------------------------- */

/* The command of --run has ended, and with it what there was to serve for. */
static void
on_command_ended(void *userdata)
{
    struct supervisor *supervisor = userdata;

    if (supervisor->roster.stage != DAEMON_STOPS)
        stop_begin(&supervisor->stop);
    else
        roster_review(&supervisor->roster);
}

static void
on_stop_signal(struct supervisor *supervisor, const char *name, const struct signalfd_siginfo *info)
{
    stop_take_signal(&supervisor->stop, name, info);
}

/* The reload itself logs how it ends. */
static void
begin_reload(struct supervisor *supervisor)
{
    int r = reload_begin(&supervisor->change, NULL, NULL);

    supervisor->reload_again = r == -EBUSY;
    if (r < 0 && r != -EBUSY && r != -ESHUTDOWN)
        log_error("cannot reload: %s", strerror(-r));
}

/* However many signals come while a reload runs, only one more reload follows it. */
static void
on_reload_signal(struct supervisor *supervisor, const char *name,
                 const struct signalfd_siginfo *info)
{
    bool reloading = operations_running(&supervisor->operations, OPERATION_RELOAD);

    (void)info;
    if (roster_ends(&supervisor->roster))
        return;
    log_notice("%s: reloading%s", name, reloading ? " once more when this reload is done" : "");
    if (reloading)
        supervisor->reload_again = true;
    else
        begin_reload(supervisor);
}

static void
begin_upgrade(struct supervisor *supervisor)
{
    int r = upgrade_begin(&supervisor->change, NULL, NULL);

    supervisor->upgrade_again = r == -EBUSY;
    if (r < 0 && r != -EBUSY && r != -ESHUTDOWN)
        log_error("cannot upgrade: %s", strerror(-r));
}

/* The upgrade waits for whatever is under way. */
static void
on_upgrade_signal(struct supervisor *supervisor, const char *name,
                  const struct signalfd_siginfo *info)
{
    (void)info;
    log_notice("%s: upgrading", name);
    if (!operations_running(&supervisor->operations, OPERATION_UPGRADE))
        begin_upgrade(supervisor);
}

static void
on_reopen_signal(struct supervisor *supervisor, const char *name,
                 const struct signalfd_siginfo *info)
{
    (void)info;
    supervisor_log_reopen(&supervisor->log, name);
}

static const struct {
    int number;
    void (*take)(struct supervisor *supervisor, const char *name,
                 const struct signalfd_siginfo *info);
} signals[] = {
    {SIGTERM, on_stop_signal},   {SIGINT, on_stop_signal},     {SIGHUP, on_reload_signal},
    {SIGUSR1, on_reopen_signal}, {SIGUSR2, on_upgrade_signal},
};

static int
on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
    char name[16];

    (void)source;
    (void)snprintf(name, sizeof(name), "SIG%s", sigabbrev_np((int)info->ssi_signo));
    for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
        if (signals[i].number == (int)info->ssi_signo)
            signals[i].take(userdata, name, info);
    return 0;
}

/* ---- beginning and end --------------------------------------------------------------------- */

static void
tell_workers(enum message_type type, uint64_t value, int fd, void *userdata)
{
    roster_tell(userdata, type, value, fd);
}

/* Tells each room which other rooms it uses. */
static void
connect_rooms(struct supervisor *supervisor)
{
    const struct supervisor_options *options = &supervisor->options;

    supervisor->log.tell = tell_workers;
    supervisor->log.userdata = &supervisor->roster;
    supervisor->operations.roster = &supervisor->roster;
    supervisor->command = (struct command){
        .arguments = options->command, .ended = on_command_ended, .userdata = supervisor};
    supervisor->change = (struct change){
        .roster = &supervisor->roster,
        .operations = &supervisor->operations,
        .log = &supervisor->log,
        .load = options->load,
        .load_userdata = options->userdata,
        .can_upgrade = !options->once && options->command == NULL,
    };
    supervisor->stop = (struct stop){
        .roster = &supervisor->roster,
        .operations = &supervisor->operations,
        .change = &supervisor->change,
        .command = &supervisor->command,
        .once = options->once,
    };
}

/* A plugin wants to look, as control_access lets it. */
static void
on_control_asked(int fd, void *userdata)
{
    const struct supervisor *supervisor = userdata;

    if (supervisor->control != NULL)
        control_welcome_plugin(supervisor->control, fd);
    else
        (void)close(fd);
}

static int
make_roster(struct supervisor *supervisor)
{
    const struct listener_host host = {
        .event = supervisor->event,
        .spawn = {.sink = supervisor_log_sink(supervisor->config),
                  .access = supervisor->config->log.access,
                  .fields = supervisor->config->log.format == LOG_AS_JSON,
                  .once = supervisor->options.once,
                  .control_asked = on_control_asked,
                  .userdata = supervisor},
        .keep_trying = !supervisor->options.strict,
        .configuration_errors = &supervisor->mistakes,
    };

    int r = roster_init(&supervisor->roster, &host, on_review, supervisor);
    supervisor->roster.pre_stop_delay = supervisor->config->pre_stop_delay;
    return r;
}

static void
on_helpers_gone(void *userdata)
{
    struct supervisor *supervisor = userdata;

    roster_review(&supervisor->roster);
}

static int
try_to_make_loop(struct supervisor *supervisor)
{
    int r = sd_event_new(&supervisor->event);

    if (r >= 0)
        r = notify_begin(supervisor->event);
    if (r >= 0)
        r = make_roster(supervisor);
    if (r >= 0)
        r = signals_watch(supervisor->event, on_signal, supervisor);
    if (r >= 0)
        r = helpers_begin(supervisor->event, on_helpers_gone, supervisor);
    if (r < 0) {
        notify_end();
        roster_done(&supervisor->roster);
        supervisor->event = sd_event_unref(supervisor->event);
    }
    return r;
}

static int
make_loop(struct supervisor *supervisor)
{
    int r;

    do
        r = try_to_make_loop(supervisor);
    while (patience_allows(r));
    return r;
}

static int
make_control(struct supervisor *supervisor, const struct upgrade_state *inherited)
{
    const struct control_host host = {
        .roster = &supervisor->roster,
        .operations = &supervisor->operations,
        .change = &supervisor->change,
        .log = &supervisor->log,
    };
    int r = control_new(&host, &supervisor->control);

    if (r == 0 && inherited != NULL)
        control_inherit(supervisor->control, inherited->control, inherited->control_path);
    if (r == 0 && !supervisor->options.once)
        control_configure(supervisor->control, supervisor->config);
    return r;
}

/* Two daemons of one configuration would take each other's addresses whenever one is free. */
static int
refuse_second(const struct supervisor *supervisor)
{
    pid_t process;

    if (!control_is_taken(supervisor->control, &process))
        return 0;
    log_error("not starting: process %d is a daemon with the same control socket, %s; stop it "
              "first, or give this one a control.path of its own",
              (int)process, supervisor->config->control.path);
    return -EALREADY;
}

/* Goes on where this process was when it still ran another program. */
static int
import_listeners(struct supervisor *supervisor, const struct upgrade_state *state)
{
    struct roster *roster = &supervisor->roster;
    int r = upgrade_import(&supervisor->change, state);

    if (r < 0)
        return r;
    roster->host.configuration_errors = NULL;
    roster->stage = DAEMON_SERVES;
    supervisor->reload_again = true; /* every listener gets workers of the new program */
    notify_ready();
    return 0;
}

static int
make_listeners(struct supervisor *supervisor)
{
    const struct config *config = supervisor->config;
    struct listener *listener;

    for (size_t i = 0; i < config->listener_count; i++) {
        int r = roster_add(&supervisor->roster, config->listeners[i], &listener);
        if (r < 0)
            return r;
    }
    return 0;
}

static void
start_listeners(struct roster *roster)
{
    for (size_t i = 0; i < roster->count; i++) {
        struct listener *listener = roster->listeners[i];
        if (listener_settings(listener)->enabled)
            listener_start(listener);
    }
}

static void
release(struct supervisor *supervisor)
{
    stop_done(&supervisor->stop);
    command_done(&supervisor->command);
    change_end(&supervisor->change);
    control_free(supervisor->control);
    operations_free(&supervisor->operations);
    roster_done(&supervisor->roster);
    helpers_done();
    config_done(&supervisor->change.loaded);
    errors_done(&supervisor->mistakes);
    notify_last();
    notify_end();
    (void)sd_event_unref(supervisor->event);
}

/* The loop makes room for its events now and then. Without memory for it nothing is lost: the
 * events are there when it is called again. */
static int
run_loop(sd_event *event)
{
    int r;

    while ((r = sd_event_loop(event)) == -ENOMEM)
        (void)nanosleep(&(struct timespec){.tv_nsec = SHORTAGE_NSEC}, NULL);
    return r < 0 ? r : 0;
}

static int
serve(struct supervisor *supervisor, const struct upgrade_state *inherited)
{
    int r = make_loop(supervisor);

    if (r < 0)
        return r;
    r = inherited != NULL ? import_listeners(supervisor, inherited) : make_listeners(supervisor);
    if (r < 0)
        return r;
    if (inherited != NULL)
        adopt_discard(supervisor->config);
    if (supervisor->roster.count == 0)
        log_warning("no listeners are defined: nothing to serve");
    do
        r = make_control(supervisor, inherited);
    while (patience_allows(r));
    if (r < 0)
        return r;
    change_begin(&supervisor->change, supervisor->config);
    if (inherited == NULL) {
        if ((r = refuse_second(supervisor)) < 0)
            return r;
        notify_starting(START_USEC);
        start_listeners(&supervisor->roster);
    }
    patience_end();
    return run_loop(supervisor->event);
}

int
supervisor_run(struct config *config, const struct supervisor_options *options)
{
    struct supervisor supervisor = {.config = config, .options = *options};
    struct upgrade_state inherited = {0};
    char reason[SPAWN_REASON_SIZE];
    int r;

    do
        r = supervisor_log_open(&supervisor.log, config);
    while (patience_allows(r));
    if (r < 0)
        return r;
    int upgraded = upgrade_receive(&inherited);
    if (upgraded < 0)
        log_error("cannot go on with what runs: %s; starting anew", strerror(-upgraded));
    if ((r = adopt_passed(config, upgraded > 0)) < 0)
        return r;
    connect_rooms(&supervisor);
    r = serve(&supervisor, upgraded > 0 ? &inherited : NULL);
    upgrade_state_done(&inherited);
    if (r < 0 && r != -EALREADY)
        log_error("cannot go on: %s", spawn_reason(r, reason));
    else if (r == 0 && supervisor.result == 0)
        log_notice("stopped");
    if (options->command_status != NULL && supervisor.command.started)
        *options->command_status = supervisor.command.status;
    release(&supervisor);
    adopt_end();
    return r < 0 ? r : supervisor.result;
}
