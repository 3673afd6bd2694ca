/* SPDX-License-Identifier: MIT */
/*
 * lookup.c - the address behind a name, without waiting for it
 *
 * Whoever knows a name may take long to say so, and the C library can only
 * wait. A throw-away child waits instead: it answers through a pipe, or is
 * killed when its time is up.
 *
 * Runs in:  the supervisor, and its forked child.
 * Owns:     the child and the pipe, until lookup_free().
 * Failures: of starting: returned; of the name: told as a sentence.
 */
#include "supervisor/socket/lookup.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common/child.h"
#include "common/cleanup.h"
#include "common/close_from.h"
#include "common/leave.h"

#define PROBLEM_SIZE 512
#define ANSWER_FD    3

/* What comes through the pipe, in one piece. */
struct answer {
    bool found;
    struct resolved resolved;
    char problem[PROBLEM_SIZE];
};

struct lookup {
    struct address address;
    uint64_t patience_usec;
    pid_t pid; /* 0: none */
    int pipe;
    sd_event_source *input, *timer;
    lookup_done done;
    void *userdata;
};

/* ---- in the child ---------------------------------------------------------------------- */

/* Nothing of the supervisor's stays open: no socket outlives it here. */
static _Noreturn void
answer(const struct address *address, int pipe)
{
    _cleanup_free_ char *problem = NULL;
    struct answer answer = {0};

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (pipe != ANSWER_FD && dup2(pipe, ANSWER_FD) < 0)
        leave(EXIT_FAILURE);
    close_from(ANSWER_FD + 1);
    answer.found = address_resolve(address, &answer.resolved, &problem) == 0;
    (void)snprintf(answer.problem, sizeof(answer.problem), "%s",
                   problem == NULL ? strerror(ENOMEM) : problem);
    leave(write(ANSWER_FD, &answer, sizeof(answer)) == sizeof(answer) ? EXIT_SUCCESS
                                                                      : EXIT_FAILURE);
}

/* ---- in the supervisor ------------------------------------------------------------------- */

static void
fail(struct lookup *lookup, const char *why)
{
    char problem[PROBLEM_SIZE];

    (void)snprintf(problem, sizeof(problem), "cannot resolve \"%s\" port \"%s\": %s",
                   lookup->address.host, lookup->address.port, why);
    lookup->done(NULL, problem, lookup->userdata);
}

static void
be_silent(struct lookup *lookup)
{
    (void)sd_event_source_set_enabled(lookup->input, SD_EVENT_OFF);
    (void)sd_event_source_set_enabled(lookup->timer, SD_EVENT_OFF);
}

static int
on_answer(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
    struct lookup *lookup = userdata;
    struct answer answer;

    (void)source, (void)events;
    ssize_t got = read(fd, &answer, sizeof(answer));
    if (got < 0 && errno == EAGAIN)
        return 0; /* nothing is there after all */
    be_silent(lookup);
    if (got != sizeof(answer))
        fail(lookup, "the process that was to look it up ended without an answer");
    else
        lookup->done(answer.found ? &answer.resolved : NULL, answer.problem, lookup->userdata);
    return 0;
}

static int
on_late(sd_event_source *source, uint64_t when, void *userdata)
{
    struct lookup *lookup = userdata;
    char why[128];

    (void)source, (void)when;
    be_silent(lookup);
    (void)snprintf(why, sizeof(why),
                   "no answer within %g s; see /etc/resolv.conf and /etc/nsswitch.conf, or write "
                   "numbers",
                   (double)lookup->patience_usec / 1e6);
    fail(lookup, why);
    return 0;
}

static int
start(struct lookup *lookup, sd_event *event)
{
    _cleanup_close_ int theirs = -1;
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    lookup->pipe = ends[0];
    theirs = ends[1];
    if (fcntl(lookup->pipe, F_SETFL, O_NONBLOCK) < 0)
        return -errno;
    int r = sd_event_add_io(event, &lookup->input, lookup->pipe, EPOLLIN, on_answer, lookup);
    if (r >= 0)
        r = sd_event_add_time_relative(event, &lookup->timer, CLOCK_MONOTONIC,
                                       lookup->patience_usec, 0, on_late, lookup);
    if (r < 0)
        return r;
    pid_t pid = fork();
    if (pid == 0)
        answer(&lookup->address, theirs);
    if (pid < 0)
        return -errno;
    child_note(pid);
    lookup->pid = pid;
    return 0;
}

int
lookup_new(const struct lookup_setup *setup, struct lookup **ret)
{
    struct lookup *lookup = calloc(1, sizeof(*lookup));

    if (lookup == NULL)
        return -ENOMEM;
    lookup->pipe = -1;
    lookup->patience_usec = setup->patience_usec;
    lookup->done = setup->done;
    lookup->userdata = setup->userdata;
    int r = address_copy(setup->address, &lookup->address);
    if (r == 0)
        r = start(lookup, setup->event);
    if (r < 0) {
        lookup_free(lookup);
        return r;
    }
    *ret = lookup;
    return 0;
}

void
lookup_free(struct lookup *lookup)
{
    if (lookup == NULL)
        return;
    (void)sd_event_source_disable_unref(lookup->input);
    (void)sd_event_source_disable_unref(lookup->timer);
    if (lookup->pipe >= 0)
        (void)close(lookup->pipe);
    if (lookup->pid > 0) {
        (void)kill(lookup->pid, SIGKILL);
        child_leave(lookup->pid);
    }
    address_done(&lookup->address);
    free(lookup);
}
