/* SPDX-License-Identifier: MIT */
/*
 * usage.h - what a process has used: processor time, and memory
 */
#ifndef SOCKSERVERD_COMMON_USAGE_H
#define SOCKSERVERD_COMMON_USAGE_H

#include <stdint.h>
#include <sys/types.h>

/* Nanoseconds that this process has computed. */
uint64_t usage_cpu(void);
/* The same of those of its children that it has reaped. */
uint64_t usage_cpu_of_children(void);

/* Both together, of a child that has ended and was not reaped yet; 0: it cannot be found out. */
uint64_t usage_cpu_of_ended(pid_t pid);

/*
 * What this process occupies, in bytes; pages that it shares with others count in parts
 * (proportional set size). The kernel walks through all pages for that, so the shares of a large
 * process are not looked at. 0: /proc does not say.
 */
uint64_t usage_memory(void);

#endif
