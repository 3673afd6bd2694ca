/* SPDX-License-Identifier: MIT */
/*
 * notify.h - telling the service manager how we are
 */
#ifndef SOCKSERVERD_SUPERVISOR_NOTIFY_H
#define SOCKSERVERD_SUPERVISOR_NOTIFY_H

#include <stdint.h>

#include "supervisor/listener/listener.h"

/* All of these do nothing where there is no service manager. */
/* The start may take so long before anything else is heard of it. */
void notify_starting(uint64_t usec);
void notify_ready(void);
/* A reload begins. notify_ready() ends it, whatever became of it. */
void notify_reloading(void);
/* The stop may take so long: running requests have their drain_timeout. */
void notify_stopping(uint64_t usec);
/* STATUS=: how many serve, and which do not. */
void notify_status(struct listener *const *listeners, size_t count);

#endif
