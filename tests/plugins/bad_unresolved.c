/* SPDX-License-Identifier: MIT */
/*
 * bad_unresolved.c - a plugin that calls what nobody provides
 *
 * Must be refused when it is loaded, not when the call is made.
 */
#include <sockserver/plugin.h>

SS_PLUGIN(.name = "bad_unresolved", .summary = "calls ss_does_not_exist()",
          .transports = SS_STREAM | SS_DATAGRAM, .mixins = SS_THREADING)

int ss_does_not_exist(struct ss_request *request);

int
handle(struct ss_request *request)
{
    return ss_does_not_exist(request);
}
