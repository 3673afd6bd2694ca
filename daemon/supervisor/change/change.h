/* SPDX-License-Identifier: MIT */
/*
 * change.h - what a reload and an upgrade work on
 *
 * supervisor.c owns it and fills in the first half; the second half belongs to
 * the files of this folder.
 */
#ifndef SOCKSERVERD_SUPERVISOR_CHANGE_CHANGE_H
#define SOCKSERVERD_SUPERVISOR_CHANGE_CHANGE_H

#include "common/errors.h"
#include "config/config.h"
#include "supervisor/change/load.h"
#include "supervisor/log.h"
#include "supervisor/operations.h"
#include "supervisor/roster.h"
#include "supervisor/socket/unix_path.h"

struct change {
    struct roster *roster;
    struct operations *operations;
    struct supervisor_log *log;
    config_loader load; /* NULL: the configuration cannot be read again */
    const void *load_userdata;
    bool can_upgrade;
    int control;                    /* the control socket, which is control/'s; 0: none */
    struct unix_path *control_path; /* likewise */

    struct config loaded;    /* the present configuration, once there was a reload */
    struct reload *reload;   /* the one that runs, or NULL */
    struct upgrade *upgrade; /* the one that is tried, or NULL */
    struct watch *watch;     /* over the configuration's files, or NULL */
};

/* Goes on from this configuration, which is served. The event loop must be there. */
void change_begin(struct change *change, struct config *config);
/* Lets go of an upgrade that is tried, and of all that is watched. */
void change_end(struct change *change);

/* Reloads or upgrades as soon as nothing else is under way. Returns 0, or a negative errno, and
 * then done() is not called. An upgrade that succeeds tells nobody who waits: the connections end,
 * and who wanted something else asks the new program. */
int change_ask(struct change *change, enum operation_kind kind, operation_done done,
               void *userdata);
/* Begins what has waited longest, if it is a reload or an upgrade and its time has come. */
void change_step(struct change *change);

#endif
