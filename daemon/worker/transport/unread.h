/* SPDX-License-Identifier: MIT */
/*
 * unread.h - receivers of datagrams that do not read
 */
#ifndef SOCKSERVERD_WORKER_TRANSPORT_UNREAD_H
#define SOCKSERVERD_WORKER_TRANSPORT_UNREAD_H

#include <stdbool.h>

struct ss_server;

/* So long, in seconds, may one receiver without room hold up the others. */
#define UNREAD_PATIENCE 0.005

/* Whether a receiver may be waited for now. */
bool unread_patient(const struct ss_server *server);
/* One was waited for in vain: nobody is waited for during the next 100 ms. */
void unread_note(struct ss_server *server);
/* Warns that an answer was dropped, at most once in ten seconds. */
void unread_warn(struct ss_server *server);

#endif
