/* SPDX-License-Identifier: MIT */
/*
 * command.h - the daemon's program run to its end: --check, --describe, --stdio, ...
 */
#ifndef TESTS_SUPPORT_COMMAND_H
#define TESTS_SUPPORT_COMMAND_H

struct outcome {
    int status;         /* exit status, or minus the signal */
    const char *output; /* standard output; both live until the test ends */
    const char *errors; /* standard error */
};

/* Runs it with these arguments (NULL at the end) and input; fails the test after DEADLINE. */
struct outcome command_run(const char *input, const char *const *arguments);
#define COMMAND(input, ...) command_run(input, (const char *const[]){__VA_ARGS__, NULL})

#endif
