/* SPDX-License-Identifier: MIT */
/*
 * gates.c - which gates there are, and in which order requests enter them
 *
 * The order to keep: whom nobody may answer, by address, by how many there are of
 * all and of its source, the PROXY header, and address and source again for the
 * client that it announced.
 *
 * Runs in:  a worker.
 */
#include <stddef.h>

#include "worker/request/access.h"
#include "worker/request/gate.h"
#include "worker/request/listener_limit.h"
#include "worker/request/proxy.h"
#include "worker/request/source.h"
#include "worker/request/source_limit.h"

const struct gate *const all_gates[] = {
    &source_gate, &access_gate, &full_gate,      &source_limit_gate,
    &rate_gate,   &proxy_gate,  &announced_gate, &announced_source_gate,
    NULL,
};
