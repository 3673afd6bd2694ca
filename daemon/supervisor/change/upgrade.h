/* SPDX-License-Identifier: MIT */
/*
 * upgrade.h - the daemon executes itself anew, with everything that runs
 *
 * The same process becomes the program that is on disk now: its pid, its
 * children and its sockets stay. upgrade.c asks the new program first whether
 * it would do; upgrade_exec.c hands over; upgrade_receive.c goes on.
 */
#ifndef SOCKSERVERD_SUPERVISOR_CHANGE_UPGRADE_H
#define SOCKSERVERD_SUPERVISOR_CHANGE_UPGRADE_H

#include "supervisor/change/change.h"
#include "supervisor/change/upgrade_state.h"

/* Notes which program this is and how it was called, for the next upgrade. main() calls it first.
 */
void upgrade_remember(char **arguments);

/*
 * Begins to execute the program anew, with everything that runs. done() (NULL:
 * nobody wants to know) is called only if that fails. Returns 0, or a negative
 * errno, and then done() is not called: -EBUSY while the daemon is about to
 * change something else, -ESHUTDOWN while it stops, -ENOTSUP if the program is
 * not known or must not be exchanged, or why the new program cannot be tried.
 */
int upgrade_begin(struct change *change, operation_done done, void *userdata);

/* Ends the upgrade that is being tried, if there is one; nobody is told. */
void upgrade_cancel(struct change *change);

/* In the environment: the number of the state's descriptor. */
#define UPGRADE_VARIABLE "SOCKSERVERD_HAND_OVER"

/* ---- upgrade_exec.c -------------------------------------------------------------- */

/* Return the program to execute, NULL if it is not known, and its arguments. */
const char *upgrade_program(void);
char **upgrade_arguments(void);

/* A sealed memory file with the state of everything, for the program that is tried. Returns it, or
 * a negative errno. */
int upgrade_describe(const struct change *change);
/* Becomes the new program. It returns only if that fails: a negative errno, and everything is as
 * it was. */
int upgrade_execute(const struct change *change);

/* ---- upgrade_receive.c ----------------------------------------------------------- */

/*
 * Reads what the program that this process was before left for it. Returns 1
 * and *ret (for upgrade_state_done()), 0 if there is nothing, or a negative
 * errno. Call it once.
 */
int upgrade_receive(struct upgrade_state *ret);
/* Makes the listeners of the state anew; they go on with their workers. Returns 0 or a negative
 * errno. */
int upgrade_import(struct change *change, const struct upgrade_state *state);

/* For the program that is only tried: what it says if it could go on. */
#define UPGRADE_ANSWER "hand-over OK"
/* Says on standard output that this program understands the inherited state, if it got one.
 * Returns 0, or a negative errno if it does not. */
int upgrade_answer(void);

#endif
