/* SPDX-License-Identifier: MIT */
/*
 * proc.h - what the kernel says about a process
 */
#ifndef TESTS_SUPPORT_PROC_H
#define TESTS_SUPPORT_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define PROC_CHILDREN 128

/* Children of pid; returns how many there are, at most PROC_CHILDREN of them are stored. */
size_t proc_children(pid_t pid, pid_t children[PROC_CHILDREN]);
size_t proc_child_count(pid_t pid);

/* 'R', 'S', 'Z', ... as in ps(1); 0 if there is no such process. */
char proc_state(pid_t pid);
bool proc_alive(pid_t pid); /* at least one of its threads runs */
size_t proc_zombie_count(pid_t parent);
pid_t proc_parent(pid_t pid);

size_t proc_fd_count(pid_t pid);
/* One line per descriptor, in order: "0 /dev/null\n1 pipe:[...]\n". Lives until the test ends. */
const char *proc_fd_list(pid_t pid);

/* NAME=value lines. Lives until the test ends. */
const char *proc_environment(pid_t pid);

size_t proc_thread_count(pid_t pid);
double proc_cpu_seconds(pid_t pid);
size_t proc_memory_kib(pid_t pid); /* resident */
size_t proc_shared_kib(pid_t pid); /* resident in memory shared with other processes */

#endif
