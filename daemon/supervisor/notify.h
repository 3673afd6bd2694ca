/* SPDX-License-Identifier: MIT */
/*
 * notify.h - telling the service manager how we are
 */
#ifndef SOCKSERVERD_SUPERVISOR_NOTIFY_H
#define SOCKSERVERD_SUPERVISOR_NOTIFY_H

#include <stdint.h>

#include "supervisor/listener/listener.h"

/* All of these functions do nothing where there is no service manager. */
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
