/* SPDX-License-Identifier: MIT */
/*
 * notify.h - telling the service manager how we are
 */
#ifndef SOCKSERVERD_SUPERVISOR_NOTIFY_H
#define SOCKSERVERD_SUPERVISOR_NOTIFY_H

#include "supervisor/listener.h"

/* All of these do nothing where there is no service manager. */
void notify_ready(void);
/* A reload begins. notify_ready() ends it, whatever became of it. */
void notify_reloading(void);
void notify_stopping(void);
/* STATUS=: how many serve, and which do not. */
void notify_status(struct listener *const *listeners, size_t count);

#endif
