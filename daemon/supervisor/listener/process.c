/* SPDX-License-Identifier: MIT */
/*
 * process.c - one worker process, as the supervisor sees it
 *
 * This file holds the supervisor's side of the channel, watches the worker's
 * life, and ends it when it must. generation.c and listener.c decide what its
 * events mean for the listener; process_watch.c says what its messages mean.
 *
 * Runs in:  the supervisor.
 * Owns:     the child process, its channel, its counters' mapping.
 * Failures: of starting: returned; of the worker: logged here when it hangs
 *           or misbehaves, else told to the handler.
 */
#include "supervisor/listener/process_private.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/child.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/patience.h"
#include "common/probes.h"
#include "common/usage.h"
#include "supervisor/listener/crash.h"
#include "supervisor/listener/helpers.h"
#include "supervisor/listener/process_orders.h"

/* ---- the end ----------------------------------------------------------------------- */

static void
describe_end(struct process *process, const siginfo_t *info)
{
    bool exited = info->si_code == CLD_EXITED;
    const char *more = "";
    char fate[CHILD_FATE_SIZE];

    process->ended_well = process->asked_to_end && exited && info->si_status == 0;
    if (info->si_code == CLD_DUMPED)
        more = ", core dumped";
    else if (exited && !process->asked_to_end)
        more = " although nobody asked it to: does the plugin call exit()?";
    (void)snprintf(process->fate, FATE_SIZE, "%s%s", child_fate(info, fate), more);
}

/* Adds where a worker was that a signal ended, and what it was doing if nobody asked it to end. */
static void
describe_work(struct process *process, bool signalled)
{
    size_t used = strlen(process->fate);

    if (signalled)
        crash_describe_place(process->counters, process->pid, process->fate + used,
                             FATE_SIZE - used);
    used = strlen(process->fate);
    if (!process->asked_to_end && process->serving_since != 0)
        crash_describe(process->counters, process->slots, process->pid, process->fate + used,
                       FATE_SIZE - used);
}

static bool
is_crash(const struct process *process, const siginfo_t *info)
{
    return info->si_code != CLD_EXITED && !process->asked_to_end &&
           child_signal_is_crash(info->si_status);
}

/* What the worker counted of its clients is over; if it crashed for one, that one is to blame. */
static void
settle_sources(struct process *process, const siginfo_t *info)
{
    if (is_crash(process, info))
        source_table_penalise_crash(process->sources, process->claim, process->pid,
                                    process->counters, process->slots, process->settings);
    source_table_release(process->sources, process->claim);
    process->claim = NO_CLAIM;
}

/* What the worker has computed since it told, if it is not reaped yet. */
static void
note_usage(struct process *process)
{
    uint64_t used = usage_cpu_of_ended(process->pid);

    if (used > counter_get(process->counters->cpu_ns))
        counter_set(process->counters->cpu_ns, used);
}

void
process_end(struct process *process, const siginfo_t *info)
{
    note_usage(process);
    child_leave(process->pid);      /* the loop would try to reap it only once */
    (void)process_receive(process); /* the worker's last messages explain why it ended */
    process_read_log(process, true);
    describe_end(process, info);
    helpers_end(process->pid, process->settings, !process->ended_well);
    describe_work(process, info->si_code != CLD_EXITED);
    settle_sources(process, info);
    PROBE(worker__end, process->settings->name, process->pid, info->si_code, info->si_status);
    process->state = PROCESS_GONE;
    (void)sd_event_source_set_enabled(process->timer, SD_EVENT_OFF);
    (void)sd_event_source_set_enabled(process->channel_source, SD_EVENT_OFF);
    (void)sd_event_source_set_enabled(process->child_source, SD_EVENT_OFF);
    if (process->log_source != NULL)
        (void)sd_event_source_set_enabled(process->log_source, SD_EVENT_OFF);
    process->handler(process, PROCESS_IS_GONE, process->userdata);
}

static int
on_child(sd_event_source *source, const siginfo_t *info, void *userdata)
{
    (void)source;
    process_end(userdata, info);
    return 0;
}

/* ---- the beginning --------------------------------------------------------------------- */

/* A mere "unref" would not do: a source may be dispatching just now, and must not come back. */
static void
unwatch(struct process *process)
{
    process->child_source = sd_event_source_disable_unref(process->child_source);
    process->channel_source = sd_event_source_disable_unref(process->channel_source);
    process->log_source = sd_event_source_disable_unref(process->log_source);
    process->wishes_source = sd_event_source_disable_unref(process->wishes_source);
    process->timer = sd_event_source_disable_unref(process->timer);
}

static int
watch(struct process *process, sd_event *event)
{
    int r =
        sd_event_add_child(event, &process->child_source, process->pid, WEXITED, on_child, process);

    if (r >= 0)
        r = sd_event_add_io(event, &process->channel_source, process->channel, EPOLLIN,
                            process_on_channel, process);
    /* Answers must be read before the timer concludes that there are none. */
    if (r >= 0)
        r = sd_event_source_set_priority(process->channel_source, SD_EVENT_PRIORITY_IMPORTANT);
    if (r >= 0)
        r = sd_event_add_time(event, &process->timer, CLOCK_MONOTONIC, UINT64_MAX, 0,
                              process_on_timer, process);
    if (r >= 0)
        r = sd_event_source_set_enabled(process->timer, SD_EVENT_OFF);
    if (r >= 0)
        r = process_watch_log(process, event);
    if (r >= 0)
        r = process_watch_wishes(process, event);
    if (r < 0)
        unwatch(process);
    return r < 0 ? r : 0;
}

static void
free_process(struct process *process)
{
    free(process->tally);
    free(process);
}

static struct process *
new_process(uint64_t started_usec)
{
    struct process *process = calloc(1, sizeof(*process));

    if (process == NULL)
        return NULL;
    process->tally = malloc(sizeof(*process->tally));
    if (process->tally == NULL) {
        free(process);
        return NULL;
    }
    tally_init(process->tally, started_usec);
    return process;
}

int
process_new(const struct process_setup *setup, struct process **ret)
{
    struct spawned spawned;
    struct process *process = new_process(monotonic_usec());

    if (process == NULL)
        return -ENOMEM;
    struct spawn_socket socket = setup->socket;
    socket.sources = setup->sources;
    socket.claim = setup->sources == NULL
                       ? NO_CLAIM
                       : source_table_claim(setup->sources, mixin_slots(setup->settings));
    int r = spawn_worker(setup->settings, setup->options, &socket, &spawned);
    if (r < 0) {
        source_table_release(setup->sources, socket.claim);
        free_process(process);
        return r;
    }
    process->sources = setup->sources;
    process->claim = socket.claim;
    process->kept = setup->kept;
    process->settings = settings_ref(setup->settings);
    process->handler = setup->handler;
    process->userdata = setup->userdata;
    process->retry_at = UINT64_MAX;
    process->pid = spawned.pid;
    process->channel = spawned.channel;
    process->log = spawned.log;
    process->wishes = spawned.wishes;
    process->control_asked = setup->options->control_asked;
    process->control_userdata = setup->options->userdata;
    process->counters = spawned.counters;
    process->counters_fd = spawned.counters_fd;
    process->slots = spawned.slots;
    counter_set(process->counters->requests, setup->numbers);
    if ((r = watch(process, setup->event)) < 0) {
        (void)kill(process->pid, SIGKILL);
        child_leave(process->pid);
        process_free(process);
        return r;
    }
    process->start_usec = setup->start_usec == 0 ? START_USEC : setup->start_usec;
    process_enter(process, PROCESS_STARTING, process->start_usec);
    PROBE(worker__start, process->settings->name, process->pid);
    *ret = process;
    return 0;
}

/* A worker's memory is not to be trusted: two that say they have the same claim are counted
 * nowhere when they die. */
static void
take_over_claims(struct process *process, struct source_table *sources)
{
    uint32_t claims = process->counters->claims;

    process->sources = sources;
    process->claim = NO_CLAIM;
    if (sources != NULL && claims > 0 && source_table_keep(sources, claims - 1, process->slots))
        process->claim = claims - 1;
}

static bool
can_be_imported(const struct upgrade_worker *worker)
{
    return worker->state == PROCESS_SERVING || worker->state == PROCESS_DRAINING ||
           worker->state == PROCESS_ENDING;
}

int
process_import(const struct process_setup *setup, const struct upgrade_worker *worker,
               struct process **ret)
{
    struct process *process;
    uint64_t now = monotonic_usec();

    do
        process = new_process(worker->serving_since < now ? worker->serving_since : now);
    while (process == NULL && patience_allows(-ENOMEM));
    if (process == NULL)
        return -ENOMEM;
    process->settings = settings_ref(setup->settings);
    process->handler = setup->handler;
    process->userdata = setup->userdata;
    process->claim = NO_CLAIM;
    process->kept = setup->kept;
    process->pid = worker->pid;
    child_note(process->pid);
    process->channel = worker->channel;
    process->log = worker->log;
    process->wishes = worker->wishes - 1;
    if (setup->options != NULL) {
        process->control_asked = setup->options->control_asked;
        process->control_userdata = setup->options->userdata;
    }
    process->counters_fd = worker->counters;
    process->slots = worker->slots;
    process->serving_since = worker->serving_since;
    process->pings = worker->pings;
    process->stopped = worker->stopped;
    process->asked_to_end = worker->asked_to_end;
    process->next_ping = now + PING_USEC;
    process->retry_at = UINT64_MAX;
    int r = can_be_imported(worker) ? 0 : -EBADMSG;
    if (r == 0 && (fcntl(process->channel, F_SETFD, FD_CLOEXEC) < 0 ||
                   fcntl(process->counters_fd, F_SETFD, FD_CLOEXEC) < 0 ||
                   (process->wishes >= 0 && fcntl(process->wishes, F_SETFD, FD_CLOEXEC) < 0) ||
                   (process->log >= 0 && fcntl(process->log, F_SETFD, FD_CLOEXEC) < 0)))
        r = -errno;
    if (r == 0)
        do
            r = counters_attach_own(process->counters_fd, process->slots, &process->counters);
        while (patience_allows(r));
    if (r == 0) {
        take_over_claims(process, setup->sources);
        process_ask_no_more(process); /* whoever asked has lost its connection */
    }
    if (r == 0)
        do
            r = watch(process, setup->event);
        while (patience_allows(r));
    if (r < 0) {
        process_free(process); /* this closes the channel: the worker drains and ends */
        child_leave(worker->pid);
        return r;
    }
    uint64_t left = worker->deadline > now ? worker->deadline - now : 0;
    process_enter(process, (enum process_state)worker->state,
                  worker->deadline == UINT64_MAX ? UINT64_MAX : left);
    if (process->state == PROCESS_ENDING)
        process_tell(process, MESSAGE_CUT, 0, -1); /* the worker may have been starting */
    *ret = process;
    return 0;
}

void
process_export(struct process *process, struct upgrade_worker *ret)
{
    process_read_log(process, true); /* the next process does not know how a line began */
    *ret = (struct upgrade_worker){
        .pid = process->pid,
        .channel = process->channel,
        .counters = process->counters_fd,
        .log = process->log,
        .wishes = process->wishes + 1,
        .slots = process->slots,
        .state = process->state,
        .deadline = process->deadline,
        .serving_since = process->serving_since,
        .pings = process->pings,
        .stopped = process->stopped,
        .asked_to_end = process->asked_to_end,
    };
    if (process->state >= PROCESS_SERVING)
        return;
    ret->state = PROCESS_ENDING; /* the next process of the daemon starts its own worker */
    ret->deadline = monotonic_usec() + CUT_USEC;
    ret->asked_to_end = true;
}

void
process_free(struct process *process)
{
    if (process == NULL)
        return;
    unwatch(process);
    source_table_release(process->sources, process->claim);
    (void)close(process->channel);
    (void)close(process->counters_fd);
    if (process->log >= 0)
        (void)close(process->log);
    if (process->wishes >= 0)
        (void)close(process->wishes);
    free(process->log_text);
    free(process->tls.path);
    used_files_done(&process->files);
    counters_detach(process->counters, process->slots);
    settings_unref(process->settings);
    errors_done(&process->mistakes);
    free_process(process);
}

/* ---- orders ------------------------------------------------------------------------------ */

/* Whether the order must arrive, and makes the one before it void. */
static bool
changes_phase(enum message_type order)
{
    return order == MESSAGE_SERVE || order == MESSAGE_DRAIN || order == MESSAGE_EMPTY ||
           order == MESSAGE_CUT;
}

void
process_tell(struct process *process, enum message_type type, uint64_t value, int fd)
{
    /* Errors need no care: a dead worker is noticed by its end, one that does not read by its
     * pulse. */
    if (process->state == PROCESS_GONE)
        return;
    int r = channel_send(process->channel, type, value, NULL, fd);
    if (changes_phase(type))
        process_owe(process, channel_is_short(r) ? type : 0, value);
}

void
process_serve(struct process *process)
{
    if (process->state != PROCESS_READY)
        return;
    process->serving_since = monotonic_usec();
    process_enter(process, PROCESS_SERVING, UINT64_MAX);
    process_tell(process, MESSAGE_SERVE, 0, -1);
}

void
process_drain(struct process *process, uint64_t milliseconds, bool answer_queue)
{
    process->asked_to_end = true;
    if (process->state == PROCESS_STARTING) { /* it has nothing to finish, and may not listen yet */
        process_cut(process);
        return;
    }
    bool drains_by_itself = process->state == PROCESS_DRAINING && process->deadline == UINT64_MAX;
    if (process->state != PROCESS_READY && process->state != PROCESS_SERVING && !drains_by_itself)
        return;
    process_tell(process, answer_queue ? MESSAGE_EMPTY : MESSAGE_DRAIN, milliseconds, -1);
    process_enter(process, PROCESS_DRAINING, milliseconds * 1000 + DRAIN_GRACE_USEC);
}

void
process_cut(struct process *process)
{
    process->asked_to_end = true;
    if (process->state == PROCESS_GONE || process->state == PROCESS_ENDING)
        return;
    process_tell(process, MESSAGE_CUT, 0, -1);
    process_enter(process, PROCESS_ENDING, CUT_USEC);
}

void
process_expect_end(struct process *process, uint64_t allowed_usec)
{
    process->asked_to_end = true;
    if (process->state != PROCESS_GONE && process->state != PROCESS_ENDING)
        process_enter(process, PROCESS_ENDING, allowed_usec);
}

/* ---- what others ask ---------------------------------------------------------------------- */

const struct settings *
process_settings(const struct process *process)
{
    return process->settings;
}

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

void
process_sums(const struct process *process, struct counter_sums *ret)
{
    tally_look(process->tally, process->counters, process->slots, monotonic_usec(), ret);
}

uint64_t
process_memory(const struct process *process)
{
    uint64_t until = monotonic_usec() + WEIGHED_USEC;

    counter_set(process->counters->memory_wanted, (int64_t)until * 1000);
    return counter_get(process->counters->memory);
}

bool
process_files_changed(const struct process *process)
{
    return used_files_changed(&process->files);
}

uint64_t
process_area(const struct process *process)
{
    return process->area;
}

const struct process_tls *
process_tls(const struct process *process)
{
    return process->told_tls ? &process->tls : NULL;
}

bool
process_has_failed(const struct process *process)
{
    return process->failed;
}

enum failure
process_failure(const struct process *process)
{
    return process->failure;
}

const struct errors *
process_mistakes(const struct process *process)
{
    return &process->mistakes;
}

/* Whether the text has its place already: "FILE:LINE: ...". */
static bool
has_place(const char *text, const char *file)
{
    size_t size = file == NULL ? 0 : strlen(file);

    return size > 0 && strncmp(text, file, size) == 0 && text[size] == ':';
}

void
process_add_mistakes(const struct process *process, struct errors *errors)
{
    const struct settings *settings = process->settings;

    for (size_t i = 0; i < process->mistakes.count; i++)
        if (process->failure == FAILURE_CONFIGURATION ||
            has_place(process->mistakes.texts[i], settings->file))
            errors_add(errors, NULL, 0, "%s", process->mistakes.texts[i]);
        else
            errors_add(errors, settings->file, settings->line, "listeners.%s: %s", settings->name,
                       process->mistakes.texts[i]);
    errors->exhausted |= process->mistakes.exhausted;
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
    return process->serving_since == 0 ? 0 : monotonic_usec() - process->serving_since;
}
