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

/* The same of what waitpid(2) gave. */
const char *child_fate_of(int status, char *buffer);

/* True for the signals by which a program's own mistakes end it. */
bool child_signal_is_crash(int number);

/* True if the child has ended; then it is reaped, and *ret says how it ended. Never waits. */
bool child_has_ended(pid_t pid, siginfo_t *ret);

/* Returns how many children this process has, and stores up to room of them. A kernel without
 * /proc/PID/task/TID/children, or a missing /proc, gives 0. */
size_t child_list(pid_t *ret, size_t room);

#endif
