/* SPDX-License-Identifier: MIT */
/*
 * unix_path.h - the name of a Unix socket in the file system
 */
#ifndef SOCKSERVERD_SUPERVISOR_UNIX_PATH_H
#define SOCKSERVERD_SUPERVISOR_UNIX_PATH_H

#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

/* A path we made. */
struct unix_path {
    char *name; /* NULL: none */
    dev_t device;
    ino_t inode;
};

#define UNIX_PATH_NONE ((struct unix_path){.name = NULL})

/* What the path shall look like once it can be seen. */
struct unix_path_owner {
    uint32_t mode;
    uid_t uid; /* (uid_t)-1: unchanged */
    gid_t gid;
};

/*
 * Binds fd, a new Unix socket of the given type, to the path. What is left of
 * a dead server there is replaced; a path on which somebody answers, or that
 * is no socket, is not touched: -EADDRINUSE. Streams listen with the backlog
 * before the path appears, so nobody who sees it is refused.
 * Returns 0 and fills *ret, or a negative errno; *ret_remedy is then what
 * else there is to say (static text), or NULL.
 */
int unix_path_bind(int fd, int type, const char *path, const struct unix_path_owner *owner,
                   int backlog, struct unix_path *ret, const char **ret_remedy);

/* Removes the path if it is still the one we made, and forgets it. */
void unix_path_remove(struct unix_path *path);

#endif
