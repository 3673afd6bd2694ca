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
#include "supervisor/socket/lookup.h"

#define DRAINING_MAX 4 /* generations; a further one has the oldest cut */

/* What was asked for last. */
enum listener_goal { GOAL_STOPPED, GOAL_DRAINED, GOAL_SERVE };

struct listener {
    const struct listener_host *host;
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

    struct backoff backoff;
    sd_event_source *retry; /* starts what is missing */
    sd_event_source
        *impatience;    /* serves although the old generation has not said that it stopped */
    char *problem;      /* of now */
    char *last_problem; /* kept when it is over */
    bool misconfigured;
    struct counter_sums totals; /* of workers that are gone */
    uint64_t restarts;
};

#define log_here(listener, level, ...)                                                             \
    log_listener((listener)->settings->name, (level), __VA_ARGS__)

/* ---- listener.c ---------------------------------------------------------------------- */

void listener_enter(struct listener *listener, enum listener_state state);
void listener_retry_later(struct listener *listener, uint64_t delay_usec);
/* Nothing is tried again by itself. */
void listener_retry_no_more(struct listener *listener);
/* Opens the socket if it is not open and starts a generation; a name is looked up before. */
void listener_start_generation(struct listener *listener);
/* The name is not looked up any more. */
void listener_look_up_no_more(struct listener *listener);
/* Fills the empty places of the present generation. */
void listener_start_missing(struct listener *listener);
/* Goes on after something has changed: serves, closes, becomes drained or stopped. */
void listener_proceed(struct listener *listener);

/* ---- listener_generations.c -------------------------------------------------------------- */

/* For one more generation to leave. Called before each begins. 0 or -ENOMEM. */
int listener_make_room(struct listener *listener);
/* With the next number; nothing is started yet. 0 or -ENOMEM. */
int listener_new_generation(struct listener *listener, const struct settings *settings,
                            const struct spawn_options *spawn, struct generation **ret);
/* It accepts no more, or soon so. Beyond four the oldest has no more time. */
void listener_let_leave(struct listener *listener, struct generation *generation);
bool listener_leaving_have_stopped(const struct listener *listener);
void listener_forget_the_gone(struct listener *listener);
/* The present generation, if any, is present no more; the caller ends it. */
struct generation *listener_dismiss(struct listener *listener);

/* ---- listener_events.c ----------------------------------------------------------------- */

void listener_on_process(struct generation *generation, struct process *process,
                         enum process_event event, void *userdata);
/* It could not start: FAILED, tried again. text may have several lines. */
void listener_fail(struct listener *listener, const char *text);
/* One line for each new reason; the same again is only for who debugs. */
void listener_log_problem(struct listener *listener, const char *text, uint64_t delay_usec);
/* Throws what is being prepared away and tells who prepares it. */
void listener_fail_next(struct listener *listener, const char *text);

#endif
