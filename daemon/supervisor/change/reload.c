/* SPDX-License-Identifier: MIT */
/*
 * reload.c - another configuration, while the daemon serves
 *
 * A reload is a transaction, and takes time. Meanwhile the event loop goes on
 * with signals, pings and deaths, and the reload goes on from stage to stage
 * whenever the loop reviews the whole:
 *
 *   LOADING    a process of its own reads the new file (load.c); then it is
 *              planned what becomes of each listener (reload_plan.c)
 *   CHECKING   the plugins of what has changed are tried in throw-away workers,
 *              and the names of new addresses are looked up
 *   PREPARING  sockets for new addresses are open; the new generations start
 *              and say that they are ready
 *   SETTLING   all changes have been made at once, in one turn of the loop
 *              (reload_change.c); the new generations begin to serve
 *
 * A mistake before the changes are made ends the reload, and nothing has
 * changed.
 *
 * Runs in:  the supervisor.
 * Owns:     the new configuration, until it is the present one; listeners that
 *           are added, until then.
 * Failures: told to whoever asked, and logged, one mistake a line.
 */
#include "supervisor/change/reload.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/probes.h"
#include "supervisor/change/reload_private.h"
#include "supervisor/change/watch.h"
#include "supervisor/notify.h"
#include "supervisor/socket/adopt.h"

/* ---- the end -------------------------------------------------------------------------------- */

/* Throws away what was prepared. Listeners that were added are gone. */
static void
discard_plans(struct reload *reload)
{
    for (size_t i = 0; i < reload->count; i++) {
        struct plan *plan = &reload->plans[i];
        if (plan->prepared)
            listener_discard(plan->listener);
        if (plan->added && plan->listener != NULL)
            roster_retire(reload->change->roster, plan->listener);
        plan->listener = NULL;
        plan->prepared = false;
    }
}

static void
reload_free(struct reload *reload)
{
    load_free(reload->load);
    check_free(reload->check);
    errors_done(&reload->errors);
    config_done(&reload->config);
    free(reload->plans);
    free(reload->items);
    free(reload);
}

/* A reload that a stop cuts short is no fault of anybody. */
static int
result_level(int error)
{
    if (error == -ESHUTDOWN)
        return LOG_NOTICE;
    return error < 0 ? LOG_ERR : LOG_WARNING;
}

static void
log_result(const struct reload *reload, int error, size_t changed)
{
    int level = result_level(error);

    for (size_t i = 0; i < reload->errors.count; i++)
        log_message(level, "%s", reload->errors.texts[i]);
    if (error == -ESHUTDOWN)
        log_notice("reload ended before it changed anything");
    else if (error < 0)
        log_error("reload failed: %s; nothing has changed",
                  errors_any(&reload->errors) ? "the configuration cannot be served"
                                              : strerror(-error));
    else
        log_notice("reloaded: %zu listener%s, %zu of them new or changed",
                   reload->change->roster->count, reload->change->roster->count == 1 ? "" : "s",
                   changed);
}

/* Ends the reload and tells everybody, whether it succeeded or not. */
static void
finish(struct reload *reload, int error)
{
    struct roster *roster = reload->change->roster;
    size_t changed = 0;

    for (size_t i = 0; i < reload->count; i++)
        changed += reload->plans[i].tried;
    log_result(reload, error, changed);
    PROBE(reload__done, error, changed);
    if (!roster_ends(roster))
        notify_ready();
    operation_end_with(reload->operation, error, &reload->errors);
    reload->change->reload = NULL;
    reload_free(reload);
}

static void
fail(struct reload *reload, int error)
{
    if (reload->stage != STAGE_SETTLING)
        discard_plans(reload);
    finish(reload, error);
}

/* ---- preparing --------------------------------------------------------------------------- */

/* The listener calls this while it changes itself, so reload_step() does what follows. */
static void
on_prepared(struct listener *listener, int error, struct errors *why, void *userdata)
{
    struct plan *plan = userdata;

    (void)listener;
    plan->preparing = false;
    if (error ==
        -EINTR) { /* it is planned again: what an operator orders meanwhile is no mistake */
        plan->prepared = plan->taken_back = false;
        plan->donor = NULL;
    } else if (error < 0) {
        plan->reload->error = error;
        errors_move(&plan->reload->errors, why);
    }
    roster_review(plan->reload->change->roster);
}

static int
prepare_one(struct plan *plan)
{
    struct reload *reload = plan->reload;
    struct listening_socket socket = LISTENING_SOCKET_NONE;
    char reason[SPAWN_REASON_SIZE];
    int r = 0;

    if (plan->added && plan->listener == NULL)
        r = listener_new(&reload->change->roster->host, plan->settings, &plan->listener);
    if (r < 0 || plan->change != CHANGE_GENERATION || plan->prepared)
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
    plan->prepared = plan->preparing = r == 0;
    socket_close(&socket);
    if (r < 0)
        errors_add(&reload->errors, plan->settings->file, plan->settings->line,
                   "listeners.%s: cannot start a worker: %s", plan->settings->name,
                   spawn_reason(r, reason));
    return 0;
}

/* Operators may stop and start listeners until the changes are made. So this is done again, for
 * those that are not prepared yet, if one of them has become another case. */
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
    roster_review(reload->change->roster);
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
        .event = reload->change->roster->host.event,
        .spawn = &reload->spawn,
        .items = reload->items,
        .count = reload->count,
        .done = on_checked,
        .userdata = reload,
    };
    return check_new(&setup, &reload->check);
}

/* ---- reading ------------------------------------------------------------------------------- */

static void
on_loaded(int result, struct config *config, struct errors *errors, void *userdata)
{
    struct reload *reload = userdata;

    reload->loaded = true;
    reload->error = result;
    reload->config = *config;
    *config = (struct config){0};
    watch_read(reload->change, &reload->config);
    errors_move(&reload->errors, errors);
    roster_review(reload->change->roster);
}

static int
read_configuration(struct reload *reload)
{
    const struct load_setup setup = {
        .loader = reload->change->load,
        .loader_userdata = reload->change->load_userdata,
        .patience_usec = LOAD_USEC,
        .event = reload->change->roster->host.event,
        .done = on_loaded,
        .userdata = reload,
    };

    return load_new(&setup, &reload->load);
}

/* Everything that can be found out at once about the configuration that was read. */
static int
plan_and_check(struct reload *reload)
{
    const struct change *change = reload->change;

    reload->stage = STAGE_CHECKING;
    load_free(take_pointer(reload->load));
    supervisor_log_check(change->log, &reload->config, &reload->errors);
    adopt_check(&reload->config, &reload->errors);
    if (errors_any(&reload->errors))
        return -EINVAL;
    reload->spawn = change->roster->host.spawn;
    reload->spawn.sink = supervisor_log_sink(&reload->config);
    reload->spawn.access = reload->config.log.access;
    reload->spawn.fields = reload->config.log.format == LOG_AS_JSON;
    int r = reload_make_plans(reload);
    return r < 0 ? r : check(reload);
}

/* ---- settling ---------------------------------------------------------------------------- */

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

/* Notes new generations that were ready and still died; they are being replaced. */
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

/* Makes the changes. Returns the configuration if it is the present one now, else NULL. */
static const struct config *
make_changes(struct reload *reload)
{
    int r = reload_change(reload);

    if (r < 0) {
        fail(reload, r);
        return NULL;
    }
    reload->stage = STAGE_SETTLING;
    watch_configure(reload->change, &reload->change->loaded);
    return &reload->change->loaded;
}

const struct config *
reload_step(struct change *change)
{
    struct reload *reload = change->reload;
    const struct config *changed = NULL;

    if (reload == NULL || (reload->stage == STAGE_LOADING && !reload->loaded) ||
        (reload->stage == STAGE_CHECKING && !reload->checked))
        return NULL;
    if (reload->stage != STAGE_SETTLING && (reload->error != 0 || errors_any(&reload->errors))) {
        fail(reload, reload->error != 0 ? reload->error : -EINVAL);
        return NULL;
    }
    if (reload->stage == STAGE_LOADING) {
        int r = plan_and_check(reload);
        if (r < 0)
            fail(reload, r);
    } else if (reload->stage == STAGE_CHECKING) {
        (void)reload_plan_again(reload);
        prepare(reload);
        roster_review(change->roster);
    } else if (reload->stage == STAGE_PREPARING && !any_preparing(reload)) {
        if (reload_plan_again(reload))
            prepare(reload);
        else
            changed = make_changes(reload);
        roster_review(change->roster);
    } else if (reload->stage == STAGE_SETTLING) {
        settle(reload);
    }
    return changed;
}

/* ---- beginning, and being ended ------------------------------------------------------------ */

void
reload_abort(struct change *change, int error, const char *why)
{
    struct reload *reload = change->reload;

    if (reload == NULL)
        return;
    if (reload->stage == STAGE_SETTLING) {
        finish(reload, 0); /* it is what goes on, or ends, from here */
        return;
    }
    errors_add(&reload->errors, NULL, 0, "%s", why);
    fail(reload, error);
}

/* Returns 0, or a negative errno if no reload can begin now. */
static int
may_begin(const struct change *change)
{
    if (roster_ends(change->roster))
        return -ESHUTDOWN;
    if (change->roster->stage == DAEMON_STARTS || operations_preparing(change->operations) ||
        operations_running(change->operations, OPERATION_RELOAD) ||
        operations_running(change->operations, OPERATION_UPGRADE))
        return -EBUSY;
    return change->load == NULL ? -ENOTSUP : 0;
}

int
reload_begin(struct change *change, operation_done done, void *userdata)
{
    int r = may_begin(change);

    if (r < 0)
        return r;
    struct reload *reload = calloc(1, sizeof(*reload));
    if (reload == NULL)
        return -ENOMEM;
    reload->change = change;
    r = operations_note(change->operations, OPERATION_RELOAD, done, userdata, &reload->operation);
    if (r < 0) {
        free(reload);
        return r;
    }
    operation_lead(reload->operation); /* whoever waited gets the answer of this one */
    change->reload = reload;
    PROBE(reload__start);
    notify_reloading();
    if ((r = read_configuration(reload)) < 0)
        fail(reload, r);
    return 0;
}
