/* SPDX-License-Identifier: MIT */
/*
 * gated_worker.c - the worker's program with two gates of its own, which wait, refuse and count
 *
 * For listeners with the plugin good_trace, to whose file `trace` they append:
 *
 *     first.try PID TID       enter() was called; .enter: it lets the request pass;
 *                             .leave: leave() was called; the same for second
 *
 * "first" waits for the first byte of a stream, which it leaves unread, and refuses "r". What
 * "second" does depends on the first byte, a datagram's too:
 *
 *     R   refuses politely    L   says that this was no client
 *     p   announces the client 192.0.2.7:4711
 *     s   sleeps for longer than any test
 *
 * A listener called "hasty" gives them HASTE seconds each. No gate applies to one called "free",
 * and one called "broken" cannot be prepared.
 *
 * Runs in:  a worker of a test's daemon.
 * Owns:     nothing.
 * Failures: a trace that cannot be written ends the process.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/errors.h"
#include "worker/request/gate.h"
#include "worker/request/mixin.h"
#include "worker/request/request.h"
#include "worker/request/transport.h"
#include "worker/request/wait.h"
#include "worker/worker.h"

#define HASTE    0.1
#define PATIENCE 3600.0

static void
trace(struct ss_server *server, const char *step)
{
    const char *path = ss_option_string(server, "trace");
    char line[80];
    int size = snprintf(line, sizeof(line), "%s %d %d\n", step, getpid(), gettid());
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);

    if (fd < 0 || write(fd, line, (size_t)size) != size) {
        log_error("cannot append to %s: %m", path);
        abort();
    }
    (void)close(fd);
}

static int
prepare(struct ss_server *server, struct errors *errors)
{
    if (strcmp(server->settings.name, "broken") == 0) {
        errors_add(errors, NULL, 0, "the gate has lost its hinges");
        return -EIO;
    }
    return strcmp(server->settings.name, "free") != 0;
}

static void
limit(struct ss_request *request)
{
    gate_limit(request, strcmp(request->server->settings.name, "hasty") == 0 ? HASTE : PATIENCE);
}

/* ---- first: a byte must come --------------------------------------------------------- */

/* The byte stays where it is. 0, or a negative errno. */
static int
look_at_first_byte(struct ss_request *request, char *ret)
{
    while (request->server->transport->stream) {
        ssize_t got = recv(request->fd, ret, 1, MSG_PEEK | MSG_DONTWAIT);
        if (got > 0)
            return 0;
        if (got == 0)
            return -ECONNRESET;
        if (errno != EAGAIN && errno != EINTR)
            return -errno;
        int error = wait_io(request, request->fd, POLLIN, 0);
        if (error < 0)
            return error;
    }
    *ret = request->datagram.size > 0 ? request->input.data[0] : '\0';
    return 0;
}

static int
first_enter(struct ss_request *request)
{
    static const struct refusal said_r = {.reason = "it said r"};
    char byte;

    trace(request->server, "first.try");
    limit(request);
    int error = look_at_first_byte(request, &byte);
    if (error < 0)
        return error;
    if (byte == 'r')
        return gate_refuse(request, &said_r);
    trace(request->server, "first.enter");
    return 0;
}

static void
first_leave(struct ss_request *request)
{
    trace(request->server, "first.leave");
}

/* ---- second: it depends on the byte --------------------------------------------------- */

static int
announce(struct ss_request *request)
{
    struct sockaddr_in other = {.sin_family = AF_INET, .sin_port = htons(4711)};

    other.sin_addr.s_addr = htonl(0xc0000207);
    return gate_set_client(request, (const struct sockaddr *)&other, sizeof(other));
}

static int
decide(struct ss_request *request, char byte)
{
    static const struct refusal said_R = {.reason = "it said R", .polite = true};
    static const struct refusal no_client = {.reason = "-", .polite = true, .aside = true};

    switch (byte) {
    case 'R':
        return gate_refuse(request, &said_R);
    case 'L':
        return gate_refuse(request, &no_client);
    case 'p':
        return announce(request);
    case 's':
        return wait_io(request, -1, 0, 0);
    default:
        return 0;
    }
}

static int
second_enter(struct ss_request *request)
{
    char byte = '\0';

    trace(request->server, "second.try");
    limit(request);
    int error = look_at_first_byte(request, &byte);
    if (error == 0)
        error = decide(request, byte);
    if (error == 0)
        trace(request->server, "second.enter");
    return error;
}

static void
second_leave(struct ss_request *request)
{
    trace(request->server, "second.leave");
}

static const struct gate first = {
    .name = "first",
    .failed = {.reason = "no first byte"},
    .prepare = prepare,
    .enter = first_enter,
    .leave = first_leave,
};
static const struct gate second = {
    .name = "second",
    .failed = {.reason = "slept too long"},
    .prepare = prepare,
    .enter = second_enter,
    .leave = second_leave,
};

int
main(int argc, char **argv)
{
    static const struct gate *const test_gates[] = {&first, &second, NULL};

    return worker_main(argc, argv, test_gates);
}
