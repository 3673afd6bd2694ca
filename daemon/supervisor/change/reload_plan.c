/* SPDX-License-Identifier: MIT */
/*
 * reload_plan.c - what a reload will change, and the sockets it needs
 *
 * Runs in:  the supervisor.
 * Owns:     nothing; the plans are the reload's (reload.c).
 * Failures: mistakes are added to the reload's.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "supervisor/change/reload_private.h"
#include "supervisor/socket/socket_change.h"

/* ---- what changes ----------------------------------------------------------------------- */

static bool
same_spawn(const struct spawn_options *one, const struct spawn_options *other)
{
    return one->sink == other->sink && one->access == other->access && one->fields == other->fields;
}

/* What becomes of a listener that there is. changed: its settings or its plugin are others. */
static enum plan_change
change_of(const struct plan *plan, bool changed)
{
    const struct listener *listener = plan->listener;
    const struct settings *old = listener_settings(listener);

    if (!plan->settings->enabled)
        return old->enabled ? CHANGE_STOP : CHANGE_SETTINGS;
    if (old->enabled && !listener_is_wanted(listener))
        return CHANGE_SETTINGS; /* an operator stopped it, or its plugin did */
    if (listener_state(listener) == LISTENER_DRAINING)
        return CHANGE_START; /* nobody gets into its old socket's queue any more */
    if (changed || !same_spawn(&plan->reload->spawn, &plan->reload->change->roster->host.spawn))
        return CHANGE_GENERATION;
    return CHANGE_NOTHING;
}

static void
plan_change(struct plan *plan)
{
    const struct settings *settings = plan->settings;

    plan->listener = roster_find(plan->reload->change->roster, settings->name);
    if (plan->listener == NULL) {
        plan->added = plan->tried = true;
        plan->change = settings->enabled ? CHANGE_GENERATION : CHANGE_SETTINGS;
        return;
    }
    plan->tried = !settings_equal(listener_settings(plan->listener), settings) ||
                  listener_plugin_changed(plan->listener);
    plan->change = change_of(plan, plan->tried);
}

bool
reload_plan_again(struct reload *reload)
{
    bool again = false;

    for (size_t i = 0; i < reload->count; i++) {
        struct plan *plan = &reload->plans[i];
        bool lost = reload->stage == STAGE_PREPARING && plan->change == CHANGE_GENERATION &&
                    !plan->prepared; /* it was stopped, and may have been started since */
        if (plan->added || (!lost && plan->change == change_of(plan, plan->tried)))
            continue;
        again = true;
        plan->change = change_of(plan, plan->tried);
        if (reload_needs_lookup(plan) && plan->item->found.size == 0)
            errors_add(&reload->errors, plan->settings->file, plan->settings->line,
                       "listeners.%s: it was told to start meanwhile, and its new address is not "
                       "known yet; reload again",
                       plan->settings->name);
    }
    return again;
}

int
reload_make_plans(struct reload *reload)
{
    const struct config *config = &reload->config;

    reload->plans = calloc(config->listener_count + 1, sizeof(*reload->plans));
    reload->items = calloc(config->listener_count + 1, sizeof(*reload->items));
    if (reload->plans == NULL || reload->items == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < config->listener_count; i++) {
        reload->plans[i] = (struct plan){
            .reload = reload, .settings = config->listeners[i], .item = &reload->items[i]};
        reload->count++;
        plan_change(&reload->plans[i]);
    }
    return 0;
}

const struct plan *
reload_find_plan(const struct reload *reload, const struct listener *listener)
{
    for (size_t i = 0; i < reload->count; i++)
        if (reload->plans[i].listener == listener)
            return &reload->plans[i];
    return NULL;
}

/* ---- sockets ------------------------------------------------------------------------------ */

/* Whether the listener will not need its socket any more. */
static bool
gives_up_socket(const struct reload *reload, const struct listener *listener)
{
    const struct plan *plan = reload_find_plan(reload, listener);

    if (plan == NULL || plan->change == CHANGE_STOP)
        return true;
    return plan->change == CHANGE_GENERATION &&
           strcmp(plan->settings->address.text, listener_settings(listener)->address.text) != 0;
}

/* A listener of another name that has the address and gives it up. */
static struct listener *
find_donor(const struct plan *plan)
{
    const struct roster *roster = plan->reload->change->roster;

    for (size_t i = 0; i < roster->count; i++) {
        struct listener *listener = roster->listeners[i];
        if (listener != plan->listener && listener_socket(listener)->fd >= 0 &&
            strcmp(listener_settings(listener)->address.text, plan->settings->address.text) == 0 &&
            gives_up_socket(plan->reload, listener))
            return listener;
    }
    return NULL;
}

static bool
has_socket(const struct plan *plan)
{
    return !plan->added && listener_socket(plan->listener)->fd >= 0;
}

bool
reload_needs_lookup(const struct plan *plan)
{
    const char *address = plan->settings->address.text;

    if (plan->change != CHANGE_GENERATION ||
        (has_socket(plan) && strcmp(listener_settings(plan->listener)->address.text, address) == 0))
        return false;
    return find_donor(plan) == NULL && socket_needs_lookup(plan->settings);
}

/* A socket at the address that some listener, maybe removed, has yet to close. */
static struct listening_socket *
find_leaving_socket(const struct plan *plan)
{
    const struct roster *roster = plan->reload->change->roster;
    struct listening_socket *socket = NULL;
    char buffer[ADDRESS_TEXT_SIZE];
    const char *address = socket_wanted_address(plan->settings, &plan->item->found, buffer);

    if (address == NULL)
        return NULL;
    for (size_t i = 0; i < roster->removed_count && socket == NULL; i++)
        socket = listener_leaving_socket(roster->removed[i], address);
    for (size_t i = 0; i < roster->count && socket == NULL; i++)
        socket = listener_leaving_socket(roster->listeners[i], address);
    return socket;
}

static int
open_socket(struct plan *plan, struct listening_socket *ret, char **ret_problem)
{
    const struct resolved *found = plan->item->found.size > 0 ? &plan->item->found : NULL;
    int r = socket_open(plan->settings, found, ret, ret_problem);
    struct listening_socket *leaving = r == -EADDRINUSE ? find_leaving_socket(plan) : NULL;

    if (leaving == NULL)
        return r;
    free(take_pointer(*ret_problem));
    r = socket_take_back(leaving, ret);
    plan->taken_back = r == 0;
    return r;
}

int
reload_find_socket(struct plan *plan, struct listening_socket *ret)
{
    const struct settings *settings = plan->settings;
    struct errors *errors = &plan->reload->errors;
    _cleanup_free_ char *problem = NULL;
    size_t mistakes = errors->count;
    int r;

    if (has_socket(plan) && socket_stays(listener_settings(plan->listener), settings, errors))
        return errors->count > mistakes ? -EINVAL : 0;
    plan->donor = find_donor(plan);
    r = plan->donor != NULL ? socket_share(listener_socket(plan->donor), ret)
                            : open_socket(plan, ret, &problem);
    if (r < 0)
        errors_add(errors, settings->file, settings->line, "listeners.%s.address: %s",
                   settings->name, problem == NULL ? strerror(-r) : problem);
    return r < 0 ? r : 1;
}
