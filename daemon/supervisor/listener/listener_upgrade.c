/* SPDX-License-Identifier: MIT */
/*
 * listener_upgrade.c - a listener goes on in the next process of the daemon
 *
 * Its workers do not notice: channel, counters and socket are the same, and so
 * is their parent's pid. What served goes on serving, with its old code, until
 * a reload gives the listener a generation of the new.
 *
 * Runs in:  the supervisor, before and after it executes itself anew.
 * Owns:     nothing; the listener is listener.c's.
 * Failures: returned, or logged: what cannot go on is started like any other.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/patience.h"
#include "supervisor/listener/listener_private.h"

/* ---- before -------------------------------------------------------------------- */

bool
listener_can_be_exported(const struct listener *listener)
{
    return listener->next == NULL && listener->former.fd < 0;
}

int
listener_export(const struct listener *listener, struct upgrade_listener *ret)
{
    size_t count = listener->leaving_count + (listener->present != NULL);
    int r = 0;

    ret->settings = settings_ref(listener->settings);
    ret->generations = calloc(count + 1, sizeof(*ret->generations));
    if (ret->generations == NULL)
        return -ENOMEM;
    ret->goal = listener->start_again ? GOAL_SERVE : listener->goal;
    ret->number = listener->number;
    ret->restarts = listener->restarts;
    ret->totals = listener->totals;
    ret->numbers = listener->numbers;
    r = listener_tls_export(&listener->tls, &ret->tls);
    ret->sources = source_table_fd(listener->sources) + 1;
    if (r == 0)
        r = kept_export(listener->kept, &ret->kept);
    for (size_t i = 0; i < listener->leaving_count && r == 0; i++)
        r = generation_export(listener->leaving[i], &ret->generations[ret->generation_count++]);
    if (listener->present != NULL && r == 0) {
        struct upgrade_generation *present = &ret->generations[ret->generation_count++];
        present->present = generation_is_serving(listener->present);
        r = generation_export(listener->present, present);
    }
    return r;
}

/* ---- after ------------------------------------------------------------------------ */

static void
import_generation(struct listener *listener, const struct upgrade_generation *inherited)
{
    struct generation_setup setup = {
        .event = listener->host->event,
        .settings = inherited->settings,
        .spawn = &listener->host->spawn,
        .number = inherited->number,
        .totals = &listener->totals,
        .numbers = &listener->numbers,
        .tickets = inherited->settings->tls.tickets ? listener->tls.tickets : NULL,
        .sources = listener->sources,
        .handler = listener_on_process,
        .userdata = listener,
    };
    int r;

    do
        r = listener_make_room(listener);
    while (patience_allows(r));
    if (r == 0)
        do
            r = listener_find_kept(listener, inherited->settings, &setup.kept);
        while (patience_allows(r));
    if (r == 0)
        r = generation_import(&setup, inherited, &listener->present);
    kept_unref(setup.kept);
    if (r < 0) {
        log_here(listener, LOG_ERR, "cannot take over generation %u: %s", inherited->number,
                 strerror(-r));
        return;
    }
    bool serves = inherited->present && generation_count(listener->present, PROCESS_SERVING) > 0;
    if (serves)
        listener_take_kept(listener);
    else
        (void)listener_dismiss(listener); /* the generation goes on draining */
}

/* Takes the socket that the listener had; it was passed to this process under its stable name. */
static int
import_socket(struct listener *listener)
{
    _cleanup_free_ char *problem = NULL;

    if (socket_needs_lookup(listener->settings))
        return -ENOENT; /* the socket was not passed */
    int r = socket_open(listener->settings, NULL, &listener->socket, &problem);
    if (r < 0)
        log_here(listener, LOG_ERR, "%s", problem == NULL ? strerror(-r) : problem);
    return r;
}

static void
import_serving(struct listener *listener)
{
    size_t missing;

    if (listener->present == NULL || import_socket(listener) < 0) {
        struct generation *present = listener_dismiss(listener);
        if (present != NULL) /* its socket is nobody's any more */
            generation_drain(present, false);
        listener_start_generation(listener);
        return;
    }
    listener_enter(listener, LISTENER_SERVING);
    missing =
        generation_size(listener->present) - generation_count(listener->present, PROCESS_SERVING);
    if (missing > 0)
        listener_retry_later(listener, BACKOFF_FIRST_USEC);
}

static void
import_quiet(struct listener *listener)
{
    if (listener->goal == GOAL_DRAINED)
        (void)import_socket(listener);
    if (listener->leaving_count > 0 || listener->goal == GOAL_DRAINED)
        listener_enter(listener, LISTENER_DRAINING);
    listener_proceed(listener);
}

/* Without it the sources are limited anew from the next generation on. */
static void
import_sources(struct listener *listener, int fd)
{
    int r = fd < 0 ? 0 : source_table_import(listener->host->event, fd, &listener->sources);

    if (r < 0)
        log_here(listener, LOG_ERR, "cannot take over the table of its sources: %s", strerror(-r));
}

/* Without it the plugin begins with nothing. */
static void
import_kept(struct listener *listener, const struct upgrade_kept *inherited)
{
    int r = inherited->plugin_file == NULL ? 0 : kept_import(inherited, &listener->kept);

    if (r < 0)
        log_here(listener, LOG_ERR, "cannot take over what its plugin has kept: %s", strerror(-r));
}

void
listener_import(struct listener *listener, const struct upgrade_listener *inherited)
{
    listener->goal = (enum listener_goal)inherited->goal;
    listener->number = inherited->number;
    listener->restarts = inherited->restarts;
    listener->totals = inherited->totals;
    listener->numbers = inherited->numbers;
    listener->tried = true;
    listener_tls_import(&listener->tls, listener->host->event, &inherited->tls);
    import_sources(listener, inherited->sources - 1);
    import_kept(listener, &inherited->kept);
    for (size_t i = 0; i < inherited->generation_count; i++) {
        if (listener->present != NULL)
            (void)listener_dismiss(listener);
        import_generation(listener, &inherited->generations[i]);
    }
    if (listener->sources != NULL)
        source_table_adopted(listener->sources);
    if (listener->goal == GOAL_SERVE) {
        import_serving(listener);
        return;
    }
    struct generation *present = listener_dismiss(listener);
    if (present != NULL)
        generation_drain(present, false);
    import_quiet(listener);
}
