/* SPDX-License-Identifier: MIT */
/*
 * bad_no_handle.c - a plugin without handle()
 *
 * Must be refused by the loader; a setup() alone does not make a plugin.
 */
#include <sockserver/plugin.h>

SS_PLUGIN(.name = "bad_no_handle", .summary = "has no handle()",
          .transports = SS_STREAM | SS_DATAGRAM, .mixins = SS_THREADING)

int
setup(struct ss_request *request)
{
    (void)request;
    return 0;
}
