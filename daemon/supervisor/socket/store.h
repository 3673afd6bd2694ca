/* SPDX-License-Identifier: MIT */
/*
 * store.h - leaving our sockets with the service manager while we are away
 *
 * systemd keeps descriptors for a service (FileDescriptorStoreMax=) and passes
 * them to its next process: a restart, or the daemon's sudden death, then
 * closes no queue. All of these do nothing where there is no service manager.
 */
#ifndef SOCKSERVERD_SUPERVISOR_SOCKET_STORE_H
#define SOCKSERVERD_SUPERVISOR_SOCKET_STORE_H

#include <stdbool.h>

/* What a stored descriptor of a Unix socket's path is called: this and the socket's name. */
#define STORE_PATH_PREFIX "path-of-"

/* Whether somebody would keep what we store. */
bool store_exists(void);

/*
 * Stores a copy of fd; fd stays the caller's. What was stored under the name
 * before should be removed first: the store keeps the old name of a file that
 * it already has. watched: it may be dropped when it reports an error or a
 * hang-up; never for datagram sockets, where any ICMP message is an error.
 */
void store_add(const char *name, int fd, bool watched);
void store_remove(const char *name);

#endif
