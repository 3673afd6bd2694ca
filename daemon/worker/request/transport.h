/* SPDX-License-Identifier: MIT */
/*
 * transport.h - where requests come from: connections, datagrams, standard input
 *
 * One of the two interfaces a request runs on; the other is the mixin.
 */
#ifndef SOCKSERVERD_WORKER_REQUEST_TRANSPORT_H
#define SOCKSERVERD_WORKER_REQUEST_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

#define RECEIVE_PATIENCE 1.0 /* seconds that an idle connection's buffers are kept */

struct ss_request;
struct ss_server;
struct ss_tls;

struct transport {
    bool stream;
    bool direct; /* its bytes may bypass receive and transmit: sendfile(2) to output_fd */
    bool sealed; /* the plugin must not see the descriptor: its bytes are not the client's */

    /*
     * Once per worker, when it is told to serve: sets the modes of the listening
     * socket, which it shares with other generations. 0 or a negative errno.
     */
    int (*prepare)(struct ss_server *server);

    /*
     * Takes the next connection or datagram; waits as the mixin does. 0, or a
     * negative errno: -EINTR when woken, anything else for request_get() to
     * judge.
     */
    int (*get_request)(struct ss_request *request);

    /*
     * What is to be said with the client before it is a request, such as a
     * handshake; or NULL. It runs as the last gate of the listener, and what gate.h
     * says of enter() is true of it: it may wait, limits itself, and refuses. After
     * a failure, too, close_request() follows.
     */
    int (*open_request)(struct ss_request *request);

    /*
     * One receive, waiting up to read_timeout where the mixin is blocking, but no
     * longer than RECEIVE_PATIENCE: then, and at once under other mixins, -EAGAIN
     * if there is nothing. Bytes, 0 at the end, negative errno. Before the next one
     * request->wanted is waited for. It is POLLIN, unless the transport says
     * otherwise at every receive: POLLOUT, both, or 0 while it holds more itself.
     */
    ssize_t (*receive)(struct ss_request *request, void *buffer, size_t size);

    /*
     * Whether a receive now would return something other than -EAGAIN, without
     * waiting: 1, or 0, and request->wanted is to be waited for first. NULL: the
     * transport holds nothing itself, so the descriptor tells.
     */
    int (*ready)(struct ss_request *request);

    /* Sends all parts, waiting up to write_timeout each time. 0 or a negative errno. Changes parts.
     */
    int (*transmit)(struct ss_request *request, struct iovec *parts, int count);

    /*
     * One receive and one send that never wait, for who waits elsewhere. -EAGAIN: *ret_wanted is to
     * be waited for first. After it, the same bytes are sent again, though they may have moved.
     * NULL: there is no stream.
     */
    ssize_t (*receive_now)(struct ss_request *request, void *buffer, size_t size,
                           short *ret_wanted);
    ssize_t (*send_now)(struct ss_request *request, const void *bytes, size_t size,
                        short *ret_wanted);
    /* Says that nothing more will be sent. 0: it is said; -EAGAIN as above. */
    int (*end_output)(struct ss_request *request, short *ret_wanted);

    /* Sends one datagram to the sender of the request. 0 or a negative errno. NULL: there are
     * none. */
    int (*send_datagram)(struct ss_request *request, const void *bytes, size_t size);

    /* Ends it so that the client gets every byte (a datagram: sends the reply), then lets go. */
    void (*shutdown_request)(struct ss_request *request);
    void (*close_request)(struct ss_request *request);

    /* Fills in all but the size, for ss_tls(); false: no memory. NULL: nothing is encrypted. */
    bool (*describe)(struct ss_request *request, struct ss_tls *ret);

    /* Sends the replies that are held back for those of the next requests; or NULL. */
    void (*flush)(struct ss_server *server);
};

#endif
