/* SPDX-License-Identifier: MIT */
/*
 * adopt_private.h - what adopt.c and adopt_match.c share
 */
#ifndef SOCKSERVERD_SUPERVISOR_SOCKET_ADOPT_PRIVATE_H
#define SOCKSERVERD_SUPERVISOR_SOCKET_ADOPT_PRIVATE_H

#include "supervisor/socket/adopt.h"

struct passed {
    int fd; /* -1: claimed or discarded */
    char *name;
    const char *unfit; /* why no listener can use it; NULL: one can */
    bool own;
    int family, type;
    struct sockaddr_storage address;
    socklen_t size;
};

/* Whether the socket is the listener's. found: the address behind the listener's host name; NULL:
 * it has no such name, or the name has not been looked up. */
bool passed_belongs_to(const struct passed *item, const struct settings *settings,
                       const struct resolved *found);
/* Whether the socket may turn out to be the listener's, once its host name has been looked up. */
bool passed_may_belong_to(const struct passed *item, const struct settings *settings);

#endif
