/* SPDX-License-Identifier: MIT */
/*
 * adopt.h - the sockets that this process was started with
 *
 * They come by the LISTEN_FDS convention, each with a name, from three places:
 * a socket unit (it keeps its sockets), the service manager's store (its
 * sockets are ours, store.h), and an upgrade (its sockets are ours, too). A
 * listener takes - the socket called NAME, if its address is "systemd:NAME"; -
 * else one that has its own address, and either its name, or its socket_name(),
 * or was opened by an earlier process of this daemon. While the address behind
 * a host's name is not known, the port is compared instead, and the socket must
 * have the right name.
 */
#ifndef SOCKSERVERD_SUPERVISOR_SOCKET_ADOPT_H
#define SOCKSERVERD_SUPERVISOR_SOCKET_ADOPT_H

#include <stdbool.h>

#include "common/errors.h"
#include "common/settings.h"
#include "config/config.h"
#include "supervisor/socket/socket_name.h"

/*
 * Takes note of the sockets that were passed, and clears the environment of
 * their variables. Call it once, at the start. Returns 0 or a negative errno
 * (-EINVAL: the names do not fit).
 */
int adopt_begin(void);
/* Closes the sockets that nobody has claimed. */
void adopt_end(void);

/*
 * Adds a mistake for every socket of a socket unit that cannot serve, or that
 * no listener of the configuration would take.
 */
void adopt_check(const struct config *config, struct errors *errors);
/* Closes and forgets each of our own sockets that no enabled listener would take; without a
 * configuration, those that none has taken. */
void adopt_discard(const struct config *config);

struct adopted {
    int fd; /* the caller's now */
    bool own;
    bool stream;
    struct sockaddr_storage address;
    int path_fd;                   /* a descriptor of our own Unix path, the caller's; -1: none */
    char stored[SOCKET_NAME_SIZE]; /* if the socket is our own: the name it came with */
};

/*
 * Takes the listener's socket. found: the address behind the listener's host
 * name; NULL: it has no such name, or the address is not known yet. Returns 1
 * and *ret, 0 if there is no socket, or a negative errno.
 */
int adopt_claim(const struct settings *settings, const struct resolved *found, struct adopted *ret);

/* Whether adopt_claim() would find a socket although the address is not known yet. */
bool adopt_has(const struct settings *settings);

/* Returns the names of the passed sockets, "a, b" or "none", a string to free; NULL without
 * memory. */
char *adopt_names(void);

/* Marks a socket as opened by this daemon, for whoever inherits it. */
void adopt_mark(int fd);

/*
 * Calls back with the name and the descriptor of each socket of a socket unit,
 * which an upgrade passes on besides the listeners' own sockets. Both stay
 * ours.
 */
void adopt_each(void (*take)(const char *name, int fd, void *userdata), void *userdata);

/* Takes note of the sockets that systemd or an earlier process of the daemon passed; mistakes are
 * logged. upgraded: the listeners that this process goes on with take them. Returns 0 or a negative
 * errno. */
int adopt_passed(const struct config *config, bool upgraded);

#endif
