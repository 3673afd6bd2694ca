/* SPDX-License-Identifier: MIT */
/*
 * example_talk.c - the tutorial's FtpServer: talks with each client as long as it likes
 *
 * Two loops make a server: the link loop accepts clients, the talk loop
 * receives and sends. The first is the daemon's, the second is handle().
 *
 *     class FtpServer(socketserver.BaseRequestHandler):
 *         def handle(self):
 *             print(self)
 *             print(self.request)
 *             while True:
 *                 data = self.request.recv(1024)
 *                 self.request.send(data.upper())
 *
 * Unlike that loop, which spins for ever once the client is gone, this one
 * ends with the connection. Served by conf/examples/talk.conf.
 *
 * Runs in:  a handler thread, child or coroutine.
 * Owns:     nothing.
 * Failures: an error of ss_write() comes back from the next ss_read().
 */
#include <ctype.h>
#include <sockserver/plugin.h>

SS_PLUGIN(.name = "example_talk", .summary = "tutorial: sends back in upper case, for ever",
          .transports = SS_STREAM | SS_DATAGRAM, .mixins = SS_THREADING | SS_COROUTINE)

int
handle(struct ss_request *request)
{
    char data[1024];
    ssize_t size;

    ss_log(LOG_INFO, "request %p, descriptor %d, from %s", (void *)request, ss_fd(request),
           ss_client_name(request));
    while ((size = ss_wait_input(request, -1)) > 0 &&
           (size = ss_read(request, data, sizeof(data))) > 0) {
        for (ssize_t i = 0; i < size; i++)
            data[i] = (char)toupper((unsigned char)data[i]);
        (void)ss_write(request, data, (size_t)size);
    }
    return (int)size;
}
