/* SPDX-License-Identifier: MIT */
/*
 * operations.h - what an operator may ask of the running daemon, and who waits for it
 *
 * Each operation is safe in any state of the daemon and of the listener;
 * listener.c has the table of what it does in which. All functions are called
 * from the event loop only.
 */
#ifndef SOCKSERVERD_SUPERVISOR_OPERATIONS_H
#define SOCKSERVERD_SUPERVISOR_OPERATIONS_H

#include <stdbool.h>

#include "supervisor/roster.h"

enum operation_kind {
    /* The listener accepts no more; its socket stays open, and clients wait in the queue. Done
     * when nothing is accepted any more. With pre_stop_delay it is announced first: the listener
     * serves for so long, and operations_announce() says that it is about to drain. */
    OPERATION_DRAIN,
    /* The same, but done when everything that ran has ended. */
    OPERATION_DRAIN_TO_THE_END,
    /* The listener accepts again after a drain. Done when it serves. */
    OPERATION_RESUME,
    /* The listener answers what is queued, finishes what runs and closes the socket. Done when
     * everything has ended. */
    OPERATION_STOP,
    /* The listener starts; one that failed is tried at once. Done when it serves, or, with the
     * reason, when it cannot. */
    OPERATION_START,
    /* New workers replace the old ones on the same socket, and no client is refused. Done when
     * they serve. */
    OPERATION_RESTART,

    /* These concern the daemon as a whole; change/ runs them and says when they end. */
    OPERATION_RELOAD,
    OPERATION_UPGRADE
};

/*
 * It is called exactly once, from the event loop and from within nothing else.
 * error: 0 or a negative errno. why: the mistakes (notices, if error is 0),
 * maybe none; valid only during the call.
 */
typedef void (*operation_done)(void *userdata, int error, const struct errors *why);

struct operation;

struct operations {
    struct roster *roster;
    struct operation *list; /* the operations that are not done; the latest first */
};

/*
 * Begins an operation on one listener. Returns 0 if done() will be called:
 * userdata must live until then, or until operations_forget(). Returns a
 * negative errno if done() will not be called:
 * -ESHUTDOWN while the daemon stops, -ENOENT if no listener has that name, or
 * -ENOMEM. A restart waits until no reload, upgrade or other restart of the
 * listener runs, and until those that were asked before it have begun.
 */
int operations_begin(struct operations *operations, enum operation_kind kind, const char *name,
                     operation_done done, void *userdata);

/* Whether a drain of the listener is announced and has not begun: who sends clients there shall
 * hear of it first. */
bool operations_announce(const struct operations *operations, const struct listener *listener);

/* Makes sure that done() is not called for any operation with this userdata. The operations go on.
 */
void operations_forget(struct operations *operations, const void *userdata);

/* ---- for who runs them -------------------------------------------------------------------- */

/* Notes that a reload or an upgrade begins. done NULL: nobody wants to know when it ends. Returns
 * 0 and *ret, which the caller ends with operation_end(), or -ENOMEM. */
int operations_note(struct operations *operations, enum operation_kind kind, operation_done done,
                    void *userdata, struct operation **ret);
/* Ends the operation: the next operations_step() tells whoever waits, and frees it. text is the
 * reason and may be NULL. operation_end_with() takes the reasons from *why, which is empty
 * afterwards. */
void operation_end(struct operation *operation, int error, const char *text);
void operation_end_with(struct operation *operation, int error, struct errors *why);

/* Notes a reload or an upgrade that cannot begin yet. Returns 0 or -ENOMEM. */
int operations_queue(struct operations *operations, enum operation_kind kind, operation_done done,
                     void *userdata);
/* Returns the one that has waited longest for its turn; NULL: none waits. */
struct operation *operations_first_queued(const struct operations *operations);
enum operation_kind operation_kind(const struct operation *operation);
/* All that wait and are of the same kind, on the same listener, end with this one, which is about
 * to begin, and get its answer. */
void operation_lead(struct operation *leader);

/* Whether an operation of this kind runs. */
bool operations_running(const struct operations *operations, enum operation_kind kind);
/* Begins the drains that are announced, unless somebody waits for them: the daemon is about to be
 * handed over, and with it only those who wait. */
void operations_hurry(struct operations *operations);
/* Whether an operation prepares a new generation. */
bool operations_preparing(const struct operations *operations);

/* Looks which operations are done, and tells those who wait for them. */
void operations_step(struct operations *operations);
/* Ends the operations on the listener (NULL: on every listener) with the error: what they wait for
 * will not happen. */
void operations_abandon(struct operations *operations, const struct listener *listener, int error,
                        const char *text);
/* Frees all operations. Nobody is told. */
void operations_free(struct operations *operations);

#endif
