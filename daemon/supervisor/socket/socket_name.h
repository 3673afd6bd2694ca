/* SPDX-License-Identifier: MIT */
/*
 * socket_name.h - the stable name of a listening socket
 */
#ifndef SOCKSERVERD_SUPERVISOR_SOCKET_SOCKET_NAME_H
#define SOCKSERVERD_SUPERVISOR_SOCKET_SOCKET_NAME_H

#include <stdbool.h>

#include "common/settings.h"

/* With the NUL; what a service manager takes as the name of a descriptor. */
#define SOCKET_NAME_SIZE 240

/*
 * The socket's stable name, made of scheme and address: "tcp-127.0.0.1-9999",
 * "udp-[--1]-53", "unix-/run/x.sock", "unixgram-@x"; where several listeners
 * may share the address (port 0, reuse_port), with the listener's name behind
 * it. Other characters than printable ASCII, '%' and a path's ':' are %XX.
 * buffer of at least SOCKET_NAME_SIZE; returns it.
 */
char *socket_name(const struct settings *settings, char *buffer);
/* Whether other listeners may have the same address. */
bool socket_shares_address(const struct settings *settings);

#endif
