/* SPDX-License-Identifier: MIT */
/*
 * example_datagram.c - the tutorial's MyUDPHandler: one datagram, one answer
 *
 *     class MyUDPHandler(socketserver.BaseRequestHandler):
 *         def handle(self):
 *             data = self.request[0].strip()
 *             socket = self.request[1]
 *             print("{} wrote:".format(self.client_address[0]))
 *             print(data)
 *             socket.sendto(data.upper(), self.client_address)
 *
 * Here the daemon sends what was written, as one datagram, to the client that
 * asked. The packet itself is not to be changed, so it is copied. Served by
 * conf/examples/datagram.conf; client.py beside this file is the tutorial's
 * client.
 *
 * Runs in:  a handler thread, child or coroutine.
 * Owns:     the copy, until handle() returns.
 * Failures: returned to the daemon.
 */
#include "../example_answer.h"
#include "../reflectors.h"

#include <errno.h>
#include <stdlib.h>

SS_PLUGIN(.name = "example_datagram", .summary = "tutorial: one datagram, back in upper case",
          .transports = SS_DATAGRAM, .mixins = SS_THREADING | SS_COROUTINE)

bool
verify_request(struct ss_request *request)
{
    return !is_from_reflector(request);
}

int
handle(struct ss_request *request)
{
    size_t size;
    const void *packet = ss_packet(request, &size);
    char *data;
    int result;

    if (!packet || size == 0)
        return 0;
    data = malloc(size);
    if (!data)
        return -ENOMEM;
    memcpy(data, packet, size);
    result = example_answer(request, data, size);
    free(data);
    return result;
}
