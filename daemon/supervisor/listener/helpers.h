/* SPDX-License-Identifier: MIT */
/*
 * helpers.h - programs that plugins have started: they end with their worker
 */
#ifndef SOCKSERVERD_SUPERVISOR_LISTENER_HELPERS_H
#define SOCKSERVERD_SUPERVISOR_LISTENER_HELPERS_H

#include <systemd/sd-event.h>

#include "common/settings.h"

/* The variable by which a worker's descendants are known; its value is the worker's number. */
#define HELPERS_VARIABLE "SOCKSERVERD_WORKER"

/* Called from the event loop when the last helper that was to end is gone. */
typedef void (*helpers_gone)(void *userdata);

/*
 * Makes this process the new parent of every descendant whose parent dies, and
 * reaps such orphans from now on. Returns 0 or a negative errno.
 */
int helpers_begin(sd_event *event, helpers_gone gone, void *userdata);
/* Reaps orphans that have died, and children that were left to end (child_leave()). SIGCHLD calls
 * it; whoever comes by may, too. */
void helpers_reap(void);
void helpers_done(void);

/*
 * A worker has died and was reaped. What is left of its descendants gets
 * SIGTERM, and SIGKILL after two seconds. Of a forking worker that crashed,
 * children may be serving still: they have drain_timeout more. Does nothing without kill_helpers.
 */
void helpers_end(pid_t worker, const struct settings *settings, bool crashed);

/* Whether some have been asked to end and are still there. */
bool helpers_any(void);

#endif
