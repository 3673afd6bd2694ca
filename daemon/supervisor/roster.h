/* SPDX-License-Identifier: MIT */
/*
 * roster.h - the listeners that there are
 *
 * This is the ground on which operations, changes and the control socket
 * stand. They read the fields; only the functions below change the lists.
 * From the event loop only.
 */
#ifndef SOCKSERVERD_SUPERVISOR_ROSTER_H
#define SOCKSERVERD_SUPERVISOR_ROSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <systemd/sd-event.h>

#include "supervisor/listener/listener.h"

/* How far the daemon is. */
enum daemon_stage {
    DAEMON_STARTS, /* some listener has not shown yet whether it starts */
    DAEMON_SERVES,
    DAEMON_STOPS
};

struct roster {
    struct listener_host host; /* what all listeners have in common */
    enum daemon_stage stage;
    sd_event_source *review;

    struct listener **listeners; /* in the configuration's order */
    size_t count;
    struct listener **removed; /* by a reload; they are freed when they have ended */
    size_t removed_count;
};

/*
 * A roster without listeners. Of host, changed and userdata are the roster's
 * own. review runs from the loop whenever something has changed, never from
 * within something else. 0 or a negative errno.
 */
int roster_init(struct roster *roster, const struct listener_host *host, sd_event_handler_t review,
                void *userdata);
/* Frees every listener. One without roster_init() is fine if it is zero. */
void roster_done(struct roster *roster);

/* Has everything looked at again, from the event loop. */
void roster_review(struct roster *roster);

/* A new listener at the end of the list, which stays the roster's. 0 or -ENOMEM. */
int roster_add(struct roster *roster, const struct settings *settings, struct listener **ret);
/* Takes over another list, an array for free(). Whoever is not in it must have been retired. */
void roster_replace(struct roster *roster, struct listener **listeners, size_t count);
/* The listener is not one of the configuration's any more: it is freed once it has ended. */
void roster_retire(struct roster *roster, struct listener *listener);
/* Frees the retired ones that have ended. */
void roster_sweep(struct roster *roster);

/* The configuration's listener of that name, or NULL. */
struct listener *roster_find(const struct roster *roster, const char *name);

/* Whether every listener that is to serve has shown whether it starts. */
bool roster_all_tried(const struct roster *roster);
bool roster_any_failed(const struct roster *roster);
/* Whether a listener is failed, or ended badly although no second try was wanted. */
bool roster_any_problem(const struct roster *roster);

/* Sends every worker a message, also those of retired listeners; fd -1: none. */
void roster_tell(struct roster *roster, enum message_type type, uint64_t value, int fd);
/* Does it to each listener, the retired ones included. */
void roster_each(struct roster *roster, void (*visit)(struct listener *listener));

#endif
