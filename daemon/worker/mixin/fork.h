/* SPDX-License-Identifier: MIT */
/*
 * fork.h - fork() for a process that seldom has a second thread, and has many children
 */
#ifndef SOCKSERVERD_WORKER_MIXIN_FORK_H
#define SOCKSERVERD_WORKER_MIXIN_FORK_H

#include <sys/types.h>

/* As fork(), handlers of pthread_atfork() included; cheaper while there are none, nor threads. */
pid_t fork_cheaply(void);

#endif
