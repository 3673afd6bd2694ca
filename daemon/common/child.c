/* SPDX-License-Identifier: MIT */
/*
 * child.c - the children that this process has forked: which they are, and waiting for their end
 *
 * A wait may be interrupted although no handler runs: a debugger that leaves
 * is enough. A caller that hears only once of an end looks again with this.
 *
 * Runs in:  the supervisor.
 * Owns:     the list of noted children, and the pids of those that were left to end.
 * Failures: child_has_ended() says "no": the caller looks again later.
 */
#include "common/child.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cleanup.h"

static struct {
    pid_t *pids;
    size_t count, room;
    bool incomplete; /* one could not be noted */
} noted;

void
child_note(pid_t pid)
{
    if (noted.count == noted.room) {
        size_t room = 2 * noted.room + 16;
        pid_t *grown = reallocarray(noted.pids, room, sizeof(*grown));
        if (grown == NULL) {
            noted.incomplete = true;
            return;
        }
        noted.pids = grown;
        noted.room = room;
    }
    noted.pids[noted.count++] = pid;
}

static void
forget(pid_t pid)
{
    for (size_t i = 0; i < noted.count; i++)
        if (noted.pids[i] == pid)
            noted.pids[i--] = noted.pids[--noted.count];
    noted.incomplete = noted.incomplete && noted.count > 0;
}

bool
child_is_noted(pid_t pid)
{
    if (noted.incomplete)
        return true;
    for (size_t i = 0; i < noted.count; i++)
        if (noted.pids[i] == pid)
            return true;
    return false;
}

/* Children that nobody watches, and that had not ended yet. Nearly always they end at once. One for
 * which there is no place is an orphan from then on. */
static pid_t left[64];
static size_t left_count;

const char *
child_fate_of(int status, char *buffer)
{
    const siginfo_t info = {
        .si_code = WIFSIGNALED(status) ? CLD_KILLED : CLD_EXITED,
        .si_status = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
    };

    return child_fate(&info, buffer);
}

bool
child_signal_is_crash(int number)
{
    return number == SIGSEGV || number == SIGBUS || number == SIGABRT || number == SIGFPE ||
           number == SIGILL || number == SIGTRAP || number == SIGSYS;
}

bool
child_has_ended(pid_t pid, siginfo_t *ret)
{
    siginfo_t info = {0};

    if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG) < 0 || info.si_pid != pid)
        return false;
    forget(pid);
    *ret = info;
    return true;
}

/* Reads numbers from the file until there is no room or no more. */
static size_t
read_numbers(int fd, pid_t *ret, size_t room)
{
    char buffer[4096];
    ssize_t size;
    size_t count = 0;
    pid_t number = 0;

    while ((size = read(fd, buffer, sizeof(buffer))) > 0)
        for (ssize_t i = 0; i < size; i++) {
            if (buffer[i] >= '0' && buffer[i] <= '9') {
                number = 10 * number + (buffer[i] - '0');
                continue;
            }
            if (number > 0 && count < room)
                ret[count++] = number;
            number = 0;
        }
    return count;
}

size_t
child_list(pid_t *ret, size_t room)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? 0 : read_numbers(fd, ret, room);
}

size_t
child_sweep(void)
{
    size_t kept = 0;

    for (size_t i = 0; i < left_count; i++)
        if (errno = 0, waitpid(left[i], NULL, WNOHANG) == 0 || errno == EINTR)
            left[kept++] = left[i];
        else
            forget(left[i]);
    left_count = kept;
    return kept;
}

void
child_leave(pid_t pid)
{
    (void)child_sweep();
    if (left_count < sizeof(left) / sizeof(left[0]))
        left[left_count++] = pid;
    else
        forget(pid);
    (void)child_sweep();
}

const char *
child_fate(const siginfo_t *info, char *buffer)
{
    const char *name = sigabbrev_np(info->si_status);

    if (info->si_code == CLD_EXITED)
        (void)snprintf(buffer, CHILD_FATE_SIZE, "exited with status %d", info->si_status);
    else
        (void)snprintf(buffer, CHILD_FATE_SIZE, "was killed by signal %d (SIG%s)", info->si_status,
                       name == NULL ? "?" : name);
    return buffer;
}
