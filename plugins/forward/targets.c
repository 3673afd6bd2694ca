/* SPDX-License-Identifier: MIT */
/*
 * targets.c - which target a client is passed on to, and what is known of each
 *
 * A target that failed is left alone for fail_timeout. Then one request tries it, and the others
 * keep away until that has succeeded. If none of the others works either, it is tried all the same.
 *
 * Runs in:  a handler thread, child or coroutine.
 * Owns:     nothing; the states are shared by all of them.
 * Failures: logged here, once.
 */
#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "forward.h"

int64_t
now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int64_t
left_alone_until(const struct service *service)
{
    return now_ns() + (int64_t)(service->fail_timeout * 1e9);
}

static bool
may_be_tried(const struct target *target)
{
    int64_t until = atomic_load(&target->state->failed_until);

    return until == 0 || now_ns() >= until;
}

/* Whether it works, or this request is the one that looks whether it does so again. */
static bool
take(const struct service *service, const struct target *target)
{
    int64_t until = atomic_load(&target->state->failed_until);

    return until == 0 || atomic_compare_exchange_strong(&target->state->failed_until, &until,
                                                        left_alone_until(service));
}

/* The best of those whose bit is not set; anyway: also of those that have failed. NULL: none. */
static struct target *
find(const struct service *service, uint64_t tried, uint32_t first, bool anyway)
{
    struct target *best = NULL;

    for (size_t i = 0; i < service->count; i++) {
        size_t place = (first + i) % service->count;
        struct target *target = &service->targets[place];
        if ((tried >> place & 1) || (!anyway && !may_be_tried(target)))
            continue;
        if (best == NULL || atomic_load(&target->state->active) < atomic_load(&best->state->active))
            best = target;
        if (!service->least)
            break;
    }
    return best;
}

/* The next to try: one that works, or else any. NULL: all have been tried. */
static struct target *
choose(const struct service *service, uint64_t tried, uint32_t first)
{
    uint64_t taken = tried; /* by other requests, besides */
    struct target *target;

    while ((target = find(service, taken, first, false)) != NULL) {
        if (take(service, target))
            return target;
        taken |= UINT64_C(1) << (target - service->targets);
    }
    return find(service, tried, first, true);
}

void
target_leave(struct target *target)
{
    (void)atomic_fetch_sub(&target->state->active, 1);
}

void
target_note_failure(const struct service *service, struct target *target, int error)
{
    int64_t before = atomic_exchange(&target->state->failed_until, left_alone_until(service));

    if (before == 0 && service->count > 1 && service->fail_timeout > 0)
        ss_log(LOG_WARNING, "%s: %s; it is left alone for %g s, as long as others work",
               target->address, strerror(-error), service->fail_timeout);
}

static void
note_success(struct target *target)
{
    if (atomic_load_explicit(&target->state->failed_until, memory_order_relaxed) != 0 &&
        atomic_exchange(&target->state->failed_until, 0) != 0)
        ss_log(LOG_NOTICE, "%s works again", target->address);
}

/* The client's end, or the daemon's word, is no failure of the target. */
static bool
is_ours(struct ss_request *request, int error)
{
    return error == -ECANCELED || error == -ENOMEM || error == -EMFILE || error == -ENFILE ||
           (error == -ETIMEDOUT && ss_cancelled(request));
}

int
targets_connect(struct ss_request *request, struct service *service,
                int (*open)(struct ss_request *request, const struct service *service,
                            const struct target *target, int fd, void *userdata),
                void *userdata, struct target **ret)
{
    uint32_t first = service->count > 1 ? atomic_fetch_add(&service->turn, 1) : 0;
    uint64_t tried = 0;
    int error = -ENOENT;

    for (size_t i = 0; i < service->count; i++) {
        struct target *target = choose(service, tried, first);
        tried |= UINT64_C(1) << (target - service->targets);
        (void)atomic_fetch_add(&target->state->active, 1);
        int fd = ss_connect(request, target->address, service->connect_timeout);
        error = fd < 0 ? fd : open == NULL ? 0 : open(request, service, target, fd, userdata);
        if (error == 0) {
            note_success(target);
            *ret = target;
            return fd;
        }
        target_leave(target);
        if (fd >= 0)
            (void)close(fd);
        if (is_ours(request, error)) {
            if (error != -ECANCELED)
                ss_log(LOG_ERR, "cannot connect to %s: %s", target->address, strerror(-error));
            return error;
        }
        target_note_failure(service, target, error);
        ss_log(i + 1 == service->count ? LOG_ERR : LOG_DEBUG, "cannot connect to %s: %s",
               target->address, strerror(-error));
    }
    return error == -ETIMEDOUT ? -EHOSTUNREACH : error;
}
