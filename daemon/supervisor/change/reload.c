/* SPDX-License-Identifier: MIT */
/*
 * reload.c - another configuration, while the daemon serves
 *
 * A transaction. The new file is read; the plugins of what has changed are
 * tried in throw-away workers, and names of new addresses looked up; sockets
 * for them are opened; the new generations are started and say that they are
 * ready. A mistake in any of these ends the reload and nothing has changed.
 * Then all changes are made at once, in one turn of the loop, and the reload is
 * done when the new generations serve. Meanwhile the loop goes on: signals, pings, deaths.
 *
 *   READING -> CHECKING -> PREPARING -> (changed) -> SETTLING -> done
 *
 * Runs in:  the supervisor.
 * Owns:     the new configuration, until it is the present one; listeners that
 *           are added, until then.
 * Failures: told to whoever asked, and logged, one mistake a line.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "supervisor/change/reload_private.h"
#include "supervisor/notify.h"
#include "supervisor/socket/adopt.h"
#include "supervisor/socket/socket_change.h"

/* ---- the end -------------------------------------------------------------------------------- */

static void
discard_plans(struct reload *reload)
{
    for (size_t i = 0; i < reload->count; i++) {
        struct plan *plan = &reload->plans[i];
        if (plan->listener != NULL && plan->change == CHANGE_GENERATION)
            listener_discard(plan->listener);
        if (plan->added && plan->listener != NULL)
            supervisor_remove(reload->supervisor, plan->listener);
        plan->listener = NULL;
    }
}

static void
reload_free(struct reload *reload)
{
    check_free(reload->check);
    errors_done(&reload->errors);
    config_done(&reload->config);
    free(reload->plans);
    free(reload->items);
    free(reload);
}

static void
log_result(const struct reload *reload, int error, size_t changed)
{
    for (size_t i = 0; i < reload->errors.count; i++)
        log_message(error < 0 ? LOG_ERR : LOG_WARNING, "%s", reload->errors.texts[i]);
    if (error < 0)
        log_error("reload failed: %s; nothing has changed",
                  errors_any(&reload->errors) ? "the configuration cannot be served"
                                              : strerror(-error));
    else
        log_notice("reloaded: %zu listeners, %zu of them new or changed", reload->supervisor->count,
                   changed);
}

/* Tells everybody, whatever became of it, and lets go. */
static void
finish(struct reload *reload, int error)
{
    struct supervisor *supervisor = reload->supervisor;
    _cleanup_free_ char *text = NULL;
    size_t changed = 0;

    for (size_t i = 0; i < reload->count; i++)
        changed += reload->plans[i].tried;
    log_result(reload, error, changed);
    if (errors_any(&reload->errors))
        text = errors_join(&reload->errors);
    supervisor->reload = NULL;
    if (!supervisor->stopping)
        notify_ready();
    if (reload->done != NULL)
        reload->done(reload->userdata, error, text);
    reload_free(reload);
    supervisor_review(supervisor);
}

static void
fail(struct reload *reload, int error)
{
    if (reload->stage != STAGE_SETTLING)
        discard_plans(reload);
    finish(reload, error);
}

/* ---- changing ------------------------------------------------------------------------------- */

static void
remove_missing(struct reload *reload)
{
    struct supervisor *supervisor = reload->supervisor;

    for (size_t i = 0; i < supervisor->count; i++) {
        struct listener *listener = supervisor->listeners[i];
        if (reload_find_plan(reload, listener) != NULL)
            continue;
        log_listener(listener_settings(listener)->name, LOG_NOTICE,
                     "removed from the configuration");
        orders_abandon(supervisor, listener, -ECANCELED,
                       "it was removed from the configuration meanwhile");
        listener_stop(listener, true);
        supervisor_remove(supervisor, listener);
    }
}

static void
change_one(struct plan *plan)
{
    struct listener *listener = plan->listener;

    switch (plan->change) {
    case CHANGE_NOTHING:
        listener_adopt_settings(listener, plan->settings);
        listener_heal(listener);
        break;
    case CHANGE_SETTINGS:
        listener_adopt_settings(listener, plan->settings);
        break;
    case CHANGE_START:
        listener_adopt_settings(listener, plan->settings);
        listener_start(listener);
        break;
    case CHANGE_STOP:
        log_listener(plan->settings->name, LOG_NOTICE, "disabled by the configuration");
        listener_stop(listener, true);
        listener_adopt_settings(listener, plan->settings);
        break;
    case CHANGE_GENERATION:
        listener_commit(listener);
        if (socket_apply(listener_socket(listener), plan->settings) < 0)
            log_listener(plan->settings->name, LOG_WARNING,
                         "cannot change the socket's options: %m");
        break;
    }
}

/* From those who give them up. */
static void
take_sockets(const struct reload *reload)
{
    const struct supervisor *supervisor = reload->supervisor;

    for (size_t i = 0; i < reload->count; i++) {
        const struct plan *plan = &reload->plans[i];
        if (plan->donor != NULL)
            socket_hand_over(listener_socket(plan->donor), listener_next_socket(plan->listener));
        if (plan->taken_back)
            socket_thaw(listener_next_socket(plan->listener));
    }
    for (size_t i = 0; i < supervisor->count; i++)
        listener_leave_queues(supervisor->listeners[i]);
    for (size_t i = 0; i < supervisor->removed_count; i++)
        listener_leave_queues(supervisor->removed[i]);
}

static void
change(struct reload *reload)
{
    struct supervisor *supervisor = reload->supervisor;
    struct listener **listeners = calloc(reload->count + 1, sizeof(struct listener *));

    if (listeners == NULL) {
        fail(reload, -ENOMEM);
        return;
    }
    take_sockets(reload);
    supervisor->host.spawn = reload->spawn;
    remove_missing(reload);
    for (size_t i = 0; i < reload->count; i++) {
        change_one(&reload->plans[i]);
        listeners[i] = reload->plans[i].listener;
    }
    free(supervisor->listeners);
    supervisor->listeners = listeners;
    supervisor->count = reload->count;

    supervisor_log_change(supervisor, &reload->config);
    config_done(&supervisor->loaded);
    supervisor->loaded = reload->config;
    supervisor->config = &supervisor->loaded;
    if (!supervisor->options.once)
        control_configure(supervisor->control, supervisor->config);
    reload->config = (struct config){0};
    reload->stage = STAGE_SETTLING;
}

/* ---- preparing --------------------------------------------------------------------------------
 */

/* Each line of text is a mistake; those found in the file come with their places. */
static void
note_failure(struct plan *plan, int error, const char *text)
{
    const struct settings *settings = plan->settings;
    struct errors *errors = &plan->reload->errors;

    while (*text != '\0') {
        int size = (int)strcspn(text, "\n");
        if (size > 0 && error == -EINVAL)
            errors_add(errors, NULL, 0, "%.*s", size, text);
        else if (size > 0)
            errors_add(errors, settings->file, settings->line, "listeners.%s: %.*s", settings->name,
                       size, text);
        text += size;
        text += *text == '\n';
    }
}

/* In the middle of the listener's own doing: what follows is done by reload_step(). */
static void
on_prepared(struct listener *listener, int error, const char *text, void *userdata)
{
    struct plan *plan = userdata;

    (void)listener;
    plan->preparing = false;
    if (error < 0) {
        plan->reload->error = error;
        note_failure(plan, error, text);
    }
    supervisor_review(plan->reload->supervisor);
}

static int
prepare_one(struct plan *plan)
{
    struct reload *reload = plan->reload;
    struct listening_socket socket = LISTENING_SOCKET_NONE;
    char reason[SPAWN_REASON_SIZE];
    int r = 0;

    if (plan->added)
        r = listener_new(&reload->supervisor->host, plan->settings, &plan->listener);
    if (r < 0 || plan->change != CHANGE_GENERATION)
        return r;
    r = reload_find_socket(plan, &socket);
    if (r < 0)
        return 0; /* all mistakes are wanted */
    const struct listener_preparation preparation = {
        .settings = plan->settings,
        .spawn = &reload->spawn,
        .prepared = on_prepared,
        .userdata = plan,
    };
    r = listener_prepare(plan->listener, &preparation, r == 1 ? &socket : NULL);
    plan->preparing = r == 0;
    socket_close(&socket);
    if (r < 0)
        errors_add(&reload->errors, plan->settings->file, plan->settings->line,
                   "listeners.%s: cannot start a worker: %s", plan->settings->name,
                   spawn_reason(r, reason));
    return 0;
}

static void
prepare(struct reload *reload)
{
    reload->stage = STAGE_PREPARING;
    for (size_t i = 0; i < reload->count && reload->error == 0; i++)
        reload->error = prepare_one(&reload->plans[i]);
}

static bool
any_preparing(const struct reload *reload)
{
    for (size_t i = 0; i < reload->count; i++)
        if (reload->plans[i].preparing)
            return true;
    return false;
}

static void
on_checked(int error, struct errors *errors, void *userdata)
{
    struct reload *reload = userdata;

    reload->checked = true;
    reload->error = error;
    errors_move(&reload->errors, errors);
    supervisor_review(reload->supervisor);
}

static int
check(struct reload *reload)
{
    for (size_t i = 0; i < reload->count; i++) {
        const struct plan *plan = &reload->plans[i];
        *plan->item = (struct check_item){
            .settings = plan->settings, .plugin = plan->tried, .name = reload_needs_lookup(plan)};
    }
    const struct check_setup setup = {
        .event = reload->supervisor->event,
        .spawn = &reload->spawn,
        .items = reload->items,
        .count = reload->count,
        .done = on_checked,
        .userdata = reload,
    };
    return check_new(&setup, &reload->check);
}

/* ---- settling -----------------------------------------------------------------------------------
 */

static bool
is_settled(const struct plan *plan)
{
    switch (plan->change) {
    case CHANGE_GENERATION:
        return listener_is_settled(plan->listener);
    case CHANGE_START:
        return listener_is_settled(plan->listener) &&
               (!listener_is_wanted(plan->listener) ||
                listener_state(plan->listener) != LISTENER_DRAINING);
    default:
        return true;
    }
}

static bool
all_settled(const struct reload *reload)
{
    for (size_t i = 0; i < reload->count; i++)
        if (!is_settled(&reload->plans[i]))
            return false;
    return true;
}

/* A new generation that was ready may still have died. It is said, and being replaced. */
static void
note_unserved(struct reload *reload)
{
    for (size_t i = 0; i < reload->count; i++) {
        const struct plan *plan = &reload->plans[i];
        enum listener_state state = listener_state(plan->listener);
        bool starts = plan->change == CHANGE_GENERATION || plan->change == CHANGE_START;
        if (starts && state != LISTENER_SERVING)
            errors_add(&reload->errors, NULL, 0, "listeners.%s: %s",
                       listener_settings(plan->listener)->name, listener_state_name(state));
    }
}

static void
settle(struct reload *reload)
{
    if (!all_settled(reload))
        return;
    note_unserved(reload);
    finish(reload, 0);
}

void
reload_step(struct supervisor *supervisor)
{
    struct reload *reload = supervisor->reload;

    if (reload == NULL || (reload->stage == STAGE_CHECKING && !reload->checked))
        return;
    if (reload->stage != STAGE_SETTLING && (reload->error != 0 || errors_any(&reload->errors))) {
        fail(reload, reload->error != 0 ? reload->error : -EINVAL);
        return;
    }
    if (reload->stage == STAGE_CHECKING) {
        prepare(reload);
        supervisor_review(supervisor);
    } else if (reload->stage == STAGE_PREPARING && !any_preparing(reload)) {
        change(reload);
        supervisor_review(supervisor);
    } else if (reload->stage == STAGE_SETTLING) {
        settle(reload);
    }
}

/* ---- beginning
 * ------------------------------------------------------------------------------------ */

void
reload_abort(struct supervisor *supervisor, int error, const char *why)
{
    struct reload *reload = supervisor->reload;

    if (reload == NULL)
        return;
    if (reload->stage == STAGE_SETTLING) {
        finish(reload, 0); /* it is what goes on, or ends, from here */
        return;
    }
    errors_add(&reload->errors, NULL, 0, "%s", why);
    fail(reload, error);
}

void
reload_forget(struct reload *reload, const void *userdata)
{
    if (reload->userdata == userdata)
        reload->done = NULL;
}

/* Everything that can be found out at once. */
static int
read_configuration(struct reload *reload)
{
    struct supervisor *supervisor = reload->supervisor;
    const struct supervisor_options *options = &supervisor->options;
    int r = options->load(&reload->config, &reload->errors, options->userdata);

    if (r < 0)
        return r;
    supervisor_log_check(supervisor, &reload->config, &reload->errors);
    adopt_check(&reload->config, &reload->errors);
    if (errors_any(&reload->errors))
        return -EINVAL;
    reload->spawn = supervisor->host.spawn;
    reload->spawn.sink = supervisor_log_sink(&reload->config);
    reload->spawn.access = reload->config.log.access;
    r = reload_make_plans(reload);
    return r < 0 ? r : check(reload);
}

int
supervisor_reload(struct supervisor *supervisor, operation_done done, void *userdata)
{
    if (supervisor->stopping)
        return -ESHUTDOWN;
    if (supervisor->reload != NULL || supervisor->upgrade != NULL || !supervisor->ready ||
        orders_prepare(supervisor))
        return -EBUSY;
    if (supervisor->options.load == NULL)
        return -ENOTSUP;
    struct reload *reload = calloc(1, sizeof(*reload));
    if (reload == NULL)
        return -ENOMEM;
    reload->supervisor = supervisor;
    reload->done = done;
    reload->userdata = userdata;
    supervisor->reload = reload;
    notify_reloading();
    int r = read_configuration(reload);
    if (r < 0)
        fail(reload, r);
    return 0;
}
