/* SPDX-License-Identifier: MIT */
/*
 * example_worker_name.c - the tutorial's ThreadedTCPRequestHandler: says who answers
 *
 *     class ThreadedTCPRequestHandler(socketserver.BaseRequestHandler):
 *         def handle(self):
 *             data = str(self.request.recv(1024), 'ascii')
 *             cur_thread = threading.current_thread()
 *             response = bytes("{}: {}".format(cur_thread.name, data), 'ascii')
 *             self.request.sendall(response)
 *
 * The name is that of the thread, child process or coroutine, as the mixin
 * has it. Served by conf/examples/worker_name.conf; client.py beside this file
 * is the tutorial's client.
 *
 * Runs in:  a handler thread, child or coroutine.
 * Owns:     nothing.
 * Failures: returned to the daemon.
 */
#include <sockserver/plugin.h>

SS_PLUGIN(.name = "example_worker_name", .summary = "tutorial: answers with its worker's name",
          .transports = SS_STREAM | SS_DATAGRAM, .mixins = SS_THREADING | SS_COROUTINE)

int
handle(struct ss_request *request)
{
    char data[1024];
    ssize_t size = ss_read(request, data, sizeof(data));

    if (size < 0)
        return (int)size;
    (void)ss_printf(request, "%s: ", ss_worker_name(request)); /* its error sticks */
    return ss_write(request, data, (size_t)size);
}
