/* SPDX-License-Identifier: MIT */
/*
 * tls.c - requests that are connections with TLS
 *
 * The module encrypts; this file waits. A handshake runs in the request's own
 * context, as its last gate, so one that stalls holds up nobody else. What a PROXY
 * header's gate has received too much goes to TLS first.
 *
 * A context never waits, nor lets others run, while OpenSSL is on its stack: the
 * module's calls return before. Where waiting is the thread's own, its receives
 * block as those of a plain connection do.
 *
 * Runs in:  a serving context of a worker.
 * Owns:     the session, from open_request until close_request; the connection
 *           as stream.c does.
 * Failures: returned. A failed handshake is a refusal.
 */
#include "worker/transport/tls.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/probes.h"
#include "worker/request/gate.h"
#include "worker/request/mixin.h"
#include "worker/request/request.h"
#include "worker/request/source_limit.h"
#include "worker/request/wait.h"
#include "worker/tls/module.h"
#include "worker/transport/stream.h"
#include "worker/transport/transports.h"

#define RECEIVES_AT_ONCE 2 /* a record may come in two parts */

struct tls_connection {
    struct tls_session *session;
    int error;      /* of the last receive or send on the wire; 0: it succeeded */
    int broken;     /* by this error of a receive, which the kernel tells once; 0: it is not */
    bool open;      /* the handshake is done */
    bool may_block; /* a receive on the wire may wait */
    bool filled;    /* the last one used all its room */
    int receives;   /* on the wire, that the module's present call may still make */
    bool spent;     /* it would have made more, and there may be more bytes */
    bool goodbye;   /* the client has been told that nothing more will come */
    int64_t begun;  /* when the record began that has not come whole; 0: there is none */
    double setting; /* for so long, in seconds; 0: for ever */
    char *early;    /* bytes that were received before TLS began; or NULL */
    size_t early_start, early_end;
};

static const struct refusal handshake_failed = {
    .reason = "handshake",
    .counter = offsetof(struct slot, handshakes_failed),
    .warnings = &tls_service.failed,
    .because = "as the TLS handshake failed",
    .polite = true, /* the alert that says why shall arrive */
};

/* ---- bytes on the wire, for the module --------------------------------------------- */

static size_t
take_early(struct tls_connection *tls, void *buffer, size_t size)
{
    size_t left = tls->early_end - tls->early_start;
    size_t taken = size < left ? size : left;

    memcpy(buffer, tls->early + tls->early_start, taken);
    tls->early_start += taken;
    if (tls->early_start == tls->early_end) {
        free(tls->early);
        tls->early = NULL;
    }
    return taken;
}

ssize_t
tls_receive_bytes(void *connection, void *buffer, size_t size)
{
    struct ss_request *request = connection;
    struct tls_connection *tls = request->tls;

    if (tls->early != NULL)
        return (ssize_t)take_early(tls, buffer, size);
    if (tls->broken < 0)
        return tls->error = tls->broken;
    if (tls->receives == 0) {
        tls->spent = true;
        return tls->error = -EAGAIN;
    }
    tls->receives--;
    ssize_t got = stream_take(request, buffer, size, tls->may_block, tls->setting);
    if (got == -ECONNRESET || got == -EPIPE)
        tls->broken = (int)got;
    tls->error = got < 0 ? (int)got : 0;
    tls->filled = got > 0 && (size_t)got == size;
    return got;
}

ssize_t
tls_send_bytes(void *connection, const void *bytes, size_t size)
{
    struct ss_request *request = connection;
    struct iovec part = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = size};
    int broken = request->tls->broken;
    ssize_t sent = broken < 0 ? broken : stream_put(request, &part, 1);

    request->tls->error = sent < 0 ? (int)sent : 0;
    return sent;
}

/* ---- waiting ------------------------------------------------------------------------ */

/*
 * How the next receives on the wire wait: as long as the setting says, if the mixin
 * blocks. There are few of them: a client can send records without end that hold
 * nothing for the handler (new keys, for example), and others wait meanwhile.
 */
static void
let_block(struct ss_request *request, bool may, double setting)
{
    request->tls->may_block = may && request->server->mixin->blocking;
    request->tls->setting = setting;
    request->tls->error = 0;
    request->tls->receives = RECEIVES_AT_ONCE;
    request->tls->spent = false;
}

/* After a call that spent its receives: the others' turn. What the socket holds has been announced
 * before, and would not be again. */
static int
take_turns(struct ss_request *request)
{
    if (wait_limit(request, 0) < 0)
        return -ETIMEDOUT;
    int error = request->server->mixin->wait(request, -1, 0, 0);
    return error < 0 ? error : 0;
}

/* The failure of a call of the module: the wire's own, if it was that. */
static int
failure(const struct ss_request *request, int error)
{
    if (request->tls->broken < 0)
        return request->tls->broken;
    return request->tls->error != 0 ? request->tls->error : error;
}

/* ---- the handshake ------------------------------------------------------------------ */

/* Every handshake that fails is refused here, and nowhere else. */
static int
refuse(struct ss_request *request, const char *why)
{
    return gate_refuse_for(request, &handshake_failed, why);
}

/* Bytes behind a PROXY header are the beginning of the handshake. */
static int
take_over_input(struct ss_request *request)
{
    struct tls_connection *tls = request->tls;
    struct input *input = &request->input;
    size_t size = input->end - input->start;

    if (size == 0)
        return 0;
    tls->early = malloc(size);
    if (tls->early == NULL)
        return -ENOMEM;
    memcpy(tls->early, input->data + input->start, size);
    tls->early_end = size;
    input->start = input->end = 0;
    request->bytes_in -= size;
    return 0;
}

static int
begin(struct ss_request *request)
{
    request->tls = calloc(1, sizeof(*request->tls));
    if (request->tls == NULL)
        return -ENOMEM;
    int error =
        tls_service.module->session_new(tls_service.context, request, &request->tls->session);
    return error < 0 ? error : take_over_input(request);
}

static int
shake_hands(struct ss_request *request)
{
    short wanted = POLLIN;
    int error;

    for (;;) {
        let_block(request, true, 0);
        error = tls_service.module->handshake(request->tls->session, &wanted);
        if (error == 0 || error == -EPROTO || error == -ECONNABORTED)
            return error;
        error = failure(request, error);
        if (error == -EAGAIN)
            error = request->tls->spent ? take_turns(request)
                                        : wait_io(request, request->fd, wanted, 0);
        if (error < 0)
            return error;
        request_moved(request);
    }
}

static int
tls_open_request(struct ss_request *request)
{
    int64_t last = request->deadline;

    gate_limit(request, request->server->settings.tls.handshake_timeout);
    request_enter(request, STAGE_READING);
    int error = begin(request);
    if (error == 0)
        error = shake_hands(request);
    PROBE(tls__handshake, request->server->settings.name, request->number, error);
    request_enter(request, STAGE_HANDLING);
    if (error == -EPROTO)
        source_penalise(request, PENALTY_HANDSHAKE);
    if (error == -EPROTO || error == -ECONNABORTED)
        return refuse(request, tls_service.module->failure(request->tls->session));
    if (error == -ENOMEM)
        return refuse(request, "out of memory");
    if (error == -ETIMEDOUT && monotonic_now() < last) {
        source_penalise(request, PENALTY_HANDSHAKE);
        return refuse(request, "it took longer than tls.handshake_timeout");
    }
    if (error < 0)
        return error;
    request->tls->open = true;
    /* What followed the handshake may have been received with it, where no poll() finds it. */
    request->drained = request->filled = false;
    request->wanted = 0;
    return 0;
}

static int
tls_get_request(struct ss_request *request)
{
    request->tls = NULL;
    request->truncated = false;
    request->wanted = POLLIN;
    return stream_get_request(request);
}

/* ---- its bytes ---------------------------------------------------------------------- */

/* What to wait for before the next receive, after one that gave something. */
static short
wanted_next(const struct ss_request *request)
{
    const struct tls_connection *tls = request->tls;

    return tls->filled || tls_service.module->holds(tls->session) ? 0 : POLLIN;
}

/*
 * A record holds nothing for the handler until it is there as a whole. One that comes
 * byte by byte is as slow as a line that does: it must end within message_timeout.
 */
static int
bound_record(struct ss_request *request)
{
    struct tls_connection *tls = request->tls;
    double limit = request->server->settings.message_timeout;

    if (limit == 0 || !tls_service.module->holds(tls->session)) {
        tls->begun = 0;
        return -EAGAIN;
    }
    int64_t now = monotonic_now();
    if (tls->begun == 0)
        tls->begun = now;
    if ((double)(now - tls->begun) / 1e9 < limit)
        return -EAGAIN;
    request->slow = true;
    return -ETIMEDOUT;
}

static ssize_t
tls_receive(struct ss_request *request, void *buffer, size_t size)
{
    struct tls_connection *tls = request->tls;

    if (tls == NULL) /* a gate reads what comes before TLS */
        return stream_receive(request, buffer, size);
    let_block(request, true, request->read_timeout);
    ssize_t got = tls_service.module->read(tls->session, buffer, size, &request->wanted);
    if (got > 0) {
        tls->begun = 0;
        request->wanted = wanted_next(request);
        stream_let_others_run(request);
        return got;
    }
    if (request_is_cut(request))
        return -ECANCELED;
    if (got == 0 && tls->broken == 0) {
        request->truncated = tls_service.module->truncated(tls->session);
        return 0;
    }
    got = failure(request, (int)got);
    if (got == -EAGAIN) {
        tls_service.module->rest(tls->session);
        got = bound_record(request);
    }
    if (got == -EAGAIN && tls->spent) {
        int error = take_turns(request);
        request->wanted = 0; /* there may be more */
        got = error < 0 ? error : -EAGAIN;
    }
    return got;
}

static int
tls_ready(struct ss_request *request)
{
    if (request->tls == NULL) {
        request->wanted = POLLIN;
        return recv(request->fd, &(char){0}, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 || errno != EAGAIN;
    }
    let_block(request, false, 0);
    return tls_service.module->ready(request->tls->session, &request->wanted) ||
           request->tls->spent;
}

static int
write_all(struct ss_request *request, const char *bytes, size_t size)
{
    short wanted = POLLOUT;

    let_block(request, false, 0);
    while (size > 0) {
        ssize_t put = tls_service.module->write(request->tls->session, bytes, size, &wanted);
        int error = put < 0 ? failure(request, (int)put) : 0;
        if (error == -EAGAIN)
            error = wait_io(request, request->fd, wanted, request->write_timeout);
        if (error < 0)
            return error;
        if (put < 0)
            continue;
        request->bytes_out += (uint64_t)put;
        bytes += put;
        size -= (size_t)put;
        stream_let_others_run(request);
    }
    return 0;
}

/* Each part would be a record of its own, and a send. What is gathered and the beginning of what
 * follows it go together, as far as one record holds them. */
static int
write_joined(struct ss_request *request, struct iovec *first, struct iovec *second)
{
    size_t room = TLS_RECORD_SIZE - first->iov_len % TLS_RECORD_SIZE;
    size_t more = second->iov_len < room ? second->iov_len : room;
    _cleanup_free_ char *joined = malloc(first->iov_len + more);

    if (joined == NULL)
        return write_all(request, first->iov_base, first->iov_len);
    memcpy(joined, first->iov_base, first->iov_len);
    memcpy(joined + first->iov_len, second->iov_base, more);
    second->iov_base = (char *)second->iov_base + more;
    second->iov_len -= more;
    return write_all(request, joined, first->iov_len + more);
}

static int
tls_transmit(struct ss_request *request, struct iovec *parts, int count)
{
    int error = 0;

    for (int i = 0; i < count && error == 0; i++)
        error = i + 1 < count ? write_joined(request, &parts[i], &parts[i + 1])
                              : write_all(request, parts[i].iov_base, parts[i].iov_len);
    return error;
}

/* The module's call has failed with -EAGAIN of its own, or of the wire's. 0 as *ret_wanted: it was
 * only the others' turn. */
static int
not_now(const struct ss_request *request, int error, short *ret_wanted)
{
    error = failure(request, error);
    if (error == -EAGAIN && request->tls->spent)
        *ret_wanted = 0;
    return error;
}

static ssize_t
tls_receive_now(struct ss_request *request, void *buffer, size_t size, short *ret_wanted)
{
    struct tls_connection *tls = request->tls;

    let_block(request, false, 0);
    ssize_t got = tls_service.module->read(tls->session, buffer, size, ret_wanted);
    if (got > 0)
        tls->begun = 0;
    if (got == 0)
        request->truncated = tls_service.module->truncated(tls->session);
    if (got > 0 || (got == 0 && tls->broken == 0))
        return got;
    int error = not_now(request, (int)got, ret_wanted);
    if (error != -EAGAIN)
        return error;
    tls_service.module->rest(tls->session);
    return bound_record(request);
}

static ssize_t
tls_send_now(struct ss_request *request, const void *bytes, size_t size, short *ret_wanted)
{
    let_block(request, false, 0);
    ssize_t put = tls_service.module->write(request->tls->session, bytes, size, ret_wanted);
    return put < 0 ? not_now(request, (int)put, ret_wanted) : put;
}

static int
tls_end_output(struct ss_request *request, short *ret_wanted)
{
    let_block(request, false, 0);
    int error = tls_service.module->goodbye(request->tls->session, ret_wanted);
    if (error < 0)
        return not_now(request, error, ret_wanted);
    request->tls->goodbye = true;
    return 0;
}

static bool
tls_describe(struct ss_request *request, struct ss_tls *ret)
{
    return request->tls->open && tls_service.module->describe(request->tls->session, ret);
}

/* ---- its end ------------------------------------------------------------------------ */

/* Says that nothing more will be written; a client that takes nothing is not waited for twice. What
 * a relay's other side has broken off shall not look complete. */
static void
say_goodbye(struct ss_request *request)
{
    short wanted = POLLOUT;

    if (!request->tls->open || request->tls->goodbye || request->output.error < 0 ||
        request->broken || request_is_cut(request))
        return;
    let_block(request, false, 0);
    while (tls_service.module->goodbye(request->tls->session, &wanted) == -EAGAIN &&
           request->tls->error == -EAGAIN)
        if (wait_io(request, request->fd, wanted, request->write_timeout) < 0)
            return;
}

static void
tls_shutdown_request(struct ss_request *request)
{
    struct tls_connection *tls = request->tls;
    bool unread = request->input.start < request->input.end;

    if (request->vanished)
        return;
    if (tls != NULL && tls->session != NULL) {
        say_goodbye(request);
        unread = unread || !tls->open || tls_service.module->holds(tls->session);
    }
    stream_end(request, unread);
}

static void
tls_close_request(struct ss_request *request)
{
    struct tls_connection *tls = request->tls;

    if (tls != NULL) {
        tls_service.module->session_free(tls->session);
        free(tls->early);
        free(tls);
        request->tls = NULL;
    }
    stream_close_request(request);
}

const struct transport tls_transport = {
    .stream = true,
    .sealed = true,
    .prepare = stream_prepare,
    .get_request = tls_get_request,
    .open_request = tls_open_request,
    .receive = tls_receive,
    .ready = tls_ready,
    .transmit = tls_transmit,
    .receive_now = tls_receive_now,
    .send_now = tls_send_now,
    .end_output = tls_end_output,
    .describe = tls_describe,
    .shutdown_request = tls_shutdown_request,
    .close_request = tls_close_request,
};
