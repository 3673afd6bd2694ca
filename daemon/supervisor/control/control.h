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

/* The parts of the daemon that clients look into and steer. */
struct control_host {
    struct roster *roster;
    struct operations *operations;
    struct change *change;
    struct supervisor_log *log;
};

/* Makes *ret, which has no socket yet. Returns 0 or a negative errno. */
int control_new(const struct control_host *host, struct control **ret);

/*
 * Takes over the listening socket that an earlier program of this process made,
 * and a descriptor (O_PATH) of its path, for control_configure(); 0: there is
 * none. Both are closed if they are not what the configuration asks for.
 */
void control_inherit(struct control *control, int socket, int path);

/*
 * Makes the socket that the configuration asks for, or moves it there; clients
 * stay. If this fails, a warning is logged, and the daemon goes on without the
 * socket and tries again, unless another daemon has the path. A configuration
 * without a file has no socket. The configuration stays the caller's, and must
 * live until the next call.
 */
void control_configure(struct control *control, const struct config *config);

/* Serves fd, which a worker with control_access has sent, as a client that may only look. Closes it
 * if it is no connected Unix socket, or too many are served. */
void control_welcome_plugin(struct control *control, int fd);

/* Whether the configured path is another daemon's, which answers there. *ret_process: its number,
 * or 0 if that is not known. */
bool control_is_taken(const struct control *control, pid_t *ret_process);

/* Closes everything and removes the path if it is still ours. NULL is fine. */
void control_free(struct control *control);

#endif
