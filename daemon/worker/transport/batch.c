/* SPDX-License-Identifier: MIT */
/*
 * batch.c - datagrams received and answered many at a time
 *
 * Replies are held only while handlers are quick, so that a slow one keeps no
 * earlier client waiting for long, and never beyond the batch. A reply that
 * could not be sent is counted, as its request is over by then.
 *
 * Runs in:  the one serving context of a worker under "none", the one event
 *           loop under "coroutine".
 * Owns:     the buffers, for the life of the worker; pages that no datagram
 *           has touched cost nothing.
 * Failures: returned by batch_next(); those of replies are counted or logged.
 */
#include "worker/transport/batch.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "worker/request/mixin.h"
#include "worker/request/request.h"
#include "worker/request/source.h"
#include "worker/transport/ancillary.h"
#include "worker/transport/unread.h"

#define BATCH       32
#define HOLD_NS     1000000 /* after so long the handlers are not quick */
#define REPLIES_MAX 65536   /* bytes held */

struct envelope {
    struct sockaddr_storage address;
    union ancillary control;
    struct iovec part;
};

/* It is allocated: in workers without datagrams it would be five pages, and a mapping to fork. */
static struct batch {
    char *data; /* BATCH datagrams, and the replies behind them */
    struct envelope received[BATCH], held[BATCH];
    struct mmsghdr in[BATCH], out[BATCH];
    unsigned count, held_count;
    size_t held_size;
    int64_t received_at;
} * batch;

/* From one datagram to the next: an odd cache line further, so that all do not fall on the same. */
static size_t
stride(const struct ss_server *server)
{
    return ((size_t)server->settings.max_packet_size / 128 * 128) + 128 + 64;
}

static char *
replies(const struct ss_server *server)
{
    return batch->data + BATCH * stride(server);
}

/* Sets right what the last batch has changed. */
static void
prepare(const struct ss_server *server, unsigned count)
{
    size_t size = (size_t)server->settings.max_packet_size;

    for (unsigned i = 0; i < count; i++) {
        struct envelope *envelope = &batch->received[i];
        envelope->part =
            (struct iovec){.iov_base = batch->data + i * stride(server), .iov_len = size};
        batch->in[i].msg_hdr = (struct msghdr){
            .msg_name = &envelope->address,
            .msg_namelen = sizeof(envelope->address),
            .msg_iov = &envelope->part,
            .msg_iovlen = 1,
            .msg_control = &envelope->control,
            .msg_controllen = sizeof(envelope->control),
        };
    }
}

static int
allocate(const struct ss_server *server)
{
    struct batch *made = calloc(1, sizeof(*made));
    char *data = malloc(BATCH * stride(server) + REPLIES_MAX);

    if (made == NULL || data == NULL) {
        free(made);
        free(data);
        return -ENOMEM;
    }
    made->data = data;
    made->count = BATCH; /* none of them is right yet */
    batch = made;
    return 0;
}

static int
receive(struct ss_server *server)
{
    if (batch == NULL && allocate(server) < 0)
        return -ENOMEM;
    prepare(server, batch->count);
    int flags = server->mixin->blocking ? MSG_WAITFORONE : MSG_DONTWAIT;
    int got = recvmmsg(server->socket, batch->in, server->once ? 1 : BATCH,
                       flags | MSG_CMSG_CLOEXEC, NULL);
    if (got < 0)
        return -errno;
    batch->count = server->pending = (unsigned)got;
    if (got > 1)
        batch->received_at = monotonic_now();
    return 0;
}

ssize_t
batch_next(struct ss_server *server, struct msghdr **ret_message)
{
    if (server->pending == 0) {
        int error = receive(server);
        if (error < 0)
            return error;
    }
    struct mmsghdr *next = &batch->in[batch->count - server->pending];
    server->pending--;
    *ret_message = &next->msg_hdr;
    return next->msg_len;
}

/* Sends one reply to a receiver without room. The socket's own time limit ends the wait. */
static bool
wait_for_reader(struct ss_server *server, const struct msghdr *reply)
{
    if (!server->mixin->blocking || !unread_patient(server))
        return false;
    if (sendmsg(server->socket, reply, MSG_NOSIGNAL) >= 0)
        return true;
    unread_note(server);
    return false;
}

/*
 * The kernel refused this one, whose request was counted as done. Whether it
 * shall be tried again: without its source, when that was a broadcast address
 * or is gone.
 */
static bool
try_again(struct ss_server *server, struct msghdr *reply, int error)
{
    struct slot *slot = &server->counters->slots[0];

    if ((error == EINVAL || error == EADDRNOTAVAIL) && reply->msg_controllen > 0) {
        reply->msg_control = NULL;
        reply->msg_controllen = 0;
        return true;
    }
    if (error == EINTR)
        return server_phase(server) != PHASE_CUT;
    if (error == ECONNREFUSED || error == ENOENT || error == ENOTCONN) {
        counter_bump(slot->vanished, 1);
    } else if (error == EAGAIN) {
        if (wait_for_reader(server, reply))
            return false;
        counter_bump(slot->unsent, 1);
        unread_warn(server);
    } else if (error == EACCES) {
        counter_bump(slot->refused, 1);
        source_warn(server, SOURCE_IS_BROADCAST, reply->msg_name, reply->msg_namelen);
    } else {
        counter_bump(slot->failed, 1);
        log_warning("a reply was not sent: %s", strerror(error));
    }
    return false;
}

static void
send_held(struct ss_server *server)
{
    unsigned sent = 0;

    while (sent < batch->held_count) {
        int result = sendmmsg(server->socket, batch->out + sent, batch->held_count - sent,
                              MSG_NOSIGNAL | MSG_DONTWAIT);
        if (result > 0)
            sent += (unsigned)result;
        else if (!try_again(server, &batch->out[sent].msg_hdr, errno))
            sent++;
    }
    batch->held_count = 0;
    batch->held_size = 0;
}

static void
hold(const struct ss_server *server, const struct msghdr *reply)
{
    struct envelope *envelope = &batch->held[batch->held_count];
    size_t size = reply->msg_iov->iov_len;

    memcpy(&envelope->address, reply->msg_name, reply->msg_namelen);
    if (reply->msg_controllen > 0)
        memcpy(&envelope->control, reply->msg_control, reply->msg_controllen);
    envelope->part = (struct iovec){
        .iov_base = memcpy(replies(server) + batch->held_size, reply->msg_iov->iov_base, size),
        .iov_len = size,
    };
    batch->out[batch->held_count].msg_hdr = (struct msghdr){
        .msg_name = &envelope->address,
        .msg_namelen = reply->msg_namelen,
        .msg_iov = &envelope->part,
        .msg_iovlen = 1,
        .msg_control = reply->msg_controllen > 0 ? &envelope->control : NULL,
        .msg_controllen = reply->msg_controllen,
    };
    batch->held_count++;
    batch->held_size += size;
}

bool
batch_hold(const struct ss_request *request, const struct msghdr *reply)
{
    struct ss_server *server = request->server;

    if (batch->count < 2)
        return false;
    if (batch->held_size + reply->msg_iov->iov_len > REPLIES_MAX)
        send_held(server);
    hold(server, reply);
    if (request->started - batch->received_at > HOLD_NS)
        send_held(server);
    return true;
}

void
batch_end(struct ss_server *server)
{
    if (server->pending == 0)
        batch_flush(server);
}

void
batch_flush(struct ss_server *server)
{
    if (batch != NULL && batch->held_count > 0)
        send_held(server);
}
