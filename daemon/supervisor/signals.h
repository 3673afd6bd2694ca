/* SPDX-License-Identifier: MIT */
/*
 * signals.h - the signals that the supervisor's event loop reads
 */
#ifndef SOCKSERVERD_SUPERVISOR_SIGNALS_H
#define SOCKSERVERD_SUPERVISOR_SIGNALS_H

#include <systemd/sd-event.h>

/*
 * Blocks the signals that the event loop reads, and no others, whatever mask
 * was inherited; ignores SIGPIPE. main() calls it among the first: before
 * that, a signal meant for the daemon would end it.
 */
void signals_block(void);
/* Unblocks them, for code that runs in this process without the loop and for programs that it
 * executes. */
void signals_unblock(void);

/* Makes the loop call handler for each of them except SIGCHLD, which the loop reads for its child
 * sources. Returns 0 or a negative errno. */
int signals_watch(sd_event *event, sd_event_signal_handler_t handler, void *userdata);

#endif
