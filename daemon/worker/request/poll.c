/* SPDX-License-Identifier: MIT */
/*
 * poll.c - ss_poll(): one wait for several descriptors, the client among them
 *
 * Each round first looks at all of them, by poll(2) without waiting, and at the bytes of the client
 * that are in a buffer, ours or the transport's. Then it waits. Where contexts may block, and the
 * kernel knows of all that there is, both are one call. Elsewhere the mixin waits: for the client,
 * for another descriptor, or for both of them; more stand in an epoll instance of their own, whose
 * descriptor is what the mixin waits for. Under TLS, what is waited for changes meanwhile.
 *
 * Runs in:  a serving context, called by the plugin.
 * Owns:     the epoll instance, until the wait is over.
 * Failures: returned.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "worker/request/mixin.h"
#include "worker/request/request.h"
#include "worker/request/transport.h"
#include "worker/request/wait.h"
#include "worker/request/wake.h"

#define FEW 8 /* entries that are looked at without memory of their own */

/* What is asked of the kernel: for each entry one, or two for a client whose output is another
 * descriptor. The second ones stand behind all first ones. */
struct look {
    struct ss_request *request;
    struct pollfd *fds; /* the plugin's */
    size_t count;
    struct pollfd *asked; /* count * 2 of them */
    size_t asked_count;
};

/* ---- the client ----------------------------------------------------------------------------- */

bool
wait_is_for_client(const struct ss_request *request, int fd)
{
    const struct transport *transport = request->server->transport;

    if (fd == SS_CLIENT)
        return true;
    if (transport->sealed)
        return fd == -ENOTSUP;
    return transport->stream && fd >= 0 && fd == request->fd;
}

static bool
is_client(const struct ss_request *request, const struct pollfd *entry)
{
    return wait_is_for_client(request, entry->fd);
}

/* Whether its input is not all the kernel's to tell of. */
static bool
holds_input(const struct ss_request *request, const struct pollfd *entry)
{
    return is_client(request, entry) && (entry->events & POLLIN) != 0 &&
           request->server->transport->ready != NULL;
}

/* What is true of the entry whatever the kernel says. A datagram is all there, as is the room for
 * its answer. */
static short
held_events(struct ss_request *request, const struct pollfd *entry)
{
    const struct transport *transport = request->server->transport;

    if (!is_client(request, entry))
        return 0;
    if (!transport->stream)
        return (short)(entry->events & (POLLIN | POLLOUT));
    if ((entry->events & POLLIN) == 0)
        return 0;
    if (request_has_input(request))
        return POLLIN;
    return transport->ready != NULL && transport->ready(request) != 0 ? POLLIN : 0;
}

/* ---- looking -------------------------------------------------------------------------------- */

static struct pollfd
ask_for(const struct ss_request *request, const struct pollfd *entry)
{
    struct pollfd asked = {.fd = entry->fd, .events = entry->events};

    if (is_client(request, entry))
        asked.fd = request->server->transport->stream ? request->fd : -1;
    else if (entry->fd < 0)
        asked.fd = -1;
    if (holds_input(request, entry))
        asked.events &= (short)~POLLIN;
    return asked;
}

/* Where the client's output is another descriptor, it is asked whether there is room. */
static void
ask_output(struct look *look, size_t i)
{
    const struct ss_request *request = look->request;
    struct pollfd *asked = &look->asked[i];

    look->asked[look->count + i].fd = -1;
    if (request->output_fd == request->fd || !is_client(request, &look->fds[i]) ||
        (asked->events & POLLOUT) == 0)
        return;
    look->asked[look->count + i] = (struct pollfd){.fd = request->output_fd, .events = POLLOUT};
    look->asked_count = look->count * 2;
    asked->events &= (short)~POLLOUT;
}

static void
ask_all(struct look *look)
{
    look->asked_count = look->count;
    for (size_t i = 0; i < look->count; i++) {
        look->asked[i] = ask_for(look->request, &look->fds[i]);
        ask_output(look, i);
    }
}

/* Notes what the buffers hold. Whether they hold anything that is asked for. */
static bool
note_held(const struct look *look)
{
    bool any = false;

    for (size_t i = 0; i < look->count; i++) {
        look->fds[i].revents = held_events(look->request, &look->fds[i]);
        any |= look->fds[i].revents != 0;
    }
    return any;
}

/* Adds what the kernel has said. How many entries have something. */
static int
note_answers(const struct look *look)
{
    int ready = 0;

    for (size_t i = 0; i < look->count; i++) {
        short seen = look->asked[i].revents;
        if (look->asked_count > look->count)
            seen |= look->asked[look->count + i].revents;
        if ((seen & POLLNVAL) != 0)
            return -EBADF;
        look->fds[i].revents |= seen;
        ready += look->fds[i].revents != 0;
    }
    return ready;
}

static int
look_now(const struct look *look)
{
    (void)note_held(look);
    while (poll(look->asked, look->asked_count, 0) < 0)
        if (errno != EINTR)
            return -errno;
    return note_answers(look);
}

/* ---- waiting -------------------------------------------------------------------------------- */

static int
wait_by_poll(const struct look *look, int64_t until)
{
    bool held = note_held(look);
    int result = wait_blocking_all(look->request, look->asked, look->asked_count, held ? 0 : until);

    return result < 0 ? result : note_answers(look);
}

/* All that is asked of one descriptor, by whichever entries. */
static uint32_t
events_of(const struct look *look, int fd)
{
    uint32_t events = 0;

    for (size_t i = 0; i < look->asked_count; i++)
        if (look->asked[i].fd == fd)
            events |= (uint32_t)(unsigned short)look->asked[i].events;
    for (size_t i = 0; i < look->count; i++)
        if (look->asked[i].fd == fd && holds_input(look->request, &look->fds[i]))
            events |= (uint32_t)(unsigned short)look->request->wanted;
    return events;
}

/* Has the epoll instance watch all of them; how: EPOLL_CTL_ADD at first. */
static int
watch_all(const struct look *look, int epoll, int how)
{
    for (size_t i = 0; i < look->asked_count; i++) {
        int fd = look->asked[i].fd;
        struct epoll_event event = {.events = events_of(look, fd)};
        if (fd < 0 || epoll_ctl(epoll, how, fd, &event) == 0)
            continue;
        if (errno != EEXIST && errno != EPERM) /* a regular file was ready when it was looked at */
            return -errno;
    }
    return 0;
}

/* Encrypted bytes may be none of the client's: then it waits again, perhaps for something else. */
static int
wait_by_epoll(const struct look *look, int epoll, int64_t until)
{
    struct ss_request *request = look->request;
    int how = EPOLL_CTL_ADD;

    for (;;) {
        int error = watch_all(look, epoll, how);
        if (error < 0)
            return error;
        int result = request->server->mixin->wait(request, epoll, POLLIN, until);
        if (result < 0)
            return result;
        int ready = look_now(look);
        if (ready != 0 || result == 0)
            return ready;
        how = EPOLL_CTL_MOD;
    }
}

/* Whether it is the client (which becomes the first one), another descriptor (the second), or both.
 * A plugin that has the client's descriptor may have closed it: then the mixin knows less of it. */
static bool
take_pair(const struct look *look, struct pollfd pair[2])
{
    const struct ss_request *request = look->request;

    pair[0] = pair[1] = (struct pollfd){.fd = -1};
    for (size_t i = 0; i < look->asked_count; i++) {
        int fd = look->asked[i].fd;
        bool own = fd == request->fd && request->server->transport->stream;
        struct pollfd *place = &pair[own ? 0 : 1];
        if (fd < 0)
            continue;
        if (place->fd >= 0 && place->fd != fd)
            return false;
        *place = (struct pollfd){.fd = fd, .events = (short)events_of(look, fd)};
    }
    return request->inode == 0 || pair[0].fd < 0;
}

static int
wait_for_pair(const struct look *look, struct pollfd pair[2], int64_t until)
{
    const struct mixin *mixin = look->request->server->mixin;

    for (;;) {
        int result = pair[0].fd < 0 ? mixin->wait(look->request, pair[1].fd, pair[1].events, until)
                                    : mixin->wait_both(look->request, pair, 2, until);
        if (result < 0)
            return result;
        int ready = look_now(look);
        if (ready != 0 || result == 0)
            return ready;
        (void)take_pair(look, pair);
    }
}

static int
wait_by_mixin(const struct look *look, struct pollfd pair[2], int64_t until)
{
    const struct mixin *mixin = look->request->server->mixin;
    int result = wait_for_pair(look, pair, until);

    if (pair[0].fd >= 0 && pair[1].fd >= 0 && mixin->leave_other != NULL)
        mixin->leave_other(look->request, pair[1].fd);
    return result;
}

static int
look_and_wait(const struct look *look, int64_t until)
{
    const struct ss_server *server = look->request->server;
    struct pollfd pair[2];

    if (server->mixin->blocking && server->transport->ready == NULL)
        return wait_by_poll(look, until);
    int ready = look_now(look);
    if (ready != 0)
        return ready;
    if (take_pair(look, pair)) {
        int result = wait_by_mixin(look, pair, until);
        if (result != -EPERM && result != -EEXIST) /* others of this thread may wait for it, too */
            return result;
    }
    _cleanup_close_ int epoll = epoll_create1(EPOLL_CLOEXEC);
    return epoll < 0 ? -errno : wait_by_epoll(look, epoll, until);
}

int
wait_any(struct ss_request *request, struct pollfd *fds, size_t count, int64_t until)
{
    struct pollfd few[FEW * 2];
    _cleanup_free_ struct pollfd *many = count > FEW ? calloc(count * 2, sizeof(*fds)) : NULL;
    struct look look = {
        .request = request, .fds = fds, .count = count, .asked = count > FEW ? many : few};

    if (look.asked == NULL)
        return -ENOMEM;
    ask_all(&look);
    int result = look_and_wait(&look, until);
    if (result > 0)
        request->drained = false; /* as in input_wait(): what has been told is not told again */
    return result;
}

/* ---- ss_poll() ------------------------------------------------------------------------------ */

static bool
asks_for_input(const struct ss_request *request, const struct pollfd *fds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (is_client(request, &fds[i]) && (fds[i].events & POLLIN) != 0)
            return true;
    return false;
}

static int
poll_until(struct ss_request *request, struct pollfd *fds, size_t count, int64_t until)
{
    int64_t end = until;

    leave_begins(request, &end);
    int result = wake_begins(request);
    if (result == 0)
        result = wake_ends(request, wait_any(request, fds, count, end));
    result = leave_ends(request, result);
    if (result == -ECANCELED && asks_for_input(request, fds, count) &&
        input_await_first(request, until))
        result = wait_any(request, fds, count, 0);
    return leave_told(request, result);
}

int
ss_poll(struct ss_request *request, struct pollfd *fds, size_t count, double seconds)
{
    int64_t until = wait_until(request, seconds);

    if (request_is_cut(request))
        return -ECANCELED;
    (void)output_flush(request);
    request_enter(request, STAGE_WAITING);
    int result = poll_until(request, fds, count, until);
    request_enter(request, STAGE_HANDLING);
    return result == 0 ? wait_over(request, until) : result;
}
