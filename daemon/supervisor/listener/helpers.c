/* SPDX-License-Identifier: MIT */
/*
 * helpers.c - programs that plugins have started: they end with their worker
 *
 * A worker leads a session and a process group. Most of what its plugin starts stays in the group.
 * A process that has left it, as daemons do, becomes a child of the supervisor when its parent
 * ends, and is known by a variable of the environment that its worker was born with. Where the
 * environment may not be read, it is known by its user, if no other worker has that user.
 *
 * A supervisor that is PID 1 in its namespace gets orphans without asking for them; they are
 * reaped in the same way.
 *
 * Runs in:  the supervisor.
 * Owns:     the list of workers whose helpers are to end, and the timer that looks after them.
 * Failures: a helper that changed its user, its group and its environment is not found. Under
 *           systemd it ends with the unit's control group.
 */
#include "supervisor/listener/helpers.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common/child.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/mixins.h"

#define LOOK_USEC  UINT64_C(100000)
#define GRACE_USEC UINT64_C(2000000) /* from SIGTERM to SIGKILL */
#define CHILDREN   4096              /* are looked at; the next look finds the rest */
#define PROC_FILE  65536
#define NAME_SIZE  64
#define NO_USER    ((uid_t)-1)

/* A worker that has died, and some of whose helpers may be alive. */
struct ending {
    pid_t worker;
    uid_t user;
    char name[NAME_SIZE];
    uint64_t kill_at;
    bool killing;
};

static struct {
    sd_event_source *timer, *deaths;
    helpers_gone gone;
    void *userdata;
    struct ending *endings;
    size_t count, room;
} helpers;

/* ---- what /proc says -------------------------------------------------------------------- */

/* Returns the file's first bytes as text, or NULL with errno. *ret_size: how many there are. */
static char *
read_proc(pid_t pid, const char *name, size_t *ret_size)
{
    char path[64];
    _cleanup_free_ char *text = malloc(PROC_FILE + 1);

    (void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (text == NULL || fd < 0)
        return NULL;
    ssize_t size = read(fd, text, PROC_FILE);
    if (size < 0)
        return NULL;
    text[size] = '\0';
    *ret_size = (size_t)size;
    return take_pointer(text);
}

/* Whether the environment has the variable with the worker's number. */
static bool
has_variable(const char *environment, size_t size, pid_t worker)
{
    char wanted[64];

    (void)snprintf(wanted, sizeof(wanted), HELPERS_VARIABLE "=%d", (int)worker);
    for (const char *at = environment; at < environment + size; at += strlen(at) + 1)
        if (strcmp(at, wanted) == 0)
            return true;
    return false;
}

static uid_t
user_of(pid_t pid)
{
    size_t size;
    _cleanup_free_ char *status = read_proc(pid, "status", &size);
    const char *line = status == NULL ? NULL : strstr(status, "\nUid:");

    return line == NULL ? NO_USER : (uid_t)strtoul(line + strlen("\nUid:"), NULL, 10);
}

static bool
has_no_other_worker(uid_t user, const pid_t *children, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (child_is_noted(children[i]) && user_of(children[i]) == user)
            return false;
    return true;
}

static bool
belongs_to(const struct ending *ending, pid_t pid, const pid_t *children, size_t count)
{
    size_t size;
    _cleanup_free_ char *environment = read_proc(pid, "environ", &size);

    if (environment != NULL)
        return has_variable(environment, size, ending->worker);
    return errno == EACCES && ending->user != NO_USER && user_of(pid) == ending->user &&
           has_no_other_worker(ending->user, children, count);
}

/* ---- ending them -------------------------------------------------------------------------- */

/* A helper often leads a group of its own. */
static void
signal_helper(pid_t pid, int number)
{
    if (getpgid(pid) == pid)
        (void)kill(-pid, number);
    else
        (void)kill(pid, number);
}

/* Sends the signal (0: none) to what is left of the worker's descendants. Returns how many. */
static size_t
signal_helpers(const struct ending *ending, int number)
{
    static pid_t children[CHILDREN];
    size_t count = child_list(children, CHILDREN), found = 0;
    siginfo_t info;

    if (kill(-ending->worker, number) == 0)
        found++;
    for (size_t i = 0; i < count; i++) {
        if (child_is_noted(children[i]) || child_has_ended(children[i], &info) ||
            !belongs_to(ending, children[i], children, count))
            continue;
        found++;
        signal_helper(children[i], number);
    }
    return found;
}

/* Whether nothing is left of them. */
static bool
look_after(struct ending *ending)
{
    bool late = monotonic_usec() >= ending->kill_at;
    size_t left = signal_helpers(ending, late ? SIGKILL : 0);

    if (left > 0 && late && !ending->killing) {
        ending->killing = true;
        log_listener(ending->name, LOG_WARNING,
                     "processes that worker %d left behind did not end: killing them",
                     (int)ending->worker);
    }
    return left == 0;
}

static void
look_again(void)
{
    (void)sd_event_source_set_time(helpers.timer, monotonic_usec() + LOOK_USEC);
    (void)sd_event_source_set_enabled(helpers.timer, SD_EVENT_ONESHOT);
}

void
helpers_reap(void)
{
    static pid_t children[CHILDREN];
    size_t count;
    siginfo_t info;

    (void)child_sweep();
    count = child_list(children, CHILDREN);
    for (size_t i = 0; i < count; i++)
        if (!child_is_noted(children[i]))
            (void)child_has_ended(children[i], &info);
}

static int
on_timer(sd_event_source *source, uint64_t when, void *userdata)
{
    (void)source, (void)when, (void)userdata;
    helpers_reap();
    for (size_t i = 0; i < helpers.count; i++)
        if (look_after(&helpers.endings[i]))
            helpers.endings[i--] = helpers.endings[--helpers.count];
    if (helpers.count > 0)
        look_again();
    else
        helpers.gone(helpers.userdata);
    return 0;
}

static int
on_death(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
    (void)source, (void)info, (void)userdata;
    helpers_reap();
    return 0;
}

/* ---- from outside -------------------------------------------------------------------------- */

static struct ending *
add_ending(void)
{
    if (helpers.count == helpers.room) {
        size_t room = 2 * helpers.room + 4;
        struct ending *grown = reallocarray(helpers.endings, room, sizeof(*grown));
        if (grown == NULL)
            return NULL;
        helpers.endings = grown;
        helpers.room = room;
    }
    return &helpers.endings[helpers.count];
}

void
helpers_end(pid_t worker, const struct settings *settings, bool crashed)
{
    uint64_t grace = GRACE_USEC;

    if (!settings->kill_helpers || helpers.timer == NULL)
        return;
    if (crashed && mixin_traits[settings->mixin].forks)
        grace += (uint64_t)(settings->drain_timeout * 1e6);
    struct ending ending = {
        .worker = worker, .user = settings->uid, .kill_at = monotonic_usec() + grace};
    (void)snprintf(ending.name, sizeof(ending.name), "%s", settings->name);
    if (signal_helpers(&ending, SIGTERM) == 0)
        return;
    struct ending *place = add_ending();
    if (place == NULL) {
        (void)signal_helpers(&ending, SIGKILL); /* there is no memory to wait for them */
        return;
    }
    *place = ending;
    helpers.count++;
    look_again();
}

bool
helpers_any(void)
{
    return helpers.count > 0;
}

int
helpers_begin(sd_event *event, helpers_gone gone, void *userdata)
{
    helpers.gone = gone;
    helpers.userdata = userdata;
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    int r =
        sd_event_add_time(event, &helpers.timer, CLOCK_MONOTONIC, UINT64_MAX, 0, on_timer, NULL);
    if (r >= 0)
        r = sd_event_source_set_enabled(helpers.timer, SD_EVENT_OFF);
    if (r >= 0)
        r = sd_event_add_signal(event, &helpers.deaths, SIGCHLD, on_death, NULL);
    if (r < 0)
        helpers_done();
    return r < 0 ? r : 0;
}

void
helpers_done(void)
{
    helpers.timer = sd_event_source_disable_unref(helpers.timer);
    helpers.deaths = sd_event_source_disable_unref(helpers.deaths);
    free(helpers.endings);
    helpers.endings = NULL;
    helpers.count = helpers.room = 0;
}
