/* SPDX-License-Identifier: MIT */
/*
 * client.h - the other end: stream and datagram clients
 *
 * Addresses are the daemon's own texts: "tcp://127.0.0.1:41235",
 * "unixgram:///tmp/x". Everything waits at most DEADLINE and fails the test
 * then. Descriptors are closed at the end of the test if nobody did before.
 */
#ifndef TESTS_SUPPORT_CLIENT_H
#define TESTS_SUPPORT_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>

/* The socket address behind the text; its length. */
socklen_t client_resolve(const char *address, struct sockaddr_storage *ret);

/* Connected: a stream, or a datagram socket with an address of its own that hears the server only.
 */
int client_connect(const char *address);
/* The same without failing the test: the descriptor, or a negative errno. Does not wait if block is
 * false: -EINPROGRESS or -EAGAIN then stand for "the queue is full". */
int client_try_connect(const char *address, bool block, int *ret_fd);
/* Connected, over IP, with this address of ours (without a port) as its own. */
int client_connect_from(const char *source, const char *address);
/* Not connected. A datagram socket has an address of its own, and hears anybody. */
int client_socket(const char *address);

/* A socket that listens (or, for datagrams, is bound) at this address, whose port may be 0; where,
 * in *ret_address. Whoever runs as another user may connect to it, too. */
int client_listen(const char *address, int backlog, const char **ret_address);
/* The next connection to it. */
int client_accept(int fd);

void client_close(int fd);
void client_close_all(void);
void client_reset(int fd); /* closes with RST (TCP) */

void client_send(int fd, const char *text);
void client_send_bytes(int fd, const void *bytes, size_t size);
void client_send_to(int fd, const char *address, const char *text);
void client_half_close(int fd);

/* What comes next, as text; "" at the end of the stream. Lives until the test ends. */
const char *client_receive(int fd);
/* Everything up to the end of the stream. */
const char *client_receive_all(int fd);
/* As many bytes as given, or fewer at the end of the stream. */
size_t client_receive_bytes(int fd, void *buffer, size_t size);
/* One line, newline included. */
const char *client_receive_line(int fd);

void client_expect(int fd, const char *text); /* exactly these bytes come next */
void client_expect_end(int fd);               /* end of the stream (not a reset) */
void client_expect_gone(int fd);              /* end of the stream, or a reset */
/* Whether something (or the end) can be read within so many seconds. */
bool client_readable(int fd, double seconds);

/* A client of good_command whose request runs this command, or with "" waits for the next one. */
int client_busy(const char *address, const char *command);

/* A whole exchange with a fresh client: sends, half-closes a stream, and returns the answer (one
 * packet, or everything up to the end). */
const char *client_ask(const char *address, const char *text);

#endif
