/* SPDX-License-Identifier: MIT */
/*
 * housekeeping.c - the worker's control loop: the supervisor's word, and time
 *
 * Answers pings (so that a worker whose loop hangs is noticed), drains and
 * cuts, keeps the times of service_actions, handle_timeout and request_timeout,
 * and lets idle surplus contexts go. It sleeps until something is due: an idle
 * worker without such times is not woken.
 *
 * Runs in:  the main thread of a worker; under "none" a thread of its own, under
 *           "coroutine" the first event loop.
 * Owns:     its signalfd.
 * Failures: a dead supervisor (end of file on the channel) starts a drain.
 */
#include "worker/housekeeping.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "common/channel.h"
#include "common/clock.h"
#include "common/log.h"
#include "worker/request/mixin.h"
#include "worker/request/request.h"
#include "worker/request/transport.h"

#define MS             1000000ll
#define NUDGE_INTERVAL (10 * MS)  /* while contexts must leave a call */
#define GIVE_UP_AFTER  (500 * MS) /* cut requests get so long to end */
#define OVERTIME_GRACE                                                                             \
    (1000 * MS) /* a handler past request_timeout gets so long to say goodbye                      \
                 */
#define SCAN_INTERVAL (200 * MS)
#define TRIM_INTERVAL (5000 * MS)

int
control_init(struct control *control, struct ss_server *server)
{
    sigset_t signals;

    *control = (struct control){
        .server = server,
        .signals = -1,
        .drain_until = FOREVER,
        .give_up_at = FOREVER,
        .next_service = FOREVER,
        .next_timeout = FOREVER,
        .next_scan = FOREVER,
        .next_trim = FOREVER,
        .next_retry = FOREVER,
    };
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGTERM);
    if (server->mixin->processes)
        (void)sigaddset(&signals, SIGCHLD);
    if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
        return -errno;
    control->signals = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    return control->signals < 0 ? -errno : 0;
}

void
control_done(struct control *control)
{
    if (control->signals >= 0)
        (void)close(control->signals);
    control->signals = -1;
}

/* ---- draining --------------------------------------------------------------- */

static void
cut(struct control *control)
{
    struct ss_server *server = control->server;

    if (server_phase(server) == PHASE_CUT)
        return;
    control->drain_until = FOREVER;
    control->give_up_at = monotonic_now() + GIVE_UP_AFTER;
    atomic_store(&server->counters->phase, PHASE_CUT);
}

static void
drain(struct control *control, double seconds)
{
    struct ss_server *server = control->server;

    if (server_phase(server) >= PHASE_DRAINING)
        return;
    atomic_store(&server->counters->phase, PHASE_DRAINING);
    bool leave = server->settings.mixin == MIXIN_THREADING && server->settings.daemon_threads;
    if (seconds <= 0 || leave) {
        cut(control);
        return;
    }
    /* One that has been emptying the queue until now gets no more time than it had. */
    int64_t until = monotonic_now() + (int64_t)(seconds * 1e9);
    control->drain_until = until < control->drain_until ? until : control->drain_until;
}

/*
 * A drain that begins when the socket's queue is empty. Nobody new gets into
 * it (the supervisor sees to that), and requests know that they should end.
 */
static void
empty_queue(struct control *control, double seconds)
{
    struct ss_server *server = control->server;

    if (server_phase(server) != PHASE_SERVING || !server->transport->stream || seconds <= 0) {
        drain(control, seconds);
        return;
    }
    control->drain_until = monotonic_now() + (int64_t)(seconds * 1e9);
    counter_set(server->counters->emptying, 1);
}

/* Whether the queue still holds connections that are to be accepted. */
static bool
empties(struct control *control)
{
    const struct ss_server *server = control->server;
    struct pollfd queue = {.fd = server->socket, .events = POLLIN};

    if (counter_get(server->counters->emptying) == 0 || server_phase(server) != PHASE_SERVING)
        return false;
    if (poll(&queue, 1, 0) > 0 && queue.revents == POLLIN)
        return true;
    drain(control, (double)(control->drain_until - monotonic_now()) / 1e9);
    return false;
}

/* Says it once. False if the channel has no room now: it is for the next turn. */
static bool
tell(const struct control *control, enum message_type type, bool *told)
{
    int r = *told ? 0 : channel_send(control->server->channel, type, 0, NULL, -1);

    *told = !channel_is_short(r);
    return *told;
}

/* ---- the channel -------------------------------------------------------------- */

/* The log of a child is that of its birth: those that have the old one shall end. */
static void
replace_log(struct control *control, int fd)
{
    struct ss_server *server = control->server;

    if (fd >= 0)
        (void)log_adopt_file(fd);
    if (!server->mixin->processes)
        return;
    atomic_fetch_add(&server->counters->log, 1);
    control->log_replaced = true;
}

static void
on_message(struct control *control, const struct message *message, int fd)
{
    struct ss_server *server = control->server;

    switch (message->type) {
    case MESSAGE_PING:
        (void)channel_send(server->channel, MESSAGE_PONG, message->value, NULL, -1);
        break;
    case MESSAGE_SERVE:
        if (server_phase(server) == PHASE_STARTING)
            counter_set(server->counters->phase, PHASE_SERVING);
        break;
    case MESSAGE_DRAIN:
        drain(control, (double)message->value / 1000);
        break;
    case MESSAGE_EMPTY:
        empty_queue(control, (double)message->value / 1000);
        break;
    case MESSAGE_CUT:
        drain(control, 0);
        cut(control);
        break;
    case MESSAGE_LOG_FILE:
        replace_log(control, fd);
        return;
    case MESSAGE_LOG_LEVEL:
        log_set_level((int)message->value);
        break;
    default:
        log_debug("message %u from the supervisor is unknown", message->type);
    }
    if (fd >= 0)
        (void)close(fd);
}

static void
read_channel(struct control *control)
{
    struct ss_server *server = control->server;
    struct message message;
    int fd, result;

    while ((result = channel_receive(server->channel, &message, &fd)) == 1)
        on_message(control, &message, fd);
    if (result != 0)
        return; /* no message, junk, or no memory for it now; only the end of file is the end */
    if (server_phase(server) < PHASE_DRAINING)
        log_warning("the supervisor is gone; finishing what runs");
    drain(control, server->settings.drain_timeout);
    server->channel = -1; /* poll() ignores it; the descriptor stays until the end */
}

static void
read_signals(struct control *control)
{
    struct signalfd_siginfo infos[2]; /* there are no more: SIGTERM and SIGCHLD */
    ssize_t size = read(control->signals, infos, sizeof(infos));

    for (size_t i = 0; size > 0 && i < (size_t)size / sizeof(infos[0]); i++) {
        if (infos[i].ssi_signo == SIGTERM)
            drain(control, control->server->settings.drain_timeout);
        else
            control->child_ended = true;
    }
}

static void
read_wakeup(struct control *control)
{
    uint64_t count;

    (void)!read(control->server->wakeup, &count, sizeof(count));
}

/* ---- time ------------------------------------------------------------------------ */

static void
start_times(struct control *control)
{
    const struct ss_server *server = control->server;
    int64_t now = monotonic_now();

    if (server->plugin.hooks.service_actions != NULL)
        control->next_service = monotonic_after(server->settings.service_interval);
    if (server->plugin.hooks.handle_timeout != NULL || server->once)
        control->next_timeout = monotonic_after(server->settings.timeout);
    if (server->settings.request_timeout > 0)
        control->next_scan = now + SCAN_INTERVAL;
    if (server->settings.mixin == MIXIN_THREADING ||
        (server->settings.mixin == MIXIN_FORKING && server->settings.recycle_after != 1))
        control->next_trim = now + TRIM_INTERVAL;
}

/* When the last request began or ended; INT64_MAX while one runs. */
static int64_t
last_activity(const struct ss_server *server)
{
    uint32_t used = counters_used(server->counters, server->slot_count);
    int64_t last = 0;

    for (uint32_t i = 0; i < used; i++) {
        const struct slot *slot = &server->counters->slots[i];
        int64_t ended = counter_get(slot->ended);
        if (counter_get(slot->state) == SLOT_BUSY)
            return INT64_MAX;
        last = ended > last ? ended : last;
    }
    return last;
}

static void
check_timeout(struct control *control, int64_t now)
{
    struct ss_server *server = control->server;
    int64_t period = (int64_t)(server->settings.timeout * 1e9);
    int64_t last = last_activity(server);

    if (last == INT64_MAX)
        control->next_timeout = now + period;
    else if (last + period > now)
        control->next_timeout = last + period;
    else {
        control->next_timeout = now + period;
        atomic_fetch_or(&server->due, DUE_TIMEOUT);
    }
}

/* Requests that went on after request_timeout: every wait of theirs has failed already. */
static void
scan_overtime(struct control *control, int64_t now)
{
    const struct ss_server *server = control->server;
    int64_t limit = (int64_t)(server->settings.request_timeout * 1e9) + OVERTIME_GRACE;
    uint32_t used = counters_used(server->counters, server->slot_count);

    control->next_scan = now + SCAN_INTERVAL;
    for (uint32_t i = 0; i < used; i++) {
        struct slot *slot = &server->counters->slots[i];
        if (atomic_load(&slot->state) != SLOT_BUSY)
            continue;
        uint64_t request = atomic_load(&slot->request); /* before its time: see request_get() */
        if (now - counter_get(slot->started) < limit)
            continue;
        if (atomic_exchange(&slot->cancelled, request) != request)
            log_warning("request %lu goes on after its request_timeout; its connection is shut",
                        request);
        interrupt_context(server, slot);
    }
}

/* How many more than the spares have waited ever since the last look. */
static uint32_t
find_surplus(const struct ss_server *server, int64_t now)
{
    uint32_t spare = server->settings.spare > 0 ? server->settings.spare : 1;
    uint32_t used = counters_used(server->counters, server->slot_count);
    uint32_t idle = 0;

    for (uint32_t i = 0; i < used; i++) {
        const struct slot *slot = &server->counters->slots[i];
        idle += counter_get(slot->state) == SLOT_IDLE &&
                now - counter_get(slot->ended) >= TRIM_INTERVAL;
    }
    return idle > spare ? idle - spare : 0;
}

static void
trim(struct control *control, int64_t now)
{
    struct ss_server *server = control->server;
    const struct mixin *mixin = server->mixin;
    uint32_t surplus = mixin->surplus != NULL ? mixin->surplus() : find_surplus(server, now);

    control->next_trim = now + TRIM_INTERVAL;
    if (surplus == 0)
        return;
    counter_set(server->counters->retire, (int32_t)surplus);
    (void)interrupt_contexts(server, 1u << SLOT_IDLE);
}

static void
check_times(struct control *control)
{
    struct ss_server *server = control->server;
    int64_t now = monotonic_now();

    if (now >= control->drain_until)
        cut(control);
    if (now >= control->give_up_at)
        control->given_up = true;
    if (now >= control->next_scan)
        scan_overtime(control, now);
    if (server_phase(server) != PHASE_SERVING)
        return;
    if (now >= control->next_service) {
        control->next_service = now + (int64_t)(server->settings.service_interval * 1e9);
        atomic_fetch_or(&server->due, DUE_SERVICE);
    }
    if (now >= control->next_timeout)
        check_timeout(control, now);
    if (now >= control->next_trim)
        trim(control, now);
}

/*
 * Children that wait with the old log are interrupted. Busy ones see for
 * themselves that their log is old, before they wait again. Returns how many
 * have yet to leave.
 */
static unsigned
nudge_outdated(struct control *control)
{
    const struct ss_server *server = control->server;
    uint32_t used = counters_used(server->counters, server->slot_count);
    uint32_t log = counter_get(server->counters->log);
    unsigned count = 0;

    for (uint32_t i = 0; i < used; i++) {
        const struct slot *slot = &server->counters->slots[i];
        uint32_t state = atomic_load(&slot->state); /* see child_is_outdated() */
        if ((state != SLOT_IDLE && state != SLOT_STARTING) || counter_get(slot->log) == log)
            continue;
        interrupt_context(server, slot);
        count++;
    }
    control->log_replaced = count > 0;
    return count;
}

/*
 * Contexts that should leave a call are interrupted until they have: idle ones
 * in a drain (and under "none" for hooks that are due), busy ones when cut.
 * What is to be said about that is said. Returns whether some of it is left.
 */
static bool
nudge(struct control *control)
{
    struct ss_server *server = control->server;
    bool emptying = empties(control);
    enum server_phase phase = server_phase(server);
    unsigned nudged = emptying;

    if (phase >= PHASE_DRAINING || atomic_load(&server->due) != 0)
        nudged += interrupt_contexts(server, 1u << SLOT_IDLE);
    if (phase >= PHASE_DRAINING && nudged == 0) /* no context accepts any more */
        nudged += !tell(control, MESSAGE_STOPPED, &control->stopped_told);
    if (counter_get(server->counters->stop_asked) != 0)
        nudged += !tell(control, MESSAGE_STOP, &control->stop_told);
    if (phase == PHASE_CUT)
        nudged += interrupt_contexts(server, 1u << SLOT_BUSY);
    if (control->log_replaced)
        nudged += nudge_outdated(control);
    return nudged > 0;
}

static int64_t
next_time(const struct control *control)
{
    const int64_t drained[] = {control->drain_until, control->give_up_at, control->next_scan,
                               control->next_retry};
    const int64_t serving[] = {control->next_service, control->next_timeout, control->next_trim};
    int64_t next = FOREVER;

    for (size_t i = 0; i < sizeof(drained) / sizeof(drained[0]); i++)
        next = drained[i] < next ? drained[i] : next;
    if (server_phase(control->server) == PHASE_SERVING)
        for (size_t i = 0; i < sizeof(serving) / sizeof(serving[0]); i++)
            next = serving[i] < next ? serving[i] : next;
    return next;
}

static void
wait_and_read(struct control *control, int64_t until)
{
    struct pollfd fds[CONTROL_DESCRIPTORS];
    struct timespec left, *timeout = NULL;
    int descriptors[CONTROL_DESCRIPTORS];

    control_descriptors(control, descriptors);
    for (size_t i = 0; i < CONTROL_DESCRIPTORS; i++)
        fds[i] = (struct pollfd){.fd = descriptors[i], .events = POLLIN};
    if (until != FOREVER) {
        int64_t ns = until - monotonic_now();
        ns = ns < 0 ? 0 : ns;
        left = (struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
        timeout = &left;
    }
    if (ppoll(fds, CONTROL_DESCRIPTORS, timeout, NULL) <= 0)
        return;
    if (fds[0].revents != 0)
        read_channel(control);
    if (fds[1].revents != 0)
        read_signals(control);
    if (fds[2].revents != 0)
        read_wakeup(control);
}

int64_t
control_next(struct control *control)
{
    int64_t until = next_time(control);

    if (nudge(control)) {
        int64_t again = monotonic_now() + NUDGE_INTERVAL;
        until = again < until ? again : until;
    }
    return until;
}

void
control_descriptors(const struct control *control, int ret[CONTROL_DESCRIPTORS])
{
    ret[0] = control->server->channel;
    ret[1] = control->signals;
    ret[2] = control->server->wakeup;
}

static bool
turn(struct control *control, int64_t until)
{
    wait_and_read(control, until);
    check_times(control);
    return !control->given_up;
}

bool
control_dispatch(struct control *control)
{
    return turn(control, 0);
}

bool
control_turn(struct control *control)
{
    return turn(control, control_next(control));
}

bool
control_wait_serve(struct control *control)
{
    while (server_phase(control->server) == PHASE_STARTING && !control->given_up)
        (void)control_turn(control);
    start_times(control);
    return server_phase(control->server) == PHASE_SERVING;
}
