/* SPDX-License-Identifier: MIT */
/*
 * operations.h - what an operator may ask of the running daemon, and who waits for it
 *
 * Each operation is safe in any state of the daemon and of the listener;
 * listener.c has the table of what it does in which. From the event loop only.
 */
#ifndef SOCKSERVERD_SUPERVISOR_OPERATIONS_H
#define SOCKSERVERD_SUPERVISOR_OPERATIONS_H

#include <stdbool.h>

#include "supervisor/roster.h"

enum operation_kind {
    /* Accept no more; the socket stays open and its queue holds. Done when nothing is accepted any
     * more. */
    OPERATION_DRAIN,
    /* The same; done when all that ran has ended. */
    OPERATION_DRAIN_TO_THE_END,
    /* Accept again after a drain. Done when it serves. */
    OPERATION_RESUME,
    /* Answer what is queued, finish what runs, close the socket. Done when all has ended. */
    OPERATION_STOP,
    /* Also one that failed: it is tried at once. Done when it serves, or with the reason. */
    OPERATION_START,
    /* New workers on the same socket, refusing nobody. Done when they serve. */
    OPERATION_RESTART,

    /* Of the daemon as a whole; change/ runs them and says when they end. */
    OPERATION_RELOAD,
    OPERATION_UPGRADE
};

/*
 * Called exactly once, from the event loop and from within nothing else.
 * error: 0 or a negative errno; why: the mistakes (notices, if error is 0), if
 * there is anything to say; the callee's only during the call.
 */
typedef void (*operation_done)(void *userdata, int error, const struct errors *why);

struct operation;

struct operations {
    struct roster *roster;
    struct operation *list; /* of those that are not done; the latest first */
};

/*
 * Begins what is done to one listener. 0: done() will be called; userdata must
 * live until then, and operations_forget() is for whoever cannot wait. Or a
 * negative errno, and done() will not be called: -EBUSY while a reload runs,
 * -ESHUTDOWN while the daemon stops, -ENOENT if no listener has that name,
 * -ENOMEM.
 */
int operations_begin(struct operations *operations, enum operation_kind kind, const char *name,
                     operation_done done, void *userdata);

/* done() of all operations with this userdata is not called any more; they go on. */
void operations_forget(struct operations *operations, const void *userdata);

/* ---- for who runs them -------------------------------------------------------------------- */

/* Notes that a reload or an upgrade begins; done NULL: nobody wants to know. 0, and *ret must be
 * ended by operation_end(); or -ENOMEM. */
int operations_note(struct operations *operations, enum operation_kind kind, operation_done done,
                    void *userdata, struct operation **ret);
/* Whoever waits is told at the next step; the operation may be gone from then on. text may be NULL.
 * operation_end_with() empties *why instead. */
void operation_end(struct operation *operation, int error, const char *text);
void operation_end_with(struct operation *operation, int error, struct errors *why);

/* Whether one of this kind runs. */
bool operations_running(const struct operations *operations, enum operation_kind kind);
/* Whether one prepares a new generation. */
bool operations_preparing(const struct operations *operations);

/* Looks which are done, and tells who waits. */
void operations_step(struct operations *operations);
/* The listener (NULL: every one) will not come to what was asked of it. */
void operations_abandon(struct operations *operations, const struct listener *listener, int error,
                        const char *text);
/* Nobody is told. */
void operations_free(struct operations *operations);

#endif
