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
struct slot;
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

extern const struct mixin mixin_none, mixin_threading, mixin_forking, mixin_coroutine;

/* NULL: this build does not have it. */
const struct mixin *mixin_find(enum mixin_kind kind);

/* A wait of a context that may block: poll(2). */
int wait_blocking(struct ss_request *request, int fd, short events, int64_t until);

/* How long one wait may last, in seconds: the setting (0: for ever), or what request_timeout leaves
 * of it; negative when nothing is left. */
double wait_limit(const struct ss_request *request, double setting);

/* One wait for the client, at most the setting. 0, -ETIMEDOUT, -ECANCELED or another error. */
int wait_io(struct ss_request *request, int fd, short events, double setting);

/* option: SO_RCVTIMEO or SO_SNDTIMEO; 0 seconds: for ever. 0 or a negative errno. */
int set_socket_timeout(int fd, int option, double seconds);

/*
 * The signal that gets a context out of a blocking call: it looks at the
 * server's phase, and shuts its connection down if its request is cut.
 */
void interrupts_install(void);
void interrupt_context(const struct ss_server *server, const struct slot *slot);
/* Every context in one of these states (bits 1 << enum slot_state). Returns how many. */
unsigned interrupt_contexts(const struct ss_server *server, unsigned states);

#endif
