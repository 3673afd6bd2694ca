/* SPDX-License-Identifier: MIT */
/*
 * gates.c - which gates there are, and in which order requests enter them
 *
 * The order to keep: whom nobody may answer, by address, by source, the PROXY
 * header, and address and source again for the client that it announced
 * (access_enter() is made for that).
 *
 * Runs in:  a worker.
 */
#include <stddef.h>

#include "worker/request/access.h"
#include "worker/request/gate.h"
#include "worker/request/proxy.h"
#include "worker/request/source.h"

const struct gate *const all_gates[] = {&source_gate, &access_gate, &proxy_gate, &announced_gate,
                                        NULL};
