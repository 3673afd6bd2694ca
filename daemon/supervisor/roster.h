/* SPDX-License-Identifier: MIT */
/*
 * roster.h - the listeners that there are
 *
 * This is the ground on which operations, changes and the control socket stand.
 * They read the fields; only the functions below change the lists. All
 * functions are called from the event loop only.
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
    double pre_stop_delay; /* of the present configuration, seconds */
    bool leaving; /* it is to stop, but serves for pre_stop_delay still: nothing new may begin */
    sd_event_source *review;

    struct listener **listeners; /* in the configuration's order */
    size_t count;
    struct listener **removed; /* removed by a reload; they are freed when they have ended */
    size_t removed_count;
};

/*
 * Makes a roster without listeners. It copies host, but puts its own changed
 * and userdata there. review runs from the loop whenever something has changed,
 * never from within something else. Returns 0 or a negative errno.
 */
int roster_init(struct roster *roster, const struct listener_host *host, sd_event_handler_t review,
                void *userdata);
/* Frees every listener. A zeroed roster without roster_init() is fine. */
void roster_done(struct roster *roster);

/* Asks for a review, which the event loop runs later. */
void roster_review(struct roster *roster);

/* Adds a new listener at the end of the list; the roster owns it. Returns 0 and *ret, or -ENOMEM.
 */
int roster_add(struct roster *roster, const struct settings *settings, struct listener **ret);
/* Replaces the list by another, an array for free() that the roster takes over. A listener that is
 * not in it must have been retired. */
void roster_replace(struct roster *roster, struct listener **listeners, size_t count);
/* Notes that the listener does not belong to the configuration any more. It is freed once it has
 * ended. */
void roster_retire(struct roster *roster, struct listener *listener);
/* Frees the retired listeners that have ended. */
void roster_sweep(struct roster *roster);

/* Whether the daemon stops, or is to stop. */
bool roster_ends(const struct roster *roster);

/* Returns the configuration's listener of that name, or NULL. */
struct listener *roster_find(const struct roster *roster, const char *name);

/* Whether every listener that is to serve has shown whether it starts. */
bool roster_all_tried(const struct roster *roster);
bool roster_any_failed(const struct roster *roster);
/* Whether a listener has failed, or has ended badly under --once. */
bool roster_any_problem(const struct roster *roster);

/* Sends every worker a message, also the workers of retired listeners. fd is attached; -1: none. */
void roster_tell(struct roster *roster, enum message_type type, uint64_t value, int fd);
/* Calls visit() with each listener, also with the retired ones. */
void roster_each(struct roster *roster, void (*visit)(struct listener *listener));

#endif
