/* SPDX-License-Identifier: MIT */
/*
 * command.h - a program run to its end: sockserverd --check, sockserverctl status, ...
 */
#ifndef TESTS_SUPPORT_COMMAND_H
#define TESTS_SUPPORT_COMMAND_H

#include "support/daemon.h"

struct outcome {
    int status;         /* exit status, or minus the signal */
    const char *output; /* standard output; both live until the test ends */
    const char *errors; /* standard error */
};

/* Runs it with these arguments (NULL at the end) and input; fails the test after DEADLINE. */
struct outcome command_run(const char *program, const char *input, const char *const *arguments);

/* The daemon's program, and the one that controls it. */
#define COMMAND(input, ...)                                                                        \
    command_run(DAEMON_PROGRAM, input, (const char *const[]){__VA_ARGS__, NULL})
#define CTL(daemon, ...)                                                                           \
    command_run(CTL_PROGRAM, "",                                                                   \
                (const char *const[]){"--socket", daemon_control(daemon), __VA_ARGS__, NULL})

#endif
