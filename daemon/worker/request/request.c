/* SPDX-License-Identifier: MIT */
/*
 * request.c - the life of one request
 *
 * Python's pipeline, in Python's order: get_request, the gates, verify_request,
 * process_request (that is the mixin, which brought us here), finish_request
 * (setup, handle, finish), handle_error if something failed, shutdown_request,
 * close_request. While serving, no other file calls plugin code, except
 * for the hooks of the server as a whole (server.c, worker.c).
 *
 * Runs in:  a serving context of a worker.
 * Owns:     the context's request and its buffers; the connection, from
 *           request_get() until request_process() returns.
 * Failures: logged here, once, or given to the plugin's handle_error. Only
 *           this client is affected.
 */
#include "worker/request/request.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "common/address.h"
#include "common/clock.h"
#include "worker/request/mixin.h"
#include "worker/request/transport.h"
#include "worker/request/turned_away.h"

_Thread_local struct ss_request *request_current;

static const char *const reason_texts[] = {
    [CLOSE_DONE] = "done",
    [CLOSE_REFUSED] = "refused",
    [CLOSE_FAILED] = "failed",
    [CLOSE_VANISHED] = "client went away",
    [CLOSE_IDLE] = "idle for too long",
    [CLOSE_UNSENT] = "answer dropped, its receiver does not read",
    [CLOSE_CUT] = "cut by the drain's deadline",
    [CLOSE_OVERTIME] = "request_timeout is over",
    [CLOSE_SPUN] = "spin_limit is over",
    [CLOSE_ABANDONED] = "abandoned by its handler",
    [CLOSE_ASIDE] = "no client",
};

bool
request_is_cut(const struct ss_request *request)
{
    return server_phase(request->server) == PHASE_CUT || slot_is_cancelled(request->slot);
}

bool
request_leaves(const struct ss_request *request)
{
    const struct ss_server *server = request->server;

    return counter_get(request->slot->leaves) != 0 &&
           (server_phase(server) >= PHASE_DRAINING || server->terminated);
}

/* ---- the context's request ------------------------------------------------ */

void
request_init(struct ss_request *request, struct ss_server *server, struct slot *slot,
             const char *kind, int number)
{
    *request = (struct ss_request){0};
    request->server = server;
    request->slot = slot;
    request->fd = request->output_fd = -1;
    request->wanted = POLLIN;
    request->kind = kind;
    request->context_number = number;
    if (slot != NULL)
        counters_use(server->counters, slot);
}

void
request_done(struct ss_request *request)
{
    free(request->input.data);
    request->input = (struct input){0};
    output_free(&request->output);
}

int
request_new(struct ss_server *server, struct slot *slot, const char *kind, int number,
            struct ss_request **ret)
{
    struct ss_request *request = malloc(sizeof(*request));

    if (request == NULL)
        return -ENOMEM;
    request_init(request, server, slot, kind, number);
    *ret = request;
    return 0;
}

void
request_free(struct ss_request *request)
{
    if (request == NULL)
        return;
    request_done(request);
    free(request);
}

/* ---- get_request ---------------------------------------------------------- */

/* Descriptors or memory ran out: said once, until it is over. */
void
request_note_starvation(struct ss_server *server, int error)
{
    if (atomic_exchange(&server->counters->starved, 1) == 0)
        log_warning("cannot accept: %s; pausing until there is room again (raise LimitNOFILE= or "
                    "lower max_connections if this lasts)",
                    strerror(-error));
}

static void
note_recovery(struct ss_server *server)
{
    if (counter_get(server->counters->starved) != 0 &&
        atomic_exchange(&server->counters->starved, 0) != 0)
        log_notice("accepting again");
}

int
request_try(struct ss_request *request)
{
    struct ss_server *server = request->server;

    /*
     * Sequentially consistent, as is the change of phase: either we see that a
     * drain began, or the housekeeping sees us idle and interrupts us.
     */
    atomic_store(&request->slot->state, SLOT_IDLE);
    if (!server_accepts(server) && (server->pending == 0 || server_phase(server) == PHASE_CUT))
        return -ECANCELED;
    if (server->mixin->hooks_between && atomic_load(&server->due) != 0)
        return -EINTR;
    int error = server->transport->get_request(request);
    switch (error) {
    case 0:
        request_take(request);
        note_recovery(server);
        return 0;
    case -EINTR:
    case -EAGAIN:
        return error;
    case -EMFILE:
    case -ENFILE:
    case -ENOBUFS:
    case -ENOMEM:
        request_note_starvation(server, error);
        return -ENOBUFS;
    case -EBADF:
    case -EINVAL:
    case -ENOTSOCK:
    case -EOPNOTSUPP:
        log_error("cannot accept: %s: the listening socket is broken", strerror(-error));
        return -EBADF;
    default:
        return -ECONNABORTED; /* that client's trouble (EPERM, a queued ICMP error ...) */
    }
}

/* Where the socket itself does not wait: see stream_prepare(). -EINTR when woken. */
static int
wait_for_socket(const struct ss_server *server)
{
    struct pollfd socket = {.fd = server->socket, .events = POLLIN};

    return poll(&socket, 1, -1) < 0 && errno == EINTR ? -EINTR : 0;
}

/*
 * Gives it its number. Whoever sees the slot busy or the new number sees the
 * new time, too, and does not take a request that has just begun for an old one.
 */
void
request_take(struct ss_request *request)
{
    struct slot *slot = request->slot;

    request->number = counter_add(request->server->counters->requests, 1) + 1;
    request->started = monotonic_now();
    counter_set(slot->started, request->started);
    atomic_store_explicit(&slot->request, request->number, memory_order_release);
    atomic_store_explicit(&slot->state, SLOT_BUSY, memory_order_release);
}

int
request_get(struct ss_request *request)
{
    static const struct timespec pause = {.tv_nsec = REQUEST_STARVED_PAUSE};

    counter_set(request->slot->stage, STAGE_NONE);
    for (;;) {
        int error = request_try(request);
        if (error == -EAGAIN) {
            if (wait_for_socket(request->server) == -EINTR)
                return -EINTR;
        } else if (error == -ENOBUFS) {
            (void)nanosleep(&pause, NULL);
        } else if (error != -ECONNABORTED) {
            return error;
        }
    }
}

/* ---- process_request -------------------------------------------------------- */

static void
begin(struct ss_request *request)
{
    struct ss_server *server = request->server;
    bool stream = server->transport->stream;

    request->deadline = server->settings.request_timeout > 0
                            ? request->started + (int64_t)(server->settings.request_timeout * 1e9)
                            : FOREVER;
    if (stream) {
        request->input.start = request->input.end = 0;
        request->bytes_in = 0;
        request->client.credentials_state = 0;
    }
    request->input.patched = false;
    output_reset(&request->output);
    request->ended = !stream; /* a datagram is all there at once */
    request->vanished = false;
    request->idle = false;
    request->failed = NULL;
    request->drained = false;
    request->filled = false;
    request->inode = 0;
    request->bytes_out = 0;
    request->error = 0;
    request->reason = CLOSE_DONE;
    request->data = NULL;
    request->client.name[0] = '\0';
    request->log = (struct log_context){.request = request->number};

    counter_set(request->slot->stage, STAGE_HANDLING);
    request_current = request;
    log_set_context(&request->log);
}

/* Says who the client is, and that it is one. */
static void
publish(struct ss_request *request)
{
    struct slot *slot = request->slot;

    memcpy(slot->client, &request->client.address, sizeof(slot->client));
    counter_bump(slot->accepted, 1);
    if (request->datagram.truncated)
        counter_bump(slot->truncated, 1);
}

/* A handler may ignore that a write has failed. */
static enum close_reason
judge_output(const struct ss_request *request)
{
    int error = request->output.error;

    if (error >= 0)
        return CLOSE_DONE;
    if (request->vanished && (error == -EPIPE || error == -ECONNRESET))
        return CLOSE_VANISHED;
    return error == -ETIMEDOUT ? CLOSE_IDLE : CLOSE_FAILED;
}

/* Why a setup or handle that returned an error did so. */
static enum close_reason
judge(const struct ss_request *request, int error)
{
    if (server_phase(request->server) == PHASE_CUT)
        return CLOSE_CUT;
    if (slot_is_cancelled(request->slot))
        return slot_spins(request->slot) ? CLOSE_SPUN : CLOSE_OVERTIME;
    if (error >= 0)
        return judge_output(request);
    if (error == -ECANCELED && server_phase(request->server) >= PHASE_DRAINING)
        return CLOSE_DONE; /* ss_wait_input() said so, and the handler passes it on */
    if ((error == -ECANCELED || error == -ETIMEDOUT) && monotonic_now() >= request->deadline)
        return CLOSE_OVERTIME;
    if (request->vanished && (error == -EPIPE || error == -ECONNRESET))
        return CLOSE_VANISHED;
    return request->idle && error == -ETIMEDOUT ? CLOSE_IDLE : CLOSE_FAILED;
}

/* Why a request ended that a gate did not let pass; request->refusal, if it was refused. */
static enum close_reason
judge_gate(struct ss_request *request, int error)
{
    enum close_reason reason = CLOSE_FAILED;

    if (request->refusal == NULL)
        reason = judge(request, error);
    if (reason != CLOSE_FAILED && reason != CLOSE_IDLE)
        return reason;
    if (request->refusal == NULL)
        request->refusal = &request->server->gates[request->gates_entered]->failed;
    return request->refusal->aside ? CLOSE_ASIDE : CLOSE_REFUSED;
}

/* Whether the request may go on. The slot still has the client before it. */
static bool
pass_gates(struct ss_request *request)
{
    memset(request->slot->client, 0, sizeof(request->slot->client));
    int error = gates_enter(request);
    if (error < 0) {
        request->reason = judge_gate(request, error);
        if (request->refusal != NULL && !request->refusal->polite)
            request->ended = true; /* nothing that it sends is waited for */
    }
    if (request->reason != CLOSE_ASIDE)
        publish(request);
    return error == 0;
}

/* Python's: setup; if it succeeded handle, and finish however handle ended. */
static void
finish_request(struct ss_request *request, const char **ret_failed)
{
    const struct plugin_hooks *hooks = &request->server->plugin.hooks;
    int error = hooks->setup != NULL ? hooks->setup(request) : 0;

    *ret_failed = "setup";
    if (error >= 0) {
        *ret_failed = "handle";
        error = hooks->handle(request);
        if (hooks->finish != NULL)
            hooks->finish(request);
    }
    request->error = error < 0 ? error : 0;
    request->reason = judge(request, error);
    if (request->reason == CLOSE_DONE)
        request->error = 0;
}

/* What no plugin is told of stands in the request's own line: see account(). */
static void
report_failure(struct ss_request *request, const char *failed)
{
    const struct plugin_hooks *hooks = &request->server->plugin.hooks;

    if (hooks->handle_error != NULL)
        hooks->handle_error(request, request->error);
    else if (request->reason == CLOSE_FAILED)
        request->failed = failed;
}

bool
request_owns_fd(const struct ss_request *request)
{
    struct stat status;

    if (request->inode == 0)
        return request->fd >= 0;
    return fstat(request->fd, &status) == 0 && status.st_ino == request->inode &&
           status.st_dev == request->device;
}

/* A handler may have closed the connection itself. */
static bool
handler_closed(struct ss_request *request)
{
    if (!request->server->transport->stream || request_owns_fd(request))
        return false;
    request->fd = request->output_fd = -1;
    return true;
}

static void
dispose(struct ss_request *request)
{
    const struct transport *transport = request->server->transport;

    input_restore(&request->input);
    if (handler_closed(request))
        return;
    if (request->server->access)
        (void)ss_client_name(request); /* a Unix peer is known only while it is connected */
    (void)output_flush(request);       /* the client may be gone, and need not be told */
    if (request->reason == CLOSE_DONE)
        request->reason = judge_output(request);
    counter_set(request->slot->stage, STAGE_WRITING);
    transport->shutdown_request(request);
    transport->close_request(request);
}

/* The refusal's own counter and warnings, if it was a gate's that has them. */
static void
count_refusal(struct ss_request *request)
{
    const struct refusal *refusal = request->server->gate_count > 0 ? request->refusal : NULL;

    if (refusal == NULL || refusal->counter == 0)
        return;
    _Atomic uint64_t *counter = (void *)((char *)request->slot + refusal->counter);
    counter_bump(*counter, 1);
    if (refusal->warnings != NULL)
        turned_away_note(request);
}

static void
count(struct ss_request *request, int64_t now)
{
    struct slot *slot = request->slot;

    switch (request->reason) {
    case CLOSE_REFUSED:
        counter_bump(slot->refused, 1);
        count_refusal(request);
        break;
    case CLOSE_FAILED:
    case CLOSE_ABANDONED:
        counter_bump(slot->failed, 1);
        break;
    case CLOSE_VANISHED:
        counter_bump(slot->vanished, 1);
        break;
    case CLOSE_IDLE:
        counter_bump(slot->idle_ended, 1);
        break;
    case CLOSE_UNSENT:
        counter_bump(slot->unsent, 1);
        break;
    case CLOSE_CUT:
    case CLOSE_OVERTIME:
    case CLOSE_SPUN:
        counter_bump(slot->cut, 1);
        break;
    case CLOSE_DONE:
    case CLOSE_ASIDE:
        break;
    }
    counter_bump(slot->bytes_in, request->bytes_in);
    counter_bump(slot->bytes_out, request->bytes_out);
    counter_bump(slot->busy_ns, (uint64_t)(now - request->started));
    counters_note_time(request->server->counters, slot, (uint64_t)(now - request->started));
}

/* "refused: REASON", if that was a gate; "HOOK failed: ERROR", if nobody else tells of it. */
static const char *
reason_text(const struct ss_request *request, char *buffer, size_t size)
{
    const char *text = reason_texts[request->reason];

    if (request->failed != NULL)
        (void)snprintf(buffer, size, "%s failed: %s", request->failed, strerror(-request->error));
    else if (request->reason == CLOSE_REFUSED && request->refusal != NULL)
        (void)snprintf(buffer, size, "%s: %s", text, request->refusal->reason);
    else
        return text;
    return buffer;
}

static void
log_access(struct ss_request *request, int level, int64_t now)
{
    double milliseconds = (double)(now - request->started) / 1e6;
    char in[48], out[48], duration[48], reason[160], buffer[128];

    const char *text = reason_text(request, buffer, sizeof(buffer));
    const char *client = ss_client_name(request);
    (void)snprintf(in, sizeof(in), "SOCKSERVERD_BYTES_IN=%lu", request->bytes_in);
    (void)snprintf(out, sizeof(out), "SOCKSERVERD_BYTES_OUT=%lu", request->bytes_out);
    (void)snprintf(duration, sizeof(duration), "SOCKSERVERD_DURATION_MS=%.3f", milliseconds);
    (void)snprintf(reason, sizeof(reason), "SOCKSERVERD_REASON=%s", text);
    log_event(level, (const char *const[]){in, out, duration, reason, NULL},
              "%s: %s, %lu bytes in, %lu bytes out, %.3f ms%s", client, text, request->bytes_in,
              request->bytes_out, milliseconds,
              request->datagram.truncated ? ", datagram cut to max_packet_size" : "");
}

/* Counts it and tells of it, unless it was no client. */
static void
account(struct ss_request *request)
{
    int64_t now = monotonic_now();

    counter_set(request->slot->ended, now);
    if (request->reason == CLOSE_ASIDE)
        return;
    count(request, now);
    if (request->error < 0 && request->reason == CLOSE_DONE)
        log_warning("%s: cannot answer: %s", ss_client_name(request), strerror(-request->error));
    int level = request->failed != NULL ? LOG_ERR : LOG_INFO;
    if (!log_enabled(level))
        return;
    if (request->server->access)
        log_access(request, level, now);
    else if (request->failed != NULL)
        log_error("%s: %s failed: %s", ss_client_name(request), request->failed,
                  strerror(-request->error));
    else if (request->reason == CLOSE_VANISHED || request->reason == CLOSE_IDLE)
        log_info("%s: %s", ss_client_name(request), reason_texts[request->reason]);
}

static void
end(struct ss_request *request)
{
    account(request);
    request_current = NULL;
    log_set_context(NULL);
}

/* All that the plugin does for it. */
static void
run_hooks(struct ss_request *request)
{
    const struct plugin_hooks *hooks = &request->server->plugin.hooks;
    const char *failed;

    if (hooks->verify_request != NULL && !hooks->verify_request(request)) {
        request->reason = CLOSE_REFUSED;
        return;
    }
    finish_request(request, &failed);
    if (request->reason == CLOSE_FAILED || request->error == -ETIMEDOUT)
        report_failure(request, failed);
}

void
request_process(struct ss_request *request)
{
    bool gated = request->server->gate_count > 0;

    begin(request);
    if (!gated) {
        publish(request);
        run_hooks(request);
    } else if (pass_gates(request)) {
        run_hooks(request);
    }
    dispose(request);
    if (gated)
        gates_leave(request);
    end(request);
    buffers_shrink(request);
}

void
request_abandon(struct ss_request *request)
{
    if (request_current == NULL)
        return;
    request->reason = CLOSE_ABANDONED;
    log_error("%s: the handler ended its thread; its connection is closed",
              ss_client_name(request));
    if (!handler_closed(request)) {
        request->server->transport->shutdown_request(request);
        request->server->transport->close_request(request);
    }
    gates_leave(request);
    end(request);
}
