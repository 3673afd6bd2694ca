/* SPDX-License-Identifier: MIT */
/*
 * listener_private.h - what the files of the listener share
 *
 * listener.c takes orders, listener_generations.c exchanges workers,
 * listener_events.c hears from them, listener_status.c answers questions.
 */
#ifndef SOCKSERVERD_SUPERVISOR_LISTENER_LISTENER_PRIVATE_H
#define SOCKSERVERD_SUPERVISOR_LISTENER_LISTENER_PRIVATE_H

#include "common/log.h"
#include "supervisor/listener/backoff.h"
#include "supervisor/listener/generation.h"
#include "supervisor/listener/listener.h"
#include "supervisor/listener/listener_tls.h"
#include "supervisor/listener/source_table.h"
#include "supervisor/socket/lookup.h"

#define DRAINING_MAX 4 /* generations; if there is one more, the oldest is cut */

/* What was asked for last. */
enum listener_goal { GOAL_STOPPED, GOAL_DRAINED, GOAL_SERVE };

struct listener {
    const struct listener_host *host;
    char *name;
    const struct settings *settings;
    enum listener_state state;
    enum listener_goal goal;
    bool start_again; /* once its socket is closed */
    bool tried;       /* the first start has succeeded or failed */
    uint64_t since;
    struct listening_socket socket;
    struct listening_socket former; /* the one before a move, while its queue is answered */
    struct lookup *lookup;          /* of the address to bind; NULL: none */

    unsigned number;             /* of the last generation begun */
    struct generation *present;  /* serves, or is about to; NULL: none */
    struct generation **leaving; /* accept no more: the oldest first */
    size_t leaving_count;

    struct generation *next;              /* being prepared; NULL: none */
    const struct settings *next_settings; /* or NULL */
    struct listening_socket next_socket;  /* fd -1: the present one stays */
    listener_prepared prepared;
    void *prepared_userdata;

    struct listener_tls tls;

    struct source_table *sources; /* NULL: its sources were never limited */
    struct kept *kept;            /* of the present plugin; NULL: nothing was started yet */
    struct backoff backoff;
    sd_event_source *retry; /* starts what is missing */
    sd_event_source
        *impatience;    /* serves although the old generation has not said that it stopped */
    char *problem;      /* of now */
    char *last_problem; /* kept when it is over */
    bool misconfigured;
    struct counter_sums totals; /* of workers that are gone */
    uint64_t numbers;           /* of requests: the highest at a place, see generation.h */
    uint64_t restarts;
};

#define log_here(listener, level, ...)                                                             \
    log_listener((listener)->settings->name, (level), __VA_ARGS__)

/* ---- listener.c ---------------------------------------------------------------------- */

void listener_enter(struct listener *listener, enum listener_state state);
void listener_retry_later(struct listener *listener, uint64_t delay_usec);
/* Takes back listener_retry_later(): nothing is tried again by itself. */
void listener_retry_no_more(struct listener *listener);
/* Opens the socket if it is not open, and starts a generation. If a name must be looked up, this
 * happens afterwards. */
void listener_start_generation(struct listener *listener);
/* Ends the look-up of the name, if one runs. */
void listener_look_up_no_more(struct listener *listener);
/* Makes the socket listen again if a worker has shut it down. Returns what socket_revive() does. */
int listener_look_at_socket(struct listener *listener);
/* Fills the empty places of the present generation. */
void listener_start_missing(struct listener *listener);
/* Goes on after something has changed: serves, closes, becomes drained or stopped. */
void listener_proceed(struct listener *listener);

/* ---- listener_generations.c -------------------------------------------------------------- */

/* Makes room for one more generation to leave; it is called before each generation begins. Returns
 * 0 or -ENOMEM. */
int listener_make_room(struct listener *listener);
/* Makes a generation with the next number, and starts nothing yet. Returns 0 and *ret, or -ENOMEM.
 */
int listener_new_generation(struct listener *listener, const struct settings *settings,
                            const struct spawn_options *spawn, struct generation **ret);
/* The present generation's plugin is the listener's: what another one had kept is let go. */
void listener_take_kept(struct listener *listener);
/* Finds what these settings' plugin has asked to be kept. The caller becomes a holder. Returns 0
 * and *ret, or -ENOMEM. */
int listener_find_kept(struct listener *listener, const struct settings *settings,
                       struct kept **ret);
/* Notes that the generation leaves: it accepts no more, or will soon be told so. If more than
 * DRAINING_MAX leave, the oldest are cut. */
void listener_let_leave(struct listener *listener, struct generation *generation);
bool listener_leaving_have_stopped(const struct listener *listener);
void listener_forget_the_gone(struct listener *listener);
/* Lets the present generation leave and returns it (NULL: there is none); the caller tells it to
 * end. */
struct generation *listener_dismiss(struct listener *listener);

/* ---- listener_events.c ----------------------------------------------------------------- */

void listener_on_process(struct generation *generation, struct process *process,
                         enum process_event event, void *userdata);
/* The listener could not start: it becomes FAILED and is tried again. text may have several lines.
 */
void listener_fail(struct listener *listener, const char *text);
/* The same because somebody else has the address. */
void listener_fail_taken(struct listener *listener, const char *text);
/* Logs one line for each new reason; a repeated one is logged at debug level. */
void listener_log_problem(struct listener *listener, const char *text, uint64_t delay_usec);
/* Throws the prepared generation away and tells whoever prepares it. */
void listener_fail_next(struct listener *listener, int error, const char *text);

#endif
