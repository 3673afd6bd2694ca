/* SPDX-License-Identifier: MIT */
/*
 * socket.h - the listening socket of a listener
 */
#ifndef SOCKSERVERD_SUPERVISOR_SOCKET_SOCKET_H
#define SOCKSERVERD_SUPERVISOR_SOCKET_SOCKET_H

#include <stdbool.h>
#include <stdint.h>

#include "common/address.h"
#include "common/settings.h"
#include "supervisor/socket/socket_name.h"
#include "supervisor/socket/unix_path.h"

struct listening_socket {
    int fd;
    bool stream;
    bool passed;                   /* a socket unit passed it and keeps it */
    char stored[SOCKET_NAME_SIZE]; /* its name in the manager's store; "": it is not there */
    bool kept;                     /* it stays in the store when it is closed (socket_keep()) */
    bool shared;            /* somebody else goes on with it: we may not shut it down or empty it */
    uint16_t datagram_port; /* in datagram_ports.h, or 0 */
    char address[ADDRESS_TEXT_SIZE]; /* the real one, port 0 resolved */
    struct unix_path path;           /* what we made in the file system, if anything */
};

#define LISTENING_SOCKET_NONE ((struct listening_socket){.fd = -1, .path = UNIX_PATH_NONE})

/*
 * Opens, binds and listens as the settings say, or takes the socket that was
 * passed to this process for them (adopt.h). found: the address behind the host
 * name (lookup.h), if socket_needs_lookup(); else it is not looked at. Returns
 * 0 and fills *ret (socket_close() ends it), or a negative errno and
 * *ret_problem, a sentence for the caller to free (NULL without memory):
 * "cannot listen on tcp://x:7: Permission denied; ...". After an error nothing
 * is left behind.
 */
int socket_open(const struct settings *settings, const struct resolved *found,
                struct listening_socket *ret, char **ret_problem);
/* Writes the Internet address that socket_open() binds, as in struct listening_socket. buffer has
 * at least ADDRESS_TEXT_SIZE bytes. Returns buffer, or NULL. */
const char *socket_wanted_address(const struct settings *settings, const struct resolved *found,
                                  char *buffer);
/* Whether the listener's address is a name, and no socket was passed for it. */
bool socket_needs_lookup(const struct settings *settings);

/*
 * Looks whether a stream socket still listens: a worker holds it, too, and may
 * have shut it down. If it does not, it listens again, or another socket with
 * the same address takes its place and number. Returns 0 if nothing was wrong,
 * or a negative errno.
 */
enum { SOCKET_REVIVED = 1, SOCKET_REPLACED };
int socket_revive(struct listening_socket *socket, const struct settings *settings);

/*
 * Closes the socket and removes its Unix path if it is still the one we made; a
 * socket that systemd passed is only closed. A stored socket leaves the store,
 * too, unless it is marked as kept: then it waits there with its path.
 */
void socket_close(struct listening_socket *socket);

#endif
