/* SPDX-License-Identifier: MIT */
/*
 * control.h - the socket through which a running daemon is looked into and steered
 */
#ifndef SOCKSERVERD_SUPERVISOR_CONTROL_CONTROL_H
#define SOCKSERVERD_SUPERVISOR_CONTROL_CONTROL_H

#include "config/config.h"
#include "supervisor/change/change.h"
#include "supervisor/log.h"
#include "supervisor/operations.h"
#include "supervisor/roster.h"

struct control;

/* What is looked into and steered. */
struct control_host {
    struct roster *roster;
    struct operations *operations;
    struct change *change;
    struct supervisor_log *log;
};

/* No socket yet. 0 or a negative errno. */
int control_new(const struct control_host *host, struct control **ret);

/*
 * Makes the socket that the configuration asks for, or moves it there; clients
 * stay. If that cannot be, a warning is logged, and the daemon goes on without
 * it and tries again, unless another daemon has the path. A configuration
 * without a file has no socket. It is the caller's, and must live until the
 * next call.
 */
void control_configure(struct control *control, const struct config *config);

/* Closes everything and removes the path if it is still ours. NULL is fine. */
void control_free(struct control *control);

#endif
