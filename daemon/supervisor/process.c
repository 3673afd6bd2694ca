/* SPDX-License-Identifier: MIT */
/*
 * process.c - one worker process, as the supervisor sees it
 *
 * Holds its side of the channel, watches its life and its pulse, and ends it
 * when it must. What its events mean for the listener is decided in
 * listener.c. Everything a worker sends is hostile input: what does not belong
 * is said once and the worker killed.
 *
 * Runs in:  the supervisor.
 * Owns:     the child process, its channel, its counters' mapping.
 * Failures: of starting: returned; of the worker: logged here when it hangs
 *           or misbehaves, else told to the handler.
 */
#include "supervisor/process.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "common/cleanup.h"
#include "common/log.h"

#define SECOND UINT64_C(1000000)

#define START_USEC       (30 * SECOND) /* to load the plugin and become ready */
#define PING_USEC        (2 * SECOND)
#define PONG_USEC        (10 * SECOND) /* without an answer: hangs */
#define ABORT_USEC       (2 * SECOND)  /* from SIGABRT, which leaves a core, to SIGKILL */
#define CUT_USEC         (1 * SECOND)  /* from an order to end at once to SIGKILL */
#define DRAIN_GRACE_USEC (5 * SECOND)  /* a worker cuts by itself; this late it hangs */

#define MESSAGES_AT_ONCE 32 /* then the other event sources have a turn */
#define FATE_SIZE        128

struct process {
    enum process_state state;
    const struct settings *settings;
    process_handler handler;
    void *userdata;

    pid_t pid;
    int channel;
    struct counters *counters;
    uint32_t slots;
    sd_event_source *child_source, *channel_source, *timer;

    uint64_t start_usec; /* allowed to become ready */
    uint64_t deadline;   /* of the present state; UINT64_MAX: none */
    uint64_t next_ping, serving_since;
    uint64_t unanswered_since; /* when the first ping without an answer was sent; 0: none */
    uint64_t pings;
    bool stopped, failed, stop_asked, misbehaved, asked_to_end;
    bool killed_last; /* by SIGKILL: nothing more can be done */

    enum failure failure;
    char *failure_text;
    char fate[FATE_SIZE];
    bool ended_well;
};

static uint64_t
now_usec(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec / 1000;
}

/* ---- the clock ---------------------------------------------------------------- */

static bool
has_pulse(const struct process *process)
{
    return process->state == PROCESS_READY || process->state == PROCESS_SERVING ||
           process->state == PROCESS_DRAINING;
}

static void
arm_timer(struct process *process)
{
    uint64_t when = process->deadline;

    if (has_pulse(process) && process->next_ping < when)
        when = process->next_ping;
    if (when == UINT64_MAX) {
        (void)sd_event_source_set_enabled(process->timer, SD_EVENT_OFF);
        return;
    }
    (void)sd_event_source_set_time(process->timer, when);
    (void)sd_event_source_set_enabled(process->timer, SD_EVENT_ONESHOT);
}

static void
enter(struct process *process, enum process_state state, uint64_t allowed_usec)
{
    process->state = state;
    process->deadline = allowed_usec == UINT64_MAX ? UINT64_MAX : now_usec() + allowed_usec;
    arm_timer(process);
}

/* The pid cannot have been reused: the child is reaped only by its event source. */
static void
send_signal(struct process *process, int signal_number)
{
    if (process->state != PROCESS_GONE)
        (void)kill(process->pid, signal_number);
}

static void
kill_for_good(struct process *process)
{
    send_signal(process, SIGKILL);
    process->killed_last = true;
    enter(process, PROCESS_ENDING, UINT64_MAX);
}

/* With a core that shows where it hangs. */
static void
abort_process(struct process *process)
{
    send_signal(process, SIGABRT);
    enter(process, PROCESS_ENDING, ABORT_USEC);
}

static void
deadline_passed(struct process *process)
{
    switch (process->state) {
    case PROCESS_STARTING:
        log_listener(process->settings->name, LOG_ERR,
                     "worker %d did not become ready within %" PRIu64 " s: killing it",
                     (int)process->pid, process->start_usec / SECOND);
        abort_process(process);
        break;
    case PROCESS_DRAINING:
        log_listener(process->settings->name, LOG_WARNING,
                     "worker %d did not end by the end of its drain: killing it",
                     (int)process->pid);
        abort_process(process);
        break;
    default:
        kill_for_good(process);
    }
}

static void
check_pulse(struct process *process, uint64_t now)
{
    if (process->unanswered_since != 0 && now - process->unanswered_since >= PONG_USEC) {
        log_listener(process->settings->name, LOG_ERR,
                     "worker %d has not answered for %" PRIu64 " s: killing it", (int)process->pid,
                     PONG_USEC / SECOND);
        abort_process(process);
        return;
    }
    process->next_ping = now + PING_USEC;
    if (process->unanswered_since == 0)
        process->unanswered_since = now;
    process_tell(process, MESSAGE_PING, ++process->pings, -1);
    arm_timer(process);
}

static int
on_timer(sd_event_source *source, uint64_t when, void *userdata)
{
    struct process *process = userdata;
    uint64_t now = now_usec();

    (void)source;
    (void)when;
    if (now >= process->deadline)
        deadline_passed(process);
    else if (has_pulse(process) && now >= process->next_ping)
        check_pulse(process, now);
    else
        arm_timer(process);
    return 0;
}

/* ---- messages ------------------------------------------------------------------- */

static void
misbehave(struct process *process, const char *how)
{
    if (process->misbehaved)
        return;
    process->misbehaved = true;
    log_listener(process->settings->name, LOG_ERR, "worker %d sent %s: killing it",
                 (int)process->pid, how);
    kill_for_good(process);
}

static void
on_ready(struct process *process, const struct message *message)
{
    (void)message;
    if (process->state != PROCESS_STARTING)
        return;
    process->next_ping = now_usec() + PING_USEC;
    enter(process, PROCESS_READY, UINT64_MAX);
    process->handler(process, PROCESS_IS_READY, process->userdata);
}

static void
on_failed(struct process *process, const struct message *message)
{
    if (process->failed)
        return;
    process->failed = true;
    process->failure =
        message->value == FAILURE_CONFIGURATION ? FAILURE_CONFIGURATION : FAILURE_RUNTIME;
    process->failure_text = strdup(message->text);
    process->asked_to_end = true; /* it ends by itself, and that is no surprise */
    enter(process, PROCESS_ENDING, CUT_USEC);
    process->handler(process, PROCESS_HAS_FAILED, process->userdata);
}

static void
on_stopped(struct process *process, const struct message *message)
{
    (void)message;
    if (process->stopped)
        return;
    process->stopped = true;
    /* Unasked: somebody sent SIGTERM to it, as service managers do to all processes at once. */
    if (process->state == PROCESS_SERVING)
        enter(process, PROCESS_DRAINING, UINT64_MAX);
    process->handler(process, PROCESS_HAS_STOPPED, process->userdata);
}

static void
on_pong(struct process *process, const struct message *message)
{
    if (message->value == 0 || message->value > process->pings)
        misbehave(process, "an answer that nobody asked for");
    else
        process->unanswered_since = message->value == process->pings ? 0 : now_usec();
}

static void
on_stop(struct process *process, const struct message *message)
{
    (void)message;
    if (process->stop_asked)
        return;
    process->stop_asked = true;
    process->handler(process, PROCESS_WANTS_STOP, process->userdata);
}

/* What a worker may say, and in which states (bits); elsewhere it is not taken seriously. */
#define IN(state) (1u << (state))
static const struct {
    uint32_t type;
    unsigned states;
    void (*take)(struct process *process, const struct message *message);
} messages[] = {
    {MESSAGE_READY, IN(PROCESS_STARTING), on_ready},
    {MESSAGE_FAILED, IN(PROCESS_STARTING), on_failed},
    {MESSAGE_STOPPED, ~IN(PROCESS_GONE), on_stopped},
    {MESSAGE_PONG, IN(PROCESS_READY) | IN(PROCESS_SERVING) | IN(PROCESS_DRAINING), on_pong},
    {MESSAGE_STOP, IN(PROCESS_READY) | IN(PROCESS_SERVING) | IN(PROCESS_DRAINING), on_stop},
};

static void
take_message(struct process *process, const struct message *message)
{
    if (process->state == PROCESS_ENDING)
        return; /* its last words do not matter any more */
    for (size_t i = 0; i < ARRAY_SIZE(messages); i++) {
        if (messages[i].type != message->type)
            continue;
        if (messages[i].states & IN(process->state))
            messages[i].take(process, message);
        else
            misbehave(process, "a message out of turn");
        return;
    }
    misbehave(process, "a message of unknown type");
}

/* Whether there may be more. */
static bool
receive_one(struct process *process)
{
    struct message message;
    int fd = -1;
    int r = channel_receive(process->channel, &message, &fd);

    if (fd >= 0) {
        (void)close(fd);
        misbehave(process, "a descriptor");
        return false;
    }
    if (r == -EBADMSG)
        misbehave(process, "junk");
    if (r > 0)
        take_message(process, &message);
    else if (r != -EAGAIN) /* end of file or broken: its exit tells the rest */
        (void)sd_event_source_set_enabled(process->channel_source, SD_EVENT_OFF);
    return r > 0;
}

static void
receive_messages(struct process *process)
{
    for (unsigned i = 0; i < MESSAGES_AT_ONCE && process->state != PROCESS_GONE; i++)
        if (!receive_one(process))
            return;
}

static int
on_channel(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
    (void)source;
    (void)fd;
    (void)events;
    receive_messages(userdata);
    return 0;
}

/* ---- the end ----------------------------------------------------------------------- */

static void
describe_end(struct process *process, const siginfo_t *info)
{
    process->ended_well =
        process->asked_to_end && info->si_code == CLD_EXITED && info->si_status == 0;
    if (info->si_code != CLD_EXITED) {
        const char *name = sigabbrev_np(info->si_status);
        (void)snprintf(process->fate, FATE_SIZE, "was killed by signal %d (SIG%s)%s",
                       info->si_status, name == NULL ? "?" : name,
                       info->si_code == CLD_DUMPED ? ", core dumped" : "");
        return;
    }
    (void)snprintf(
        process->fate, FATE_SIZE, "ended with exit status %d%s", info->si_status,
        process->asked_to_end ? "" : " although nobody asked it to: does the plugin call exit()?");
}

static int
on_child(sd_event_source *source, const siginfo_t *info, void *userdata)
{
    struct process *process = userdata;

    (void)source;
    receive_messages(process); /* what it still had to say explains why it ended */
    describe_end(process, info);
    process->state = PROCESS_GONE;
    (void)sd_event_source_set_enabled(process->timer, SD_EVENT_OFF);
    (void)sd_event_source_set_enabled(process->channel_source, SD_EVENT_OFF);
    process->handler(process, PROCESS_IS_GONE, process->userdata);
    return 0;
}

/* ---- the beginning --------------------------------------------------------------------- */

static int
watch(struct process *process, sd_event *event)
{
    int r =
        sd_event_add_child(event, &process->child_source, process->pid, WEXITED, on_child, process);

    if (r >= 0)
        r = sd_event_add_io(event, &process->channel_source, process->channel, EPOLLIN, on_channel,
                            process);
    /* Answers are read before anybody concludes that there are none. */
    if (r >= 0)
        r = sd_event_source_set_priority(process->channel_source, SD_EVENT_PRIORITY_IMPORTANT);
    if (r >= 0)
        r = sd_event_add_time(event, &process->timer, CLOCK_MONOTONIC, UINT64_MAX, 0, on_timer,
                              process);
    if (r >= 0)
        r = sd_event_source_set_enabled(process->timer, SD_EVENT_OFF);
    return r;
}

int
process_new(const struct process_setup *setup, struct process **ret)
{
    struct spawned spawned;
    struct process *process = calloc(1, sizeof(*process));

    if (process == NULL)
        return -ENOMEM;
    int r = spawn_worker(setup->settings, setup->options, setup->socket_fd, setup->address,
                         setup->stream, &spawned);
    if (r < 0) {
        free(process);
        return r;
    }
    process->settings = setup->settings;
    process->handler = setup->handler;
    process->userdata = setup->userdata;
    process->pid = spawned.pid;
    process->channel = spawned.channel;
    process->counters = spawned.counters;
    process->slots = spawned.slots;
    if ((r = watch(process, setup->event)) < 0) {
        (void)kill(process->pid, SIGKILL);
        (void)waitpid(process->pid, NULL, 0);
        process_free(process);
        return r;
    }
    process->start_usec = setup->start_usec == 0 ? START_USEC : setup->start_usec;
    enter(process, PROCESS_STARTING, process->start_usec);
    *ret = process;
    return 0;
}

void
process_free(struct process *process)
{
    if (process == NULL)
        return;
    /* Not "unref": the source may be dispatching just now, and must not come back. */
    (void)sd_event_source_disable_unref(process->child_source);
    (void)sd_event_source_disable_unref(process->channel_source);
    (void)sd_event_source_disable_unref(process->timer);
    (void)close(process->channel);
    counters_detach(process->counters, process->slots);
    free(process->failure_text);
    free(process);
}

/* ---- orders ------------------------------------------------------------------------------ */

void
process_tell(struct process *process, enum message_type order, uint64_t value, int fd)
{
    /* A dead one is noticed by its end, one that does not read by its pulse. */
    if (process->state != PROCESS_GONE)
        (void)channel_send(process->channel, order, value, NULL, fd);
}

void
process_serve(struct process *process)
{
    if (process->state != PROCESS_READY)
        return;
    process->serving_since = now_usec();
    enter(process, PROCESS_SERVING, UINT64_MAX);
    process_tell(process, MESSAGE_SERVE, 0, -1);
}

void
process_drain(struct process *process, uint64_t milliseconds)
{
    process->asked_to_end = true;
    if (process->state == PROCESS_STARTING) { /* nothing to finish, and it may not listen yet */
        process_cut(process);
        return;
    }
    bool drains_by_itself = process->state == PROCESS_DRAINING && process->deadline == UINT64_MAX;
    if (process->state != PROCESS_READY && process->state != PROCESS_SERVING && !drains_by_itself)
        return;
    process_tell(process, MESSAGE_DRAIN, milliseconds, -1);
    enter(process, PROCESS_DRAINING, milliseconds * 1000 + DRAIN_GRACE_USEC);
}

void
process_cut(struct process *process)
{
    process->asked_to_end = true;
    if (process->state == PROCESS_GONE || process->state == PROCESS_ENDING)
        return;
    process_tell(process, MESSAGE_CUT, 0, -1);
    enter(process, PROCESS_ENDING, CUT_USEC);
}

/* ---- what others ask ---------------------------------------------------------------------- */

pid_t
process_pid(const struct process *process)
{
    return process->pid;
}

enum process_state
process_state(const struct process *process)
{
    return process->state;
}

bool
process_has_stopped(const struct process *process)
{
    return process->stopped || process->state >= PROCESS_ENDING;
}

const struct counters *
process_counters(const struct process *process, uint32_t *ret_slots)
{
    *ret_slots = process->slots;
    return process->counters;
}

bool
process_has_failed(const struct process *process)
{
    return process->failed;
}

enum failure
process_failure(const struct process *process, const char **ret_text)
{
    *ret_text = process->failure_text == NULL ? "no reason given" : process->failure_text;
    return process->failure;
}

const char *
process_fate(const struct process *process)
{
    return process->fate;
}

bool
process_ended_well(const struct process *process)
{
    return process->ended_well;
}

uint64_t
process_served_usec(const struct process *process)
{
    return process->serving_since == 0 ? 0 : now_usec() - process->serving_since;
}
