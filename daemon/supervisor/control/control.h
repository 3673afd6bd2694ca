/* SPDX-License-Identifier: MIT */
/*
 * control.h - the socket through which a running daemon is looked into and steered
 */
#ifndef SOCKSERVERD_SUPERVISOR_CONTROL_CONTROL_H
#define SOCKSERVERD_SUPERVISOR_CONTROL_CONTROL_H

#include <systemd/sd-event.h>

#include "config/config.h"

struct control;
struct supervisor;

/* No socket yet. 0 or a negative errno. */
int control_new(sd_event *event, struct supervisor *supervisor, struct control **ret);

/*
 * Makes the socket that the configuration asks for, or moves it there; clients
 * stay. If that cannot be, a warning is logged and the daemon goes on without
 * (or with the one it had). A configuration without a file has none.
 */
void control_configure(struct control *control, const struct config *config);

/* Closes everything and removes the path if it is still ours. NULL is fine. */
void control_free(struct control *control);

#endif
