/* SPDX-License-Identifier: MIT */
/*
 * wait_any.c - ss_wait_any(): one wait for several descriptors
 *
 * Where contexts may block, poll(2) does it. Elsewhere the descriptors stand in an epoll instance
 * of their own, whose descriptor is what the mixin waits for; so it does under TLS, where what is
 * waited for changes meanwhile. Bytes of the client that are in a buffer, ours or the transport's,
 * are found without asking the kernel.
 *
 * Runs in:  a serving context, called by the plugin.
 * Owns:     the epoll instance, until the wait is over.
 * Failures: returned.
 */
#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "worker/request/mixin.h"
#include "worker/request/request.h"
#include "worker/request/transport.h"
#include "worker/request/wait.h"

#define EVENTS 16 /* are taken at once; the others stay for the next wait */

/* The descriptor that an entry stands for; negative: none. */
static int
descriptor_of(const struct ss_request *request, const struct pollfd *entry)
{
    bool client = entry->fd == -ENOTSUP && request->server->transport->sealed;

    return client ? request->fd : entry->fd;
}

/* Whether the entry asks for the client's bytes, which are not all the kernel's to tell of. */
static bool
reads_client(const struct ss_request *request, const struct pollfd *entry)
{
    return (entry->events & POLLIN) != 0 && request->fd >= 0 &&
           descriptor_of(request, entry) == request->fd;
}

/* Whether a read would return at once, as far as the buffers can tell. */
static bool
has_input(struct ss_request *request)
{
    const struct transport *transport = request->server->transport;

    if (request->input.start < request->input.end)
        return true;
    return transport->ready != NULL && transport->ready(request) != 0;
}

/* What the kernel is to tell of the entry: for the client, what its transport needs. */
static uint32_t
events_of(const struct ss_request *request, const struct pollfd *entry)
{
    short events = entry->events;

    if (reads_client(request, entry) && request->server->transport->ready != NULL)
        events = (short)((events & ~POLLIN) | request->wanted);
    return (uint32_t)events;
}

/* Watches an entry, or (how: EPOLL_CTL_MOD) watches it for something else. Regular files, which
 * epoll does not take, are always ready. */
static int
watch(struct ss_request *request, int epoll, int how, struct pollfd *entry, uint32_t place)
{
    struct epoll_event event = {.events = events_of(request, entry), .data.u32 = place};
    int fd = descriptor_of(request, entry);

    if (fd < 0 || epoll_ctl(epoll, how, fd, &event) == 0)
        return 0;
    if (errno != EPERM)
        return -errno;
    entry->revents = entry->events & (POLLIN | POLLOUT);
    return 0;
}

static int
watch_all(struct ss_request *request, int epoll, struct pollfd *fds, size_t count)
{
    int error = 0;

    for (size_t i = 0; error == 0 && i < count; i++) {
        fds[i].revents = 0;
        error = watch(request, epoll, EPOLL_CTL_ADD, &fds[i], (uint32_t)i);
    }
    return error;
}

/* Notes what the buffers hold. Says to the kernel what the transport waits for if they hold
 * nothing. */
static int
look_at_client(struct ss_request *request, int epoll, struct pollfd *fds, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!reads_client(request, &fds[i]))
            continue;
        if (has_input(request)) {
            fds[i].revents |= POLLIN;
            continue;
        }
        int error = request->server->transport->ready == NULL
                        ? 0
                        : watch(request, epoll, EPOLL_CTL_MOD, &fds[i], (uint32_t)i);
        if (error < 0)
            return error;
    }
    return 0;
}

static int
count_ready(const struct pollfd *fds, size_t count)
{
    int ready = 0;

    for (size_t i = 0; i < count; i++)
        ready += fds[i].revents != 0;
    return ready;
}

/* Takes what the kernel tells. Encrypted bytes may be none of the client's: look_at_client() finds
 * out. */
static void
collect(struct ss_request *request, int epoll, struct pollfd *fds)
{
    struct epoll_event events[EVENTS];
    int got = epoll_wait(epoll, events, EVENTS, 0);

    for (int i = 0; i < got; i++) {
        struct pollfd *entry = &fds[events[i].data.u32];
        short seen = (short)events[i].events;
        if (reads_client(request, entry) && request->server->transport->ready != NULL)
            seen = (short)(seen & entry->events & ~POLLIN);
        entry->revents |= seen;
    }
}

static int
wait_any(struct ss_request *request, int epoll, struct pollfd *fds, size_t count, int64_t until)
{
    int error = watch_all(request, epoll, fds, count);

    while (error == 0) {
        error = look_at_client(request, epoll, fds, count);
        if (error < 0)
            break;
        bool found = count_ready(fds, count) > 0;
        int result = request->server->mixin->wait(request, epoll, POLLIN, found ? 0 : until);
        if (result < 0)
            return result;
        collect(request, epoll, fds);
        if (result == 0 || count_ready(fds, count) > 0)
            return count_ready(fds, count);
    }
    return error;
}

/* Where a context may block, and the kernel knows of all that there is, poll(2) waits by itself. */
static bool
can_poll(const struct ss_request *request)
{
    const struct transport *transport = request->server->transport;

    return request->server->mixin->blocking && !transport->sealed && transport->ready == NULL;
}

static int
poll_any(struct ss_request *request, struct pollfd *fds, size_t count, int64_t until)
{
    bool held = false;

    for (size_t i = 0; i < count; i++)
        held |= reads_client(request, &fds[i]) && has_input(request);
    int result = wait_blocking_all(request, fds, count, held ? 0 : until);
    if (result < 0)
        return result;
    for (size_t i = 0; i < count; i++) {
        if (fds[i].revents & POLLNVAL)
            return -EBADF;
        if (held && reads_client(request, &fds[i]))
            fds[i].revents |= POLLIN;
    }
    return count_ready(fds, count);
}

static int
wait_by_epoll(struct ss_request *request, struct pollfd *fds, size_t count, int64_t until)
{
    _cleanup_close_ int epoll = epoll_create1(EPOLL_CLOEXEC);

    return epoll < 0 ? -errno : wait_any(request, epoll, fds, count, until);
}

int
ss_wait_any(struct ss_request *request, struct pollfd *fds, size_t count, double seconds)
{
    int64_t until = wait_until(request, seconds);

    if (request_is_cut(request))
        return -ECANCELED;
    (void)output_flush(request);
    request_enter(request, STAGE_WAITING);
    int result = (can_poll(request) ? poll_any : wait_by_epoll)(request, fds, count, until);
    request_enter(request, STAGE_HANDLING);
    if (result > 0)
        request->drained = false; /* as in input_wait(): what has been told is not told again */
    return result == 0 ? wait_over(request, until) : result;
}
