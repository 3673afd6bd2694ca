/* SPDX-License-Identifier: MIT */
/*
 * peer_groups.c - the groups of whoever is at the other end of a Unix stream socket
 *
 * Runs in:  the supervisor and workers.
 * Owns:     nothing.
 * Failures: returned.
 */
#include "common/peer_groups.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "common/cleanup.h"

#define USUAL 64 /* with more, the kernel tells how much room is needed */

gid_t *
peer_groups(int fd, size_t *ret_count)
{
    socklen_t size = USUAL * sizeof(gid_t);
    _cleanup_free_ gid_t *groups = malloc(size + sizeof(gid_t));

    if (groups == NULL)
        return NULL;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0) {
        gid_t *more = errno == ERANGE ? realloc(groups, size + sizeof(gid_t)) : NULL;
        if (more == NULL)
            return NULL;
        groups = more;
        if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0)
            return NULL;
    }
    *ret_count = size / sizeof(gid_t);
    return take_pointer(groups);
}
