/* SPDX-License-Identifier: MIT */
/*
 * control.h - calls on the control socket, byte for byte
 */
#ifndef TESTS_SUPPORT_CONTROL_H
#define TESTS_SUPPORT_CONTROL_H

#include <jansson.h>

#include "support/daemon.h"

/* Connected to the daemon's control socket, once there is one. */
int control_connect(struct daemon *daemon);

/* Sends the text and the byte that ends a message. */
void control_send(int fd, const char *text);
/* The next message as text, until its NUL byte; "" at the end of the stream. */
const char *control_receive(int fd);
/* Both. */
const char *control_ask(int fd, const char *text);

/* GetStatus of one listener (which must exist) over a connection of its own: to
 * be released; *ret_listener is a part of it. */
json_t *control_status_of(struct daemon *daemon, const char *name, const json_t **ret_listener);
/* One integer of it, "queue.connections" for a member of a member; -1: not there. */
long control_figure(struct daemon *daemon, const char *name, const char *member);
const char *control_state(struct daemon *daemon, const char *name);

#endif
