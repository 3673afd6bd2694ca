/* SPDX-License-Identifier: MIT */
/*
 * test_apart.c - plugin code that dies while a person waits, and bytes that a terminal would obey
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/clock.h"
#include "support/command.h"
#include "support/daemon.h"
#include "support/proc.h"
#include "support/test.h"

/* ---- a plugin's file that is not whole ------------------------------------------------------- */

/* Of a file's beginning: its headers and a part of its code. Much of a whole one may be what only a
 * debugger reads. */
#define PART 8192

/* A copy of a plugin's first part, as an installation that a full disk has ended leaves it. */
static const char *
half_a_plugin(void)
{
    const char *half = test_path("half.so");
    struct stat status;

    assert_int_equal(stat(SHIPPED_PLUGINS "/echo.so", &status), 0);
    struct outcome copied =
        command_run("/bin/cp", "", (const char *const[]){SHIPPED_PLUGINS "/echo.so", half, NULL});
    assert_int_equal(copied.status, 0);
    assert_in_range(status.st_size, PART + 4096, SIZE_MAX);
    assert_int_equal(truncate(half, PART), 0);
    return half;
}

/* The sanitizers would handle the signal, and end the process in another way. */
static void
let_signals_kill(void)
{
    static const char *const names[] = {"ASAN_OPTIONS", "TSAN_OPTIONS", "UBSAN_OPTIONS"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *before = getenv(names[i]);

        (void)setenv(names[i],
                     text_of("%s:handle_segv=0:handle_sigbus=0:handle_abort=0",
                             before == NULL ? "" : before),
                     1);
    }
}

static void
expect_told(struct outcome outcome, const char *file)
{
    assert_int_equal(outcome.status, 1);
    assert_string_equal(outcome.output, "");
    assert_starts(outcome.errors, text_of("sockserverd: plugin %s: the process that ran it was "
                                          "killed by signal ",
                                          file));
    assert_contains(outcome.errors, ": is its file ");
}

static void
half_a_file_is_named_with_its_signal(void **state)
{
    const char *half = half_a_plugin();

    (void)state;
    let_signals_kill();
    expect_told(COMMAND("", "--describe", half), half);
    expect_told(COMMAND("", "--describe", half, "--json"), half);
    expect_told(COMMAND("hello\n", "--stdio", half), half);
}

static void
a_constructor_that_crashes_is_named(void **state)
{
    const char *file = FIXTURES "/bad_constructor_crash.so";

    (void)state;
    let_signals_kill();
    expect_told(COMMAND("", "--describe", file), file);
    expect_told(COMMAND("hello\n", "--stdio", file), file);
}

/* ---- signals --------------------------------------------------------------------------------- */

/* Starts a request that waits for input which does not come. */
static pid_t
start_stdio(int *ret_input)
{
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        (void)dup2(ends[0], STDIN_FILENO);
        (void)close(ends[0]);
        (void)close(ends[1]);
        (void)execl(DAEMON_PROGRAM, "sockserverd", "--stdio", SHIPPED_PLUGINS "/echo.so", NULL);
        _exit(127);
    }
    assert_true(pid > 0);
    (void)close(ends[0]);
    *ret_input = ends[1];
    return pid;
}

static void
who_is_told_to_end_takes_the_plugin_along(void **state)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGKILL};

    (void)state;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        pid_t children[PROC_CHILDREN];
        int input, status;
        pid_t pid = start_stdio(&input);

        WAIT_UNTIL(proc_children(pid, children) == 1);
        WAIT_UNTIL(proc_state(children[0]) == 'S');
        assert_int_equal(kill(pid, numbers[i]), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), numbers[i]);
        WAIT_UNTIL(!proc_alive(children[0]));
        (void)close(input);
    }
}

/* ---- bytes that a terminal would obey --------------------------------------------------- */

/* U+202E, as bytes. */
static const char right_to_left[] = {'\342', '\200', '\256', '\0'};

static void
expect_harmless(struct outcome outcome)
{
    if (strpbrk(outcome.errors, "\033\a") != NULL || strpbrk(outcome.output, "\033\a") != NULL ||
        strstr(outcome.output, right_to_left) != NULL)
        fail_msg("raw bytes in: %s%s", outcome.output, outcome.errors);
}

static void
no_raw_byte_reaches_a_terminal(void **state)
{
    static const char bad[] = "plugin_path = \"\a\"; \033[1m = 2;";
    static const char worse[] =
        "listeners = { a = { address = \"\\x1b[2J\"; plugin = \"\\x07\"; user = \"\\x1b\"; "
        "mixin = \"\\x1b\"; options = { a = \"\\x1b\"; }; }; };";
    const char *rude = FIXTURES "/good_rude_texts.so";
    const char *file = test_file("\033[31m.conf", bad), *good = test_file("\033.conf", worse);

    (void)state;
    expect_harmless(COMMAND("", "--check", "-c", file));
    expect_harmless(COMMAND("", "--check", "-c", good));
    expect_harmless(COMMAND("", "--check", "-c", "nowhere\033[1m"));
    expect_harmless(COMMAND("", "--\033[1m"));
    expect_harmless(COMMAND("", "--describe", "./\033[1m.so"));
    expect_harmless(COMMAND("", "--describe", rude));
    expect_harmless(COMMAND("", "--stdio", rude, "--set", "\033=1"));
    for (size_t i = 0; i < 3; i++) {
        static const char *const lines[][4] = {
            {"\033[1m"}, {"--socket", "/\033[1m", "status"}, {"log-level", "\033[1m"}};

        expect_harmless(command_run(CTL_PROGRAM, "", lines[i]));
    }
}

RUN_TESTS(TEST(half_a_file_is_named_with_its_signal), TEST(a_constructor_that_crashes_is_named),
          TEST(who_is_told_to_end_takes_the_plugin_along), TEST(no_raw_byte_reaches_a_terminal))
