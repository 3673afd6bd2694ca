/* SPDX-License-Identifier: MIT */
/*
 * program.c - a program's life: it is started, watched, and ended if need be
 *
 * It leads a process group of its own, finds every signal as it is by default, and no descriptor
 * above 2.
 *
 * Runs in:  a handler thread, child or coroutine; a thread or process that waits to kill.
 * Owns:     the process until it is reaped, and its pidfd.
 * Failures: logged here, once.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exec.h"

#define LOOK_MS 20 /* between two looks where there is no pidfd */

/* ---- its start ------------------------------------------------------------------------------ */

/* What helps, if a start failed so. */
static const char *
remedy(const struct service *service, int error)
{
    switch (error) {
    case ENOENT:
        return "install the program or correct `command`; a script's \"#!\" line may name a "
               "program that is missing";
    case EACCES:
    case EPERM:
        return "let the listener's user execute it, or choose another `user`";
    case ENOEXEC:
        return "it is no program of this machine, or a script without a \"#!\" line";
    case EAGAIN:
    case ENOMEM:
        return "the listener's `limits` or the machine leave no room for another process";
    case E2BIG:
        return "its `arguments` and `environment` are too long";
    default:
        return service->directory != NULL ? "see `command` and `directory`" : "see `command`";
    }
}

int
program_report_failure(const struct service *service, int error)
{
    if (service->directory != NULL && access(service->directory, X_OK) < 0)
        ss_log(LOG_ERR,
               "cannot execute %s in %s: %s; make that directory, and let the listener's "
               "user enter it",
               service->command, service->directory, strerror(errno));
    else
        ss_log(LOG_ERR, "cannot execute %s: %s; %s", service->command, strerror(error),
               remedy(service, error));
    return -error;
}

int
program_start(struct program *program, const struct service *service, char **environment,
              int socket, int errors)
{
    int error = spawn_program(program, service, environment, socket, errors);

    if (error < 0)
        return program_report_failure(service, -error);
    program->asked = 0;
    program->insisted = false;
    return 0;
}

/* ---- its end -------------------------------------------------------------------------------- */

bool
program_has_ended(struct program *program)
{
    return waitpid(program->pid, &program->status, WNOHANG) == program->pid;
}

static void
let_go(struct program *program)
{
    if (program->pidfd >= 0)
        (void)close(program->pidfd);
    program->pidfd = -1;
}

/* Whether it was a drain that has ended it. */
static bool
was_asked(const struct program *program, int number)
{
    return (program->asked > 0 && number == SIGTERM) || (program->insisted && number == SIGKILL);
}

void
program_tell_end(struct program *program, const struct service *service, struct ss_request *request)
{
    int status = program->status;

    let_go(program);
    if (!WIFSIGNALED(status)) {
        ss_set_outcome(request, service->exits[WEXITSTATUS(status)]);
        return;
    }
    ss_set_outcome(request, service->signals[WTERMSIG(status) % OUTCOMES_SIGNALS]);
    if (was_asked(program, WTERMSIG(status)))
        return;
    ss_log(LOG_WARNING, "%s %s%s", service->command,
           service->signals[WTERMSIG(status) % OUTCOMES_SIGNALS],
           WCOREDUMP(status) ? ", and dumped core" : "");
}

/* Whether it has ended within the time. It is reaped by the caller. */
static bool
ends_within(const struct program *program, double seconds)
{
    struct pollfd end = {.fd = program->pidfd, .events = POLLIN};
    siginfo_t info = {0};
    double left = seconds * 1000;

    do {
        int slice = program->pidfd < 0 ? LOOK_MS : 1000;
        (void)poll(&end, 1, slice < left ? slice : (int)left);
        if (waitid(P_PID, (id_t)program->pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ||
            info.si_pid != 0)
            return true;
        left -= slice;
    } while (left > 0);
    return false;
}

static void
report_kill(const struct program *program, const char *command, double seconds)
{
    ss_log(LOG_WARNING, "%s (process %d) did not end by SIGTERM within %.3g s: killing it", command,
           (int)program->pid, seconds);
}

/* Others of its group may be left when it has ended itself: they have had their SIGTERM. */
static void
await_or_kill(struct program *program, const char *command, double seconds)
{
    if (!ends_within(program, seconds)) {
        report_kill(program, command, seconds);
        (void)kill(-program->pid, SIGKILL);
    }
    while (waitpid(program->pid, &program->status, 0) < 0 && errno == EINTR)
        ;
    let_go(program);
}

struct ending {
    struct program program;
    const char *command;
    double seconds;
};

static void *
ending_main(void *argument)
{
    struct ending *ending = argument;

    await_or_kill(&ending->program, ending->command, ending->seconds);
    free(ending);
    return NULL;
}

#define ENDING_STACK (256u * 1024u)

/* Leaves the waiting to a thread, so that other requests of this one are not held up. False: there
 * can be no thread. */
static bool
end_in_thread(const struct program *program, const struct service *service)
{
    struct ending *ending = malloc(sizeof(*ending));
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all, before;

    if (ending == NULL || pthread_attr_init(&attributes) != 0) {
        free(ending);
        return false;
    }
    *ending = (struct ending){*program, service->command, service->kill_timeout};
    (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    (void)pthread_attr_setstacksize(&attributes, ENDING_STACK);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    bool done = pthread_create(&thread, &attributes, ending_main, ending) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attributes);
    if (!done)
        free(ending);
    return done;
}

#define DESCRIPTORS 1024 /* a forked child has far fewer */

/* The client's and all others, so that nobody waits for their end in vain. What the log needs is
 * none of them. */
static void
close_connections(void)
{
    int type;

    for (int fd = STDERR_FILENO + 1; fd < DESCRIPTORS; fd++) {
        socklen_t size = sizeof(type);
        if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM)
            (void)close(fd);
    }
}

/*
 * Leaves the waiting to a process, as that of the request is itself ended soon. It holds nothing
 * of the connection. The program is the supervisor's to reap then. False: there can be no process.
 */
static bool
end_in_process(struct program *program, const struct service *service)
{
    pid_t waiter = program->pidfd < 0 ? -1 : fork();

    if (waiter > 0)
        let_go(program); /* this process may serve others, with recycle_after */
    if (waiter != 0)
        return waiter > 0;
    (void)signal(SIGTERM, SIG_DFL);
    struct pollfd end = {.fd = program->pidfd, .events = POLLIN};
    close_connections();
    if (poll(&end, 1, (int)(service->kill_timeout * 1000)) == 0) {
        report_kill(program, service->command, service->kill_timeout);
        (void)kill(-program->pid, SIGKILL);
    }
    _exit(0);
}

void
program_end(struct program *program, const struct service *service)
{
    (void)kill(-program->pid, SIGTERM);
    bool left = getpid() != service->worker ? end_in_process(program, service)
                                            : end_in_thread(program, service);
    if (!left)
        await_or_kill(program, service->command, 0);
}
