/* SPDX-License-Identifier: MIT */
/*
 * notify.h - telling the service manager how we are
 */
#ifndef SOCKSERVERD_SUPERVISOR_NOTIFY_H
#define SOCKSERVERD_SUPERVISOR_NOTIFY_H

#include <stdint.h>
#include <systemd/sd-event.h>

#include "supervisor/listener/listener.h"

/*
 * All of these functions do nothing where there is no service manager, and none
 * waits for it. What it cannot be told now, it is told later: each message at
 * its latest.
 */

/* From now on what was not sent is tried again, and the watchdog is told for as long as the loop
 * runs. Returns 0 or a negative errno. notify_end() is fine without it. */
int notify_begin(sd_event *event);
void notify_end(void);
/* Sees to it that messages of others, too, are tried again (socket/store.c). */
void notify_look(void);
/* Waits, for a moment, for what has not been sent; for the very end. */
void notify_last(void);

/* Says that the start may take so many microseconds before the daemon says anything else. */
void notify_starting(uint64_t usec);
void notify_ready(void);
/* Says that a reload begins. notify_ready() says that it is over, whether it succeeded or not. */
void notify_reloading(void);
/* Says that the stop may take so many microseconds: running requests have their drain_timeout. */
void notify_stopping(uint64_t usec);
/* Sends STATUS=, which says how many listeners serve and which do not. */
void notify_status(struct listener *const *listeners, size_t count);

#endif
