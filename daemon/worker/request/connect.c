/* SPDX-License-Identifier: MIT */
/*
 * connect.c - ss_connect(): a connection to somewhere else
 *
 * The addresses of a name are tried in turn, the next one as soon as one has failed, or has not
 * answered for a quarter of a second; the first that is connected is taken (RFC 8305).
 *
 * Runs in:  a serving context, called by the plugin.
 * Owns:     the attempts, until one of them is the caller's.
 * Failures: returned.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/address.h"
#include "common/clock.h"
#include "worker/request/buffers.h"
#include "worker/request/mixin.h"
#include "worker/request/request.h"
#include "worker/request/resolver.h"
#include "worker/request/wait.h"

#define NEXT_AFTER  250000000 /* ns, until another address is tried beside those before it */
#define QUEUE_PAUSE 20000000  /* ns, between two attempts at a Unix socket whose queue is full */

struct attempts {
    struct ss_request *request;
    const struct resolved *addresses;
    int count, next; /* of addresses; the first that was not tried */
    int64_t until;
    int64_t next_at; /* it is tried */
    int error;       /* of the last one that failed */
    struct pollfd fds[RESOLVER_MOST];
    size_t pending;
};

/* ---- one attempt ---------------------------------------------------------------------------- */

static int
open_socket(int family, bool stream)
{
    int type = (stream ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK;
    int fd = socket(family, type, 0);

    if (fd < 0)
        return -errno;
    if (stream && family != AF_UNIX)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    if (!stream && family == AF_UNIX) {
        /* A name of its own, or nobody could answer. */
        const struct sockaddr name = {.sa_family = AF_UNIX};
        (void)bind(fd, &name, sizeof(sa_family_t));
    }
    return fd;
}

/* *ret_fd becomes the descriptor. 0: connected; -EINPROGRESS: it will be; another: it failed. */
static int
begin(const struct resolved *address, bool stream, int *ret_fd)
{
    int fd = open_socket(address->address.ss_family, stream);

    if (fd < 0)
        return fd;
    while (connect(fd, (const struct sockaddr *)&address->address, address->size) < 0) {
        int error = -errno;
        if (error == -EINPROGRESS || error == -EINTR) {
            *ret_fd = fd;
            return -EINPROGRESS;
        }
        (void)close(fd);
        return error;
    }
    *ret_fd = fd;
    return 0;
}

/* A Unix socket has one address, and tells nobody when there is room in its queue. */
static int
connect_unix(struct ss_request *request, const struct resolved *address, bool stream, int64_t until)
{
    for (;;) {
        int fd = -1;
        int error = begin(address, stream, &fd);
        if (error == 0)
            return fd;
        int64_t now = monotonic_now(), next = now + QUEUE_PAUSE;
        if (error != -EAGAIN)
            return error;
        if (now >= until)
            return -ETIMEDOUT;
        error = request->server->mixin->wait(request, -1, 0, next < until ? next : until);
        if (error < 0)
            return error;
    }
}

/* ---- several -------------------------------------------------------------------------------- */

/* The descriptor if it is connected at once; else -EINPROGRESS, also if it has failed. */
static int
try_next(struct attempts *attempts)
{
    int fd = -1;
    int error = begin(&attempts->addresses[attempts->next++], true, &fd);

    if (error == 0)
        return fd;
    if (error == -EINPROGRESS) {
        attempts->fds[attempts->pending++] = (struct pollfd){.fd = fd, .events = POLLOUT};
        attempts->next_at = monotonic_now() + NEXT_AFTER;
    } else {
        attempts->error = error;
        attempts->next_at = 0;
    }
    return -EINPROGRESS;
}

/* Those that have an answer: the descriptor of the first that is connected, or -EINPROGRESS. */
static int
take_answers(struct attempts *attempts)
{
    for (size_t i = attempts->pending; i-- > 0;) {
        int fd = attempts->fds[i].fd, error = 0;
        socklen_t size = sizeof(error);
        if (attempts->fds[i].revents == 0)
            continue;
        /* An error is told with POLLERR or POLLHUP: room alone is a connection. */
        if (attempts->fds[i].revents != POLLOUT &&
            getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
            error = errno;
        attempts->fds[i] = attempts->fds[--attempts->pending];
        if (error == 0)
            return fd;
        (void)close(fd);
        attempts->error = -error;
        attempts->next_at = 0;
    }
    return -EINPROGRESS;
}

/* 0 if something may have happened, or a negative errno. */
static int
wait_for_answers(struct attempts *attempts)
{
    struct ss_request *request = attempts->request;
    bool more = attempts->next < attempts->count;
    int64_t until =
        more && attempts->next_at < attempts->until ? attempts->next_at : attempts->until;
    int result;

    if (attempts->pending == 1) {
        result = request->server->mixin->wait(request, attempts->fds[0].fd, POLLOUT, until);
        attempts->fds[0].revents = (short)(result > 0 ? result : 0);
    } else {
        result = wait_any(request, attempts->fds, attempts->pending, until);
    }
    if (result == 0 && until == attempts->until)
        return -ETIMEDOUT;
    return result < 0 ? result : 0;
}

static int
connect_first(struct attempts *attempts)
{
    for (;;) {
        bool more = attempts->next < attempts->count;
        int fd = -EINPROGRESS;

        if (more && (attempts->pending == 0 || monotonic_now() >= attempts->next_at)) {
            fd = try_next(attempts);
        } else if (attempts->pending == 0) {
            return attempts->error;
        } else {
            int error = wait_for_answers(attempts);
            if (error < 0)
                return error;
            fd = take_answers(attempts);
        }
        if (fd != -EINPROGRESS)
            return fd;
    }
}

static int
connect_tcp(struct ss_request *request, const struct resolved *addresses, int count, int64_t until)
{
    struct attempts attempts = {
        .request = request, .addresses = addresses, .count = count, .until = until};
    int fd = connect_first(&attempts);

    for (size_t i = 0; i < attempts.pending; i++)
        (void)close(attempts.fds[i].fd);
    return fd;
}

/* A datagram socket is connected at once, or this address cannot be reached at all. */
static int
connect_udp(const struct resolved *addresses, int count)
{
    int error = -EADDRNOTAVAIL;

    for (int i = 0; i < count; i++) {
        int fd = -1;
        error = begin(&addresses[i], false, &fd);
        if (error == 0)
            return fd;
    }
    return error;
}

/* ---- all of it ------------------------------------------------------------------------------ */

static int
connect_to(struct ss_request *request, const struct address *address, int64_t until)
{
    struct resolved addresses[RESOLVER_MOST];
    char *problem = NULL;

    if (address_is_unix(address)) {
        int error = address_resolve(address, &addresses[0], &problem);
        free(problem);
        return error < 0
                   ? error
                   : connect_unix(request, &addresses[0], address->scheme == ADDRESS_UNIX, until);
    }
    int count = resolver_find(request, address, until, addresses);
    if (count < 0)
        return count;
    return address->scheme == ADDRESS_TCP ? connect_tcp(request, addresses, count, until)
                                          : connect_udp(addresses, count);
}

int
ss_connect(struct ss_request *request, const char *text, double seconds)
{
    struct address address = {0};
    int64_t until = wait_until(request, seconds);
    char *problem = NULL;

    int error = address_parse(text, &address, &problem);
    free(problem);
    if (error < 0)
        return error;
    if (request_is_cut(request))
        error = -ECANCELED;
    else if (address.scheme == ADDRESS_SYSTEMD ||
             (address.host != NULL && strcmp(address.host, "*") == 0))
        error = -EINVAL;
    else
        error = output_flush(request);
    request_enter(request, STAGE_WAITING);
    int fd = error < 0 ? error : connect_to(request, &address, until);
    request_enter(request, STAGE_HANDLING);
    address_done(&address);
    if (fd == -ETIMEDOUT && wait_over(request, until) < 0)
        return wait_over(request, until);
    return fd;
}
