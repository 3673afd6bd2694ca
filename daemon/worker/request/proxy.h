/* SPDX-License-Identifier: MIT */
/*
 * proxy.h - `proxy`: balancers that announce their clients by a PROXY header
 */
#ifndef SOCKSERVERD_WORKER_REQUEST_PROXY_H
#define SOCKSERVERD_WORKER_REQUEST_PROXY_H

#include "worker/request/gate.h"

/* The gate of listeners with `proxy`: it reads the header, and sets the client. */
extern const struct gate proxy_gate;

/* The gate behind it where there are `allow` or `deny`, too: these judge the announced client. */
extern const struct gate announced_gate;

#endif
