/* SPDX-License-Identifier: MIT */
/*
 * transports.c - which transport a listener's requests come by
 *
 * Runs in:  a worker, before it serves.
 * Owns:     nothing.
 * Failures: none.
 */
#include "worker/transport/transports.h"

#include <sys/socket.h>

#include "common/array.h"
#include "common/settings.h"

/*
 * What the listening socket is; or, where there is none yet (a check), what the
 * address says it will be. 0: the service manager knows.
 */
static int
kind_of_socket(const struct settings *settings, int socket)
{
    int type;
    socklen_t size = sizeof(type);

    if (getsockopt(socket, SOL_SOCKET, SO_TYPE, &type, &size) == 0)
        return type;
    if (settings->address.scheme == ADDRESS_SYSTEMD)
        return 0;
    return address_is_stream(&settings->address) ? SOCK_STREAM : SOCK_DGRAM;
}

const struct transport *
transport_find(const struct settings *settings, int socket)
{
    static const struct {
        int type; /* SOCK_STREAM, SOCK_DGRAM */
        bool tls;
        const struct transport *transport;
    } transports[] = {
        {SOCK_STREAM, false, &stream_transport},
        {SOCK_STREAM, true, &tls_transport},
        {SOCK_DGRAM, false, &datagram_transport},
        {SOCK_DGRAM, true, &datagram_transport}, /* which tls_load() refuses */
    };
    int type = kind_of_socket(settings, socket);
    bool tls = settings_want_tls(settings);

    for (size_t i = 0; i < ARRAY_SIZE(transports); i++)
        if (transports[i].type == type && transports[i].tls == tls)
            return transports[i].transport;
    return NULL;
}
