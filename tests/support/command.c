/* SPDX-License-Identifier: MIT */
/*
 * command.c - a program run to its end: sockserverd --check, sockserverctl status, ...
 *
 * Input and output go through files of the test's folder, so that neither side
 * ever waits for the other.
 */
#include "support/command.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "support/daemon.h"
#include "support/test.h"

#define MOST_ARGUMENTS 30

static void __attribute__((noreturn))
become_command(const char *program, const char *const *arguments, const char *const files[3])
{
    char *all[MOST_ARGUMENTS + 2] = {(char *)(uintptr_t)program};

    for (int fd = 0; fd < 3; fd++) {
        int file = open(files[fd], fd == 0 ? O_RDONLY : O_WRONLY | O_CREAT | O_TRUNC, 0600);

        if (file < 0 || dup2(file, fd) < 0)
            _exit(127);
        if (file > STDERR_FILENO)
            (void)close(file);
    }
    for (size_t i = 0; i < MOST_ARGUMENTS && arguments[i] != NULL; i++)
        all[i + 1] = (char *)(uintptr_t)arguments[i];
    (void)execv(program, all);
    _exit(127);
}

struct outcome
command_run(const char *program, const char *input, const char *const *arguments)
{
    const char *const files[3] = {test_file("command.input", input), test_path("command.output"),
                                  test_path("command.errors")};
    double give_up = clock_now() + DEADLINE;
    int status = 0;
    pid_t pid = fork();

    assert_return_code(pid, errno);
    if (pid == 0)
        become_command(program, arguments, files);
    while (waitpid(pid, &status, WNOHANG) == 0) {
        if (clock_now() > give_up) {
            (void)kill(pid, SIGKILL);
            (void)waitpid(pid, &status, 0);
            fail_msg("the command has not ended; it said:\n%s", file_text(files[2]));
        }
        clock_pause();
    }
    return (struct outcome){
        .status = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status),
        .output = file_text(files[1]),
        .errors = file_text(files[2]),
    };
}
