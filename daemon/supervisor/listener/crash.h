/* SPDX-License-Identifier: MIT */
/*
 * crash.h - what a worker was doing when it died
 */
#ifndef SOCKSERVERD_SUPERVISOR_LISTENER_CRASH_H
#define SOCKSERVERD_SUPERVISOR_LISTENER_CRASH_H

#include <stddef.h>

#include "common/counters.h"

/*
 * " while it ran request 412 of 127.0.0.1:51234 (and 3 others)", of the
 * requests that were running: the one begun last, which is the likeliest
 * cause. Empty if there were none.
 */
void crash_describe(const struct counters *counters, uint32_t slots, char *buffer, size_t size);

#endif
