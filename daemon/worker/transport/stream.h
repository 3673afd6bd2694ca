/* SPDX-License-Identifier: MIT */
/*
 * stream.h - what every transport of connections does alike
 */
#ifndef SOCKSERVERD_WORKER_TRANSPORT_STREAM_H
#define SOCKSERVERD_WORKER_TRANSPORT_STREAM_H

#include <stdbool.h>
#include <sys/types.h>
#include <sys/uio.h>

struct ss_request;
struct ss_server;

/* As in struct transport. */
int stream_prepare(struct ss_server *server);
int stream_get_request(struct ss_request *request);
ssize_t stream_receive(struct ss_request *request, void *buffer, size_t size);
void stream_close_request(struct ss_request *request);

/*
 * One recv(). If it may block, it waits up to the setting (seconds, 0: for ever),
 * but no longer than RECEIVE_PATIENCE, as a transport's receive does. Bytes, 0 at
 * the end, or a negative errno.
 */
ssize_t stream_take(struct ss_request *request, void *buffer, size_t size, bool blocking,
                    double setting);

/* One send, which never waits. Bytes or a negative errno. */
ssize_t stream_put(struct ss_request *request, struct iovec *parts, int count);

/* After each receive and send that did not wait: where contexts share a thread, one that never has
 * to wait would starve the others. */
void stream_let_others_run(struct ss_request *request);

/* Ends it so that the client gets every byte. unread: it has sent some that nobody has read, so
 * more may be on their way. */
void stream_end(struct ss_request *request, bool unread);

#endif
