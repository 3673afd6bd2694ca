/* SPDX-License-Identifier: MIT */
/*
 * child.h - waiting for a child process, without trusting that a first try succeeds
 */
#ifndef SOCKSERVERD_COMMON_CHILD_H
#define SOCKSERVERD_COMMON_CHILD_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Reaps a child that nobody watches any more: now if it has ended, else later. Never waits: a
 * process that waits for a disk takes its time. */
void child_leave(pid_t pid);
/* Reaps those of them that have ended since; child_leave() does it, too. Returns how many have
 * not. */
size_t child_sweep(void);

#define CHILD_FATE_SIZE 64

/* Writes how a child ended: "was killed by signal 11 (SIGSEGV)". Returns buffer, which has
 * CHILD_FATE_SIZE bytes. */
const char *child_fate(const siginfo_t *info, char *buffer);

/* True if the child has ended; then it is reaped, and *ret says how it ended. Never waits. */
bool child_has_ended(pid_t pid, siginfo_t *ret);

#endif
