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
 * socket_apply(). False: another address. A change that an open socket cannot
 * follow is added to errors.
 */
bool socket_stays(const struct settings *old, const struct settings *settings,
                  struct errors *errors);

/* Sets what can be set on the open socket: backlog, nodelay, the path's owner and mode. 0 or a
 * negative errno. */
int socket_apply(const struct listening_socket *socket, const struct settings *settings);

/*
 * Another descriptor of the same socket, for another listener that takes it
 * over. The path stays with the first until socket_hand_over(). 0 or a
 * negative errno.
 */
int socket_share(const struct listening_socket *socket, struct listening_socket *ret);
/* The path is the heir's now; the old holder may not shut the socket down any more. */
void socket_hand_over(struct listening_socket *socket, struct listening_socket *heir);

/*
 * Both at once, from somebody who only answers the queue any more. The heir
 * lets nobody new in until socket_thaw(). 0 or a negative errno.
 */
int socket_take_back(struct listening_socket *socket, struct listening_socket *ret);
void socket_thaw(struct listening_socket *socket);

/* The daemon ends: a socket that is in the manager's store stays there when it is closed, with its
 * path. Whether the manager starts us again or forgets it (`systemctl stop`) is up to it. */
void socket_keep(struct listening_socket *socket);
/*
 * Lets nobody else into its queue, so that it can be emptied: the Unix path
 * goes, or new TCP connections are not answered. Only of a stream that nobody
 * else goes on with; false: it is as it was.
 */
bool socket_freeze(struct listening_socket *socket);
/* Nobody accepts from it any more: whoever still comes is refused, even while workers hold it. */
void socket_give_up(struct listening_socket *socket);

#endif
