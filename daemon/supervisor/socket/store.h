/* SPDX-License-Identifier: MIT */
/*
 * store.h - leaving our sockets with the service manager while we are away
 *
 * systemd keeps descriptors for a service (FileDescriptorStoreMax=) and passes
 * them to its next process: a restart, or the daemon's sudden death, then
 * closes no queue. All of these functions do nothing where there is no service
 * manager.
 */
#ifndef SOCKSERVERD_SUPERVISOR_SOCKET_STORE_H
#define SOCKSERVERD_SUPERVISOR_SOCKET_STORE_H

#include <stdbool.h>

/* The name of a stored descriptor of a Unix socket's path begins so; the socket's name follows. */
#define STORE_PATH_PREFIX "path-of-"

/* Whether there is a service manager that keeps what we store. */
bool store_exists(void);

/*
 * Stores a copy of fd; fd stays the caller's. What was stored under the name
 * before should be removed first: the store keeps the old name of a file that
 * it already has. watched: the manager may drop the copy when it reports an
 * error or a hang-up; never use this for datagram sockets, where any ICMP
 * message is an error.
 */
void store_add(const char *name, int fd, bool watched);
void store_remove(const char *name);

#endif
