/* SPDX-License-Identifier: MIT */
/*
 * echo.c - sends everything back (RFC 862)
 *
 * A connection is echoed until the client closes its side, a datagram as one
 * datagram. Reading starts with a buffer that costs an idle connection next to
 * nothing; the first read that fills it shows a bulk transfer, and the
 * connection gets a large one.
 *
 * Runs in:  a handler thread, child or coroutine.
 * Owns:     the large buffer, until handle() returns.
 * Failures: returned to the daemon. Without memory the small buffer does.
 */
#include <sockserver/plugin.h>
#include <stdlib.h>

#include "../reflectors.h"

#define SMALL 1536 /* a segment of the network; small enough for the stack's first pages */
#define LARGE (64 * 1024)

SS_PLUGIN(.name = "echo", .summary = "sends everything back (RFC 862)",
          .transports = SS_STREAM | SS_DATAGRAM, .mixins = SS_THREADING | SS_COROUTINE)

static ssize_t
echo_stream(struct ss_request *request)
{
    char small[SMALL];
    char *large = NULL;
    char *buffer = small;
    size_t size = sizeof(small);
    ssize_t got;

    while ((got = ss_wait_input(request, -1)) > 0 && (got = ss_read(request, buffer, size)) > 0) {
        (void)ss_write(request, buffer, (size_t)got); /* the next read returns its error */
        if ((size_t)got == sizeof(small) && !large && (large = malloc(LARGE))) {
            buffer = large;
            size = LARGE;
        }
    }
    free(large);
    return got;
}

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

    if (packet)
        return ss_write(request, packet, size);
    return (int)echo_stream(request);
}
