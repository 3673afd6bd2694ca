/* SPDX-License-Identifier: MIT */
/*
 * operations.h - what an operator may ask of the running daemon
 *
 * Each is safe in any state of the daemon and of the listener; listener.c has
 * the table of what it does in which. From the event loop only.
 */
#ifndef SOCKSERVERD_SUPERVISOR_OPERATIONS_H
#define SOCKSERVERD_SUPERVISOR_OPERATIONS_H

#include <stdbool.h>
#include <stddef.h>

struct config;
struct listener;
struct supervisor;

/*
 * Called exactly once from the event loop, maybe before the operation
 * returns. error: 0 or a negative errno; text: NULL, or one mistake (notice,
 * if error is 0) a line, the callee's only during the call.
 */
typedef void (*operation_done)(void *userdata, int error, const char *text);

/*
 * All return 0 if done() was or will be called, or a negative errno, and then
 * it is not: -EBUSY while a reload runs, -ESHUTDOWN while the daemon stops,
 * -ENOENT if no listener has that name, -ENOMEM. userdata must live until
 * done() was called; supervisor_forget() is for who cannot wait.
 */

/* The configuration anew: done when all that changed serves, or with every mistake. */
int supervisor_reload(struct supervisor *supervisor, operation_done done, void *userdata);
/*
 * Accept no more; the socket stays open and its queue holds. Done when nothing
 * is accepted any more; wait: when all that ran has ended.
 */
int supervisor_drain(struct supervisor *supervisor, const char *name, bool wait,
                     operation_done done, void *userdata);
/* Accept again after a drain. Done when it serves. */
int supervisor_resume(struct supervisor *supervisor, const char *name, operation_done done,
                      void *userdata);
/* Answer what is queued, finish what runs, close the socket. Done when all has ended. */
int supervisor_stop_listener(struct supervisor *supervisor, const char *name, operation_done done,
                             void *userdata);
/* Also one that failed: it is tried at once. Done when it serves, or with the reason. */
int supervisor_start_listener(struct supervisor *supervisor, const char *name, operation_done done,
                              void *userdata);
/* New workers on the same socket, refusing nobody. Done when they serve. */
int supervisor_restart_listener(struct supervisor *supervisor, const char *name,
                                operation_done done, void *userdata);

/* This program anew, with everything that runs. Done only if that fails. */
int supervisor_upgrade(struct supervisor *supervisor, operation_done done, void *userdata);

/* A syslog level, for the daemon and every worker. 0, or -EINVAL. */
int supervisor_set_log_level(struct supervisor *supervisor, int level);

/* done() of all operations with this userdata is not called any more; they go on. */
void supervisor_forget(struct supervisor *supervisor, const void *userdata);

size_t supervisor_listener_count(const struct supervisor *supervisor);
/* NULL from the count on. Valid until the loop goes on: a reload may remove it. */
struct listener *supervisor_listener(const struct supervisor *supervisor, size_t index);
struct listener *supervisor_find_listener(const struct supervisor *supervisor, const char *name);

/* The present one. */
const struct config *supervisor_configuration(const struct supervisor *supervisor);

#endif
