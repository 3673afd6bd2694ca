/* SPDX-License-Identifier: MIT */
/*
 * spawn.c - the moment in which a program is started
 *
 * As posix_spawn(3) does it: a child that borrows the worker's memory puts its descriptors in
 * order and becomes the program, while the thread that made it stands still. The worker's other
 * threads run on, so the child makes system calls and nothing else; and it has every signal blocked
 * until none of the worker's handlers is left. Ours maps no stack, opens the pidfd on the way, and
 * sets back only those signals that somebody has changed.
 *
 * Runs in:  a handler thread, child or coroutine; the child, on a stack of its own.
 * Owns:     the child, until it is known to be the program.
 * Failures: returned.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exec.h"

#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x1000
#endif

/* The race detector's clone() takes the child for one with memory of its own, and would stop to
 * look after the thread that waits for it. This is the C library's. */
#ifdef __SANITIZE_THREAD__
int library_clone(int (*main)(void *), void *stack, int flags, void *argument,
                  ...) __asm__("__clone");
#define clone library_clone
#endif

#define SIGNALS      64
#define SIGNALS_SIZE (_NSIG / 8) /* of a set of them, as the kernel knows it */
#define STACK_SIZE   4096        /* a few frames: no signal handler runs there */

/* What the child is told, and what it answers. */
struct start {
    const struct service *service;
    char *const *environment;
    int socket, errors;
    bool shares;      /* the worker's table of descriptors, at first */
    uint64_t changed; /* bit n - 1: signal n is not as it is by default */
    int error;        /* why it is not the program; 0: it is */
};

/* ---- the child ------------------------------------------------------------------------------ */

/* What looks after memory and threads would not know whose they are. */
#define BORROWER __attribute__((no_sanitize("address", "thread", "undefined")))

/* Zeros are the default, no flags and an empty mask, however a machine arranges them. */
BORROWER static void
reset_signals(uint64_t changed)
{
    static const unsigned long defaults[8];

    for (long number = 1; number <= SIGNALS; number++)
        if (changed >> (number - 1) & 1)
            (void)syscall(SYS_rt_sigaction, number, defaults, NULL, SIGNALS_SIZE);
}

/* It shall stay open in the program, also where it has its number already. */
BORROWER static bool
place(int fd, int number)
{
    if (fd == number)
        return syscall(SYS_fcntl, fd, F_SETFD, 0) == 0;
    return syscall(SYS_dup3, fd, number, 0) == number;
}

/*
 * The table of descriptors is the worker's: makes one of its own, with those that are needed and
 * what is below them, and leaves out thousands of other clients. It is the first thing to do.
 */
BORROWER static bool
leave_table(const struct start *start)
{
    int most = start->socket > start->errors ? start->socket : start->errors;

    most = most > STDERR_FILENO ? most : STDERR_FILENO;
    return !start->shares ||
           syscall(SYS_close_range, most + 1, ~0U, (long)CLOSE_RANGE_UNSHARE) == 0;
}

/* Without close_range(2), those that there may be. */
BORROWER static void
close_others(void)
{
    struct rlimit64 limit = {0};

    if (syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, 0) == 0)
        return;
    (void)syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, &limit);
    for (unsigned fd = STDERR_FILENO + 1; fd < limit.rlim_cur; fd++)
        (void)syscall(SYS_close, fd);
}

BORROWER static int
child_main(void *argument)
{
    static const uint64_t none[SIGNALS_SIZE / 8];
    struct start *start = argument;
    const struct service *service = start->service;

    reset_signals(start->changed);
    (void)syscall(SYS_setpgid, 0, 0);
    if (leave_table(start) && place(start->socket, STDIN_FILENO) &&
        place(start->socket, STDOUT_FILENO) && place(start->errors, STDERR_FILENO) &&
        (service->directory == NULL || syscall(SYS_chdir, service->directory) == 0)) {
        close_others();
        (void)syscall(SYS_rt_sigprocmask, SIG_SETMASK, none, NULL, SIGNALS_SIZE);
        (void)syscall(SYS_execve, service->command, service->arguments, start->environment);
    }
    start->error = errno;
    (void)syscall(SYS_exit_group, 127);
    return 0;
}

/* ---- the worker ----------------------------------------------------------------------------- */

/* Once in each process: no handler comes or goes while requests are served. */
static uint64_t
changed_signals(void)
{
    static _Atomic uint64_t known; /* 0: not yet; a worker always has some */
    uint64_t changed = atomic_load_explicit(&known, memory_order_relaxed);
    struct sigaction action;

    if (changed != 0)
        return changed;
    for (int number = 1; number <= SIGNALS; number++)
        if (sigaction(number, NULL, &action) == 0 && action.sa_handler != SIG_DFL)
            changed |= UINT64_C(1) << (number - 1);
    atomic_store_explicit(&known, changed, memory_order_relaxed);
    return changed;
}

/* Whether there is close_range(2): of a number that no descriptor has, it does nothing. */
static bool
can_leave_table(void)
{
    static _Atomic int known; /* 0: not yet; 1: there is; -1: there is not */
    int can = atomic_load_explicit(&known, memory_order_relaxed);

    if (can == 0) {
        can = close_range(~0U, ~0U, 0) == 0 ? 1 : -1;
        atomic_store_explicit(&known, can, memory_order_relaxed);
    }
    return can > 0;
}

/* Without room for a pidfd it goes without, as on kernels that have none. */
static pid_t
clone_child(struct start *start, int *ret_pidfd)
{
    _Alignas(16) char stack[STACK_SIZE];
    const int flags = CLONE_VM | CLONE_VFORK | (start->shares ? CLONE_FILES : 0) | SIGCHLD;

    pid_t pid = clone(child_main, stack + sizeof(stack), flags | CLONE_PIDFD, start, ret_pidfd);
    if (pid < 0 && (errno == EMFILE || errno == ENFILE || errno == EINVAL))
        pid = clone(child_main, stack + sizeof(stack), flags, start);
    return pid < 0 ? -errno : pid;
}

int
spawn_program(struct program *program, const struct service *service, char *const *environment,
              int socket, int errors)
{
    struct start start = {
        .service = service,
        .environment = environment,
        .socket = socket,
        .errors = errors,
        .shares = can_leave_table(),
        .changed = changed_signals(),
    };
    sigset_t all, before;
    int pidfd = -1;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t pid = clone_child(&start, &pidfd);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (pid < 0)
        return pid;
    if (start.error != 0) {
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
            ;
        if (pidfd >= 0)
            (void)close(pidfd);
        return -start.error;
    }
    program->pid = pid;
    program->pidfd = pidfd;
    return 0;
}
