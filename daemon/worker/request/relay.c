/* SPDX-License-Identifier: MIT */
/*
 * relay.c - ss_relay(): bytes between the client and another connection, both ways
 *
 * Each direction is a flow of its own, from one end to the other, and does one thing after
 * another until it would have to wait; then both ends are waited for at once. A flow that waits
 * for bytes holds no memory. What its receiver does not take is kept, and nothing more is
 * received until that is gone. Where bytes come fast, and nothing stands between (TLS does), they
 * go through a pipe and are not copied: see relay_pipes.c.
 *
 * Runs in:  a serving context, called by the plugin.
 * Owns:     the bytes on their way. The other connection is the plugin's.
 * Failures: returned. Those of the client's end are told from those of the other one.
 */
#include "worker/request/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "worker/request/buffers.h"
#include "worker/request/mixin.h"
#include "worker/request/request.h"
#include "worker/request/transport.h"
#include "worker/request/wait.h"

#define BLOCK    16384 /* bytes that are received at once */
#define FULL     3     /* so many full blocks in a row, and a pipe is worth its price */
#define IN_A_ROW 8     /* steps of one flow, until the other one has its turn */

/* ---- one step of a flow --------------------------------------------------------------------- */

enum { WAITS = 0, MOVED = 1 }; /* what a step returns, or a negative errno */

static int
wait_at(struct relay_flow *flow, struct relay_end *end)
{
    flow->waits_at = end;
    flow->events = end->wanted;
    return WAITS;
}

/*
 * What the client or the other end made fail. An end that takes nothing more may have sent
 * something before: that is still passed on.
 */
static int
sender_failed(struct relay_flow *flow, int error)
{
    if (error == -EAGAIN)
        return wait_at(flow, flow->from);
    flow->from->error = error;
    return error;
}

static int
receiver_failed(struct relay_flow *flow, int error)
{
    if (error == -EAGAIN)
        return wait_at(flow, flow->to);
    if (flow->to->request == NULL && (error == -EPIPE || error == -ECONNRESET)) {
        relay_flow_give_up(flow);
        return MOVED;
    }
    flow->to->error = error;
    return error;
}

static void
count_in(struct relay_flow *flow, size_t size)
{
    struct ss_request *request = flow->request;

    flow->relay->moved = true;
    if (flow->from->request != NULL)
        request->bytes_in += size;
    request_moved(request);
}

static void
count_out(struct relay_flow *flow, size_t size)
{
    flow->relay->moved = true;
    if (flow->to->request != NULL)
        flow->request->bytes_out += size;
}

static int
send_held(struct relay_flow *flow)
{
    ssize_t sent =
        flow->to->calls->send(flow->to, flow->held + flow->start, flow->end - flow->start);

    if (sent < 0)
        return receiver_failed(flow, (int)sent);
    count_out(flow, (size_t)sent);
    flow->start += (size_t)sent;
    if (flow->start == flow->end) {
        free(flow->held);
        flow->held = NULL;
        flow->start = flow->end = 0;
    }
    return MOVED;
}

static int
pass_end(struct relay_flow *flow)
{
    int error = flow->to->calls->end_output(flow->to);

    if (error == -EAGAIN)
        return wait_at(flow, flow->to);
    flow->done = true; /* whoever is gone needs not be told */
    return MOVED;
}

/* One block, which becomes the flow's if it is not taken as a whole. */
static int
copy(struct relay_flow *flow)
{
    char *block = malloc(BLOCK);

    if (block == NULL)
        return -ENOMEM;
    ssize_t got = flow->from->calls->receive(flow->from, block, BLOCK);
    if (got <= 0) {
        free(block);
        flow->bulk = 0;
        flow->ended = got == 0;
        return got < 0 ? sender_failed(flow, (int)got) : MOVED;
    }
    count_in(flow, (size_t)got);
    flow->bulk = got == BLOCK ? flow->bulk + 1 : 0;
    ssize_t sent = flow->to->calls->send(flow->to, block, (size_t)got);
    if (sent == got) {
        count_out(flow, (size_t)sent);
        free(block);
        if (got == BLOCK || flow->from->sealed)
            return MOVED;
        flow->from->wanted = POLLIN; /* that was all */
        return wait_at(flow, flow->from);
    }
    flow->held = block;
    flow->start = sent > 0 ? (size_t)sent : 0;
    flow->end = (size_t)got;
    if (sent < 0)
        return receiver_failed(flow, (int)sent);
    count_out(flow, (size_t)sent);
    return MOVED;
}

static int
splice_in(struct relay_flow *flow)
{
    ssize_t got = relay_pipe_fill(flow);

    if (got > 0) {
        count_in(flow, (size_t)got);
        return MOVED;
    }
    relay_pipe_give(flow);
    flow->bulk = 0;
    if (got == -EINVAL || got == -EMFILE || got == -ENFILE || got == -ENOSYS) {
        flow->unsplit = true; /* it goes on by copying */
        return MOVED;
    }
    flow->ended = got == 0;
    flow->from->wanted = POLLIN;
    return got < 0 ? sender_failed(flow, (int)got) : MOVED;
}

static int
splice_out(struct relay_flow *flow)
{
    ssize_t sent = relay_pipe_drain(flow);

    flow->to->wanted = POLLOUT;
    if (sent < 0)
        return receiver_failed(flow, (int)sent);
    count_out(flow, (size_t)sent);
    return MOVED;
}

static int
step(struct relay_flow *flow)
{
    if (flow->start < flow->end)
        return send_held(flow);
    if (flow->piped > 0)
        return splice_out(flow);
    if (flow->ended)
        return pass_end(flow);
    if (flow->bulk >= FULL && !flow->unsplit)
        return splice_in(flow);
    return copy(flow);
}

void
relay_flow_give_up(struct relay_flow *flow)
{
    free(flow->held);
    flow->held = NULL;
    flow->start = flow->end = 0;
    relay_pipe_drop(flow);
    flow->ended = flow->done = true;
    flow->waits_at = NULL;
}

/* ---- waiting -------------------------------------------------------------------------------- */

enum { FD_CLIENT, FD_OTHER, FD_OUTPUT, FDS };

static short
events_at(const struct relay *relay, const struct relay_end *end)
{
    short events = 0;

    for (int i = 0; i < 2; i++)
        if (!relay->flows[i].done && relay->flows[i].waits_at == end)
            events = (short)(events | relay->flows[i].events);
    return events;
}

/* An end that nobody waits for is watched all the same, as it may be gone; once that is known, it
 * would only be told again and again. */
static void
choose_fds(const struct relay *relay, struct pollfd fds[FDS])
{
    const struct relay_end *client = &relay->client, *other = &relay->other;
    short events = events_at(relay, client);
    bool split = client->out != client->in;

    fds[FD_CLIENT] =
        (struct pollfd){.fd = client->in, .events = split ? (short)(events & POLLIN) : events};
    fds[FD_OTHER] = (struct pollfd){.fd = other->in, .events = events_at(relay, other)};
    fds[FD_OUTPUT] = (struct pollfd){.fd = client->out, .events = (short)(events & POLLOUT)};
    if (fds[FD_CLIENT].events == 0 && (client->hung || split))
        fds[FD_CLIENT].fd = -1;
    if (fds[FD_OTHER].events == 0 && other->hung)
        fds[FD_OTHER].fd = -1;
}

/* Lets the flows go on that waited for this. True if one did. */
static bool
wake_flows(struct relay *relay, const struct relay_end *end, short revents)
{
    bool any = false;

    if (revents == 0)
        return true;
    for (int i = 0; i < 2; i++) {
        struct relay_flow *flow = &relay->flows[i];
        if (flow->done || flow->waits_at != end)
            continue;
        any = true;
        if (revents & (flow->events | POLLERR | POLLHUP | POLLRDHUP | POLLNVAL))
            flow->waits_at = NULL;
    }
    return any;
}

static int
socket_error(const struct relay_end *end)
{
    int error = 0;
    socklen_t size = sizeof(error);

    return getsockopt(end->in, SOL_SOCKET, SO_ERROR, &error, &size) < 0 ? errno : error;
}

/* This end is gone, though nobody waits for it. What it has sent before is passed on. */
static int
on_hang_up(struct relay_end *end, struct relay_flow *from, struct relay_flow *to, short revents)
{
    int error = revents & POLLERR ? -socket_error(end) : 0;

    end->hung = true;
    if (revents & POLLNVAL)
        error = -EBADF;
    if (error < 0)
        return end->error = error;
    if (!from->done)
        return 0;
    if (end->request != NULL)
        return end->error = -EPIPE; /* nobody is left who could read */
    relay_flow_give_up(to);
    return 0;
}

static int
note_events(struct relay *relay, const struct pollfd fds[FDS])
{
    const short gone = POLLERR | POLLHUP | POLLNVAL;
    short seen = (short)(fds[FD_CLIENT].fd >= 0 ? fds[FD_CLIENT].revents : 0);
    short other = (short)(fds[FD_OTHER].fd >= 0 ? fds[FD_OTHER].revents : 0);
    int error = 0;

    if (fds[FD_OUTPUT].events != 0 && relay->client.out != relay->client.in)
        seen = (short)(seen | fds[FD_OUTPUT].revents);
    if (!wake_flows(relay, &relay->client, seen) && (seen & gone))
        error = on_hang_up(&relay->client, &relay->flows[0], &relay->flows[1], seen);
    if (error == 0 && !wake_flows(relay, &relay->other, other) && (other & gone))
        error = on_hang_up(&relay->other, &relay->flows[1], &relay->flows[0], other);
    return error;
}

/* Until one of the flows can go on. */
static int
wait_for_both(struct relay *relay)
{
    struct ss_request *request = relay->request;
    bool split = relay->client.out != relay->client.in;
    struct pollfd fds[FDS];

    if (relay->moved || relay->until == 0) {
        relay->until = wait_until(request, relay->idle);
        relay->moved = false;
    }
    choose_fds(relay, fds);
    request_enter(request, STAGE_WAITING);
    int result = request->server->mixin->wait_both(
        request, fds, split && fds[FD_OUTPUT].events != 0 ? 3 : 2, relay->until);
    request_enter(request, STAGE_HANDLING);
    if (result > 0)
        return note_events(relay, fds);
    if (result < 0)
        return result;
    if (relay->until != FOREVER && monotonic_now() < relay->until)
        return 0; /* too early */
    int error = wait_over(request, relay->until);
    request->idle = error == 0;
    return error < 0 ? error : -ETIMEDOUT;
}

/* ---- all of it ------------------------------------------------------------------------------ */

static int
run_flow(struct relay_flow *flow)
{
    struct ss_request *request = flow->request;
    const struct mixin *mixin = request->server->mixin;

    for (int i = 0; i < IN_A_ROW && !flow->done && flow->waits_at == NULL; i++) {
        int result = step(flow);
        if (result < 0)
            return result;
        if (result == MOVED && mixin->pace != NULL)
            mixin->pace(request);
    }
    return 0;
}

/* Whether a flow can go on without a wait; it may wait for no more than its turn, then too. */
static bool
can_go_on(struct relay *relay)
{
    bool any = false;

    for (int i = 0; i < 2; i++) {
        struct relay_flow *flow = &relay->flows[i];
        if (flow->waits_at != NULL && flow->events == 0)
            flow->waits_at = NULL;
        any = any || (!flow->done && flow->waits_at == NULL);
    }
    return any;
}

static int
run(struct relay *relay)
{
    int error = 0;

    while (error == 0 && !(relay->flows[0].done && relay->flows[1].done)) {
        error = run_flow(&relay->flows[0]);
        if (error == 0)
            error = run_flow(&relay->flows[1]);
        if (error < 0 || (relay->flows[0].done && relay->flows[1].done))
            break;
        if (!can_go_on(relay))
            error = wait_for_both(relay);
        else if (request_is_cut(relay->request))
            error = -ECANCELED;
    }
    return error;
}

/* What the plugin's reads would have got first. */
static int
take_over_input(struct relay *relay)
{
    struct input *input = &relay->request->input;
    struct relay_flow *flow = &relay->flows[0];

    input_restore(input);
    flow->ended = relay->request->ended;
    flow->end = input->end - input->start;
    if (flow->end > 0) {
        flow->held = malloc(flow->end);
        if (flow->held == NULL)
            return -ENOMEM;
        memcpy(flow->held, input->data + input->start, flow->end);
    }
    input->start = input->end = 0;
    return 0;
}

static void
set_up(struct relay *relay, struct ss_request *request, double idle)
{
    const struct transport *transport = request->server->transport;

    *relay = (struct relay){
        .request = request,
        .idle = idle,
        .client = {.calls = &relay_client,
                   .request = request,
                   .in = request->fd,
                   .out = request->output_fd,
                   .sealed = transport->sealed},
        .flows = {{.from = &relay->client, .to = &relay->other},
                  {.from = &relay->other, .to = &relay->client}},
    };
    for (int i = 0; i < 2; i++) {
        relay->flows[i].relay = relay;
        relay->flows[i].request = request;
        relay->flows[i].pipe[0] = relay->flows[i].pipe[1] = -1;
        relay->flows[i].unsplit = !transport->direct;
    }
}

/* Whose failure it was decides what the request ends with. */
static int
judge(struct relay *relay, int error)
{
    struct ss_request *request = relay->request;

    request->ended = relay->flows[0].ended || request->ended;
    if (error < 0 && request_is_cut(request))
        return -ECANCELED;
    if (error < 0 && relay->other.error == error) {
        request->broken = true;
        errno = -error;
        return -EREMOTEIO;
    }
    if ((error == -EPIPE && !request->shut) || error == -ECONNRESET)
        request->vanished = true;
    return error;
}

static int
relay_run(struct relay *relay)
{
    struct ss_request *request = relay->request;
    const struct mixin *mixin = request->server->mixin;
    int error = output_flush(request);

    if (error == 0)
        error = take_over_input(relay);
    buffers_release(request);
    if (error == 0)
        error = run(relay);
    if (mixin->leave_other != NULL)
        mixin->leave_other(request, relay->other.in);
    error = judge(relay, error);
    int cause = errno;
    for (int i = 0; i < 2; i++) {
        free(relay->flows[i].held);
        relay_pipe_drop(&relay->flows[i]);
    }
    relay_ends_restore(relay);
    errno = cause;
    return error;
}

int
ss_relay_stream(struct ss_request *request, const struct ss_stream *stream, double idle)
{
    struct relay relay;

    if (stream->size != sizeof(*stream) || stream->fd < 0)
        return -EINVAL;
    if (request->server->transport->receive_now == NULL)
        return -ENOTSUP;
    if (request->fd < 0)
        return -EBADF;
    set_up(&relay, request, idle);
    relay.other = (struct relay_end){.calls = &relay_stream,
                                     .stream = stream,
                                     .in = stream->fd,
                                     .out = stream->fd,
                                     .sealed = true};
    relay.flows[0].unsplit = relay.flows[1].unsplit = true;
    return relay_run(&relay);
}

int
ss_relay(struct ss_request *request, int fd, double idle)
{
    struct relay relay;
    int type;
    socklen_t size = sizeof(type);

    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0)
        return -errno;
    if (type != SOCK_STREAM || request->server->transport->receive_now == NULL)
        return -ENOTSUP;
    if (request->fd < 0)
        return -EBADF;
    set_up(&relay, request, idle);
    relay.other = (struct relay_end){.calls = &relay_socket, .in = fd, .out = fd};
    return relay_run(&relay);
}
