/* SPDX-License-Identifier: MIT */
/*
 * apart.c - code that may crash, run apart from whoever says what has become of it
 *
 * A plugin's code runs from the moment at which its file is loaded, and half a
 * file is enough to be killed by SIGBUS. A person who waits for a message would
 * see nothing then. So it is a child that runs the code, on the same descriptors
 * and in the same process group, and its parent does nothing but wait.
 *
 * Runs in:  sockserverd under --stdio and --describe.
 * Owns:     the child, until apart_run() returns.
 * Failures: returned.
 */
#include "common/apart.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/array.h"
#include "common/leave.h"

/* They are passed on, and a child that ends by one of them was told to. */
static const int requests[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT};

static _Noreturn void
run_here(int (*function)(void *), void *userdata, pid_t parent, const sigset_t *mask)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) /* it has died already */
        leave(EXIT_FAILURE);
    (void)sigprocmask(SIG_SETMASK, mask, NULL);
    exit(function(userdata));
}

/* Waits for a signal, or for the child's end. */
static void
wait_for_child(pid_t child, const sigset_t *waited_for, siginfo_t *ret_end)
{
    for (;;) {
        *ret_end = (siginfo_t){0};
        if (waitid(P_PID, (id_t)child, ret_end, WEXITED | WNOHANG) == 0 && ret_end->si_pid == child)
            return;
        int number = sigwaitinfo(waited_for, NULL);
        if (number > 0 && number != SIGCHLD)
            (void)kill(child, number);
    }
}

int
apart_run(int (*function)(void *userdata), void *userdata, siginfo_t *ret_end)
{
    const struct sigaction usual = {.sa_handler = SIG_DFL};
    sigset_t waited_for, before;

    (void)sigemptyset(&waited_for);
    (void)sigaddset(&waited_for, SIGCHLD);
    for (size_t i = 0; i < ARRAY_SIZE(requests); i++)
        (void)sigaddset(&waited_for, requests[i]);
    (void)sigaction(SIGCHLD, &usual, NULL); /* where it is ignored, nobody can wait */
    (void)sigprocmask(SIG_BLOCK, &waited_for, &before);
    (void)fflush(NULL); /* the child would write it, too */
    pid_t parent = getpid(), child = fork();
    if (child == 0)
        run_here(function, userdata, parent, &before);
    int r = child < 0 ? -errno : 0;
    if (r == 0)
        wait_for_child(child, &waited_for, ret_end);
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    return r;
}

void
apart_follow(const siginfo_t *end)
{
    sigset_t set;

    for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
        if (end->si_code == CLD_EXITED || end->si_status != requests[i])
            continue;
        (void)sigemptyset(&set);
        (void)sigaddset(&set, requests[i]);
        (void)signal(requests[i], SIG_DFL);
        (void)sigprocmask(SIG_UNBLOCK, &set, NULL);
        (void)raise(requests[i]);
    }
}
