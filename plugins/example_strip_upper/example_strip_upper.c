/* SPDX-License-Identifier: MIT */
/*
 * example_strip_upper.c - the tutorial's Myserver and MyTCPHandler: one message, one answer
 *
 *     class MyTCPHandler(socketserver.BaseRequestHandler):
 *         def handle(self):
 *             self.data = self.request.recv(1024).strip()
 *             print("{} wrote:".format(self.client_address[0]))
 *             print(self.data)
 *             self.request.sendall(self.data.upper())
 *
 * The tutorials serve this handler twice: by a ThreadingTCPServer
 * (conf/examples/strip_upper.conf) and by a TCPServer, where the second client
 * waits for the first (conf/examples/strip_upper_sync.conf). The plugin is the
 * same. client.py beside this file is the tutorials' client.
 *
 * As in Python one read returns what has come so far, not the whole message;
 * example_readline shows how to wait for a line.
 *
 * Runs in:  a handler thread, child or coroutine.
 * Owns:     nothing.
 * Failures: returned to the daemon.
 */
#include "../example_answer.h"

SS_PLUGIN(.name = "example_strip_upper", .summary = "tutorial: one message, back in upper case",
          .transports = SS_STREAM | SS_DATAGRAM, .mixins = SS_THREADING | SS_COROUTINE)

int
handle(struct ss_request *request)
{
    char data[1024];
    ssize_t size = ss_read(request, data, sizeof(data));

    return size < 0 ? (int)size : example_answer(request, data, (size_t)size);
}
