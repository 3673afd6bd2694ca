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

#include "common/cleanup.h"
#include "common/errors.h"
#include "common/log.h"
#include "common/patience.h"
#include "supervisor/control/control.h"
#include "supervisor/notify.h"
#include "supervisor/socket/adopt.h"
#include "supervisor/socket/store.h"
#include "supervisor/supervisor_private.h"

#define START_USEC     UINT64_C(40000000) /* the slowest worker may take to become ready */
#define END_GRACE_USEC UINT64_C(10000000) /* behind a drain: to kill what does not end */

static void begin_stop(struct supervisor *supervisor);
static void begin_reload(struct supervisor *supervisor);
static void begin_upgrade(struct supervisor *supervisor);

/* ---- looking at the whole ------------------------------------------------------------- */

static bool
all_settled(const struct supervisor *supervisor)
{
    for (size_t i = 0; i < supervisor->count; i++)
        if (listener_settings(supervisor->listeners[i])->enabled &&
            !listener_was_tried(supervisor->listeners[i]))
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
    for (size_t i = 0; i < supervisor->removed_count; i++)
        if (holds_up(supervisor, supervisor->removed[i]))
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
        if (!any_failed(supervisor))
            adopt_discard(NULL); /* nobody will need the others any more */
        supervisor->ready = true;
        notify_ready();
    }
}

void
supervisor_review(struct supervisor *supervisor)
{
    (void)sd_event_source_set_enabled(supervisor->review, SD_EVENT_ONESHOT);
}

void
supervisor_remove(struct supervisor *supervisor, struct listener *listener)
{
    struct listener **removed =
        reallocarray(supervisor->removed, supervisor->removed_count + 1, sizeof(struct listener *));

    if (removed == NULL) { /* it ends unwatched, by itself */
        log_error("out of memory");
        return;
    }
    supervisor->removed = removed;
    removed[supervisor->removed_count++] = listener;
    supervisor_review(supervisor);
}

static void
free_removed(struct supervisor *supervisor)
{
    size_t kept = 0;

    for (size_t i = 0; i < supervisor->removed_count; i++) {
        struct listener *listener = supervisor->removed[i];
        if (listener_state(listener) == LISTENER_STOPPED && !listener_has_processes(listener))
            listener_free(listener);
        else
            supervisor->removed[kept++] = listener;
    }
    supervisor->removed_count = kept;
}

static int
on_review(sd_event_source *source, void *userdata)
{
    struct supervisor *supervisor = userdata;

    (void)source;
    if (!supervisor->ready && !supervisor->stopping && all_settled(supervisor))
        conclude_start(supervisor);
    reload_step(supervisor);
    orders_step(supervisor);
    if (supervisor->reload_again && supervisor->ready && supervisor->reload == NULL)
        begin_reload(supervisor);
    if (supervisor->upgrade_again && supervisor->ready && supervisor->upgrade == NULL)
        begin_upgrade(supervisor);
    free_removed(supervisor);
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
    (void)listener;
    supervisor_review(userdata);
}

/* ---- signals ----------------------------------------------------------------------------- */

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
    reload_abort(supervisor, -ESHUTDOWN, "the daemon stops");
    orders_abandon(supervisor, NULL, -ESHUTDOWN, "the daemon stops");
    store_keep();
    notify_stopping(longest_drain_usec(supervisor));
    for (size_t i = 0; i < supervisor->count; i++)
        listener_stop(supervisor->listeners[i],
                      supervisor->result == 0 && !supervisor->options.once);
    supervisor_review(supervisor);
}

static void
cut_all(struct supervisor *supervisor)
{
    supervisor->cutting = true;
    for (size_t i = 0; i < supervisor->count; i++)
        listener_cut(supervisor->listeners[i]);
    for (size_t i = 0; i < supervisor->removed_count; i++)
        listener_cut(supervisor->removed[i]);
    supervisor_review(supervisor);
}

static void
on_stop_signal(struct supervisor *supervisor, const char *name)
{
    if (!supervisor->stopping) {
        log_notice("%s: stopping, running requests may finish", name);
        begin_stop(supervisor);
    } else if (!supervisor->cutting) {
        log_notice("%s again: ending running requests", name);
        cut_all(supervisor);
    }
}

/* What became of it has been logged. */
static void
on_reload_done(void *userdata, int error, const char *text)
{
    (void)userdata;
    (void)error;
    (void)text;
}

static void
begin_reload(struct supervisor *supervisor)
{
    int r = supervisor_reload(supervisor, on_reload_done, supervisor);

    supervisor->reload_again = r == -EBUSY;
    if (r < 0 && r != -EBUSY && r != -ESHUTDOWN)
        log_error("cannot reload: %s", strerror(-r));
}

/* Several while one reload runs are one more, afterwards. */
static void
on_reload_signal(struct supervisor *supervisor, const char *name)
{
    if (supervisor->stopping)
        return;
    log_notice("%s: reloading%s", name,
               supervisor->reload == NULL ? "" : " once more when this reload is done");
    if (supervisor->reload == NULL)
        begin_reload(supervisor);
    else
        supervisor->reload_again = true;
}

static void
begin_upgrade(struct supervisor *supervisor)
{
    int r = supervisor_upgrade(supervisor, on_reload_done, supervisor);

    supervisor->upgrade_again = r == -EBUSY;
    if (r < 0 && r != -EBUSY && r != -ESHUTDOWN)
        log_error("cannot upgrade: %s", strerror(-r));
}

/* What is under way comes to its end first. */
static void
on_upgrade_signal(struct supervisor *supervisor, const char *name)
{
    log_notice("%s: upgrading", name);
    if (supervisor->upgrade == NULL)
        begin_upgrade(supervisor);
}

static const struct {
    int number;
    void (*take)(struct supervisor *supervisor, const char *name);
} signals[] = {
    {SIGTERM, on_stop_signal},        {SIGINT, on_stop_signal},     {SIGHUP, on_reload_signal},
    {SIGUSR1, supervisor_log_reopen}, {SIGUSR2, on_upgrade_signal},
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
try_to_make_loop(struct supervisor *supervisor)
{
    int r = sd_event_new(&supervisor->event);

    if (r >= 0)
        r = sd_event_set_watchdog(supervisor->event, true);
    if (r >= 0)
        r = sd_event_add_defer(supervisor->event, &supervisor->review, on_review, supervisor);
    for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(signals); i++)
        r = sd_event_add_signal(supervisor->event, NULL, signals[i].number, on_signal, supervisor);
    if (r < 0) {
        supervisor->review = sd_event_source_disable_unref(supervisor->review);
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

static size_t
count_workers(const struct upgrade_listener *listener)
{
    size_t count = 0;

    for (size_t i = 0; i < listener->generation_count; i++)
        count += listener->generations[i].worker_count;
    return count;
}

/* Goes on where this process was as another program. */
static int
import_listeners(struct supervisor *supervisor, const struct upgrade_state *state)
{
    size_t workers = 0;

    supervisor->log_level = state->log_level;
    if (state->log_level != 0)
        log_set_level((int)state->log_level - 1); /* its workers have it */
    do
        supervisor->listeners = calloc(state->listener_count + 1, sizeof(struct listener *));
    while (supervisor->listeners == NULL && patience_allows(-ENOMEM));
    if (supervisor->listeners == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < state->listener_count; i++) {
        const struct upgrade_listener *inherited = &state->listeners[i];
        struct listener *listener;
        int r;
        do
            r = listener_new(&supervisor->host, &inherited->settings, &listener);
        while (patience_allows(r));
        if (r < 0)
            return r;
        if (inherited->removed)
            supervisor_remove(supervisor, listener);
        else
            supervisor->listeners[supervisor->count++] = listener;
        listener_import(listener, inherited);
        workers += count_workers(inherited);
    }
    log_notice("upgraded to sockserverd " SOCKSERVERD_VERSION
               ": %zu listeners and %zu workers go on; reloading",
               supervisor->count, workers);
    supervisor->host.configuration_errors = NULL;
    supervisor->ready = true;
    supervisor->reload_again = true; /* every listener gets workers of the new program */
    notify_ready();
    return 0;
}

static int
make_listeners(struct supervisor *supervisor)
{
    const struct config *config = supervisor->config;

    supervisor->listeners = calloc(config->listener_count + 1, sizeof(*supervisor->listeners));
    if (supervisor->listeners == NULL)
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
    }
}

static void
release(struct supervisor *supervisor)
{
    upgrade_free(supervisor->upgrade);
    control_free(supervisor->control);
    orders_free(supervisor);
    for (size_t i = 0; i < supervisor->count; i++)
        listener_free(supervisor->listeners[i]);
    free(supervisor->listeners);
    for (size_t i = 0; i < supervisor->removed_count; i++)
        listener_free(supervisor->removed[i]);
    free(supervisor->removed);
    config_done(&supervisor->loaded);
    errors_done(&supervisor->mistakes);
    (void)sd_event_source_disable_unref(supervisor->review);
    (void)sd_event_unref(supervisor->event);
}

static int
serve(struct supervisor *supervisor, const struct upgrade_state *inherited)
{
    int r = make_loop(supervisor);

    if (r < 0)
        return r;
    supervisor->host.event = supervisor->event;
    r = inherited != NULL ? import_listeners(supervisor, inherited) : make_listeners(supervisor);
    if (r < 0)
        return r;
    if (inherited != NULL)
        adopt_discard(supervisor->config);
    if (supervisor->count == 0)
        log_warning("no listeners are defined: nothing to serve");
    do
        r = control_new(supervisor->event, supervisor, &supervisor->control);
    while (patience_allows(r));
    if (r < 0)
        return r;
    if (!supervisor->options.once)
        control_configure(supervisor->control, supervisor->config);
    if (inherited == NULL) {
        notify_starting(START_USEC);
        start_listeners(supervisor);
    }
    patience_end();
    if ((r = sd_event_loop(supervisor->event)) < 0)
        return r;
    return 0;
}

/* Those that systemd or an earlier process of ours passed. */
static int
take_passed_sockets(const struct config *config, bool upgraded)
{
    struct errors mistakes = {0};
    int r = adopt_begin();

    if (r < 0) {
        log_error("cannot take the passed sockets: %s", strerror(-r));
        return -ECANCELED;
    }
    if (upgraded)
        return 0; /* they are for the listeners of before; the reload looks at the configuration */
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
    struct upgrade_state inherited = {0};
    char reason[SPAWN_REASON_SIZE];
    int r;

    do
        r = supervisor_log_open(config);
    while (patience_allows(r));
    if (r < 0)
        return r;
    int upgraded = upgrade_receive(&inherited);
    if (upgraded < 0)
        log_error("cannot go on with what runs: %s; starting anew", strerror(-upgraded));
    if ((r = take_passed_sockets(config, upgraded > 0)) < 0)
        return r;
    supervisor.host = (struct listener_host){
        .spawn = {.sink = supervisor_log_sink(config),
                  .access = config->log.access,
                  .once = options->once},
        .keep_trying = !options->strict,
        .configuration_errors = &supervisor.mistakes,
        .changed = on_changed,
        .userdata = &supervisor,
    };
    r = serve(&supervisor, upgraded > 0 ? &inherited : NULL);
    upgrade_state_done(&inherited);
    if (r < 0)
        log_error("cannot go on: %s", spawn_reason(r, reason));
    else if (supervisor.result == 0)
        log_notice("stopped");
    release(&supervisor);
    adopt_end();
    return r < 0 ? r : supervisor.result;
}
