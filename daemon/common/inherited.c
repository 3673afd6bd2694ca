/* SPDX-License-Identifier: MIT */
/*
 * inherited.c - what a program inherits from whoever executes it, put right
 *
 * Much outlives execve(2). A parent that ignores SIGCHLD, for example, passes this on, and then no
 * child can be waited for. Put right is what no operator sets on purpose. What operators do set
 * stays as it is: nice value, resource limits, the OOM score, and the umask of group and others.
 *
 * Runs in:  the supervisor and sockserverctl, before anything else.
 * Owns:     nothing.
 * Failures: a missing /dev/null is returned; nothing else fails.
 */
#include "common/inherited.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#define OWNER_BITS 0700

/* Only SIG_IGN outlives execve(2). Handlers that are there already belong to a sanitizer. */
static void
heed_signals(void)
{
    struct sigaction action;

    for (int number = 1; number < NSIG; number++)
        if (sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN)
            (void)signal(number, SIG_DFL);
}

static void
stop_timers(void)
{
    static const struct itimerval never;

    (void)setitimer(ITIMER_REAL, &never, NULL);
    (void)setitimer(ITIMER_VIRTUAL, &never, NULL);
    (void)setitimer(ITIMER_PROF, &never, NULL);
}

/* With an umask of 0777 the daemon could not write to its own new files. */
static void
keep_owner_bits(void)
{
    mode_t mask = umask(0);

    (void)umask(mask & ~(mode_t)OWNER_BITS);
}

/* What plugins execute often ends at once in a folder that is gone. */
static void
leave_missing_folder(void)
{
    struct stat here;

    if (stat(".", &here) < 0 || here.st_nlink == 0)
        (void)!chdir("/");
}

/* Otherwise a socket would get the number of standard error. */
static int
open_standard_fds(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", O_RDWR) < 0)
            return -errno;
    return 0;
}

int
inherited_put_right(void)
{
    heed_signals();
    stop_timers();
    keep_owner_bits();
    leave_missing_folder();
    return open_standard_fds();
}
