/* SPDX-License-Identifier: MIT */
/*
 * bad_mixin.c - a plugin that is safe under no mixin but none and forking
 *
 * Must be refused under threading and coroutine, and served under none and forking.
 */
#include <sockserver/plugin.h>

SS_PLUGIN(.name = "bad_mixin", .summary = "states no mixin", .transports = SS_STREAM | SS_DATAGRAM,
          .mixins = 0)

int
handle(struct ss_request *request)
{
    return ss_printf(request, "bad_mixin\n");
}
