/* SPDX-License-Identifier: MIT */
/*
 * wake.c - ss_waker() and ss_wake(): one request ends another one's wait
 *
 * All that decides is one number for each context, which is only ever changed as a whole: whether
 * its request waits, whether it was woken, and which request it is. A wait first says that it
 * waits and sees in the same step whether it has been woken; a wake says so and sees in the same
 * step whether somebody waits. So none is lost, and nobody looks at a request that may have ended.
 * What then gets the context out of its wait (an event, a place in the loop's queue) is a hint to
 * look again, and may come too late.
 *
 * Runs in:  a serving context, called by the plugin; ss_wake() in any thread of the process.
 * Owns:     the wakers, one for each context that has asked, for as long as the process lives:
 *           some thread may be about to look at one.
 * Failures: no memory or descriptor: there is no waker.
 */
#include "worker/request/wake.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "worker/request/buffers.h"
#include "worker/request/mixin.h"

#define GENERATION_ONE (UINT64_C(1) << WAKER_GENERATION)

/* By the slot of their context. */
struct wakers {
    uint32_t count;
    unsigned bits; /* of an index */
    _Atomic(struct waker *) of[];
};

static _Atomic(struct wakers *) all;

/* ---- what the plugin holds ------------------------------------------------------------------ */

/* Never NULL, nor what could be an object's address: its lowest bit is set. */
static struct ss_waker *
handle_of(const struct wakers *wakers, uint32_t index, uint64_t state)
{
    uint64_t generation = state >> WAKER_GENERATION;
    uintptr_t number = (uintptr_t)(generation << wakers->bits | index) << 1 | 1;

    return (struct ss_waker *)number; /* NOLINT(performance-no-int-to-ptr) */
}

static uint32_t
index_of(const struct ss_request *request)
{
    return (uint32_t)(request->slot - request->server->counters->slots);
}

/* ---- the wakers ----------------------------------------------------------------------------- */

static struct wakers *
get_wakers(const struct ss_server *server)
{
    struct wakers *wakers = atomic_load_explicit(&all, memory_order_acquire), *first = NULL;

    if (wakers != NULL)
        return wakers;
    wakers = calloc(1, sizeof(*wakers) + server->slot_count * sizeof(wakers->of[0]));
    if (wakers == NULL)
        return NULL;
    wakers->count = server->slot_count;
    while ((uint64_t)1 << wakers->bits < wakers->count)
        wakers->bits++;
    if (atomic_compare_exchange_strong(&all, &first, wakers))
        return wakers;
    free(wakers); /* another thread was first */
    return first;
}

/* The context's waker. Only its own thread makes it. */
static struct waker *
get_waker(struct ss_request *request, struct wakers *wakers)
{
    uint32_t index = index_of(request);
    struct waker *waker = atomic_load_explicit(&wakers->of[index], memory_order_relaxed);
    bool made = waker == NULL;

    if (made && (waker = calloc(1, sizeof(*waker))) == NULL)
        return NULL;
    if (made) {
        waker->event = -1;
        atomic_init(&waker->state, GENERATION_ONE);
    }
    if (request->server->mixin->prepare_wake(request, waker) < 0) {
        if (made)
            free(waker);
        return NULL;
    }
    if (made)
        atomic_store_explicit(&wakers->of[index], waker, memory_order_release);
    return waker;
}

struct ss_waker *
ss_waker(struct ss_request *request)
{
    struct wakers *wakers = get_wakers(request->server);

    if (wakers == NULL)
        return NULL;
    if (request->waker == NULL)
        request->waker = get_waker(request, wakers);
    if (request->waker == NULL)
        return NULL;
    return handle_of(wakers, index_of(request), atomic_load(&request->waker->state));
}

/*
 * Says that the request was woken, if it is still this one; *ret_before is the state before. The
 * state is written even if nothing changes in it: what the waking thread has done before shall be
 * seen by whoever takes the wake-up that came first.
 */
static bool
note_wake(const struct wakers *wakers, uint32_t index, const struct ss_waker *handle,
          struct waker *waker, uint64_t *ret_before)
{
    uint64_t before = atomic_load_explicit(&waker->state, memory_order_acquire);

    do
        if (handle_of(wakers, index, before) != handle)
            return false;
    while (!atomic_compare_exchange_weak_explicit(&waker->state, &before, before | WAKER_WOKEN,
                                                  memory_order_acq_rel, memory_order_acquire));
    *ret_before = before;
    return true;
}

void
ss_wake(struct ss_waker *handle)
{
    const struct wakers *wakers = atomic_load_explicit(&all, memory_order_acquire);
    uint64_t before;

    if (handle == NULL || wakers == NULL)
        return;
    uint64_t number = (uint64_t)(uintptr_t)handle >> 1;
    uint32_t index = (uint32_t)(number & (((uint64_t)1 << wakers->bits) - 1));
    struct waker *waker = index < wakers->count
                              ? atomic_load_explicit(&wakers->of[index], memory_order_acquire)
                              : NULL;
    if (waker == NULL || !note_wake(wakers, index, handle, waker, &before))
        return;
    if ((before & (WAKER_WAITING | WAKER_WOKEN)) != WAKER_WAITING)
        return; /* its next wait will see it, or somebody else has woken it */
    if (waker->event >= 0)
        waker_wake_blocking(waker);
    else
        inbox_deliver(waker->inbox, &waker->item);
}

/* ---- around a wait -------------------------------------------------------------------------- */

bool
waker_take(struct ss_request *request)
{
    _Atomic uint64_t *state = &request->waker->state;

    if ((atomic_load_explicit(state, memory_order_relaxed) & WAKER_WOKEN) == 0)
        return false;
    (void)atomic_fetch_and(state, ~(uint64_t)WAKER_WOKEN);
    return true;
}

int
waker_begin(struct ss_request *request)
{
    if (request_is_cut(request))
        return 0; /* the wait itself says so, each time */
    uint64_t before = atomic_fetch_or(&request->waker->state, WAKER_WAITING);

    if ((before & WAKER_WOKEN) != 0) {
        (void)atomic_fetch_and(&request->waker->state, ~(uint64_t)(WAKER_WAITING | WAKER_WOKEN));
        return -EINTR;
    }
    request->wakeable = true;
    return 0;
}

/* A wait that has something else to tell does that: the next one tells of the wake. */
int
waker_end(struct ss_request *request, int result)
{
    uint64_t before = atomic_fetch_and(&request->waker->state, ~(uint64_t)WAKER_WAITING);

    request->wakeable = false;
    if ((before & WAKER_WOKEN) == 0 || (result != 0 && result != -EINTR))
        return result;
    (void)atomic_fetch_and(&request->waker->state, ~(uint64_t)WAKER_WOKEN);
    return -EINTR;
}

void
waker_end_request(struct ss_request *request)
{
    _Atomic uint64_t *state = &request->waker->state;
    uint64_t before = atomic_load_explicit(state, memory_order_relaxed), after;

    do
        after = (((before >> WAKER_GENERATION) + 1) << WAKER_GENERATION) | (before & WAKER_QUEUED);
    while (!atomic_compare_exchange_weak(state, &before, after));
    request->waker = NULL;
    request->wakeable = false;
}

/* ---- where contexts block ------------------------------------------------------------------- */

int
waker_prepare_blocking(struct ss_request *request, struct waker *waker)
{
    (void)request;
    if (waker->event < 0)
        waker->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return waker->event < 0 ? -errno : 0;
}

void
waker_wake_blocking(struct waker *waker)
{
    int saved = errno;

    (void)!write(waker->event, &(uint64_t){1}, sizeof(uint64_t));
    errno = saved;
}
