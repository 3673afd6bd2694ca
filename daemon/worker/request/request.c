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
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "common/address.h"
#include "common/clock.h"
#include "common/probes.h"
#include "worker/request/mixin.h"
#include "worker/request/source_limit.h"
#include "worker/request/transport.h"
#include "worker/request/wake.h"

_Thread_local struct ss_request *request_current;

bool
request_is_cut(const struct ss_request *request)
{
    return server_phase(request->server) == PHASE_CUT || slot_is_cancelled(request->slot) ||
           request->over;
}

bool
server_ends(const struct ss_server *server)
{
    return server_phase(server) >= PHASE_DRAINING || counter_get(server->counters->emptying) != 0 ||
           server->terminated;
}

bool
request_is_aged(const struct ss_request *request)
{
    return request->aged != FOREVER && monotonic_now() >= request->aged;
}

/* When the request is as old as max_connection_age says, give or take a tenth: clients that came
 * at once shall not all return at once. */
static int64_t
age_limit(const struct ss_request *request)
{
    double age = request->server->settings.max_connection_age;
    uint64_t dice = request->number ^ (uint64_t)request->started; /* splitmix64 */

    if (age <= 0 || !request->server->transport->stream)
        return FOREVER;
    dice = (dice ^ (dice >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    dice = (dice ^ (dice >> 27)) * UINT64_C(0x94d049bb133111eb);
    double tenths = (double)(dice >> 11) / (double)(UINT64_C(1) << 53) * 2 - 1; /* -1 to 1 */
    return request->started + (int64_t)(age * (1 + tenths / 10) * 1e9);
}

bool
request_leaves(const struct ss_request *request)
{
    return counter_get(request->slot->leaves) != 0 && server_ends(request->server);
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
    if (server->rated && server->pending == 0 && source_limit_next_turn(monotonic_now()) > 0)
        return -EBUSY;
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

/* Until `rate` allows another request, or a while: whoever waits looks whether it still shall.
 * -EINTR when woken. */
static int
wait_for_turn(void)
{
    int64_t now = monotonic_now(), left = source_limit_next_turn(now) - now;
    struct timespec pause = {.tv_nsec =
                                 left < REQUEST_STARVED_PAUSE ? left : REQUEST_STARVED_PAUSE};

    return left > 0 && nanosleep(&pause, NULL) < 0 && errno == EINTR ? -EINTR : 0;
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
    PROBE(request__accept, request->server->settings.name, request->number, request->fd);
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
        } else if (error == -EBUSY) {
            if (wait_for_turn() == -EINTR)
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

    request->overtime = server->settings.request_timeout > 0
                            ? request->started + (int64_t)(server->settings.request_timeout * 1e9)
                            : FOREVER;
    request->deadline = request->overtime;
    request->aged = age_limit(request);
    request->due = FOREVER;
    request->read_timeout = server->settings.read_timeout;
    request->write_timeout = server->settings.write_timeout;
    request->told = request->over = request->shut = false;
    request->slow = false;
    if (stream) {
        request->input.start = request->input.end = 0;
        request->bytes_in = 0;
        request->client.credentials_state = 0;
    }
    request->input.patched = false;
    output_reset(&request->output);
    request->ended = !stream; /* a datagram is all there at once */
    request->vanished = false;
    request->broken = false;
    request->idle = false;
    request->failed = NULL;
    request->drained = false;
    request->filled = false;
    request->inode = 0;
    request->bytes_out = 0;
    request->error = 0;
    request->reason = CLOSE_DONE;
    request->data = NULL;
    request->outcome = NULL;
    request->client.name[0] = '\0';
    request->log = (struct log_context){.request = request->number};

    request_enter(request, STAGE_HANDLING);
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

/* Which of the times it was that a wait did not get beyond. */
static enum close_reason
judge_timeout(const struct ss_request *request)
{
    if (request->slow)
        return CLOSE_SLOW;
    if (monotonic_now() >= request->due)
        return CLOSE_LATE;
    return request->idle ? CLOSE_IDLE : CLOSE_FAILED;
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
    return error == -ETIMEDOUT ? judge_timeout(request) : CLOSE_FAILED;
}

enum close_reason
request_reason_of_cut(const struct slot *slot)
{
    if (slot_spins(slot))
        return CLOSE_SPUN;
    return slot_is_unwanted(slot) ? CLOSE_CANCELLED : CLOSE_OVERTIME;
}

/* Why a setup or handle that returned an error did so. */
static enum close_reason
judge(const struct ss_request *request, int error)
{
    if (server_phase(request->server) == PHASE_CUT)
        return CLOSE_CUT;
    if (slot_is_cancelled(request->slot))
        return request_reason_of_cut(request->slot);
    if (request->over)
        return CLOSE_OVERTIME;
    if (error >= 0)
        return judge_output(request);
    if (error == -ECANCELED &&
        (server_phase(request->server) >= PHASE_DRAINING || request_is_aged(request)))
        return CLOSE_DONE; /* ss_wait_input() said so, and the handler passes it on */
    if ((error == -ECANCELED || error == -ETIMEDOUT) && monotonic_now() >= request->overtime)
        return CLOSE_OVERTIME;
    if (request->vanished && (error == -EPIPE || error == -ECONNRESET))
        return CLOSE_VANISHED;
    return error == -ETIMEDOUT ? judge_timeout(request) : CLOSE_FAILED;
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
        if (request->refusal != NULL)
            PROBE(request__refuse, request->server->settings.name, request->number,
                  request->refusal->reason);
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
    else if (request->reason == CLOSE_FAILED && request->error == 0)
        request->error = request->output.error; /* which the handler has passed over */
}

/* What no plugin is told of stands in the request's own line: see request_account(). */
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
    request_enter(request, STAGE_WRITING);
    transport->shutdown_request(request);
    transport->close_request(request);
}

static void
end(struct ss_request *request)
{
    request_account(request);
    waker_retire(request);
    if (request->outcome != NULL) {
        free(request->outcome);
        request->outcome = NULL;
    }
    request_current = NULL;
    log_set_context(NULL);
}

/* All that the plugin does for it. */
static void
run_hooks(struct ss_request *request)
{
    const struct plugin_hooks *hooks = &request->server->plugin.hooks;
    const char *failed;

    PROBE(request__start, request->server->settings.name, request->number);
    if (hooks->verify_request != NULL && !hooks->verify_request(request)) {
        request->reason = CLOSE_REFUSED;
        PROBE(request__refuse, request->server->settings.name, request->number, "verify_request");
        return;
    }
    finish_request(request, &failed);
    if (request->reason == CLOSE_SLOW)
        source_penalise(request, PENALTY_SLOW);
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
