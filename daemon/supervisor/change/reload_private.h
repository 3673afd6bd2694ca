/* SPDX-License-Identifier: MIT */
/*
 * reload_private.h - what the files of a reload share
 *
 * reload.c runs it, reload_plan.c decides what becomes of each listener,
 * reload_change.c does it.
 */
#ifndef SOCKSERVERD_SUPERVISOR_CHANGE_RELOAD_PRIVATE_H
#define SOCKSERVERD_SUPERVISOR_CHANGE_RELOAD_PRIVATE_H

#include "supervisor/change/check.h"
#include "supervisor/change/reload.h"

enum plan_change {
    CHANGE_NOTHING, /* except where the settings stand in the file */
    CHANGE_GENERATION,
    CHANGE_SETTINGS, /* of one that does not serve, and will not */
    CHANGE_START,    /* of one that is still stopping: when its socket is closed */
    CHANGE_STOP
};

/* What becomes of one listener of the new configuration. */
struct plan {
    struct reload *reload;
    const struct settings *settings;
    struct listener *listener;
    bool added;
    enum plan_change change;
    bool tried;              /* its plugin is tried first */
    struct check_item *item; /* what is found out first */
    struct listener *donor;  /* gives its socket up to this one; NULL: none */
    bool taken_back;         /* its socket was being given up; nobody new gets into the queue yet */
    bool prepared;           /* it has a new generation */
    bool preparing;          /* whose workers are not ready yet */
};

/* How far the reload is; reload.c's head tells what happens in each. */
enum stage { STAGE_LOADING, STAGE_CHECKING, STAGE_PREPARING, STAGE_SETTLING };

struct reload {
    struct change *change;
    struct operation *operation; /* whoever waits for its end */
    enum stage stage;
    bool loaded, checked; /* what the stage of that name waits for has come */
    struct load *load;
    struct config config;
    struct spawn_options spawn;
    struct errors errors;
    int error; /* what went wrong, if errors does not tell */
    struct plan *plans;
    size_t count;
    struct check *check;
    struct check_item *items; /* one for each plan */
};

/* ---- reload_plan.c ---------------------------------------------------------------------- */

/* Decides what becomes of each listener of the new configuration. 0 or -ENOMEM. */
int reload_make_plans(struct reload *reload);
/* Looks at the listeners again: an operator may have stopped or started some meanwhile. Whether any
 * plan is another one now; a mistake is added if it cannot be carried out. */
bool reload_plan_again(struct reload *reload);
/* Returns the listener's plan; NULL: it is not in the new configuration. */
const struct plan *reload_find_plan(const struct reload *reload, const struct listener *listener);
/* Whether the listener must bind an address of which only the name is known. */
bool reload_needs_lookup(const struct plan *plan);
/*
 * Finds the socket of the new generation. Returns 1 if *ret is a new one, the
 * caller's; 0 if the present one stays; -EINVAL if a mistake was added.
 */
int reload_find_socket(struct plan *plan, struct listening_socket *ret);

/* ---- reload_change.c -------------------------------------------------------------------- */

/* Makes all changes at once: the new configuration becomes the present one. Returns 0, or -ENOMEM,
 * and then nothing has changed. */
int reload_change(struct reload *reload);

#endif
