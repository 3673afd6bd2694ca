/* SPDX-License-Identifier: MIT */
/*
 * discard.c - throws everything away (RFC 863)
 *
 * Runs in:  a handler thread, child or coroutine.
 * Owns:     nothing.
 * Failures: a read error ends the connection and is returned to the daemon.
 */
#include <sockserver/plugin.h>

SS_PLUGIN(.name = "discard", .summary = "throws everything away and never answers (RFC 863)",
          .transports = SS_STREAM | SS_DATAGRAM, .mixins = SS_THREADING | SS_COROUTINE)

int
handle(struct ss_request *request)
{
    char buffer[16 * 1024];
    ssize_t got;

    do
        got = ss_wait_input(request, -1);
    while (got > 0 && (got = ss_read(request, buffer, sizeof(buffer))) > 0);
    return (int)got;
}
