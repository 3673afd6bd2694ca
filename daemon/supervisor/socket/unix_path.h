/* SPDX-License-Identifier: MIT */
/*
 * unix_path.h - the name of a Unix socket in the file system
 */
#ifndef SOCKSERVERD_SUPERVISOR_SOCKET_UNIX_PATH_H
#define SOCKSERVERD_SUPERVISOR_SOCKET_UNIX_PATH_H

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

/* A path that is to be made. */
struct unix_path_plan {
    const char *name;
    int type;    /* the socket's: SOCK_STREAM, ... */
    int backlog; /* for a stream */
    struct unix_path_owner owner;
};

/*
 * Binds fd, a new Unix socket, to the path. It replaces a dead server's socket
 * there; a path on which somebody answers, or that is no socket, is not
 * touched: -EADDRINUSE. Streams listen with the backlog before the path
 * appears, so that nobody who sees it is refused. Returns 0 and fills *ret, or
 * a negative errno and *ret_remedy, a static text that says more, or NULL.
 */
int unix_path_bind(int fd, const struct unix_path_plan *plan, struct unix_path *ret,
                   const char **ret_remedy);

/*
 * Takes over a path that an earlier process of ours made, and gives it its
 * owner and mode anew. made is the descriptor (O_PATH) that unix_path_hold()
 * returned then. Returns 0 and *ret, -ESTALE if something else is there now, or
 * another negative errno.
 */
int unix_path_adopt(int made, const char *path, const struct unix_path_owner *owner,
                    struct unix_path *ret);
/* Returns a descriptor (O_PATH) of the path for unix_path_adopt(), -ESTALE if something else is
 * there now, or another negative errno. */
int unix_path_hold(const struct unix_path *path);
/* Gives the path its owner and mode anew, if it is still the one we made. Returns 0 or a negative
 * errno. */
int unix_path_own(const struct unix_path *path, const struct unix_path_owner *owner);
/* Forgets the path, which stays where it is and is not ours any more. */
void unix_path_forget(struct unix_path *path);

/* Removes the path if it is still the one we made, and forgets it. Returns 0, or a negative errno
 * if that was not possible: then the path stays, and it stays ours. */
int unix_path_take_away(struct unix_path *path);
/* Does the same, and forgets the path in any case. */
void unix_path_remove(struct unix_path *path);

#endif
