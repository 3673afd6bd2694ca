/* SPDX-License-Identifier: MIT */
/*
 * socket_name.h - the stable name of a listening socket
 */
#ifndef SOCKSERVERD_SUPERVISOR_SOCKET_SOCKET_NAME_H
#define SOCKSERVERD_SUPERVISOR_SOCKET_SOCKET_NAME_H

#include <stdbool.h>

#include "common/settings.h"

/* With the NUL; a service manager takes a name of this size for a descriptor. */
#define SOCKET_NAME_SIZE 240

/*
 * Writes the socket's stable name, made of scheme and address:
 * "tcp-127.0.0.1-9999", "udp-[--1]-53", "unix-/run/x.sock", "unixgram-@x";
 * where several listeners may share the address (port 0, reuse_port), the
 * listener's name follows. Characters that are not printable ASCII, '%' and a
 * path's ':' become %XX. buffer has at least SOCKET_NAME_SIZE bytes, and is
 * returned.
 */
char *socket_name(const struct settings *settings, char *buffer);
/* Whether other listeners may have the same address. */
bool socket_shares_address(const struct settings *settings);

#endif
