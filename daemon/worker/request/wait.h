/* SPDX-License-Identifier: MIT */
/*
 * wait.h - waiting in serving contexts, and getting them out of it
 */
#ifndef SOCKSERVERD_WORKER_REQUEST_WAIT_H
#define SOCKSERVERD_WORKER_REQUEST_WAIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pollfd;
struct slot;
struct ss_request;
struct ss_server;

/* The wait of a mixin whose contexts may block: poll(2). As mixin->wait. */
int wait_blocking(struct ss_request *request, int fd, short events, int64_t until);

/* The same for several descriptors. As mixin->wait_both. */
int wait_blocking_all(struct ss_request *request, struct pollfd *fds, size_t count, int64_t until);

/* How long one wait may last, in seconds: the setting (0: for ever), or what request_timeout leaves
 * of it; negative when nothing is left. */
double wait_limit(const struct ss_request *request, double setting);

/* When a wait of a plugin's ends: the earlier of its own limit (negative: none) and the request's.
 */
int64_t wait_until(const struct ss_request *request, double seconds);
/* What such a wait returns that has ended at this time with nothing: an error, if it was the
 * request's deadline rather than a limit of its own; else 0. */
int wait_over(struct ss_request *request, int64_t until);
/* What a wait that has lasted too long returns: -ECANCELED once request_timeout is over, which cuts
 * the request; else -ETIMEDOUT. */
int wait_timed_out(struct ss_request *request);

/*
 * Stand around a wait that ends as soon as a drain begins or the connection is too old, and which
 * is told that once: the earlier end of the wait, and -ECANCELED for a wait that has found nothing.
 * leave_told() notes that the plugin is told.
 */
void leave_begins(struct ss_request *request, int64_t *until);
int leave_ends(struct ss_request *request, int result);
int leave_told(struct ss_request *request, int result);

/* Whether a descriptor of the plugin's stands for the client: SS_CLIENT, or what ss_fd() says. */
bool wait_is_for_client(const struct ss_request *request, int fd);
/* As poll(2), for ss_poll()'s entries: how many have something, 0 when the time has come, or a
 * negative errno. */
int wait_any(struct ss_request *request, struct pollfd *fds, size_t count, int64_t until);

/* One wait for the client, at most the setting. 0, -ETIMEDOUT, -ECANCELED or another error. */
int wait_io(struct ss_request *request, int fd, short events, double setting);

/* option: SO_RCVTIMEO or SO_SNDTIMEO; 0 seconds: for ever. 0 or a negative errno. */
int set_socket_timeout(int fd, int option, double seconds);

/* A broken pipe is an error of write(2) rather than the end of the process. The signal is caught,
 * not ignored: what a plugin executes would inherit that it is ignored. */
void broken_pipes_survive(void);

/*
 * The signal that gets a context out of a blocking call: it looks at the
 * server's phase, and shuts its connection down if its request is cut. Of a
 * server, it also says where it is if it is asked to (spin_answer()); NULL: never.
 */
void interrupts_install(struct ss_server *server);
void interrupt_context(const struct ss_server *server, const struct slot *slot);
/* What runs in event loops other than the first. Async-signal-safe. */
void interrupt_loops(const struct ss_server *server);
/* Every context in one of these states (bits 1 << enum slot_state). Returns how many. */
unsigned interrupt_contexts(const struct ss_server *server, unsigned states);
/* The same with another signal. */
unsigned signal_contexts(const struct ss_server *server, unsigned states, int number);
/* In a drain: those that wait in ss_wait_input(). Returns how many run a request, because each of
 * them may come to wait there, and the caller tries again. */
unsigned interrupt_leavers(const struct ss_server *server);

#endif
