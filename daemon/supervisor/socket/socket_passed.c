/* SPDX-License-Identifier: MIT */
/*
 * socket_passed.c - listening sockets that outlive a process of the daemon
 *
 * What an earlier process or a socket unit passed to this one is made ready
 * here, and what this one opens is left with the service manager (store.h).
 *
 * Runs in:  the supervisor, whenever a socket is opened or closed.
 * Owns:     nothing beyond a call.
 * Failures: returned. A passed socket that is useless is closed, and a new one
 *           opened in its place.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "common/cleanup.h"
#include "common/patience.h"
#include "supervisor/socket/adopt.h"
#include "supervisor/socket/socket_private.h"
#include "supervisor/socket/store.h"

/* ---- the manager's store ------------------------------------------------- */

static void
store_path(const struct listening_socket *listening)
{
    char name[sizeof(STORE_PATH_PREFIX) + SOCKET_NAME_SIZE];
    _cleanup_close_ int fd = unix_path_hold(&listening->path);

    if (fd < 0)
        return;
    (void)snprintf(name, sizeof(name), STORE_PATH_PREFIX "%s", listening->stored);
    store_add(name, fd, false);
}

void
socket_unstore(struct listening_socket *listening)
{
    char name[sizeof(STORE_PATH_PREFIX) + SOCKET_NAME_SIZE];

    if (listening->stored[0] == '\0')
        return;
    store_remove(listening->stored);
    (void)snprintf(name, sizeof(name), STORE_PATH_PREFIX "%s", listening->stored);
    store_remove(name); /* there may be one of a path that is gone */
    listening->stored[0] = '\0';
}

/* Stores the socket so that the next process finds it, whatever happens to this one. */
void
socket_store(const struct settings *settings, struct listening_socket *listening)
{
    char name[SOCKET_NAME_SIZE];

    adopt_mark(listening->fd);
    if (!store_exists())
        return;
    if (strcmp(listening->stored, socket_name(settings, name)) == 0)
        return;                /* and its path with it */
    socket_unstore(listening); /* a file is stored under one name only, the first */
    (void)strcpy(listening->stored, name);
    store_remove(name); /* of a socket that is gone */
    store_add(name, listening->fd, listening->stream);
    if (listening->path.name != NULL)
        store_path(listening);
}

/* ---- sockets that were passed ----------------------------------------------- */

static int
adopt_path(const struct settings *settings, int path_fd, struct listening_socket *made)
{
    const struct unix_path_owner owner = socket_path_owner(settings);

    if (made->passed || !socket_has_path(&settings->address))
        return 0;
    if (path_fd < 0)
        return -ESTALE;
    return unix_path_adopt(path_fd, settings->address.path, &owner, &made->path);
}

static int
make_ready(const struct settings *settings, const struct adopted *adopted,
           struct listening_socket *made)
{
    int r = socket_set_worker_options(made->fd, settings, &adopted->address, made->stream);

    if (r < 0)
        return r;
    if (fcntl(made->fd, F_SETFL, O_RDWR | O_NONBLOCK) < 0 ||
        (made->stream && !made->passed && listen(made->fd, socket_backlog(settings)) < 0))
        return -errno;
    if ((r = socket_read_address(made->fd, settings, made->stream, made->address)) < 0)
        return r;
    return adopt_path(settings, adopted->path_fd, made);
}

int
socket_take_passed(const struct settings *settings, const struct resolved *found,
                   struct listening_socket *ret)
{
    struct listening_socket made = LISTENING_SOCKET_NONE;
    struct adopted adopted;
    int r = adopt_claim(settings, found, &adopted);

    if (r <= 0)
        return r;
    made.fd = adopted.fd;
    made.stream = adopted.stream;
    made.passed = !adopted.own;
    if (adopted.own && store_exists())
        (void)strcpy(made.stored, adopted.stored);
    do
        r = make_ready(settings, &adopted, &made);
    while (patience_allows(r));
    if (adopted.path_fd >= 0)
        (void)close(adopted.path_fd);
    if (r < 0) {
        socket_close(&made);
        return r == -ESTALE ? 0 : r; /* clients find something else at its path: useless */
    }
    if (adopted.own)
        socket_store(settings, &made);
    *ret = made;
    return 1;
}
