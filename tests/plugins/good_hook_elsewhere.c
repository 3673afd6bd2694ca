/* SPDX-License-Identifier: MIT */
/*
 * good_hook_elsewhere.c - a plugin linked to a library with setup() and finish()
 *
 * Must be served with its own handle() and without the library's functions, which
 * end the process. The client gets "elsewhere".
 */
#include <sockserver/plugin.h>

SS_PLUGIN(.name = "good_hook_elsewhere", .summary = "links to a library with finish()",
          .transports = SS_STREAM | SS_DATAGRAM, .mixins = SS_THREADING | SS_COROUTINE)

const char *elsewhere(void);

int
handle(struct ss_request *request)
{
    return ss_printf(request, "%s", elsewhere());
}
