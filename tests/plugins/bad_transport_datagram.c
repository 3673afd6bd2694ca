/* SPDX-License-Identifier: MIT */
/*
 * bad_transport_datagram.c - a plugin for datagrams alone
 *
 * Must be refused on tcp:// and unix://, and served on udp:// and unixgram://.
 */
#include <sockserver/plugin.h>

SS_PLUGIN(.name = "bad_transport_datagram", .summary = "serves datagrams alone",
          .transports = SS_DATAGRAM, .mixins = SS_THREADING)

int
handle(struct ss_request *request)
{
    return ss_printf(request, "bad_transport_datagram\n");
}
