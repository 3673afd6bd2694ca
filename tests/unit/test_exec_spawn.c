/* SPDX-License-Identifier: MIT */
/*
 * test_exec_spawn.c - what a program of the plugin exec begins with, whatever its worker has
 *
 * A worker opens everything close-on-exec and ignores no signal that programs know; here it does.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "plugins/exec/exec.h"

static void
on_signal(int signal)
{
    (void)signal;
}

/* Runs the command with its end of a pair of sockets; returns what it wrote, until it ended. */
static const char *
output_of(const char *directory, char *const *arguments)
{
    static char output[8192];
    static char *const environment[] = {NULL};
    const struct service service = {.command = arguments[0],
                                    .directory = directory,
                                    .arguments = (char **)(uintptr_t)arguments};
    struct program program = {0};
    size_t size = 0;
    ssize_t got;
    int ends[2], status;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    assert_int_equal(fcntl(ends[0], F_SETFD, FD_CLOEXEC), 0);
    assert_int_equal(spawn_program(&program, &service, environment, ends[1], ends[1]), 0);
    assert_int_equal(close(ends[1]), 0);
    while ((got = read(ends[0], output + size, sizeof(output) - 1 - size)) > 0)
        size += (size_t)got;
    output[size] = '\0';
    assert_int_equal(waitpid(program.pid, &status, 0), program.pid);
    assert_int_equal(status, 0);
    if (program.pidfd >= 0)
        (void)close(program.pidfd);
    (void)close(ends[0]);
    return output;
}

static unsigned long long
mask_in(const char *status, const char *name)
{
    const char *line = strstr(status, name);

    assert_non_null(line);
    return strtoull(line + strlen(name), NULL, 16);
}

static void
signals_are_as_usual(void **state)
{
    static char *const command[] = {"/bin/cat", "/proc/self/status", NULL};
    const unsigned long long ours = 1ULL << (SIGHUP - 1) | 1ULL << (SIGPIPE - 1);
    sigset_t blocked, before, after;

    (void)state;
    (void)signal(SIGHUP, SIG_IGN);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGUSR2, on_signal);
    (void)sigemptyset(&blocked);
    (void)sigaddset(&blocked, SIGTERM);
    assert_int_equal(sigprocmask(SIG_BLOCK, &blocked, &before), 0);
    const char *status = output_of(NULL, command);
    assert_int_equal(mask_in(status, "SigIgn:") & ours, 0);
    assert_int_equal(mask_in(status, "SigBlk:"), 0);
    assert_int_equal(sigprocmask(SIG_SETMASK, &before, &after), 0);
    assert_true(sigismember(&after, SIGTERM));
    assert_false(sigismember(&after, SIGINT));
}

/* Some lie below the program's socket, and some above. ls has one more, for the folder. */
static void
nothing_is_inherited(void **state)
{
    static char *const command[] = {"/bin/ls", "/proc/self/fd", NULL};
    int below[8], above[8], null = open("/dev/null", O_RDONLY);

    (void)state;
    assert_true(null >= 0);
    for (int i = 0; i < 8; i++) {
        assert_true((below[i] = dup(null)) >= 0);
        assert_true((above[i] = fcntl(null, F_DUPFD, 100)) >= 100);
    }
    assert_string_equal(output_of(NULL, command), "0\n1\n2\n3\n");
    for (int i = 0; i < 8; i++) {
        assert_int_equal(fcntl(below[i], F_GETFD), 0); /* ours are still there */
        assert_int_equal(close(below[i]), 0);
        assert_int_equal(close(above[i]), 0);
    }
    assert_int_equal(close(null), 0);
}

static void
it_begins_in_its_directory(void **state)
{
    static char *const command[] = {"/bin/pwd", NULL};

    (void)state;
    assert_string_equal(output_of("/proc", command), "/proc\n");
}

static void
a_failure_is_returned_and_leaves_nobody(void **state)
{
    static char *const arguments[] = {"/no/such/program", NULL}, *const environment[] = {NULL};
    static const struct {
        const char *command, *directory;
        int error;
    } rows[] = {{"/no/such/program", NULL, -ENOENT},
                {"/proc", NULL, -EACCES},
                {"/bin/true", "/no/such/folder", -ENOENT}};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct service service = {.command = rows[i].command,
                                        .directory = rows[i].directory,
                                        .arguments = (char **)(uintptr_t)arguments};
        struct program program = {0};
        int next = dup(STDERR_FILENO);
        assert_int_equal(
            spawn_program(&program, &service, environment, STDERR_FILENO, STDERR_FILENO),
            rows[i].error);
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
        assert_int_equal(errno, ECHILD);
        assert_int_equal(close(next), 0);
        assert_int_equal(dup(STDERR_FILENO), next); /* no descriptor more than before */
        assert_int_equal(close(next), 0);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signals_are_as_usual),
        cmocka_unit_test(nothing_is_inherited),
        cmocka_unit_test(it_begins_in_its_directory),
        cmocka_unit_test(a_failure_is_returned_and_leaves_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
