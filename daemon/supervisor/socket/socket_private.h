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

/* Whether it is a Unix socket with a name in the file system. */
bool socket_has_path(const struct address *address);
/* What listen() is told. The kernel cuts what is above net.core.somaxconn. */
int socket_backlog(const struct settings *settings);
struct unix_path_owner socket_path_owner(const struct settings *settings);
/* What workers rely on, also of a socket that somebody else bound. 0 or a negative errno. */
int socket_set_worker_options(int fd, const struct settings *settings,
                              const struct sockaddr_storage *address, bool stream);
/* The real address as text. buffer of at least ADDRESS_TEXT_SIZE. 0 or a negative errno. */
int socket_read_address(int fd, const struct settings *settings, bool stream, char *buffer);

/* ---- socket_passed.c -------------------------------------------------------------------- */

/* 1 and *ret if a socket was passed for the listener, 0 if not, or a negative errno. */
int socket_take_passed(const struct settings *settings, const struct resolved *found,
                       struct listening_socket *ret);
/* Leaves it with the service manager, under its present name. */
void socket_store(const struct settings *settings, struct listening_socket *listening);
/* The manager keeps it no longer. */
void socket_unstore(struct listening_socket *listening);

#endif
