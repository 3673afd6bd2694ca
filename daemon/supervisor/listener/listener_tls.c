/* SPDX-License-Identifier: MIT */
/*
 * listener_tls.c - what a listener with `tls` has beside its workers
 *
 * The keys of session tickets stay when workers go, so that a client may resume
 * its session with the next one. When a certificate will end soon, or has ended,
 * the log says so once a day.
 *
 * Runs in:  the supervisor.
 * Owns:     the ticket keys and two timers, until listener_tls_done().
 * Failures: of making the first keys: returned; of later ones: logged, and tried
 *           again.
 */
#include "supervisor/listener/listener_tls.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/cleanup.h"
#include "common/log.h"

#define SECOND     UINT64_C(1000000)
#define DAY_SEC    UINT64_C(86400)
#define NOTICE_SEC (21 * DAY_SEC) /* before a certificate ends */
#define RETRY_SEC  UINT64_C(60)
#define LOOK_SEC   UINT64_C(3600) /* the keys age while the machine sleeps; the timer does not */

/* Sets a timer, which is made if there is none yet. */
static int
arm(sd_event *event, sd_event_source **timer, uint64_t delay_sec, sd_event_time_handler_t handler,
    void *userdata)
{
    uint64_t now = 0;

    (void)sd_event_now(event, CLOCK_MONOTONIC, &now);
    if (*timer == NULL)
        return sd_event_add_time(event, timer, CLOCK_MONOTONIC, now + delay_sec * SECOND, 0,
                                 handler, userdata);
    (void)sd_event_source_set_userdata(*timer, userdata);
    (void)sd_event_source_set_time(*timer, now + delay_sec * SECOND);
    return sd_event_source_set_enabled(*timer, SD_EVENT_ONESHOT);
}

/* ---- ticket keys ------------------------------------------------------------------------ */

static int
on_turn(sd_event_source *source, uint64_t when, void *userdata)
{
    struct listener_tls *tls = userdata;
    int r = ticket_keys_turn(tls->tickets);
    uint64_t due = r < 0 ? RETRY_SEC : ticket_keys_due_sec(tls->tickets);

    (void)when;
    if (r < 0)
        log_listener(tls->name, LOG_ERR,
                     "cannot make a key for TLS session tickets: %s; trying again in %" PRIu64 " s",
                     strerror(-r), RETRY_SEC);
    due = due < LOOK_SEC ? due : LOOK_SEC;
    (void)arm(sd_event_source_get_event(source), &tls->turn, due < 1 ? 1 : due, on_turn, tls);
    return 0;
}

static int
make_tickets(struct listener_tls *tls, sd_event *event, const struct ticket_keys_state *state)
{
    int r = ticket_keys_new(state, &tls->tickets);

    if (r == 0)
        r = arm(event, &tls->turn, 1, on_turn, tls);
    if (r >= 0)
        return 0;
    ticket_keys_free(take_pointer(tls->tickets));
    return r;
}

int
listener_tls_prepare(struct listener_tls *tls, sd_event *event, const struct settings *settings,
                     const struct ticket_keys **ret)
{
    bool wanted = settings_want_tls(settings) && settings->tls.tickets;
    int r = wanted && tls->tickets == NULL ? make_tickets(tls, event, NULL) : 0;

    if (r == 0)
        *ret = wanted ? tls->tickets : NULL;
    return r;
}

/* ---- certificates ----------------------------------------------------------------------- */

static void
warn_of_end(const struct listener_tls *tls, uint64_t now)
{
    uint64_t days = tls->ends > now ? (tls->ends - now) / DAY_SEC : 0;

    if (tls->ends <= now)
        log_listener(tls->name, LOG_ERR,
                     "the certificate in %s has expired: clients refuse it; put another in its "
                     "place, and reload",
                     tls->path);
    else if (tls->ends - now < NOTICE_SEC)
        log_listener(tls->name, LOG_WARNING,
                     "the certificate in %s expires in %" PRIu64 " day%s; put another in its "
                     "place, and reload",
                     tls->path, days, days == 1 ? "" : "s");
}

/* Returns after how long there may be something to say again: a day at most, and the moment of the
 * end is not missed. */
static uint64_t
until_reminder(const struct listener_tls *tls, uint64_t now)
{
    uint64_t left = tls->ends > now ? tls->ends - now : DAY_SEC;

    return left < DAY_SEC ? left + 1 : DAY_SEC;
}

static int on_reminder(sd_event_source *source, uint64_t when, void *userdata);

static void
remind_later(struct listener_tls *tls, sd_event *event, uint64_t now)
{
    (void)arm(event, &tls->reminder, until_reminder(tls, now), on_reminder, tls);
}

static int
on_reminder(sd_event_source *source, uint64_t when, void *userdata)
{
    struct listener_tls *tls = userdata;
    uint64_t now = (uint64_t)time(NULL);

    (void)when;
    warn_of_end(tls, now);
    remind_later(tls, sd_event_source_get_event(source), now);
    return 0;
}

static void
warn_of_exposed(const struct settings *settings, const struct tls_text *key)
{
    if (key->exposed && key->file != NULL)
        log_listener(settings->name, LOG_WARNING,
                     "%s:%u: anybody may read the key in %s; take that away with: chmod o= %s",
                     key->file, key->line, key->path, key->path);
    else if (key->exposed)
        log_listener(settings->name, LOG_WARNING,
                     "anybody may read the key in %s; take that away with: chmod o= %s", key->path,
                     key->path);
}

static void
warn_of_keys(const struct settings *settings)
{
    const struct tls_bundle *files = settings->tls_files;

    for (size_t i = 0; files != NULL && i < files->certificate_count; i++)
        warn_of_exposed(settings, &files->certificates[i].key);
}

static void
forget(struct listener_tls *tls)
{
    tls->known = tls->ktls = false;
    tls->ends = 0;
    free(take_pointer(tls->path));
    (void)sd_event_source_set_enabled(tls->reminder, SD_EVENT_OFF);
}

/* Returns what one of the generation's workers has said, or NULL. */
static const struct process_tls *
find_word(const struct generation *generation)
{
    for (size_t i = 0; i < generation_size(generation); i++) {
        const struct process *process = generation_process(generation, i);
        const struct process_tls *word = process == NULL ? NULL : process_tls(process);

        if (word != NULL)
            return word;
    }
    return NULL;
}

/* Looks at the calendar now and from now on. */
static void
watch_end(struct listener_tls *tls, sd_event *event)
{
    uint64_t now = (uint64_t)time(NULL);

    if (tls->path == NULL)
        return;
    warn_of_end(tls, now);
    remind_later(tls, event, now);
}

void
listener_tls_note(struct listener_tls *tls, sd_event *event, const struct generation *generation,
                  const struct settings *settings)
{
    const struct process_tls *word = find_word(generation);

    forget(tls);
    if (!settings_want_tls(settings))
        return;
    warn_of_keys(settings);
    if (word == NULL)
        return;
    tls->known = true;
    tls->ktls = word->ktls;
    tls->ends = word->ends;
    tls->path = word->path == NULL ? NULL : strdup(word->path);
    watch_end(tls, event);
}

void
listener_tls_remind(const struct listener_tls *tls)
{
    if (tls->path != NULL)
        warn_of_end(tls, (uint64_t)time(NULL));
}

/* ---- upgrade ---------------------------------------------------------------------------- */

int
listener_tls_export(const struct listener_tls *tls, struct upgrade_tls *ret)
{
    if (tls->tickets != NULL)
        ticket_keys_save(tls->tickets, &ret->tickets);
    ret->known = tls->known;
    ret->ktls = tls->ktls;
    ret->ends = tls->ends;
    ret->path = tls->path == NULL ? NULL : strdup(tls->path);
    return tls->path != NULL && ret->path == NULL ? -ENOMEM : 0;
}

/* Workers that run keep the page that they have, which nobody writes any more: its keys are those
 * of the new page until they are too old. The reload that follows an upgrade replaces them. */
void
listener_tls_import(struct listener_tls *tls, sd_event *event, const struct upgrade_tls *inherited)
{
    int r = inherited->tickets.count == 0 ? 0 : make_tickets(tls, event, &inherited->tickets);

    if (r < 0)
        log_listener(tls->name, LOG_WARNING,
                     "cannot take over the keys of TLS session tickets: %s; clients will need full "
                     "handshakes",
                     strerror(-r));
    tls->known = inherited->known;
    tls->ktls = inherited->ktls;
    tls->ends = inherited->ends;
    tls->path = inherited->path == NULL ? NULL : strdup(inherited->path);
    if (tls->path != NULL)
        remind_later(tls, event, (uint64_t)time(NULL));
}

/* ---- beginning and end ------------------------------------------------------------------ */

void
listener_tls_done(struct listener_tls *tls)
{
    forget(tls);
    (void)sd_event_source_disable_unref(take_pointer(tls->turn));
    (void)sd_event_source_disable_unref(take_pointer(tls->reminder));
    ticket_keys_free(take_pointer(tls->tickets));
}
