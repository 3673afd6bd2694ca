/* SPDX-License-Identifier: MIT */
/*
 * store.c - leaving our sockets with the service manager while we are away
 *
 * Runs in:  the supervisor.
 * Owns:     nothing.
 * Failures: not reported: the manager does not answer, and without it a
 *           restart closes the sockets, as it always did.
 */
#include "supervisor/socket/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <systemd/sd-daemon.h>

bool
store_exists(void)
{
    return getenv("NOTIFY_SOCKET") != NULL;
}

void
store_add(const char *name, int fd, bool watched)
{
    char text[512];

    (void)snprintf(text, sizeof(text), "FDSTORE=1\nFDNAME=%s%s", name, watched ? "" : "\nFDPOLL=0");
    (void)sd_pid_notify_with_fds(0, 0, text, &fd, 1);
}

void
store_remove(const char *name)
{
    char text[512];

    (void)snprintf(text, sizeof(text), "FDSTOREREMOVE=1\nFDNAME=%s", name);
    (void)sd_notify(0, text);
}
