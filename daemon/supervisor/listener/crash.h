/* SPDX-License-Identifier: MIT */
/*
 * crash.h - what a worker was doing when it died
 */
#ifndef SOCKSERVERD_SUPERVISOR_LISTENER_CRASH_H
#define SOCKSERVERD_SUPERVISOR_LISTENER_CRASH_H

#include <stddef.h>

#include <sys/types.h>

#include "common/counters.h"

/*
 * Writes " at crash.so+0x1139 (handle+0x9), address 0x0", as the process noted
 * it when it crashed, or "".
 */
void crash_describe_place(const struct counters *counters, pid_t process, char *buffer,
                          size_t size);

/*
 * Writes " while it ran request 412 of 127.0.0.1:51234 (and 3 others)". The
 * request that it names is the one whose thread crashed; if that is not known,
 * the last one begun of those that were running, which is the likeliest cause.
 * The text is empty if none was running.
 */
void crash_describe(const struct counters *counters, uint32_t slots, pid_t process, char *buffer,
                    size_t size);

#endif
