/* SPDX-License-Identifier: MIT */
/*
 * signals.h - the signals that the supervisor's event loop reads
 */
#ifndef SOCKSERVERD_SUPERVISOR_SIGNALS_H
#define SOCKSERVERD_SUPERVISOR_SIGNALS_H

#include <systemd/sd-event.h>

/*
 * Blocks what the event loop reads, and ignores SIGPIPE. First thing in
 * main(): before it, a signal meant for the daemon would end it.
 */
void signals_block(void);
/* For what runs in this process without the loop, or is executed by it. */
void signals_unblock(void);

/* Has each of them read by the loop, except SIGCHLD, which the loop reads for its children. 0 or a
 * negative errno. */
int signals_watch(sd_event *event, sd_event_signal_handler_t handler, void *userdata);

#endif
