/* SPDX-License-Identifier: MIT */
/*
 * script.h - the transports and mixins of a test
 */
#ifndef SOCKSERVERD_TESTING_SCRIPT_H
#define SOCKSERVERD_TESTING_SCRIPT_H

#include "worker/request/mixin.h"
#include "worker/request/transport.h"

extern const struct transport script_stream;
extern const struct mixin script_mixins[]; /* by enum mixin_kind */
extern const char *const script_kinds[];   /* what contexts are called */

/* The connection of the next get_request(), which owns it from then on. */
void script_connection(int fd);

#endif
