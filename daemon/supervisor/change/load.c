/* SPDX-License-Identifier: MIT */
/*
 * load.c - the configuration, read by a process of its own
 *
 * A configuration file may hold anything, and reading it may take any time:
 * libconfig's parser does not survive a lack of memory, a file may lie on a
 * disk that does not answer, and the databases of users and groups may ask a
 * network. A throw-away child bears all that. It hands over what has come of it
 * through a pipe (config_pack.c), or is killed when its time is up. Whatever
 * becomes of the child, the supervisor goes on as before.
 *
 * The child is forked and executes nothing: the supervisor has no other thread,
 * so the child may do everything that the supervisor may, and a fork takes less
 * than a millisecond where a new program would have to be loaded and told its
 * command line. What the child knows of the supervisor does not matter, as no
 * foreign code runs in it.
 *
 * Runs in:  the supervisor and --check; their forked child.
 * Owns:     the child, the pipe and the bytes that came, until load_free().
 * Failures: of starting: returned; of the child: told as a sentence.
 */
#include "supervisor/change/load.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common/array.h"
#include "common/child.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/close_from.h"
#include "common/leave.h"
#include "common/secret.h"
#include "common/write_all.h"
#include "config/config_pack.h"

#define ANSWER_FD 3
#define NO_MEMORY ENOMEM         /* the child's exit status then */
#define LARGEST   (64u << 20)    /* bytes that the child may hand over */
#define PIECE     65536u         /* bytes that are read at a time */
#define PIECES    16             /* that are read in one turn of the loop */
#define LOOK_USEC UINT64_C(1000) /* whether the child has ended, when it has said all */

struct load {
    struct load_setup setup;
    pid_t pid; /* 0: none, or reaped */
    int pipe;
    char *bytes;
    size_t size, room;
    uint64_t deadline;
    bool complete; /* the child says no more */
    sd_event_source *input, *timer;
};

/* ---- in the child ---------------------------------------------------------------------- */

/* Nothing of the supervisor's stays open: no socket outlives it here. */
static _Noreturn void
read_and_hand_over(const struct load_setup *setup, int pipe, pid_t parent)
{
    struct config config = {0};
    struct errors errors = {0};
    char *bytes;
    size_t size;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)prctl(PR_SET_DUMPABLE, 0); /* a core of this process would have keys of TLS in it */
    if (getppid() != parent)         /* it has died already */
        leave(EXIT_FAILURE);
    if (pipe != ANSWER_FD && dup2(pipe, ANSWER_FD) < 0)
        leave(EXIT_FAILURE);
    close_from(ANSWER_FD + 1);
    int result = setup->loader(&config, &errors, setup->loader_userdata);
    if (config_pack(result, &config, &errors, &bytes, &size) < 0)
        leave(NO_MEMORY);
    leave(write_all(ANSWER_FD, bytes, size) == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

/* ---- its end ----------------------------------------------------------------------------- */

static int
end_late(const struct load *load, struct errors *errors)
{
    errors_add(errors, NULL, 0,
               "the process that reads the configuration has not ended within %g s: does a disk, "
               "or the database of users and groups (see /etc/nsswitch.conf), not answer?",
               (double)load->setup.patience_usec / 1e6);
    return -ETIMEDOUT;
}

static int
end_large(struct errors *errors)
{
    errors_add(errors, NULL, 0,
               "the configuration is too large: more than %u MiB of settings; give what listeners "
               "have in common in: defaults = { ... };",
               LARGEST >> 20);
    return -EFBIG;
}

/* What the child has left makes no configuration. *end says how it ended. */
static int
end_badly(const siginfo_t *end, struct errors *errors)
{
    char fate[CHILD_FATE_SIZE];

    if (end->si_code == CLD_EXITED && end->si_status == NO_MEMORY)
        return -ENOMEM;
    errors_add(errors, NULL, 0,
               "the process that reads the configuration %s without a result: is there too little "
               "memory? If not, take out what was changed last, and report this",
               child_fate(end, fate));
    return -ECANCELED;
}

/* Whether there is nothing to wait for any more: the child has said all and ended, or its time is
 * up. *ret_end says how it ended; si_pid 0: it has not. */
static bool
is_over(struct load *load, siginfo_t *ret_end)
{
    *ret_end = (siginfo_t){0};
    if (load->complete && child_has_ended(load->pid, ret_end)) {
        load->pid = 0;
        return true;
    }
    return monotonic_usec() >= load->deadline;
}

/* Tries what the child has said. True if that is an end: then *ret_result says which. */
static bool
is_concluded(struct load *load, int *ret_result, struct config *config, struct errors *errors)
{
    siginfo_t end;

    if (load->size > LARGEST) {
        *ret_result = end_large(errors);
        return true;
    }
    if (!is_over(load, &end))
        return false;
    int r = load->complete ? config_unpack(load->bytes, load->size, ret_result, config, errors)
                           : -EBADMSG;
    if (r == -ENOMEM)
        *ret_result = r;
    else if (r < 0)
        *ret_result = end.si_pid != 0 ? end_badly(&end, errors) : end_late(load, errors);
    return true;
}

/* ---- reading what it says ---------------------------------------------------------------- */

static int
make_room(struct load *load)
{
    if (load->room - load->size >= PIECE)
        return 0;
    size_t room = load->room == 0 ? PIECE : 2 * load->room;
    char *bytes = secret_grow(load->bytes, load->size, load->room, room);
    if (bytes == NULL)
        return -ENOMEM;
    load->bytes = bytes;
    load->room = room;
    return 0;
}

/* Reads what is there, within limits. Returns 0, or -ENOMEM. */
static int
read_pieces(struct load *load)
{
    for (int i = 0; i < PIECES && load->size <= LARGEST; i++) {
        int r = make_room(load);
        if (r < 0)
            return r;
        ssize_t got = read(load->pipe, load->bytes + load->size, PIECE);
        if (got < 0)
            return 0; /* no more for now; what else may be wrong shows when the child has ended */
        if (got == 0) {
            load->complete = true;
            return 0;
        }
        load->size += (size_t)got;
    }
    return 0;
}

/* ---- under the event loop ---------------------------------------------------------------- */

/* Looks again soon if the child has said all, else when its time is up. */
static void
wait_on(struct load *load)
{
    uint64_t soon = monotonic_usec() + LOOK_USEC;

    (void)sd_event_source_set_time(load->timer, load->complete ? soon : load->deadline);
    (void)sd_event_source_set_enabled(load->timer, SD_EVENT_ONESHOT);
}

static void
go_on(struct load *load, int r)
{
    struct config config = {0};
    struct errors errors = {0};
    int result = r;

    if (load->complete)
        (void)sd_event_source_set_enabled(load->input, SD_EVENT_OFF);
    if (r == 0 && !is_concluded(load, &result, &config, &errors)) {
        wait_on(load);
        return;
    }
    (void)sd_event_source_set_enabled(load->input, SD_EVENT_OFF);
    (void)sd_event_source_set_enabled(load->timer, SD_EVENT_OFF);
    load->setup.done(result, &config, &errors, load->setup.userdata);
    config_done(&config);
    errors_done(&errors);
}

static int
on_input(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
    struct load *load = userdata;

    (void)source, (void)fd, (void)events;
    go_on(load, read_pieces(load));
    return 0;
}

static int
on_timer(sd_event_source *source, uint64_t when, void *userdata)
{
    (void)source, (void)when;
    go_on(userdata, 0);
    return 0;
}

static int
watch(struct load *load)
{
    sd_event *event = load->setup.event;
    int r = sd_event_add_io(event, &load->input, load->pipe, EPOLLIN, on_input, load);

    if (r < 0)
        return r;
    return sd_event_add_time(event, &load->timer, CLOCK_MONOTONIC, load->deadline, 0, on_timer,
                             load);
}

/* ---- beginning and end ------------------------------------------------------------------- */

static int
open_pipe(struct load *load, int *ret_theirs)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    load->pipe = ends[0];
    *ret_theirs = ends[1];
    return fcntl(load->pipe, F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
}

static int
start(struct load *load)
{
    _cleanup_close_ int theirs = -1;
    int r = open_pipe(load, &theirs);

    if (r == 0 && load->setup.event != NULL)
        r = watch(load);
    if (r < 0)
        return r;
    pid_t parent = getpid(), pid = fork();
    if (pid == 0)
        read_and_hand_over(&load->setup, theirs, parent);
    if (pid < 0)
        return -errno;
    child_note(pid);
    load->pid = pid;
    return 0;
}

int
load_new(const struct load_setup *setup, struct load **ret)
{
    struct load *load = calloc(1, sizeof(*load));

    if (load == NULL)
        return -ENOMEM;
    load->setup = *setup;
    load->pipe = -1;
    load->deadline = monotonic_usec() + setup->patience_usec;
    int r = start(load);
    if (r < 0) {
        load_free(load);
        return r;
    }
    *ret = load;
    return 0;
}

void
load_free(struct load *load)
{
    if (load == NULL)
        return;
    (void)sd_event_source_disable_unref(load->input);
    (void)sd_event_source_disable_unref(load->timer);
    if (load->pipe >= 0)
        (void)close(load->pipe);
    if (load->pid > 0) {
        (void)kill(load->pid, SIGKILL);
        child_leave(load->pid);
    }
    secret_free(load->bytes, load->room); /* keys of TLS may be in it */
    free(load);
}

/* ---- without a loop ---------------------------------------------------------------------- */

/* Waits until there is something to read, or time to look again. */
static void
wait_for(const struct load *load, const sigset_t *mask)
{
    struct pollfd input = {.fd = load->complete ? -1 : load->pipe, .events = POLLIN};
    uint64_t now = monotonic_usec(), usec = LOOK_USEC;

    if (!load->complete)
        usec = now < load->deadline ? load->deadline - now : 0;
    const struct timespec timeout = {.tv_sec = (time_t)(usec / 1000000),
                                     .tv_nsec = (long)(usec % 1000000) * 1000};
    (void)ppoll(&input, 1, &timeout, mask);
}

static volatile sig_atomic_t told_to_end;

static void
on_told_to_end(int number)
{
    (void)number;
    told_to_end = 1;
}

/* The signals stay blocked, except for while we wait; *ret_mask is for that. */
static void
heed_signals(sigset_t *ret_mask)
{
    static const int numbers[] = {SIGTERM, SIGINT};
    struct sigaction action = {.sa_handler = on_told_to_end}; /* no SA_RESTART */

    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        (void)sigaction(numbers[i], &action, NULL);
        (void)sigdelset(ret_mask, numbers[i]);
    }
}

static int
wait_and_read(struct load *load, const sigset_t *mask, struct config *config, struct errors *errors)
{
    int result = 0;

    while (!is_concluded(load, &result, config, errors)) {
        if (told_to_end)
            return -EINTR;
        wait_for(load, mask);
        int r = load->complete ? 0 : read_pieces(load);
        if (r < 0)
            return r;
    }
    return result;
}

int
load_now(const struct load_setup *setup, bool stoppable, struct config *ret_config,
         struct errors *errors)
{
    struct load_setup without = *setup;
    struct load *load;
    sigset_t mask;

    without.event = NULL;
    *ret_config = (struct config){0};
    (void)sigprocmask(SIG_BLOCK, NULL, &mask);
    if (stoppable)
        heed_signals(&mask);
    int r = load_new(&without, &load);
    if (r < 0)
        return r;
    r = wait_and_read(load, &mask, ret_config, errors);
    load_free(load);
    return r;
}
