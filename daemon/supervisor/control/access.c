/* SPDX-License-Identifier: MIT */
/*
 * access.c - who may change things through the control socket
 *
 * The kernel says who connected, as they were then. Whoever could open the
 * socket may read; changing is for root, the daemon's own user, and members
 * of control.group, whether it is their primary or a supplementary one, but
 * never for our own workers and what they have started.
 *
 * Runs in: the supervisor. Owns: nothing. Failures: who cannot be told apart
 * may not change anything.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/peer_groups.h"
#include "supervisor/control/control_private.h"

static bool
has_supplementary_group(int fd, gid_t group)
{
    size_t count = 0;
    _cleanup_free_ gid_t *groups = peer_groups(fd, &count);

    for (size_t i = 0; groups != NULL && i < count; i++)
        if (groups[i] == group)
            return true;
    return false;
}

static bool
gains_no_privileges(pid_t pid)
{
    char path[32], line[256];
    int value = 0;

    (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    _cleanup_fclose_ FILE *file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL)
        if (sscanf(line, "NoNewPrivs: %d", &value) == 1)
            return value == 1;
    return true;
}

/* Returns the parent of a process, 0 if it has none here, or -1 if this cannot be told. */
static pid_t
parent_of(pid_t pid)
{
    char path[32], text[512];
    pid_t parent;

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (size <= 0)
        return -1;
    text[size] = '\0';
    const char *end = strrchr(text, ')'); /* a program's name may hold anything */
    return end != NULL && sscanf(end + 1, " %*c %d", &parent) == 1 ? parent : -1;
}

/*
 * Whether a client is one of our workers, or was started by one: plugins change
 * nothing here, whatever their user. The supervisor has no other children that
 * connect. One that has ended since it connected cannot be told from them; one
 * that lives and is hidden from us (ProtectProc= of a unit) has another user. The
 * first process of a container adopts everybody's orphans; there only those
 * that can gain no privileges are ours, as all are that a worker has started.
 */
static bool
is_our_own(pid_t pid)
{
    while (pid > 0) {
        pid_t parent = parent_of(pid);
        if (parent < 0)
            return kill(pid, 0) < 0 && errno == ESRCH;
        if (parent == getpid())
            return getpid() != 1 || gains_no_privileges(pid);
        pid = parent;
    }
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
    client->may_change = (peer.uid == 0 || peer.uid == geteuid() ||
                          (group != (gid_t)-1 &&
                           (peer.gid == group || has_supplementary_group(client->fd, group)))) &&
                         !is_our_own(peer.pid);
    bool owner = peer.uid == 0 || peer.uid == geteuid();
    client->class = !client->may_change ? CLASS_READER : owner ? CLASS_OWNER : CLASS_GROUP;
    return 0;
}
