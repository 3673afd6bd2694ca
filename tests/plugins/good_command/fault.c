/* SPDX-License-Identifier: MIT */
/*
 * fault.c - good_command's commands that do harm to their own thread or process
 *
 * good_command.c lists the replies. What was written before is not flushed.
 */
#include "command.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FRAME 1024

static int
do_exit(struct ss_request *request, const char *argument)
{
    (void)request;
    exit((int)argument_size(argument));
}

static int
do_exit_now(struct ss_request *request, const char *argument)
{
    (void)request;
    _exit((int)argument_size(argument));
}

static int
do_abort(struct ss_request *request, const char *argument)
{
    (void)request;
    (void)argument;
    abort();
}

/* By default action: a sanitizer would make an exit of it. */
static int
do_segv(struct ss_request *request, const char *argument)
{
    (void)request;
    (void)argument;
    (void)signal(SIGSEGV, SIG_DFL);
    return raise(SIGSEGV);
}

static int
do_kill(struct ss_request *request, const char *argument)
{
    (void)request;
    (void)argument;
    return kill(getpid(), SIGKILL);
}

/* finish() will not run: what it frees would be this plugin's own leak. */
static int
do_pthread_exit(struct ss_request *request, const char *argument)
{
    (void)argument;
    data_finish(request);
    pthread_exit(NULL);
}

static int
send_signal(struct ss_request *request, const char *argument)
{
    if (kill(getpid(), (int)argument_size(argument)) < 0)
        return ss_printf(request, "error %d\n", -errno);
    return ss_printf(request, "signalled\n");
}

static int
close_own(struct ss_request *request, const char *argument)
{
    int result;

    (void)argument;
    (void)ss_printf(request, "closing\n");
    result = ss_flush(request);
    if (result < 0)
        return result;
    return close(ss_fd(request)) < 0 ? -errno : COMMAND_END;
}

/* Not a loop to the compiler: each frame is looked at after the call. */
__attribute__((noinline)) static size_t
use_stack(size_t size)
{
    volatile char frame[FRAME];
    size_t used = sizeof(frame);

    frame[0] = 1;
    if (size > used)
        used += use_stack(size - used);
    return used - (size_t)frame[0] + 1;
}

static int
use(struct ss_request *request, const char *argument)
{
    size_t size = argument_size(argument);

    (void)use_stack(size);
    return ss_printf(request, "stack %zu\n", size);
}

static int
overflow(struct ss_request *request, const char *argument)
{
    (void)argument;
    return ss_printf(request, "stack %zu\n", use_stack((size_t)-1));
}

const struct command fault_commands[] = {
    {"exit", do_exit},
    {"_exit", do_exit_now},
    {"abort", do_abort},
    {"segv", do_segv},
    {"kill", do_kill},
    {"pthread_exit", do_pthread_exit},
    {"signal", send_signal},
    {"close", close_own},
    {"stack", use},
    {"overflow", overflow},
    {0},
};
