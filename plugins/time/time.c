/* SPDX-License-Identifier: MIT */
/*
 * time.c - tells the time as a number (RFC 868)
 *
 * Answers with the seconds since 1900-01-01 00:00 UTC in 32 bits, network byte
 * order. The number starts again at 0 in February 2036, as the RFC's does.
 *
 * Runs in:  a handler thread, child or coroutine.
 * Owns:     nothing.
 * Failures: a write error is returned to the daemon.
 */
#include <arpa/inet.h>
#include <sockserver/plugin.h>
#include <time.h>

#include "../reflectors.h"

#define SECONDS_1900_TO_1970 2208988800u

SS_PLUGIN(.name = "time", .summary = "tells the time as a 32-bit number of seconds (RFC 868)",
          .transports = SS_STREAM | SS_DATAGRAM, .mixins = SS_THREADING | SS_COROUTINE)

bool
verify_request(struct ss_request *request)
{
    return !is_from_reflector(request);
}

int
handle(struct ss_request *request)
{
    uint32_t seconds = htonl((uint32_t)time(NULL) + SECONDS_1900_TO_1970);

    return ss_write(request, &seconds, sizeof(seconds));
}
