/* SPDX-License-Identifier: MIT */
/*
 * example_greet_and_close.c - the tutorial's MyServer: greets and closes the connection itself
 *
 *     class MyServer(socketserver.BaseRequestHandler):
 *         def handle(self):
 *             self.request.recv(1024)
 *             msg = '亲,学会了吗'                 # "dear, have you learnt it"
 *             self.request.send(bytes(msg, encoding='utf-8'))
 *             self.request.close()
 *
 * A handler need not close the connection, but it may: what is still in the
 * buffer has to be flushed first. Served by conf/examples/greet_and_close.conf.
 *
 * Runs in:  a handler thread, child or coroutine.
 * Owns:     the descriptor, from the moment it closes it.
 * Failures: returned to the daemon, which then closes the connection as usual.
 */
#include <errno.h>
#include <sockserver/plugin.h>
#include <unistd.h>

SS_PLUGIN(.name = "example_greet_and_close", .summary = "tutorial: greets, closes by itself",
          .transports = SS_STREAM, .mixins = SS_THREADING | SS_COROUTINE)

static const char greeting[] = "亲,学会了吗";

int
handle(struct ss_request *request)
{
    char data[1024];
    ssize_t size = ss_read(request, data, sizeof(data));
    int result;
    int fd;

    if (size < 0)
        return (int)size;
    (void)ss_write(request, greeting, sizeof(greeting) - 1);
    result = ss_flush(request); /* tells of a failed ss_write() too */
    if (result < 0)
        return result;
    fd = ss_fd(request);
    if (fd < 0)
        return fd;
    return close(fd) < 0 ? -errno : 0;
}
