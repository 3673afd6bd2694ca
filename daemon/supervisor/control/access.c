/* SPDX-License-Identifier: MIT */
/*
 * access.c - who may change things through the control socket
 *
 * The kernel says who connected, as they were then. Whoever could open the
 * socket may read; changing is for root, the daemon's own user, and members
 * of control.group, whether it is their primary or a supplementary one.
 *
 * Runs in: the supervisor. Owns: nothing. Failures: who cannot be told apart
 * may not change anything.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "supervisor/control/control_private.h"

static bool
has_supplementary_group(int fd, gid_t group)
{
    socklen_t size = 32 * sizeof(gid_t);
    _cleanup_free_ gid_t *groups = malloc(size);

    if (groups == NULL)
        return false;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0) {
        if (errno != ERANGE)
            return false;
        gid_t *more = realloc(groups, size); /* the kernel has told how much is needed */
        if (more == NULL)
            return false;
        groups = more;
        if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0)
            return false;
    }
    for (size_t i = 0; i < size / sizeof(gid_t); i++)
        if (groups[i] == group)
            return true;
    return false;
}

int
control_identify(struct control_client *client)
{
    gid_t group = client->control->group;
    struct ucred peer;
    socklen_t size = sizeof(peer);

    if (getsockopt(client->fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
        return -errno;
    client->pid = peer.pid;
    client->uid = peer.uid;
    client->may_change =
        peer.uid == 0 || peer.uid == geteuid() ||
        (group != (gid_t)-1 && (peer.gid == group || has_supplementary_group(client->fd, group)));
    client->class = peer.uid == 0 || peer.uid == geteuid() ? CLASS_OWNER
                    : client->may_change                   ? CLASS_GROUP
                                                           : CLASS_READER;
    return 0;
}
