/* SPDX-License-Identifier: MIT */
/*
 * bad_constructor_exit.c - a plugin that ends the process while it is loaded
 *
 * Must be noticed as a failed start, not taken for a worker that is done.
 */
#include <sockserver/plugin.h>
#include <stdlib.h>

SS_PLUGIN(.name = "bad_constructor_exit", .summary = "calls exit(3) in a constructor",
          .transports = SS_STREAM | SS_DATAGRAM, .mixins = SS_THREADING)

__attribute__((constructor)) static void
leave(void)
{
    exit(3);
}

int
handle(struct ss_request *request)
{
    (void)request;
    return 0;
}
