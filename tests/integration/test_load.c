/* SPDX-License-Identifier: MIT */
/*
 * test_load.c - the daemon, while the process that reads its configuration hangs or dies
 *
 * The file is long, so that the process can be caught and stopped while it reads. It then stands
 * for one that waits for a disk or for a database of users.
 */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "common/checked.h"
#include "support/client.h"
#include "support/clock.h"
#include "support/command.h"
#include "support/daemon.h"
#include "support/proc.h"
#include "support/test.h"

#define CONTROL(...)                                                                               \
    command_run(CTL_PROGRAM, "",                                                                   \
                (const char *const[]){"--socket", test_path("control"), __VA_ARGS__, NULL})

#define KILLED "the process that reads the configuration was killed by signal 6 (SIGABRT)"

/* ---- the file ------------------------------------------------------------------------------- */

/* A configuration with one listener that serves, and many options for plugins that are not used. */
static void
write_file(const char *name, const char *options)
{
    FILE *file = fopen(test_path("conf"), "w");

    int count = SANITIZED ? 400 : 1990; /* it takes several times as long there */

    assert_non_null(file);
    (void)fprintf(file, "log = { target = \"stderr\"; };\ncontrol = { path = \"%s\"; };\n",
                  test_path("control"));
    (void)fprintf(file, "plugin_path = \"" SHIPPED_PLUGINS "\";\nlisteners = {\n%s",
                  listener_text(name, "unix", "threading", "echo", options));
    for (int group = 0; group < 4; group++) {
        (void)fprintf(file, "off%d = { address = \"unix://%s\"; plugin = \"echo\"; ", group,
                      test_path(text_of("off%d", group)));
        (void)fprintf(file, "enabled = false; options = {\n");
        for (int i = 0; i < count; i++)
            (void)fprintf(file, "name_of_an_option_%d = 1;\n", i);
        (void)fprintf(file, "}; };\n");
    }
    (void)fprintf(file, "};\n");
    assert_int_equal(fclose(file), 0);
}

/* ---- the process ---------------------------------------------------------------------------- */

static bool
is_new(pid_t pid, const pid_t before[], size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (before[i] == pid)
            return false;
    return true;
}

/* Stops the process that is not among those before. Returns 0 if there is none, or it has ended. */
static pid_t catch (pid_t daemon, const pid_t before[], size_t count)
{
    pid_t now[PROC_CHILDREN];
    size_t there = proc_children(daemon, now);

    for (size_t i = 0; i < there && i < PROC_CHILDREN; i++)
        if (is_new(now[i], before, count) && kill(now[i], SIGSTOP) == 0) {
            WAIT_UNTIL(proc_state(now[i]) != 'R');
            return proc_state(now[i]) == 'T' ? now[i] : 0;
        }
    return 0;
}

static pid_t
catch_at_reload(struct daemon *daemon)
{
    pid_t before[PROC_CHILDREN], caught = 0;
    size_t count = proc_children(daemon_pid(daemon), before);

    daemon_signal(daemon, SIGHUP);
    WAIT_UNTIL((caught = catch (daemon_pid(daemon), before, count)) != 0);
    return caught;
}

static struct daemon *
start(void)
{
    return DAEMON_RUN("-c", test_path("conf"));
}

static struct daemon *
start_serving(void)
{
    write_file("test", "");
    struct daemon *daemon = start();
    (void)daemon_address(daemon, "test");
    WAIT_UNTIL(CONTROL("status").status == 0);
    return daemon;
}

/* ---- cases ---------------------------------------------------------------------------------- */

static void
a_running_daemon_goes_on_while_its_file_is_read(void **state)
{
    struct daemon *daemon = start_serving();

    (void)state;
    pid_t worker = daemon_worker(daemon);
    pid_t reader = catch_at_reload(daemon);
    assert_string_equal(client_ask(daemon_address(daemon, "test"), "hello\n"), "hello\n");
    assert_int_equal(CONTROL("status").status, 0);
    /* A worker that crashes is replaced, too. */
    assert_int_equal(kill(worker, SIGKILL), 0);
    WAIT_UNTIL(!proc_alive(worker));
    assert_string_equal(client_ask(daemon_address(daemon, "test"), "again\n"), "again\n");
    assert_int_equal(kill(reader, SIGCONT), 0);
    (void)daemon_wait_log(daemon, "reloaded: ");
    WAIT_UNTIL(proc_child_count(daemon_pid(daemon)) == 1);
    daemon_expect_stop(daemon);
}

static void
a_stop_does_not_wait_for_the_file(void **state)
{
    struct daemon *daemon = start_serving();

    (void)state;
    pid_t reader = catch_at_reload(daemon);
    daemon_expect_stop(daemon);
    WAIT_UNTIL(!proc_alive(reader));
}

static void
a_reader_that_dies_changes_nothing(void **state)
{
    struct daemon *daemon = start_serving();

    (void)state;
    pid_t worker = daemon_worker(daemon);
    pid_t reader = catch_at_reload(daemon);
    assert_int_equal(kill(reader, SIGABRT), 0);
    assert_int_equal(kill(reader, SIGCONT), 0);
    (void)daemon_wait_log(daemon, KILLED);
    (void)daemon_wait_log(daemon, "reload failed: ");
    assert_int_equal(daemon_worker(daemon), worker);
    assert_string_equal(client_ask(daemon_address(daemon, "test"), "hello\n"), "hello\n");
    assert_int_equal(CONTROL("reload").status, 0);
    assert_int_equal(daemon_worker(daemon), worker);
    daemon_expect_stop(daemon);
}

static void
a_start_whose_reader_dies_says_so(void **state)
{
    pid_t reader = 0;

    (void)state;
    write_file("test", "");
    struct daemon *daemon = start();
    WAIT_UNTIL((reader = catch (daemon_pid(daemon), NULL, 0)) != 0);
    assert_int_equal(kill(reader, SIGABRT), 0);
    assert_int_equal(kill(reader, SIGCONT), 0);
    daemon_expect_exit(daemon, 1);
    assert_non_null(strstr(daemon_log(daemon), KILLED));
}

/* The process ends at once, and takes the one that reads with it. */
static void
a_start_that_hangs_can_be_stopped(void **state)
{
    pid_t reader = 0;

    (void)state;
    write_file("test", "");
    struct daemon *daemon = start();
    WAIT_UNTIL((reader = catch (daemon_pid(daemon), NULL, 0)) != 0);
    daemon_signal(daemon, SIGTERM);
    WAIT_UNTIL(!proc_alive(daemon_pid(daemon)));
    (void)kill(reader, SIGCONT); /* it may have been stopped before it could ask for its death */
    WAIT_UNTIL(!proc_alive(reader));
    assert_int_equal(daemon_wait_exit(daemon), 0);
}

RUN_TESTS(TEST(a_running_daemon_goes_on_while_its_file_is_read),
          TEST(a_stop_does_not_wait_for_the_file), TEST(a_reader_that_dies_changes_nothing),
          TEST(a_start_whose_reader_dies_says_so), TEST(a_start_that_hangs_can_be_stopped))
