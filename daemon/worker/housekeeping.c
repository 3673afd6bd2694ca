/* SPDX-License-Identifier: MIT */
/*
 * housekeeping.c - what a worker does beside serving: the supervisor's orders, and time
 *
 * Answers pings (so that a worker whose loop hangs is noticed), looks for
 * handlers that spin, drains and cuts, keeps the times of service_actions, handle_timeout and
 * request_timeout, and lets idle surplus contexts go. It sleeps until something is due: an idle
 * worker without such times is not woken.
 *
 * Runs in:  the main thread of a worker; under "none" a thread of its own, under
 *           "coroutine" the first event loop.
 * Owns:     what signals have told and no turn has seen yet.
 * Failures: a dead supervisor (end of file on the channel) starts a drain, and
 *           the address is free as soon as nobody accepts any more.
 */
#include "worker/housekeeping.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "common/array.h"
#include "common/channel.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/probes.h"
#include "common/usage.h"
#include "worker/request/mixin.h"
#include "worker/request/orders.h"
#include "worker/request/request.h"
#include "worker/request/transport.h"
#include "worker/request/wait.h"

#define MS             1000000ll
#define NUDGE_INTERVAL (10 * MS)   /* while contexts must leave a call */
#define GIVE_UP_AFTER  (500 * MS)  /* cut requests have so long to end */
#define OVERTIME_GRACE (1000 * MS) /* so long a handler past request_timeout may say goodbye */
#define SCAN_INTERVAL  (200 * MS)
#define TRIM_INTERVAL  (5000 * MS)
#define ASK_INTERVAL   (10000 * MS) /* between two requests to be replaced */
#define WEIGH_INTERVAL (30000 * MS) /* between two looks at how much memory there is of it */

/* ---- signals ---------------------------------------------------------------- */

static struct {
    struct ss_server *server;
    pid_t pid;                        /* of the process that does the housekeeping */
    volatile sig_atomic_t terminated; /* SIGTERM has come, and no turn has seen it yet */
} noted;

void
housekeeping_note_signal(int number)
{
    int saved = errno;

    if (getpid() == noted.pid) {
        noted.terminated = 1;
        server_wake(noted.server);
    } else {
        (void)signal(number, SIG_DFL);
        (void)raise(number); /* it arrives when this handler returns */
    }
    errno = saved;
}

int
housekeeping_init(struct housekeeping *housekeeping, struct ss_server *server)
{
    struct sigaction action = {.sa_handler = housekeeping_note_signal, .sa_flags = SA_RESTART};

    *housekeeping = (struct housekeeping){
        .server = server,
        .children = -1,
        .drain_until = FOREVER,
        .give_up_at = FOREVER,
        .next_service = FOREVER,
        .next_timeout = FOREVER,
        .next_scan = FOREVER,
        .next_trim = FOREVER,
        .next_retry = FOREVER,
        .next_order = FOREVER,
    };
    noted.server = server;
    noted.pid = getpid();
    (void)sigemptyset(&action.sa_mask);
    return sigaction(SIGTERM, &action, NULL) < 0 ? -errno : 0;
}

int
housekeeping_follow_children(struct housekeeping *housekeeping)
{
    sigset_t ends;

    (void)sigemptyset(&ends);
    (void)sigaddset(&ends, SIGCHLD);
    if (sigprocmask(SIG_BLOCK, &ends, NULL) < 0)
        return -errno;
    housekeeping->children = signalfd(-1, &ends, SFD_CLOEXEC | SFD_NONBLOCK);
    return housekeeping->children < 0 ? -errno : 0;
}

void
housekeeping_done(struct housekeeping *housekeeping)
{
    spin_guard_done(&housekeeping->spin);
}

/* ---- draining --------------------------------------------------------------- */

static void
cut(struct housekeeping *housekeeping)
{
    struct ss_server *server = housekeeping->server;

    if (server_phase(server) == PHASE_CUT)
        return;
    housekeeping->drain_until = FOREVER;
    housekeeping->give_up_at = monotonic_now() + GIVE_UP_AFTER;
    atomic_store(&server->counters->phase, PHASE_CUT);
}

static void
drain(struct housekeeping *housekeeping, double seconds)
{
    struct ss_server *server = housekeeping->server;

    if (server_phase(server) >= PHASE_DRAINING)
        return;
    atomic_store(&server->counters->phase, PHASE_DRAINING);
    PROBE(worker__drain, server->settings.name, (int64_t)(seconds * 1000));
    bool leave = server->mixin->leaves_on_drain && server->settings.daemon_threads;
    if (seconds <= 0 || leave) {
        cut(housekeeping);
        return;
    }
    /* One that has been emptying the queue until now gets no more time than it had. */
    int64_t until = monotonic_now() + (int64_t)(seconds * 1e9);
    housekeeping->drain_until =
        until < housekeeping->drain_until ? until : housekeeping->drain_until;
}

/*
 * A drain that begins when the socket's queue is empty. Nobody new gets into
 * it (the supervisor sees to that), and requests know that they should end.
 */
static void
empty_queue(struct housekeeping *housekeeping, double seconds)
{
    struct ss_server *server = housekeeping->server;

    /* A queue that a program accepts from itself may never become empty. */
    if (server_phase(server) != PHASE_SERVING || !server->transport->stream || server->hands_over ||
        seconds <= 0) {
        drain(housekeeping, seconds);
        return;
    }
    housekeeping->drain_until = monotonic_now() + (int64_t)(seconds * 1e9);
    counter_set(server->counters->emptying, 1);
}

/* Whether the queue still holds connections that are to be accepted. */
static bool
empties(struct housekeeping *housekeeping)
{
    const struct ss_server *server = housekeeping->server;
    struct pollfd queue = {.fd = server->socket, .events = POLLIN};

    if (counter_get(server->counters->emptying) == 0 || server_phase(server) != PHASE_SERVING)
        return false;
    if (poll(&queue, 1, 0) > 0 && queue.revents == POLLIN)
        return true;
    drain(housekeeping, (double)(housekeeping->drain_until - monotonic_now()) / 1e9);
    return false;
}

/* Says it once. False if the channel has no room now: the next turn must try again. */
static bool
tell(const struct housekeeping *housekeeping, enum message_type type, bool *told)
{
    int r = *told ? 0 : channel_send(housekeeping->server->channel, type, 0, NULL, -1);

    *told = !channel_is_short(r);
    return *told;
}

/*
 * Whoever starts the daemon anew wants the address. The descriptor of the
 * listening socket becomes one of the wakeup's, so that nothing else gets its
 * number. The socket itself is not shut down: a service manager's store may
 * hold it for the next supervisor. A datagram is answered from it to the end.
 */
static void
leave_socket(struct housekeeping *housekeeping)
{
    struct ss_server *server = housekeeping->server;

    housekeeping->orphaned = false;
    if (!server->transport->stream)
        return;
    (void)dup3(server->wakeup, server->socket, O_CLOEXEC);
    if (server->mixin->processes)
        signal_contexts(server, 1u << SLOT_BUSY, SIGTERM); /* see child.c */
}

/* ---- the channel -------------------------------------------------------------- */

/* Where the supervisor finds it. The memory is looked at only while somebody wants to know. */
static void
tell_usage(struct housekeeping *housekeeping)
{
    struct counters *counters = housekeeping->server->counters;
    int64_t now = monotonic_now();

    counter_set(counters->cpu_ns, usage_cpu() + usage_cpu_of_children());
    if (now < housekeeping->next_weigh || now >= counter_get(counters->memory_wanted))
        return;
    counter_set(counters->memory, usage_memory());
    housekeeping->next_weigh = now + WEIGH_INTERVAL;
}

static void
on_message(struct housekeeping *housekeeping, const struct message *message, int fd)
{
    struct ss_server *server = housekeeping->server;

    switch (message->type) {
    case MESSAGE_PING:
        tell_usage(housekeeping);
        (void)channel_send(server->channel, MESSAGE_PONG, message->value, NULL, -1);
        break;
    case MESSAGE_SERVE:
        if (server_phase(server) == PHASE_STARTING)
            counter_set(server->counters->phase, PHASE_SERVING);
        PROBE(worker__serve, server->settings.name);
        break;
    case MESSAGE_DRAIN:
        drain(housekeeping, (double)message->value / 1000);
        break;
    case MESSAGE_EMPTY:
        empty_queue(housekeeping, (double)message->value / 1000);
        break;
    case MESSAGE_CUT:
        drain(housekeeping, 0);
        cut(housekeeping);
        break;
    case MESSAGE_ORDER:
        housekeeping->next_order = monotonic_now();
        break;
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
read_channel(struct housekeeping *housekeeping)
{
    struct ss_server *server = housekeeping->server;
    struct message message;
    int fd, result;

    while ((result = channel_receive(server->channel, &message, &fd)) == 1)
        on_message(housekeeping, &message, fd);
    if (result != 0)
        return; /* no message, junk, or no memory for it now; only the end of file is the end */
    if (server_phase(server) < PHASE_DRAINING)
        log_warning("the supervisor is gone; finishing what runs");
    drain(housekeeping, server->settings.drain_timeout);
    server->channel = -1; /* poll() ignores it; the descriptor stays until the end */
    housekeeping->orphaned = true;
}

static void
take_signal(struct housekeeping *housekeeping)
{
    struct ss_server *server = housekeeping->server;

    if (!noted.terminated)
        return;
    noted.terminated = 0;
    drain(housekeeping, server->settings.drain_timeout);
}

static void
read_ends(struct housekeeping *housekeeping)
{
    struct signalfd_siginfo end;

    if (read(housekeeping->children, &end, sizeof(end)) > 0)
        housekeeping->child_ended = true;
}

static void
read_wakeup(struct housekeeping *housekeeping)
{
    uint64_t count;

    (void)!read(housekeeping->server->wakeup, &count, sizeof(count));
}

/* ---- time ------------------------------------------------------------------------ */

static void
start_times(struct housekeeping *housekeeping)
{
    const struct ss_server *server = housekeeping->server;
    int64_t now = monotonic_now();

    if (server->plugin.hooks.service_actions != NULL)
        housekeeping->next_service = monotonic_after(server->settings.service_interval);
    if (server->plugin.hooks.handle_timeout != NULL || server->once)
        housekeeping->next_timeout = monotonic_after(server->settings.timeout);
    if (server->settings.request_timeout > 0)
        housekeeping->next_scan = now + SCAN_INTERVAL;
    if (server->mixin->trims && server->settings.recycle_after != 1)
        housekeeping->next_trim = now + TRIM_INTERVAL;
    spin_guard_init(&housekeeping->spin, housekeeping->server);
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
check_timeout(struct housekeeping *housekeeping, int64_t now)
{
    struct ss_server *server = housekeeping->server;
    int64_t period = (int64_t)(server->settings.timeout * 1e9);
    int64_t last = last_activity(server);

    if (last == INT64_MAX)
        housekeeping->next_timeout = now + period;
    else if (last + period > now)
        housekeeping->next_timeout = last + period;
    else {
        housekeeping->next_timeout = now + period;
        atomic_fetch_or(&server->due, DUE_TIMEOUT);
    }
}

/* Ends requests that went on after request_timeout, although each of their waits has failed. */
static void
scan_overtime(struct housekeeping *housekeeping, int64_t now)
{
    const struct ss_server *server = housekeeping->server;
    int64_t limit = (int64_t)(server->settings.request_timeout * 1e9) + OVERTIME_GRACE;
    uint32_t used = counters_used(server->counters, server->slot_count);

    housekeeping->next_scan = now + SCAN_INTERVAL;
    for (uint32_t i = 0; i < used; i++) {
        struct slot *slot = &server->counters->slots[i];
        if (atomic_load(&slot->state) != SLOT_BUSY)
            continue;
        uint64_t request = atomic_load(&slot->request); /* before its time: see request_get() */
        if (now - counter_get(slot->started) < limit)
            continue;
        if (!slot_is_cancelled(slot) && atomic_exchange(&slot->cancelled, request) != request)
            log_warning("request %lu goes on after its request_timeout; its connection is shut",
                        request);
        interrupt_context(server, slot);
    }
}

/* How many contexts more than the spares have waited ever since the last look. */
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
trim(struct housekeeping *housekeeping, int64_t now)
{
    struct ss_server *server = housekeeping->server;
    const struct mixin *mixin = server->mixin;
    uint32_t surplus = mixin->surplus != NULL ? mixin->surplus() : find_surplus(server, now);

    housekeeping->next_trim = now + TRIM_INTERVAL;
    if (surplus == 0)
        return;
    counter_set(server->counters->retire, (int32_t)surplus);
    (void)interrupt_contexts(server, 1u << SLOT_IDLE);
}

/* A drain does not wait for requests that were cut because they spin. */
static void
look_for_spins(struct housekeeping *housekeeping, int64_t now)
{
    spin_guard_look(&housekeeping->spin, now);
    if (server_phase(housekeeping->server) == PHASE_DRAINING &&
        spin_guard_alone(&housekeeping->spin))
        cut(housekeeping);
}

static void
check_times(struct housekeeping *housekeeping)
{
    struct ss_server *server = housekeeping->server;
    int64_t now = monotonic_now();

    look_for_spins(housekeeping, now);
    if (now >= housekeeping->drain_until)
        cut(housekeeping);
    if (now >= housekeeping->give_up_at)
        housekeeping->given_up = true;
    if (now >= housekeeping->next_scan)
        scan_overtime(housekeeping, now);
    if (now >= housekeeping->next_order)
        housekeeping->next_order = orders_obey(server, now);
    if (server_phase(server) != PHASE_SERVING)
        return;
    if (now >= housekeeping->next_service) {
        housekeeping->next_service = now + (int64_t)(server->settings.service_interval * 1e9);
        atomic_fetch_or(&server->due, DUE_SERVICE);
    }
    if (now >= housekeeping->next_timeout)
        check_timeout(housekeeping, now);
    if (now >= housekeeping->next_trim)
        trim(housekeeping, now);
}

/* Asks to be replaced, and once more if no other worker could be started. True: try again. */
static bool
ask_for_another(struct housekeeping *housekeeping)
{
    bool told = false;
    int64_t now = monotonic_now();

    if (server_phase(housekeeping->server) != PHASE_SERVING || now < housekeeping->next_replace)
        return false;
    if (!tell(housekeeping, MESSAGE_REPLACE, &told))
        return true;
    housekeeping->next_replace = now + ASK_INTERVAL;
    return false;
}

/*
 * Interrupts contexts that should leave a call, until they have left it: idle
 * ones in a drain (and under "none" for hooks that are due), busy ones when
 * they are cut. Also sends STOPPED and STOP when they are due. True if
 * something must be tried again.
 */
static bool
nudge(struct housekeeping *housekeeping)
{
    struct ss_server *server = housekeeping->server;
    bool emptying = empties(housekeeping);
    enum server_phase phase = server_phase(server);
    unsigned nudged = emptying;

    if (phase >= PHASE_DRAINING || atomic_load(&server->due) != 0)
        nudged += interrupt_contexts(server, 1u << SLOT_IDLE);
    if (phase >= PHASE_DRAINING && nudged == 0) { /* no context accepts any more */
        nudged += !tell(housekeeping, MESSAGE_STOPPED, &housekeeping->stopped_told);
        if (housekeeping->orphaned)
            leave_socket(housekeeping);
    }
    if ((phase == PHASE_DRAINING || emptying) && server->mixin->blocking)
        nudged += interrupt_leavers(server);
    if (counter_get(server->counters->stop_asked) != 0)
        nudged += !tell(housekeeping, MESSAGE_STOP, &housekeeping->stop_told);
    if (phase == PHASE_CUT)
        nudged += interrupt_contexts(server, 1u << SLOT_BUSY);
    if (housekeeping->spin.replace)
        nudged += ask_for_another(housekeeping);
    return nudged > 0;
}

static int64_t
next_time(const struct housekeeping *housekeeping)
{
    const int64_t drained[] = {housekeeping->drain_until, housekeeping->give_up_at,
                               housekeeping->next_scan,   housekeeping->next_retry,
                               housekeeping->next_order,  spin_guard_next(&housekeeping->spin)};
    const int64_t serving[] = {housekeeping->next_service, housekeeping->next_timeout,
                               housekeeping->next_trim,
                               housekeeping->spin.replace ? housekeeping->next_replace : FOREVER};
    int64_t next = FOREVER;

    for (size_t i = 0; i < ARRAY_SIZE(drained); i++)
        next = drained[i] < next ? drained[i] : next;
    if (server_phase(housekeeping->server) == PHASE_SERVING)
        for (size_t i = 0; i < ARRAY_SIZE(serving); i++)
            next = serving[i] < next ? serving[i] : next;
    return next;
}

static void
wait_and_read(struct housekeeping *housekeeping, int64_t until)
{
    struct pollfd fds[HOUSEKEEPING_DESCRIPTORS];
    struct timespec left, *timeout = NULL;
    int descriptors[HOUSEKEEPING_DESCRIPTORS];

    housekeeping_descriptors(housekeeping, descriptors);
    for (size_t i = 0; i < HOUSEKEEPING_DESCRIPTORS; i++)
        fds[i] = (struct pollfd){.fd = descriptors[i], .events = POLLIN};
    if (until != FOREVER) {
        int64_t ns = until - monotonic_now();
        ns = ns < 0 ? 0 : ns;
        left = (struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
        timeout = &left;
    }
    bool ready = ppoll(fds, HOUSEKEEPING_DESCRIPTORS, timeout, NULL) > 0;
    if (ready && fds[0].revents != 0)
        read_channel(housekeeping);
    if (ready && fds[1].revents != 0)
        read_wakeup(housekeeping);
    if (ready && fds[2].revents != 0)
        read_ends(housekeeping);
    take_signal(housekeeping); /* behind read_wakeup(): a signal that comes later wakes us again */
}

int64_t
housekeeping_next(struct housekeeping *housekeeping)
{
    int64_t until = next_time(housekeeping);

    if (nudge(housekeeping)) {
        int64_t again = monotonic_now() + NUDGE_INTERVAL;
        until = again < until ? again : until;
    }
    return until;
}

void
housekeeping_descriptors(const struct housekeeping *housekeeping, int ret[HOUSEKEEPING_DESCRIPTORS])
{
    ret[0] = housekeeping->server->channel;
    ret[1] = housekeeping->server->wakeup;
    ret[2] = housekeeping->children;
}

static bool
turn(struct housekeeping *housekeeping, int64_t until)
{
    wait_and_read(housekeeping, until);
    check_times(housekeeping);
    return !housekeeping->given_up;
}

bool
housekeeping_dispatch(struct housekeeping *housekeeping)
{
    return turn(housekeeping, 0);
}

bool
housekeeping_turn(struct housekeeping *housekeeping)
{
    return turn(housekeeping, housekeeping_next(housekeeping));
}

bool
housekeeping_wait_serve(struct housekeeping *housekeeping)
{
    while (server_phase(housekeeping->server) == PHASE_STARTING && !housekeeping->given_up)
        (void)housekeeping_turn(housekeeping);
    start_times(housekeeping);
    return server_phase(housekeeping->server) == PHASE_SERVING;
}
