/* SPDX-License-Identifier: MIT */
/*
 * service_manager.h - messages to the service manager, without ever waiting for it
 *
 * The protocol is sd_notify(3)'s. A message that cannot be sent now is kept
 * until it can be; of two with the same key only the later one is kept. All of
 * these functions do nothing where there is no service manager.
 */
#ifndef SOCKSERVERD_COMMON_SERVICE_MANAGER_H
#define SOCKSERVERD_COMMON_SERVICE_MANAGER_H

#include <stdbool.h>
#include <stdint.h>

/* Whether there is a service manager that listens: $NOTIFY_SOCKET names its socket. */
bool service_manager_exists(void);
/* Says why the name in $NOTIFY_SOCKET cannot be used; NULL: it can, or there is none. */
const char *service_manager_problem(void);

/* Opens the socket that every message goes through, so that none needs a descriptor later. Returns
 * 0 or a negative errno, and then the next message tries again. */
int service_manager_open(void);
/* Forgets what was not sent, and closes the socket. */
void service_manager_close(void);

/* Sends `text`, or keeps it for later. key is copied. */
void service_manager_tell(const char *key, const char *text);
/* The same with a descriptor, which stays the caller's. Such messages may be many, and let the
 * others pass. fd -1: none. */
void service_manager_give(const char *key, const char *text, int fd);
/* Forgets the message with this key if it is still kept. */
void service_manager_forget(const char *key);

/* Sends what is kept, as far as that can be done now. Returns how many messages are left. */
unsigned service_manager_flush(void);
/* The same, for a process that has nothing else to do any more: it goes on for so long at most. */
void service_manager_linger(uint64_t usec);

#endif
