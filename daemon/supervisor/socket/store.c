/* SPDX-License-Identifier: MIT */
/*
 * store.c - leaving our sockets with the service manager while we are away
 *
 * Runs in:  the supervisor.
 * Owns:     nothing; messages that cannot be sent yet are
 *           common/service_manager.c's.
 * Failures: not reported: the manager does not answer, and without it a
 *           restart closes the sockets, as it always did.
 */
#include "supervisor/socket/store.h"

#include <stdio.h>

#include "common/service_manager.h"

#define NAME_SIZE 320

bool
store_exists(void)
{
    return service_manager_exists();
}

void
store_add(const char *name, int fd, bool watched)
{
    char text[512], key[NAME_SIZE];

    (void)snprintf(key, sizeof(key), "add %s", name);
    (void)snprintf(text, sizeof(text), "FDSTORE=1\nFDNAME=%s%s", name, watched ? "" : "\nFDPOLL=0");
    service_manager_give(key, text, fd);
}

/* What the manager has not been given yet is not given any more. */
void
store_remove(const char *name)
{
    char text[512], key[NAME_SIZE];

    (void)snprintf(key, sizeof(key), "add %s", name);
    service_manager_forget(key);
    (void)snprintf(key, sizeof(key), "remove %s", name);
    (void)snprintf(text, sizeof(text), "FDSTOREREMOVE=1\nFDNAME=%s", name);
    service_manager_give(key, text, -1);
}
