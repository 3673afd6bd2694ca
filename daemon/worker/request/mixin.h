/* SPDX-License-Identifier: MIT */
/*
 * mixin.h - how requests run side by side
 *
 * One of the two interfaces a request runs on; the other is the transport.
 */
#ifndef SOCKSERVERD_WORKER_REQUEST_MIXIN_H
#define SOCKSERVERD_WORKER_REQUEST_MIXIN_H

#include <stdbool.h>
#include <stdint.h>

#include "common/settings.h"

struct housekeeping;
struct ss_request;
struct ss_server;

struct mixin {
    enum mixin_kind kind;
    bool blocking;  /* a wait holds only its own context: plain blocking calls will do */
    bool processes; /* contexts are processes, not threads of the worker */

    /* Serves until the drain is over. 0, or a negative errno if it could not serve on. */
    int (*run)(struct ss_server *server, struct housekeeping *housekeeping);

    /*
     * Waits for events on fd (-1: only for the time) until the monotonic time.
     * The events, 0 when the time has come, -ECANCELED when the request is cut.
     */
    int (*wait)(struct ss_request *request, int fd, short events, int64_t until);

    /*
     * How many contexts more than `spare` were idle all the time since the last
     * call. NULL: the housekeeping sees it in their slots, as each of them waits
     * for long.
     */
    uint32_t (*surplus)(void);

    /* Where contexts share a thread: after each receive or send that did not wait, lets the
     * others run now and then. Else NULL. */
    void (*pace)(struct ss_request *request);
};

#endif
