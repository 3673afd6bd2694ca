/* SPDX-License-Identifier: MIT */
/*
 * bad_constructor_crash.c - a plugin that crashes while it is loaded
 *
 * Only its own worker may die of it.
 */
#include <sockserver/plugin.h>

SS_PLUGIN(.name = "bad_constructor_crash", .summary = "crashes in a constructor",
          .transports = SS_STREAM | SS_DATAGRAM, .mixins = SS_THREADING)

static volatile int *volatile nowhere;

__attribute__((constructor)) static void
crash(void)
{
    *nowhere = 1;
}

int
handle(struct ss_request *request)
{
    (void)request;
    return 0;
}
