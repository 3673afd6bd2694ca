/* SPDX-License-Identifier: MIT */
/*
 * bad_transport_stream.c - a plugin for streams alone
 *
 * Must be refused on udp:// and unixgram://, and served on tcp:// and unix://.
 */
#include <sockserver/plugin.h>

SS_PLUGIN(.name = "bad_transport_stream", .summary = "serves streams alone",
          .transports = SS_STREAM, .mixins = SS_THREADING)

int
handle(struct ss_request *request)
{
    return ss_printf(request, "bad_transport_stream\n");
}
