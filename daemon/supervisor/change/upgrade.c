/* SPDX-License-Identifier: MIT */
/*
 * upgrade.c - trying the new program before this process becomes it
 *
 * The program on disk is started in a child as `--check`: it must read the
 * configuration, load every plugin, and understand the state that it would be
 * handed. Only if it says so in time is everything handed over
 * (upgrade_exec.c); else the running program goes on and says why.
 *
 * Runs in:  the supervisor, and for a moment its forked child.
 * Owns:     the child that tries, until it has ended or upgrade_cancel().
 * Failures: logged, and told to whoever asked; nothing has changed then.
 */
#include "supervisor/change/upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "common/array.h"
#include "common/child.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/close_from.h"
#include "common/descriptors.h"
#include "common/leave.h"
#include "common/log.h"
#include "common/probes.h"
#include "supervisor/signals.h"

#define TRIAL_USEC  UINT64_C(30000000) /* each plugin has 10 s, several are tried at a time */
#define LOOK_USEC   UINT64_C(1000000)  /* whether it has ended, if nobody says so */
#define RETRY_USEC  UINT64_C(50000)    /* whether what is under way has ended */
#define OUTPUT_SIZE 65536              /* a hundred mistakes, and more than enough for each */
#define STATE_FD    3

struct upgrade {
    struct change *change;
    struct operation *operation; /* whoever waits for its end */
    pid_t pid;                   /* 0: reaped */
    int pipe;                    /* what the program says */
    sd_event_source *child, *input, *timer;
    char output[OUTPUT_SIZE];
    size_t used;
    uint64_t deadline;
    bool dropped; /* it said more than fits */
    bool late;
    bool passed; /* the new program would do; it is executed as soon as nothing is under way */
};

/* ---- in the child -------------------------------------------------------------- */

static char **
trial_arguments(void)
{
    char **arguments = upgrade_arguments();
    size_t count = 0;

    while (arguments[count] != NULL)
        count++;
    char **made = calloc(count + 2, sizeof(char *));
    if (made == NULL)
        return NULL;
    made[0] = arguments[0];
    made[1] = (char *)(uintptr_t) "--check";
    memcpy(made + 2, arguments + 1, (count - 1) * sizeof(char *));
    return made;
}

static void
forget_the_manager(void)
{
    static const char *const names[] = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID",
                                        "LISTEN_PID",    "LISTEN_FDS",    "LISTEN_FDNAMES"};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        (void)unsetenv(names[i]);
}

static _Noreturn void
become_trial(int output, int state, char **arguments)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    (void)setpgid(0, 0);
    forget_the_manager();
    if (dup2(null, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 ||
        dup2(output, STDERR_FILENO) < 0 ||
        (state != STATE_FD ? dup2(state, STATE_FD) : fcntl(state, F_SETFD, 0)) < 0 ||
        setenv(UPGRADE_VARIABLE, "3", 1) < 0)
        leave(EXIT_FAILURE);
    close_from(STATE_FD + 1);
    signals_unblock();
    descriptors_restore_limit();
    (void)execv(upgrade_program(), arguments);
    (void)dprintf(STDERR_FILENO, "%s: %s\n", upgrade_program(), strerror(errno));
    leave(EXIT_FAILURE);
}

/* ---- its end ------------------------------------------------------------------------ */

static void
upgrade_free(struct upgrade *upgrade)
{
    (void)sd_event_source_disable_unref(upgrade->child);
    (void)sd_event_source_disable_unref(upgrade->input);
    (void)sd_event_source_disable_unref(upgrade->timer);
    if (upgrade->pid > 0) {
        (void)kill(-upgrade->pid, SIGKILL);
        child_leave(upgrade->pid);
    }
    if (upgrade->pipe >= 0)
        (void)close(upgrade->pipe);
    free(upgrade);
}

void
upgrade_cancel(struct change *change)
{
    struct upgrade *upgrade = take_pointer(change->upgrade);

    if (upgrade != NULL)
        upgrade_free(upgrade);
}

/* Logs what the program said, a line for each of its lines, and what it means. A stop that came
 * first is no error. */
static void
log_failure(const struct errors *said, int error, const char *why)
{
    if (error == -ESHUTDOWN) {
        log_notice("upgrade ended before it changed anything: %s", why);
        return;
    }
    for (size_t i = 0; i < said->count; i++)
        log_error("upgrade: %s", said->texts[i]);
    log_error("cannot upgrade: %s; going on as before", why);
}

static void
fail(struct upgrade *upgrade, int error, const char *why)
{
    struct errors said = {0};

    errors_quote(&said, upgrade->output);
    if (upgrade->dropped)
        errors_quote(&said, "the new program said more than is kept");
    log_failure(&said, error, why);
    PROBE(upgrade__fail, error);
    errors_quote(&said, why);
    operation_end_with(upgrade->operation, error, &said);
    upgrade_cancel(upgrade->change);
}

static bool
can_hand_over(const struct change *change)
{
    const struct roster *roster = change->roster;

    if (operations_running(change->operations, OPERATION_RELOAD) ||
        operations_preparing(change->operations) || roster->stage != DAEMON_SERVES)
        return false;
    for (size_t i = 0; i < roster->count; i++)
        if (!listener_can_be_exported(roster->listeners[i]))
            return false;
    return true;
}

static void
hand_over(struct upgrade *upgrade)
{
    struct roster *roster = upgrade->change->roster;

    if (roster_ends(roster)) {
        fail(upgrade, -ESHUTDOWN, "the daemon stops");
        return;
    }
    if (!can_hand_over(upgrade->change)) {
        upgrade->passed = true;
        if (monotonic_usec() < upgrade->deadline)
            return; /* the timer looks again */
        fail(upgrade, -EBUSY, "a listener is starting all the time");
        return;
    }
    operations_hurry(upgrade->change->operations);
    for (size_t i = 0; i < roster->count; i++)
        listener_put_off(roster->listeners[i]); /* its child would be nobody's */
    int r = upgrade_execute(upgrade->change);
    char why[256];
    (void)snprintf(why, sizeof(why), "cannot execute %s: %s", upgrade_program(), strerror(-r));
    fail(upgrade, r, why);
}

static void
read_output(struct upgrade *upgrade)
{
    char rest[512];

    for (;;) {
        bool fits = upgrade->used + 1 < sizeof(upgrade->output);
        ssize_t got = fits ? read(upgrade->pipe, upgrade->output + upgrade->used,
                                  sizeof(upgrade->output) - 1 - upgrade->used)
                           : read(upgrade->pipe, rest, sizeof(rest));
        if (got <= 0) {
            if (got == 0)
                (void)sd_event_source_set_enabled(upgrade->input, SD_EVENT_OFF);
            return;
        }
        upgrade->used += fits ? (size_t)got : 0;
        upgrade->dropped |= !fits;
    }
}

static int
on_input(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
    (void)source, (void)fd, (void)events;
    read_output(userdata);
    return 0;
}

static int
on_end(sd_event_source *source, const siginfo_t *info, void *userdata)
{
    struct upgrade *upgrade = userdata;
    bool fine = info->si_code == CLD_EXITED && info->si_status == 0;

    (void)source;
    child_leave(upgrade->pid); /* the loop would do it later: not as another program */
    upgrade->pid = 0;
    read_output(upgrade);
    if (fine && strstr(upgrade->output, UPGRADE_ANSWER "\n") != NULL)
        hand_over(upgrade);
    else if (upgrade->late)
        fail(upgrade, -ETIMEDOUT, "the new program's check took too long");
    else if (fine)
        fail(upgrade, -EPROTO, "the new program does not understand what it would be handed");
    else
        fail(upgrade, -ECANCELED, "the new program's check failed");
    return 0;
}

static void
look_again(struct upgrade *upgrade)
{
    (void)sd_event_source_set_time(upgrade->timer,
                                   monotonic_usec() + (upgrade->passed ? RETRY_USEC : LOOK_USEC));
    (void)sd_event_source_set_enabled(upgrade->timer, SD_EVENT_ONESHOT);
}

static int
on_timer(sd_event_source *source, uint64_t when, void *userdata)
{
    struct upgrade *upgrade = userdata;
    siginfo_t info;

    (void)source, (void)when;
    if (upgrade->passed) {
        look_again(upgrade);
        hand_over(upgrade);
        return 0;
    }
    if (child_has_ended(upgrade->pid, &info)) { /* the loop was told, and has missed it */
        (void)sd_event_source_set_enabled(upgrade->child, SD_EVENT_OFF);
        return on_end(upgrade->child, &info, upgrade);
    }
    if (monotonic_usec() >= upgrade->deadline) {
        upgrade->late = true;
        (void)kill(-upgrade->pid, SIGKILL);
    }
    look_again(upgrade);
    return 0;
}

/* ---- its beginning --------------------------------------------------------------------- */

static int
watch(struct upgrade *upgrade)
{
    sd_event *event = upgrade->change->roster->host.event;

    upgrade->deadline = monotonic_usec() + TRIAL_USEC;
    int r = sd_event_add_child(event, &upgrade->child, upgrade->pid, WEXITED, on_end, upgrade);

    /* The child's end may lead to ours, so signals that the loop has read already come first. */
    if (r >= 0)
        r = sd_event_source_set_priority(upgrade->child, SD_EVENT_PRIORITY_NORMAL + 1);
    if (r >= 0)
        r = sd_event_add_io(event, &upgrade->input, upgrade->pipe, EPOLLIN, on_input, upgrade);
    if (r >= 0)
        r = sd_event_add_time_relative(event, &upgrade->timer, CLOCK_MONOTONIC, LOOK_USEC, 0,
                                       on_timer, upgrade);
    return r;
}

static int
start_trial(struct upgrade *upgrade)
{
    _cleanup_free_ char **arguments = trial_arguments();
    _cleanup_close_ int state = -1, output = -1;
    int ends[2];

    if (arguments == NULL)
        return -ENOMEM;
    state = upgrade_describe(upgrade->change);
    if (state < 0)
        return state;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    upgrade->pipe = ends[0];
    output = ends[1];
    if (fcntl(upgrade->pipe, F_SETFL, O_NONBLOCK) < 0)
        return -errno;
    upgrade->pid = fork();
    if (upgrade->pid == 0)
        become_trial(output, state, arguments);
    if (upgrade->pid < 0) {
        upgrade->pid = 0;
        return -errno;
    }
    child_note(upgrade->pid);
    (void)setpgid(upgrade->pid, upgrade->pid); /* in case we come first */
    return watch(upgrade);
}

int
upgrade_begin(struct change *change, operation_done done, void *userdata)
{
    if (roster_ends(change->roster))
        return -ESHUTDOWN;
    if (operations_running(change->operations, OPERATION_UPGRADE) || !can_hand_over(change))
        return -EBUSY;
    if (!change->can_upgrade || upgrade_program() == NULL)
        return -ENOTSUP;
    struct upgrade *upgrade = calloc(1, sizeof(*upgrade));
    if (upgrade == NULL)
        return -ENOMEM;
    change->upgrade = upgrade;
    upgrade->change = change;
    upgrade->pipe = -1;
    int r = start_trial(upgrade);
    if (r >= 0)
        r = operations_note(change->operations, OPERATION_UPGRADE, done, userdata,
                            &upgrade->operation);
    if (r < 0) {
        upgrade_cancel(change);
        return r;
    }
    operation_lead(upgrade->operation); /* whoever waited gets the answer of this one */
    PROBE(upgrade__start);
    log_notice("trying %s for an upgrade", upgrade_program());
    return 0;
}
