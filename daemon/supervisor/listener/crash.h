/* SPDX-License-Identifier: MIT */
/*
 * crash.h - what a worker was doing when it died
 */
#ifndef SOCKSERVERD_SUPERVISOR_LISTENER_CRASH_H
#define SOCKSERVERD_SUPERVISOR_LISTENER_CRASH_H

#include <stddef.h>

#include "common/counters.h"

/*
 * Writes " while it ran request 412 of 127.0.0.1:51234 (and 3 others)". The
 * request that it names is the last one begun of those that were running, which
 * is the likeliest cause. The text is empty if none was running.
 */
void crash_describe(const struct counters *counters, uint32_t slots, char *buffer, size_t size);

#endif
