/* SPDX-License-Identifier: MIT */
/*
 * socket_private.h - what the files of the listening socket share
 *
 * socket.c opens it, socket_passed.c takes and leaves it, socket_change.c
 * changes it while it is open.
 */
#ifndef SOCKSERVERD_SUPERVISOR_SOCKET_SOCKET_PRIVATE_H
#define SOCKSERVERD_SUPERVISOR_SOCKET_SOCKET_PRIVATE_H

#include "supervisor/socket/socket.h"

/* ---- socket.c: what settings mean for a socket ------------------------------------------- */

/* Whether the address is a Unix socket's with a name in the file system. */
bool socket_has_path(const struct address *address);
/* Returns the backlog for listen(). The kernel limits it to net.core.somaxconn. */
int socket_backlog(const struct settings *settings);
struct unix_path_owner socket_path_owner(const struct settings *settings);
/* Sets the options that workers rely on, also on a socket that somebody else bound. Returns 0 or a
 * negative errno. */
int socket_set_worker_options(int fd, const struct settings *settings,
                              const struct sockaddr_storage *address, bool stream);
/* socket_tuning.c: sets the kernel's buffers and keepalive, on which nothing depends: a warning is
 * logged if they cannot be what the settings say. */
void socket_tune(int fd, const struct settings *settings, bool local, bool stream);
/* Writes the socket's real address as text. buffer has at least ADDRESS_TEXT_SIZE bytes. Returns 0
 * or a negative errno. */
int socket_read_address(int fd, const struct settings *settings, bool stream, char *buffer);

/* ---- socket_passed.c -------------------------------------------------------------------- */

/* Takes the socket that was passed for the listener. Returns 1 and *ret, 0 if there is none, or a
 * negative errno. */
int socket_take_passed(const struct settings *settings, const struct resolved *found,
                       struct listening_socket *ret);
/* Leaves the socket with the service manager, under its present name. */
void socket_store(const struct settings *settings, struct listening_socket *listening);
/* Takes the socket out of the service manager's store. */
void socket_unstore(struct listening_socket *listening);

#endif
