/* SPDX-License-Identifier: MIT */
/*
 * mixin.h - how requests run side by side
 *
 * One of the two interfaces a request runs on; the other is the transport.
 */
#ifndef SOCKSERVERD_WORKER_REQUEST_MIXIN_H
#define SOCKSERVERD_WORKER_REQUEST_MIXIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct housekeeping;
struct pollfd;
struct ss_request;
struct ss_server;
struct waker;

struct mixin {
    bool blocking;        /* a wait holds only its own context: plain blocking calls will do */
    bool processes;       /* contexts are processes, not threads of the worker */
    bool hooks_between;   /* what is due for the server runs between requests, in their context */
    bool batches;         /* no second thread or process takes datagrams, unless `cpus` says so */
    bool trims;           /* contexts that are left idle wait in get_request: they can be let go */
    bool leaves_on_drain; /* obeys daemon_threads */

    /* Serves until the drain is over. 0, or a negative errno if it could not serve on. */
    int (*run)(struct ss_server *server, struct housekeeping *housekeeping);

    /*
     * Waits for events on fd (-1: only for the time) until the monotonic time.
     * The events, 0 when the time has come, -ECANCELED when the request is cut.
     */
    int (*wait)(struct ss_request *request, int fd, short events, int64_t until);

    /*
     * Waits for any of up to three descriptors until the monotonic time, and fills in their
     * revents: the connection's own in fds[0], another one in fds[1], and the output of a request
     * that has one of its own in fds[2]. Entries with a negative fd are left out. 1, 0 when the
     * time has come, -ECANCELED when the request is cut, or another error. It may return too early,
     * and may tell only once of what is ready: until a call has found that it is not.
     */
    int (*wait_both)(struct ss_request *request, struct pollfd *fds, size_t count, int64_t until);
    /* Forgets what it knows of the other one; or NULL. */
    void (*leave_other)(struct ss_request *request, int fd);

    /*
     * Prepares the waker of the request's context, again for each request that wants one: its event
     * (waker_prepare_blocking()), or the inbox and the context. 0 or a negative errno.
     */
    int (*prepare_wake)(struct ss_request *request, struct waker *waker);

    /*
     * How many contexts more than `spare` were idle all the time since the last
     * call. NULL, for one that trims: the housekeeping sees it in their slots, as
     * each of them waits for long.
     */
    uint32_t (*surplus)(void);

    /*
     * Whether it looks for connections itself, so that the listening socket shall
     * not wait. NULL: it does so if it is not blocking.
     */
    bool (*polls)(const struct ss_server *server);

    /*
     * Where contexts share threads, and no slot tells which: interrupts those that
     * the first one has not heard of. Async-signal-safe. Else NULL.
     */
    void (*interrupt_others)(int signal);

    /* Where contexts share a thread: after each receive or send that did not wait, lets the
     * others run now and then. Else NULL. */
    void (*pace)(struct ss_request *request);
};

#endif
