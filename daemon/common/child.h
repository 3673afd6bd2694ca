/* SPDX-License-Identifier: MIT */
/*
 * child.h - the children that this process has forked: which they are, and waiting for their end
 */
#ifndef SOCKSERVERD_COMMON_CHILD_H
#define SOCKSERVERD_COMMON_CHILD_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * Notes that pid is a child of ours, which has an owner who waits for it. The
 * supervisor calls it after each fork(). Other children came to it as orphans,
 * and may be reaped by anybody.
 */
void child_note(pid_t pid);
/* Whether pid was noted and has not been reaped. While memory is short, every child counts as
 * noted. */
bool child_is_noted(pid_t pid);

/* Waits for the end of a child that has been killed. */
void child_reap(pid_t pid);

/* True if the child has ended; then it is reaped, and *ret says how it ended. Never waits. */
bool child_has_ended(pid_t pid, siginfo_t *ret);

/* Returns how many children this process has, and stores up to room of them. A kernel without
 * /proc/PID/task/TID/children, or a missing /proc, gives 0. */
size_t child_list(pid_t *ret, size_t room);

#endif
