/* SPDX-License-Identifier: MIT */
/*
 * socket.h - the listening socket of a listener
 */
#ifndef SOCKSERVERD_SUPERVISOR_SOCKET_H
#define SOCKSERVERD_SUPERVISOR_SOCKET_H

#include <stdbool.h>

#include "common/address.h"
#include "common/settings.h"
#include "supervisor/unix_path.h"

struct listening_socket {
    int fd;
    bool stream;
    bool shared; /* somebody else goes on with it: not ours to shut down or to empty */
    char address[ADDRESS_TEXT_SIZE]; /* the real one, port 0 resolved */
    struct unix_path path;           /* what we made in the file system, if anything */
};

#define LISTENING_SOCKET_NONE ((struct listening_socket){.fd = -1, .path = UNIX_PATH_NONE})

/*
 * Opens, binds and listens as the settings say. Looks the host name up, which
 * may block. Returns 0 and fills *ret (socket_close() ends it), or a negative
 * errno and *ret_problem, a sentence for the caller to free (NULL without
 * memory): "cannot listen on tcp://x:7: Permission denied; ...". Nothing is
 * left behind then.
 */
int socket_open(const struct settings *settings, struct listening_socket *ret, char **ret_problem);

/* Closes it and removes the Unix path, if that is still the one we made. */
void socket_close(struct listening_socket *socket);

#endif
