/* SPDX-License-Identifier: MIT */
/*
 * fork.h - fork() for a process that has one thread, and for its many children
 */
#ifndef SOCKSERVERD_WORKER_FORK_H
#define SOCKSERVERD_WORKER_FORK_H

#include <sys/types.h>

/* As fork(), handlers of pthread_atfork() included. In a process with one thread only. */
pid_t fork_cheaply(void);

#endif
