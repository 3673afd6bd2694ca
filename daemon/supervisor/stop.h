/* SPDX-License-Identifier: MIT */
/*
 * stop.h - how the daemon ends: announced, then drained, and cut at the second signal
 */
#ifndef SOCKSERVERD_SUPERVISOR_STOP_H
#define SOCKSERVERD_SUPERVISOR_STOP_H

#include <stdbool.h>
#include <sys/signalfd.h>
#include <systemd/sd-event.h>

#include "supervisor/roster.h"

struct change;
struct command;
struct operations;

struct stop {
    struct roster *roster;
    struct operations *operations;
    struct change *change;
    struct command *command; /* of --run; it is told to end, too */
    bool once;   /* --once: nothing is announced, and no client of the queue is answered */
    bool failed; /* it is no end in order: the same */

    sd_event_source *pre_stop; /* ends that time; NULL: it has not begun */
    bool cutting;
    bool asked; /* the command was, to end */
};

/* Takes the next step to the end, as a SIGTERM or SIGINT of this name asks. */
void stop_take_signal(struct stop *stop, const char *name, const struct signalfd_siginfo *info);
/* Begins to drain all listeners. */
void stop_begin(struct stop *stop);
/* Whether nothing is left that the end must wait for, the command excepted. */
bool stop_may_end(const struct stop *stop);
void stop_done(struct stop *stop);

#endif
