/* SPDX-License-Identifier: MIT */
/*
 * gates.c - which gates there are, and in which order requests enter them
 *
 * There are none yet. The order to keep: by address, by source, the PROXY
 * header, and the first two again for the client that it announced.
 *
 * Runs in:  a worker.
 */
#include <stddef.h>

#include "worker/request/gate.h"

const struct gate *const all_gates[] = {NULL};
