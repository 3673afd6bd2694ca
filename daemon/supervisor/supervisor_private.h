/* SPDX-License-Identifier: MIT */
/*
 * supervisor_private.h - what the files of the supervisor as a whole share
 *
 * supervisor.c runs the loop, operations.c takes orders about one listener,
 * reload.c changes the configuration, log.c the log.
 */
#ifndef SOCKSERVERD_SUPERVISOR_SUPERVISOR_PRIVATE_H
#define SOCKSERVERD_SUPERVISOR_SUPERVISOR_PRIVATE_H

#include <systemd/sd-event.h>

#include "common/errors.h"
#include "config/config.h"
#include "supervisor/change/upgrade.h"
#include "supervisor/control/control.h"
#include "supervisor/listener/listener.h"
#include "supervisor/operations.h"
#include "supervisor/supervisor.h"

struct order;
struct reload;

struct supervisor {
    const struct config *config; /* the present one */
    struct config loaded;        /* where config points after a reload */
    struct supervisor_options options;
    sd_event *event;
    sd_event_source *review; /* runs after listeners changed */
    struct listener_host host;
    struct errors mistakes; /* found by workers during the start */
    struct control *control;

    struct listener **listeners; /* in the configuration's order */
    size_t count;
    struct listener **removed; /* by a reload; freed when they have ended */
    size_t removed_count;

    struct reload *reload;   /* the one that runs, or NULL */
    struct upgrade *upgrade; /* the one that is tried, or NULL */
    bool reload_again;       /* SIGHUP came meanwhile */
    bool upgrade_again;      /* SIGUSR2 did */
    struct order *orders;    /* about single listeners, that are not done */

    unsigned log_level; /* set by an operator: that plus one; 0: the configuration's */
    bool ready, stopping, cutting;
    int result;
};

/* Has everything looked at again, from the event loop. */
void supervisor_review(struct supervisor *supervisor);
/* The listener is not one of the configuration's any more: freed once it has ended. */
void supervisor_remove(struct supervisor *supervisor, struct listener *listener);

/* ---- operations.c ------------------------------------------------------------------ */

/* Looks which orders are done. */
void orders_step(struct supervisor *supervisor);
/* The listener (NULL: every one) will not come to what was ordered. */
void orders_abandon(struct supervisor *supervisor, const struct listener *listener, int error,
                    const char *text);
/* Nobody is told. */
void orders_free(struct supervisor *supervisor);
/* Whether one prepares a new generation. */
bool orders_prepare(const struct supervisor *supervisor);

/* ---- reload.c ------------------------------------------------------------------------ */

/* Goes on with what has become possible. */
void reload_step(struct supervisor *supervisor);
/* Nothing has changed, unless the new generations serve already. */
void reload_abort(struct supervisor *supervisor, int error, const char *why);
void reload_forget(struct reload *reload, const void *userdata);

/* ---- log.c ------------------------------------------------------------------- */

enum log_sink supervisor_log_sink(const struct config *config);
int supervisor_log_open(const struct config *config);
/* After log rotation: everybody writes to the new file. signal: who asked. */
void supervisor_log_reopen(struct supervisor *supervisor, const char *signal);
/* Whether the log can change from the present one to that of config; else a mistake is added. */
void supervisor_log_check(const struct supervisor *supervisor, const struct config *config,
                          struct errors *errors);
/* For the daemon and every worker. */
void supervisor_log_change_level(struct supervisor *supervisor, int level);
/* Changes it. What only new workers can follow is the caller's. */
void supervisor_log_change(struct supervisor *supervisor, const struct config *config);
/* An order for every worker. */
void supervisor_tell(struct supervisor *supervisor, unsigned order, uint64_t value, int fd);

#endif
