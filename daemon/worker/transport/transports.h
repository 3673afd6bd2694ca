/* SPDX-License-Identifier: MIT */
/*
 * transports.h - the transports that there are
 */
#ifndef SOCKSERVERD_WORKER_TRANSPORT_TRANSPORTS_H
#define SOCKSERVERD_WORKER_TRANSPORT_TRANSPORTS_H

#include "common/settings.h"
#include "worker/request/transport.h"

extern const struct transport stream_transport;
extern const struct transport datagram_transport;
extern const struct transport tls_transport; /* connections with TLS; see tls_load.h */

/* The listening socket itself is the request; see ss_server_hand_over(). handover_use() takes it
 * in the place of another one, before the worker serves. */
extern const struct transport handover_transport;
void handover_use(struct ss_server *server);

/* One request on standard input and output; for a plugin that serves datagrams only, all of
 * standard input is its packet. */
extern const struct transport stdio_transport;
extern const struct transport stdio_packet_transport;

/*
 * The one for a listener with these settings and this listening socket (-1: none
 * yet). NULL: it cannot be known before there is a socket.
 */
const struct transport *transport_find(const struct settings *settings, int socket);

#endif
