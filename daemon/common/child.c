/* SPDX-License-Identifier: MIT */
/*
 * child.c - waiting for a child process, without trusting that a first try succeeds
 *
 * A wait may be interrupted although no handler runs: a debugger that leaves
 * is enough. A caller that hears only once of an end looks again with this.
 *
 * Runs in:  the supervisor; safe everywhere.
 * Owns:     the pids of children that were left to end.
 * Failures: child_has_ended() says "no": the caller looks again later.
 */
#include "common/child.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

/* Children that nobody watches, and that had not ended yet. Nearly always they end at once; a child
 * for which there is no place stays a zombie. */
static pid_t left[64];
static size_t left_count;

bool
child_has_ended(pid_t pid, siginfo_t *ret)
{
    siginfo_t info = {0};

    if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG) < 0 || info.si_pid != pid)
        return false;
    *ret = info;
    return true;
}

size_t
child_sweep(void)
{
    size_t kept = 0;

    for (size_t i = 0; i < left_count; i++)
        if (errno = 0, waitpid(left[i], NULL, WNOHANG) == 0 || errno == EINTR)
            left[kept++] = left[i];
    left_count = kept;
    return kept;
}

void
child_leave(pid_t pid)
{
    (void)child_sweep();
    if (left_count < sizeof(left) / sizeof(left[0]))
        left[left_count++] = pid;
    (void)child_sweep();
}

const char *
child_fate(const siginfo_t *info, char *buffer)
{
    const char *name = sigabbrev_np(info->si_status);

    if (info->si_code == CLD_EXITED)
        (void)snprintf(buffer, CHILD_FATE_SIZE, "ended with exit status %d", info->si_status);
    else
        (void)snprintf(buffer, CHILD_FATE_SIZE, "was killed by signal %d (SIG%s)", info->si_status,
                       name == NULL ? "?" : name);
    return buffer;
}
