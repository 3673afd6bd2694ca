/* SPDX-License-Identifier: MIT */
/*
 * unix_bound.h - whether a Unix socket in the file system has a living owner
 */
#ifndef SOCKSERVERD_SUPERVISOR_SOCKET_UNIX_BOUND_H
#define SOCKSERVERD_SUPERVISOR_SOCKET_UNIX_BOUND_H

/* Returns 1 if some socket of this network namespace is bound to the path, whether it listens or
 * not, 0 if none is, or a negative errno if the kernel does not tell. Never waits. */
int unix_bound(const char *path);

#endif
