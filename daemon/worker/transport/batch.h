/* SPDX-License-Identifier: MIT */
/*
 * batch.h - datagrams received and answered many at a time
 *
 * For a worker with one serving thread: where datagrams queue up, two system
 * calls serve up to 32 of them. The kernel never waits for a batch to fill.
 */
#ifndef SOCKSERVERD_WORKER_TRANSPORT_BATCH_H
#define SOCKSERVERD_WORKER_TRANSPORT_BATCH_H

#include <stdbool.h>
#include <sys/socket.h>

struct ss_request;
struct ss_server;

/*
 * The next datagram, after waiting for one if none is left. *ret_message is
 * valid until the next call. Its size, or a negative errno.
 * server->pending is how many were received and not yet given out.
 */
ssize_t batch_next(struct ss_server *server, struct msghdr **ret_message);

/*
 * Takes a copy of the reply, which goes out with those to the rest of the
 * batch. False: there is nothing to wait for, the caller sends it itself.
 */
bool batch_hold(const struct ss_request *request, const struct msghdr *reply);

/* Sends the replies that are held, if the batch is at its end; in any case. */
void batch_end(struct ss_server *server);
void batch_flush(struct ss_server *server);

#endif
