/* SPDX-License-Identifier: MIT */
/*
 * process_watch.c - a worker's pulse, its deadlines, and what it says
 *
 * Everything that a worker sends is hostile input: if a message does not
 * belong, this is logged once and the worker is killed. A table says in which
 * states each message makes sense.
 *
 * Runs in:  the supervisor.
 * Owns:     nothing; the process is process.c's.
 * Failures: a worker that hangs or misbehaves is logged and killed.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/array.h"
#include "common/child.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/descriptors.h"
#include "common/log.h"
#include "supervisor/listener/process_private.h"

#define MESSAGES_AT_ONCE 32 /* then the other event sources have a turn */

/* A worker says a word every two seconds, and at its start as many as it has mistakes. */
#define MESSAGE_USEC (SECOND / 100)                  /* the budget of one message */
#define BUDGET_USEC  ((int64_t)(300 * MESSAGE_USEC)) /* of so many at once */
#define LATEST_SEC   UINT64_C(253402300799)          /* the last second of the year 9999 */
#define FLOOD_USEC   (3 * SECOND) /* a worker that floods for so long is killed */

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
    if (process->retry_at < when)
        when = process->retry_at;
    if (when == UINT64_MAX) {
        (void)sd_event_source_set_enabled(process->timer, SD_EVENT_OFF);
        return;
    }
    (void)sd_event_source_set_time(process->timer, when);
    (void)sd_event_source_set_enabled(process->timer, SD_EVENT_ONESHOT);
}

void
process_enter(struct process *process, enum process_state state, uint64_t allowed_usec)
{
    process->state = state;
    process->deadline = allowed_usec == UINT64_MAX ? UINT64_MAX : monotonic_usec() + allowed_usec;
    arm_timer(process);
}

static void
retry_soon(struct process *process)
{
    process->retry_at = monotonic_usec() + RETRY_USEC;
    arm_timer(process);
}

void
process_owe(struct process *process, unsigned order, uint64_t value)
{
    process->owed = order;
    process->owed_value = value;
    if (order != 0)
        retry_soon(process);
}

/* Sends what is owed and reads the channel again, after a shortage of memory. */
static void
retry(struct process *process)
{
    process->retry_at = process->hung_up ? monotonic_usec() + SECOND : UINT64_MAX;
    if (process->owed != 0)
        process_tell(process, (enum message_type)process->owed, process->owed_value, -1);
    if (process->deaf)
        process->deaf = sd_event_source_set_enabled(process->channel_source, SD_EVENT_ON) < 0;
    if (process->deaf)
        retry_soon(process);
    else
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
    process_enter(process, PROCESS_ENDING, CUT_USEC); /* to look whether it is gone */
}

/* Ends the worker with a core file that shows where it hangs. */
static void
abort_process(struct process *process)
{
    send_signal(process, SIGABRT);
    process_enter(process, PROCESS_ENDING, ABORT_USEC);
}

/* Returns the process that traces the worker, a debugger for example, or 0. */
static pid_t
tracer_of(const struct process *process)
{
    char path[64], text[4096];

    (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)process->pid);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (size < 0)
        return 0;
    text[size] = '\0';
    const char *line = strstr(text, "\nTracerPid:");
    return line == NULL ? 0 : (pid_t)strtol(line + strlen("\nTracerPid:"), NULL, 10);
}

/* Whether a debugger holds the worker: then it has time until the debugger leaves. */
static bool
is_traced(struct process *process)
{
    pid_t tracer = tracer_of(process);

    if (tracer != 0 && !process->traced)
        log_listener(process->settings->name, LOG_WARNING,
                     "worker %d does not answer, but process %d traces it: leaving it alone until "
                     "that ends",
                     (int)process->pid, (int)tracer);
    process->traced = tracer != 0;
    return process->traced;
}

static void
deadline_passed(struct process *process)
{
    switch (process->state) {
    case PROCESS_STARTING:
        if (is_traced(process)) {
            process_enter(process, PROCESS_STARTING, process->start_usec);
            break;
        }
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
    if (process->unanswered_since != 0 && now - process->unanswered_since >= PONG_USEC &&
        is_traced(process))
        process->unanswered_since = now;
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

int
process_on_timer(sd_event_source *source, uint64_t when, void *userdata)
{
    struct process *process = userdata;
    uint64_t now = monotonic_usec();

    (void)source;
    (void)when;
    siginfo_t info;
    if (child_has_ended(process->pid, &info)) /* the loop has missed the end */
        process_end(process, &info);
    else if (now >= process->deadline)
        deadline_passed(process);
    else if (now >= process->retry_at)
        retry(process);
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
    process->next_ping = monotonic_usec() + PING_USEC;
    process_enter(process, PROCESS_READY, UINT64_MAX);
    process->handler(process, PROCESS_IS_READY, process->userdata);
}

/* A worker may send any number of mistakes: struct errors keeps a hundred, and says so. */
static void
on_mistake(struct process *process, const struct message *message)
{
    errors_add(&process->mistakes, NULL, 0, "%s", message->text);
}

static void
on_failed(struct process *process, const struct message *message)
{
    process->failed = true;
    process->failure =
        message->value == FAILURE_CONFIGURATION ? FAILURE_CONFIGURATION : FAILURE_RUNTIME;
    if (!errors_any(&process->mistakes))
        errors_add(&process->mistakes, NULL, 0, "no reason given");
    process->asked_to_end = true; /* the worker ends by itself, and this is no surprise */
    process_enter(process, PROCESS_ENDING, CUT_USEC);
    process->handler(process, PROCESS_HAS_FAILED, process->userdata);
}

static void
on_stopped(struct process *process, const struct message *message)
{
    (void)message;
    if (process->stopped)
        return;
    process->stopped = true;
    /* Nobody here asked for it: somebody sent SIGTERM to the worker, as service managers do to all
     * processes at once. */
    if (process->state == PROCESS_SERVING)
        process_enter(process, PROCESS_DRAINING, UINT64_MAX);
    process->handler(process, PROCESS_HAS_STOPPED, process->userdata);
}

static void
on_pong(struct process *process, const struct message *message)
{
    if (message->value == 0 || message->value > process->pings)
        misbehave(process, "an answer that nobody asked for");
    else
        process->unanswered_since = message->value == process->pings ? 0 : monotonic_usec();
    if (process->state == PROCESS_SERVING && !process->misbehaved)
        process->handler(process, PROCESS_HAS_PULSE, process->userdata);
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

/* Returns whether the worker may speak of TLS; otherwise it is killed. */
static bool
has_tls(struct process *process)
{
    if (settings_want_tls(process->settings))
        return true;
    misbehave(process, "a message about TLS, which it does not have");
    return false;
}

static void
on_certificate(struct process *process, const struct message *message)
{
    if (!has_tls(process))
        return;
    free(process->tls.path);
    process->tls.path = strdup(message->text);
    process->tls.ends = message->value < LATEST_SEC ? message->value : LATEST_SEC;
    process->told_tls = true;
}

static void
on_tls(struct process *process, const struct message *message)
{
    if (!has_tls(process))
        return;
    process->tls.ktls = (message->value & TLS_HAS_KTLS) != 0;
    process->told_tls = true;
}

static void
on_file(struct process *process, const struct message *message)
{
    used_files_add(&process->files, message->text);
}

/* It may ask again: the first time no other worker could be started. */
static void
on_replace(struct process *process, const struct message *message)
{
    (void)message;
    if (process->state == PROCESS_SERVING)
        process->handler(process, PROCESS_WANTS_ANOTHER, process->userdata);
}

/* What a worker may say, and in which states (bits). */
#define IN(state) (1u << (state))
static const struct {
    uint32_t type;
    unsigned states;
    void (*take)(struct process *process, const struct message *message);
} messages[] = {
    {MESSAGE_READY, IN(PROCESS_STARTING), on_ready},
    {MESSAGE_MISTAKE, IN(PROCESS_STARTING), on_mistake},
    {MESSAGE_FAILED, IN(PROCESS_STARTING), on_failed},
    {MESSAGE_CERTIFICATE, IN(PROCESS_STARTING), on_certificate},
    {MESSAGE_TLS, IN(PROCESS_STARTING), on_tls},
    {MESSAGE_FILE,
     IN(PROCESS_STARTING) | IN(PROCESS_READY) | IN(PROCESS_SERVING) | IN(PROCESS_DRAINING),
     on_file},
    {MESSAGE_STOPPED, ~IN(PROCESS_GONE), on_stopped},
    {MESSAGE_PONG, IN(PROCESS_READY) | IN(PROCESS_SERVING) | IN(PROCESS_DRAINING), on_pong},
    {MESSAGE_STOP, IN(PROCESS_READY) | IN(PROCESS_SERVING) | IN(PROCESS_DRAINING), on_stop},
    {MESSAGE_REPLACE, IN(PROCESS_SERVING) | IN(PROCESS_DRAINING), on_replace},
};

static void
take_message(struct process *process, const struct message *message)
{
    if (process->state == PROCESS_ENDING)
        return; /* the worker's last words do not matter any more */
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

/* Takes one message from the channel. Whether there may be more. */
static bool
receive_one(struct process *process)
{
    struct message message;
    int fd = -1;
    int r = channel_receive(process->channel, &message, &fd);

    if (fd >= 0) {
        descriptor_close_foreign(fd);
        misbehave(process, "a descriptor");
        return false;
    }
    if (r == -EBADMSG)
        misbehave(process, "junk");
    if (r > 0)
        take_message(process, &message);
    else if (r != -EAGAIN) {
        (void)sd_event_source_set_enabled(process->channel_source, SD_EVENT_OFF);
        if (channel_is_short(r))
            process->deaf = true; /* others shall have a turn first */
        else
            process->hung_up = true; /* closed or broken: the exit tells the rest */
        retry_soon(process);
    }
    return r > 0;
}

unsigned
process_receive(struct process *process)
{
    unsigned taken = 0;

    process_read_log(process, false); /* what it has said before the messages stands before them */
    while (taken < MESSAGES_AT_ONCE && process->state != PROCESS_GONE && receive_one(process))
        taken++;
    return taken;
}

/* ---- floods ------------------------------------------------------------------------ */

/* Fills the bucket by the time that has passed. A full one ends a flood. */
static void
refill(struct process *process, uint64_t now)
{
    process->budget += (int64_t)(now - process->budget_at);
    process->budget_at = now;
    if (process->budget < BUDGET_USEC)
        return;
    process->budget = BUDGET_USEC;
    process->floods_since = 0;
}

/* The bucket is empty: the channel is not looked at until there is something in it again. */
static void
dam(struct process *process, uint64_t now)
{
    if (process->floods_since == 0) {
        process->floods_since = now;
        log_listener(process->settings->name, LOG_WARNING,
                     "worker %d sends more than %" PRIu64
                     " messages a second: reading no more of them; it is killed if it goes on for "
                     "%" PRIu64 " s",
                     (int)process->pid, SECOND / MESSAGE_USEC, FLOOD_USEC / SECOND);
    } else if (now - process->floods_since >= FLOOD_USEC && !process->misbehaved) {
        process->misbehaved = true;
        log_listener(process->settings->name, LOG_ERR,
                     "worker %d has sent too many messages for %" PRIu64 " s: killing it",
                     (int)process->pid, FLOOD_USEC / SECOND);
        kill_for_good(process);
        return;
    }
    if (sd_event_source_set_enabled(process->channel_source, SD_EVENT_OFF) < 0)
        return;
    process->deaf = true;
    process->retry_at = now + (uint64_t)-process->budget + MESSAGE_USEC;
    arm_timer(process);
}

int
process_on_channel(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
    struct process *process = userdata;
    unsigned taken = process_receive(process);

    (void)source;
    (void)fd;
    (void)events;
    if (process->state == PROCESS_GONE || process->hung_up)
        return 0;
    uint64_t now = monotonic_usec();
    refill(process, now);
    process->budget -= (int64_t)(taken * MESSAGE_USEC);
    if (process->budget <= 0)
        dam(process, now);
    return 0;
}
