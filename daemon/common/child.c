/* SPDX-License-Identifier: MIT */
/*
 * child.c - waiting for a child process, without trusting that a first try succeeds
 *
 * A wait may be interrupted although no handler runs: a debugger that leaves
 * is enough. A caller that hears only once of an end looks again with this.
 *
 * Runs in:  the supervisor; safe everywhere.
 * Owns:     nothing.
 * Failures: child_has_ended() says "no": the caller looks again later.
 */
#include "common/child.h"

#include <errno.h>
#include <sys/wait.h>

void
child_reap(pid_t pid)
{
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
}

bool
child_has_ended(pid_t pid, siginfo_t *ret)
{
    siginfo_t info = {0};

    if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG) < 0 || info.si_pid != pid)
        return false;
    *ret = info;
    return true;
}
