/* SPDX-License-Identifier: MIT */
/*
 * example_empty.c - the tutorial's smallest FtpServer: does nothing
 *
 *     class FtpServer(socketserver.BaseRequestHandler):
 *         def handle(self):
 *             pass
 *
 * The client is accepted and sees the end of the stream at once. Served by
 * conf/examples/empty.conf.
 *
 * Runs in:  a handler thread, child or coroutine.
 * Owns:     nothing.
 * Failures: none.
 */
#include <sockserver/plugin.h>

SS_PLUGIN(.name = "example_empty", .summary = "tutorial: does nothing",
          .transports = SS_STREAM | SS_DATAGRAM, .mixins = SS_THREADING | SS_COROUTINE)

int
handle(struct ss_request *request)
{
    (void)request;
    return 0;
}
