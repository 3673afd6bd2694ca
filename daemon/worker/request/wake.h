/* SPDX-License-Identifier: MIT */
/*
 * wake.h - one request ends another one's wait: ss_waker() and ss_wake()
 *
 * A serving context whose request asks for a waker gets a struct waker, and keeps it for its later
 * requests. What the plugin holds is no pointer to it but a number: of the context, and of the
 * request that asked. So it may be kept for ever, and wakes nobody once that request has ended:
 * where pointers have 64 bits, a context would have to serve 10^12 requests that ask for one until
 * a number comes again; where they have 32, 2^31 shared by all contexts.
 */
#ifndef SOCKSERVERD_WORKER_REQUEST_WAKE_H
#define SOCKSERVERD_WORKER_REQUEST_WAKE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "worker/coroutine/inbox.h"
#include "worker/request/request.h"

#define WAKER_WAITING    1u /* its request waits in a call that a wake ends */
#define WAKER_WOKEN      2u /* somebody has called ss_wake(), and no wait has told of it yet */
#define WAKER_QUEUED     4u /* the mixin's: it is on its way to the thread that wakes it */
#define WAKER_GENERATION 3  /* to the left of these: which request's it is */

struct waker {
    _Atomic uint64_t state; /* all of the above; of any thread */
    int event;              /* an eventfd that the wait looks at, where contexts block; else -1 */
    /* Where contexts share a thread: its inbox, and the context, which only that thread touches. */
    struct inbox *inbox;
    struct inbox_item item;
    void *context;
};

/* Whether the request has been woken since its last wait; then that has been told. */
bool waker_take(struct ss_request *request);
/* What wake_begins() and wake_ends() are for a request that has a waker. */
int waker_begin(struct ss_request *request);
int waker_end(struct ss_request *request, int result);
/* The request has ended: what is left of its waker wakes nobody. */
void waker_end_request(struct ss_request *request);

/* Stand around a wait that ss_wake() ends: 0, or -EINTR, and there is nothing to wait for. */
static inline int
wake_begins(struct ss_request *request)
{
    return request->waker == NULL ? 0 : waker_begin(request);
}

/* What the wait has come to: its result, or -EINTR. */
static inline int
wake_ends(struct ss_request *request, int result)
{
    return request->wakeable ? waker_end(request, result) : result;
}

static inline bool
wake_take(struct ss_request *request)
{
    return request->waker != NULL && waker_take(request);
}

static inline void
waker_retire(struct ss_request *request)
{
    if (request->waker != NULL)
        waker_end_request(request);
}

/* The mixin's two parts where contexts block: see mixin.h. */
int waker_prepare_blocking(struct ss_request *request, struct waker *waker);
void waker_wake_blocking(struct waker *waker);

#endif
