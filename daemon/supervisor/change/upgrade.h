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

/* Which program this is, and how it was called: for the next one. First thing in main(). */
void upgrade_remember(char **arguments);

/*
 * This program anew, with everything that runs. done() (NULL: nobody wants to
 * know) is called only if that fails. 0, or a negative errno, and then done()
 * is not called: -EBUSY while the daemon is about to change something else,
 * -ESHUTDOWN while it stops, -ENOTSUP if the program is not known or must not
 * be exchanged, or why the new program cannot be tried.
 */
int upgrade_begin(struct change *change, operation_done done, void *userdata);

/* Ends the one that is being tried, if there is one; nobody is told. */
void upgrade_cancel(struct change *change);

/* In the environment: the number of the state's descriptor. */
#define UPGRADE_VARIABLE "SOCKSERVERD_HAND_OVER"

/* ---- upgrade_exec.c -------------------------------------------------------------- */

/* The program to execute, and its arguments. NULL if it is not known. */
const char *upgrade_program(void);
char **upgrade_arguments(void);

/* A sealed memory file with the state of everything, for the program that is tried. Returns it, or
 * a negative errno. */
int upgrade_describe(const struct change *change);
/* Becomes the new program. Returns only if that fails: a negative errno, and all is as it was. */
int upgrade_execute(const struct change *change);

/* ---- upgrade_receive.c ----------------------------------------------------------- */

/*
 * What the program that this process was before left for it: 1 and *ret (for
 * upgrade_state_done()), 0 if there is nothing, or a negative errno. Once.
 */
int upgrade_receive(struct upgrade_state *ret);
/* Makes its listeners anew, which go on with their workers. 0 or a negative errno. */
int upgrade_import(struct change *change, const struct upgrade_state *state);

/* For the program that is only tried: what it says if it could go on. */
#define UPGRADE_ANSWER "hand-over OK"
/* 0 if nobody asks or it could; it says so on standard output. Else a negative errno. */
int upgrade_answer(void);

#endif
