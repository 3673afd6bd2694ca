/* SPDX-License-Identifier: MIT */
/*
 * manager.h - a service manager for a test: passes sockets, hears what is notified
 *
 * Speaks the LISTEN_FDS and NOTIFY_SOCKET conventions and keeps what a daemon
 * stores, as systemd does, for the next daemon that is started under it.
 */
#ifndef TESTS_SUPPORT_MANAGER_H
#define TESTS_SUPPORT_MANAGER_H

#include <stddef.h>

#include "support/daemon.h"

struct manager;

/* Ends with the test. One at a time. */
struct manager *manager_new(void);

/* A socket that the next daemons get under this name; it stays the caller's. */
void manager_pass(struct manager *manager, const char *name, int fd);

/* Starts the configuration file under the manager, with what was passed and what is stored (in
 * reverse order, as systemd 252 does). */
struct daemon *manager_start(struct manager *manager, const char *configuration);

/* The same; prepare is called last in the daemon's process, as of daemon_run_prepared(). */
struct daemon *manager_start_program(struct manager *manager, const char *configuration,
                                     void (*prepare)(void *userdata), void *userdata);

/* Waits for a notification with this text, since the last start. */
void manager_wait(struct manager *manager, const char *text);
/* All notifications since the last start, a line each assignment. */
const char *manager_heard(struct manager *manager);

/* How many descriptors are stored, and under this name. */
size_t manager_stored_count(struct manager *manager);
size_t manager_stored(struct manager *manager, const char *name);
/* Forgets what is stored, as `systemctl stop` does. */
void manager_empty_store(struct manager *manager);

/* For the teardown. */
void manager_end(void);

#endif
