/* SPDX-License-Identifier: MIT */
/*
 * socket_change.h - what may become of a listening socket while it is open
 */
#ifndef SOCKSERVERD_SUPERVISOR_SOCKET_SOCKET_CHANGE_H
#define SOCKSERVERD_SUPERVISOR_SOCKET_SOCKET_CHANGE_H

#include <stdbool.h>

#include "common/errors.h"
#include "supervisor/socket/socket.h"

/*
 * Whether a socket opened for the old settings will do for the new ones, with
 * socket_apply(). False: the address differs. A change that an open socket
 * cannot follow is added to errors.
 */
bool socket_stays(const struct settings *old, const struct settings *settings,
                  struct errors *errors);

/* Sets what can be set on the open socket: backlog, nodelay, the path's owner and mode. Returns 0
 * or a negative errno. */
int socket_apply(const struct listening_socket *socket, const struct settings *settings);

/*
 * Makes another descriptor of the same socket, for another listener that takes
 * it over. The path stays with the first until socket_hand_over(). Returns 0
 * and *ret, or a negative errno.
 */
int socket_share(const struct listening_socket *socket, struct listening_socket *ret);
/* Gives the path to the heir; the old holder may not shut the socket down any more. */
void socket_hand_over(struct listening_socket *socket, struct listening_socket *heir);

/*
 * Shares the socket and hands it over, from a holder that only answers the
 * queue any more. Nobody new gets in until the heir calls socket_thaw().
 * Returns 0 and *ret, or a negative errno.
 */
int socket_take_back(struct listening_socket *socket, struct listening_socket *ret);
void socket_thaw(struct listening_socket *socket);

/* Notes that the daemon ends: a socket in the manager's store stays there with its path when it is
 * closed. The manager decides whether it starts us again or forgets the socket (`systemctl stop`).
 */
void socket_keep(struct listening_socket *socket);
/*
 * Lets nobody else into the socket's queue, so that it can be emptied: the Unix
 * path goes, or new TCP connections are not answered. It works only for a
 * stream that nobody else goes on with. False: nothing has changed.
 */
bool socket_freeze(struct listening_socket *socket);
/* Closes a socket from which nobody accepts any more (as socket_close() does): clients that still
 * come are refused, even while workers hold it. */
void socket_give_up(struct listening_socket *socket);

#endif
