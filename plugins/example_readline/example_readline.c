/* SPDX-License-Identifier: MIT */
/*
 * example_readline.c - the tutorial's StreamRequestHandler: one line, one answer
 *
 *     class MyTCPHandler(socketserver.StreamRequestHandler):
 *         def handle(self):
 *             self.data = self.rfile.readline().strip()
 *             print("{} wrote:".format(self.client_address[0]))
 *             print(self.data)
 *             self.wfile.write(self.data.upper())
 *
 * ss_readline() receives as often as it takes to have a whole line. Served by
 * conf/examples/readline.conf.
 *
 * Runs in:  a handler thread, child or coroutine.
 * Owns:     nothing; the line is in the request's buffer.
 * Failures: returned to the daemon.
 */
#include "../example_answer.h"

SS_PLUGIN(.name = "example_readline", .summary = "tutorial: one line, back in upper case",
          .transports = SS_STREAM | SS_DATAGRAM, .mixins = SS_THREADING | SS_COROUTINE)

int
handle(struct ss_request *request)
{
    char *line;
    ssize_t size = ss_readline(request, &line);

    return size <= 0 ? (int)size : example_answer(request, line, (size_t)size);
}
