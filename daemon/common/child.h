/* SPDX-License-Identifier: MIT */
/*
 * child.h - waiting for a child process, without trusting that a first try succeeds
 */
#ifndef SOCKSERVERD_COMMON_CHILD_H
#define SOCKSERVERD_COMMON_CHILD_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

/* Waits for the end of a child that has been killed. */
void child_reap(pid_t pid);

/* True if the child has ended; then it is reaped, and *ret says how it ended. Never waits. */
bool child_has_ended(pid_t pid, siginfo_t *ret);

#endif
