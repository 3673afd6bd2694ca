/* SPDX-License-Identifier: MIT */
/*
 * supervisor.c - the process that owns the sockets and watches the workers
 *
 * One thread, one event loop. It never loads a plugin, never reads what a
 * client sends, and never waits: whatever a listener does, the others and the
 * signals are attended to.
 *
 * Runs in:  the supervisor.
 * Owns:     the event loop and the listeners, until supervisor_run() returns.
 * Failures: a listener's are its own (listener.c); what remains is the
 *           loop's, which ends the daemon.
 */
#include "supervisor/supervisor.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "common/channel.h"
#include "common/cleanup.h"
#include "common/errors.h"
#include "common/log.h"
#include "supervisor/adopt.h"
#include "supervisor/listener.h"
#include "supervisor/notify.h"
#include "supervisor/store.h"

#define START_USEC     UINT64_C(40000000) /* the slowest worker may take to become ready */
#define END_GRACE_USEC UINT64_C(10000000) /* behind a drain: to kill what does not end */

struct supervisor {
    const struct config *config;
    struct supervisor_options options;
    sd_event *event;
    sd_event_source *review; /* runs after listeners changed */
    struct listener_host host;
    struct errors mistakes; /* found by workers during the start */

    struct listener **listeners;
    bool *settled; /* the listener's first start has succeeded or failed */
    size_t count;

    bool ready, stopping, cutting;
    int result;
};

static void begin_stop(struct supervisor *supervisor);

/* ---- looking at the whole ------------------------------------------------------------- */

static bool
all_settled(const struct supervisor *supervisor)
{
    for (size_t i = 0; i < supervisor->count; i++)
        if (!supervisor->settled[i])
            return false;
    return true;
}

static bool
any_failed(const struct supervisor *supervisor)
{
    for (size_t i = 0; i < supervisor->count; i++)
        if (listener_state(supervisor->listeners[i]) == LISTENER_FAILED)
            return true;
    return false;
}

/* Whether the end must wait for the listener. */
static bool
holds_up(const struct supervisor *supervisor, const struct listener *listener)
{
    if (listener_state(listener) == LISTENER_STOPPED)
        return false;
    return supervisor->cutting || !supervisor->stopping ||
           listener_settings(listener)->block_on_close;
}

static bool
all_done(const struct supervisor *supervisor)
{
    for (size_t i = 0; i < supervisor->count; i++)
        if (holds_up(supervisor, supervisor->listeners[i]))
            return false;
    return true;
}

/* A listener ended badly although no second try was wanted. */
static bool
any_problem(const struct supervisor *supervisor)
{
    for (size_t i = 0; i < supervisor->count; i++)
        if (listener_problem(supervisor->listeners[i]) != NULL)
            return true;
    return false;
}

static void
stop_because(struct supervisor *supervisor, int result, const char *why)
{
    log_error("%s", why);
    supervisor->result = result;
    begin_stop(supervisor);
}

/* Every listener has shown whether it starts. */
static void
conclude_start(struct supervisor *supervisor)
{
    supervisor->host.configuration_errors = NULL;
    if (errors_any(&supervisor->mistakes)) {
        for (size_t i = 0; i < supervisor->mistakes.count; i++)
            log_error("%s", supervisor->mistakes.texts[i]);
        stop_because(supervisor, -EINVAL, "the configuration has mistakes: not starting");
    } else if (supervisor->options.strict && any_failed(supervisor)) {
        stop_because(supervisor, -ECANCELED, "a listener cannot start: not starting");
    } else {
        supervisor->ready = true;
        notify_ready();
    }
}

static int
on_review(sd_event_source *source, void *userdata)
{
    struct supervisor *supervisor = userdata;

    (void)source;
    if (!supervisor->ready && !supervisor->stopping && all_settled(supervisor))
        conclude_start(supervisor);
    notify_status(supervisor->listeners, supervisor->count);
    if ((supervisor->stopping || supervisor->options.end_when_idle) && all_done(supervisor)) {
        if (supervisor->result == 0 && !supervisor->stopping && any_problem(supervisor))
            supervisor->result = -ECANCELED;
        return sd_event_exit(supervisor->event, 0);
    }
    return 0;
}

/* Only takes note: the listener is in the middle of something. */
static void
on_changed(struct listener *listener, void *userdata)
{
    struct supervisor *supervisor = userdata;

    for (size_t i = 0; i < supervisor->count; i++)
        if (supervisor->listeners[i] == listener && listener_state(listener) != LISTENER_STARTING)
            supervisor->settled[i] = true;
    (void)sd_event_source_set_enabled(supervisor->review, SD_EVENT_ONESHOT);
}

/* ---- signals ----------------------------------------------------------------------------- */

static void
for_each(struct supervisor *supervisor, void (*order)(struct listener *listener))
{
    for (size_t i = 0; i < supervisor->count; i++)
        order(supervisor->listeners[i]);
    (void)sd_event_source_set_enabled(supervisor->review, SD_EVENT_ONESHOT);
}

/* How long the slowest listener may take to drain, and to be killed if it does not. */
static uint64_t
longest_drain_usec(const struct supervisor *supervisor)
{
    double seconds = 0;

    for (size_t i = 0; i < supervisor->count; i++) {
        double drain = listener_settings(supervisor->listeners[i])->drain_timeout;
        seconds = drain > seconds ? drain : seconds;
    }
    return (uint64_t)(seconds * 1e6) + END_GRACE_USEC;
}

static void
begin_stop(struct supervisor *supervisor)
{
    supervisor->stopping = true;
    store_keep();
    notify_stopping(longest_drain_usec(supervisor));
    for_each(supervisor, listener_drain);
}

static void
on_stop_signal(struct supervisor *supervisor, const char *name)
{
    if (!supervisor->stopping) {
        log_notice("%s: stopping, running requests may finish", name);
        begin_stop(supervisor);
    } else if (!supervisor->cutting) {
        log_notice("%s again: ending running requests", name);
        supervisor->cutting = true;
        for_each(supervisor, listener_cut);
    }
}

static void
on_reload_signal(struct supervisor *supervisor, const char *name)
{
    (void)supervisor;
    log_notice("%s: reload is not supported by this version", name);
}

static bool
logs_to_file(const struct config *config)
{
    return config->log.target != NULL && config->log.target[0] == '/';
}

/* After log rotation: everybody writes to the new file. */
static void
on_reopen_signal(struct supervisor *supervisor, const char *name)
{
    const char *file = supervisor->config->log.target;

    if (!logs_to_file(supervisor->config))
        return;
    int r = log_open_file(file);
    if (r < 0) {
        log_error("%s: cannot reopen %s: %s; going on with the old file", name, file, strerror(-r));
        return;
    }
    for (size_t i = 0; i < supervisor->count; i++)
        listener_tell(supervisor->listeners[i], MESSAGE_LOG_FILE, 0, STDERR_FILENO);
    log_notice("%s: log file reopened", name);
}

static const struct {
    int number;
    void (*take)(struct supervisor *supervisor, const char *name);
} signals[] = {
    {SIGTERM, on_stop_signal},   {SIGINT, on_stop_signal},    {SIGHUP, on_reload_signal},
    {SIGUSR1, on_reopen_signal}, {SIGUSR2, on_reload_signal},
};

static int
on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
    char name[16];

    (void)source;
    (void)snprintf(name, sizeof(name), "SIG%s", sigabbrev_np((int)info->ssi_signo));
    for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
        if (signals[i].number == (int)info->ssi_signo)
            signals[i].take(userdata, name);
    return 0;
}

static void
change_mask(int how)
{
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGCHLD);
    for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
        (void)sigaddset(&set, signals[i].number);
    (void)sigprocmask(how, &set, NULL);
}

void
supervisor_block_signals(void)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};

    change_mask(SIG_BLOCK);
    (void)sigaction(SIGPIPE, &ignore, NULL);
}

void
supervisor_unblock_signals(void)
{
    change_mask(SIG_UNBLOCK);
}

/* ---- beginning and end --------------------------------------------------------------------- */

static int
make_loop(struct supervisor *supervisor)
{
    int r = sd_event_new(&supervisor->event);

    if (r >= 0)
        r = sd_event_set_watchdog(supervisor->event, true);
    if (r >= 0)
        r = sd_event_add_defer(supervisor->event, &supervisor->review, on_review, supervisor);
    for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(signals); i++)
        r = sd_event_add_signal(supervisor->event, NULL, signals[i].number, on_signal, supervisor);
    return r;
}

static int
make_listeners(struct supervisor *supervisor)
{
    const struct config *config = supervisor->config;

    supervisor->listeners = calloc(config->listener_count + 1, sizeof(*supervisor->listeners));
    supervisor->settled = calloc(config->listener_count + 1, sizeof(*supervisor->settled));
    if (supervisor->listeners == NULL || supervisor->settled == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < config->listener_count; i++) {
        int r = listener_new(&supervisor->host, &config->listeners[i], &supervisor->listeners[i]);
        if (r < 0)
            return r;
        supervisor->count++;
    }
    return 0;
}

static void
start_listeners(struct supervisor *supervisor)
{
    for (size_t i = 0; i < supervisor->count; i++) {
        struct listener *listener = supervisor->listeners[i];
        if (listener_settings(listener)->enabled)
            listener_start(listener);
        else
            supervisor->settled[i] = true;
    }
}

static enum log_sink
chosen_sink(const struct config *config)
{
    const char *target = config->log.target;

    if (target == NULL || strcmp(target, "auto") == 0)
        return log_sink_auto();
    return strcmp(target, "journal") == 0 ? LOG_TO_JOURNAL : LOG_TO_STDERR;
}

static int
open_log(const struct config *config)
{
    int r = 0;

    log_set_level(config->log.level);
    if (logs_to_file(config) && (r = log_open_file(config->log.target)) < 0)
        log_error("log.target: cannot open %s: %s", config->log.target, strerror(-r));
    if (r == 0 && (r = log_open(chosen_sink(config), NULL)) < 0) {
        log_warning("cannot log to the journal: %s; logging to standard error", strerror(-r));
        r = 0;
    }
    return r;
}

static void
release(struct supervisor *supervisor)
{
    for (size_t i = 0; i < supervisor->count; i++)
        listener_free(supervisor->listeners[i]);
    free(supervisor->listeners);
    free(supervisor->settled);
    errors_done(&supervisor->mistakes);
    (void)sd_event_source_disable_unref(supervisor->review);
    (void)sd_event_unref(supervisor->event);
}

static int
serve(struct supervisor *supervisor)
{
    int r = make_loop(supervisor);

    if (r < 0)
        return r;
    supervisor->host.event = supervisor->event;
    if ((r = make_listeners(supervisor)) < 0)
        return r;
    if (supervisor->count == 0)
        log_warning("no listeners are defined: nothing to serve");
    notify_starting(START_USEC);
    start_listeners(supervisor);
    if ((r = sd_event_loop(supervisor->event)) < 0)
        return r;
    return 0;
}

/* Those that systemd or an earlier process of ours passed. */
static int
take_passed_sockets(const struct config *config)
{
    struct errors mistakes = {0};
    int r = adopt_begin();

    if (r < 0) {
        log_error("cannot take the passed sockets: %s", strerror(-r));
        return -ECANCELED;
    }
    adopt_check(config, &mistakes);
    for (size_t i = 0; i < mistakes.count; i++)
        log_error("%s", mistakes.texts[i]);
    r = errors_any(&mistakes) ? -EINVAL : 0;
    errors_done(&mistakes);
    if (r == 0)
        adopt_discard(config);
    return r;
}

int
supervisor_run(const struct config *config, const struct supervisor_options *options)
{
    struct supervisor supervisor = {.config = config, .options = *options};
    int r = open_log(config);

    if (r < 0)
        return r;
    if ((r = take_passed_sockets(config)) < 0)
        return r;
    supervisor.host = (struct listener_host){
        .spawn = {.sink = chosen_sink(config), .access = config->log.access, .once = options->once},
        .keep_trying = !options->strict,
        .configuration_errors = &supervisor.mistakes,
        .changed = on_changed,
        .userdata = &supervisor,
    };
    r = serve(&supervisor);
    if (r < 0)
        log_error("cannot go on: %s", strerror(-r));
    else if (supervisor.result == 0)
        log_notice("stopped");
    release(&supervisor);
    adopt_end();
    return r < 0 ? r : supervisor.result;
}
