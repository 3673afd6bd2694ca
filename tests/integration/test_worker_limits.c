/* SPDX-License-Identifier: MIT */
/*
 * test_worker_limits.c - a worker has the limits and the priority of its listener
 *
 * What the kernel says of the process counts, not what the daemon says.
 */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/client.h"
#include "support/command.h"
#include "support/daemon.h"
#include "support/proc.h"
#include "support/test.h"

#include "reload_fixture.h"
#include "worker_fixture.h"

/* ---- limits ---------------------------------------------------------------- */

static void
worker_has_the_limits_of_its_listener(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon = daemon_serve(server->scheme, server->mixin, "good_command", LIMITS);
    const char *address = daemon_address(daemon, "test");
    pid_t pid;

    expect_limits(daemon_worker(daemon));
    /* Of a child that runs requests, too. */
    assert_int_equal(sscanf(client_ask(address, "pid\n"), "pid %d", &pid), 1);
    if (strcmp(server->mixin, "forking") != 0)
        expect_limits(pid);
    assert_contains(client_ask(address, "echo still here\n"), "still here");
    daemon_expect_stop(daemon);
}

static void
worker_has_the_priority_of_its_listener(void **state)
{
    struct daemon *daemon =
        daemon_start("listeners = {\n%s%s};",
                     listener_text("with", "tcp", "threading", "good_command", "nice = 7;"),
                     listener_text("without", "tcp", "none", "good_command", ""));
    int own = getpriority(PRIO_PROCESS, (id_t)daemon_pid(daemon)), pid;

    (void)state;
    assert_int_equal(sscanf(client_ask(daemon_address(daemon, "with"), "pid\n"), "pid %d", &pid),
                     1);
    assert_int_equal(getpriority(PRIO_PROCESS, (id_t)pid), 7);
    assert_int_equal(sscanf(client_ask(daemon_address(daemon, "without"), "pid\n"), "pid %d", &pid),
                     1);
    assert_int_equal(getpriority(PRIO_PROCESS, (id_t)pid), own);
    daemon_expect_stop(daemon);
}

static void
child_of_a_worker_has_them_too(void **state)
{
    struct daemon *daemon = daemon_serve("tcp", "forking", "good_command", LIMITS);
    int client = client_connect(daemon_address(daemon, "test"));
    pid_t pid;

    (void)state;
    client_send(client, "pid\n");
    assert_int_equal(sscanf(client_receive(client), "pid %d", &pid), 1);
    assert_int_not_equal(pid, daemon_worker(daemon));
    expect_limits(pid); /* it waits for the next command */
    client_close(client);
    daemon_expect_stop(daemon);
}

static void
supervisor_and_other_workers_keep_theirs(void **state)
{
    struct daemon *daemon = daemon_start(
        "listeners = {\n%s%s};", listener_text("with", "tcp", "none", "good_command", LIMITS),
        listener_text("without", "tcp", "none", "good_command", ""));
    const char *own = proc_line(daemon_pid(daemon), "limits", "Max processes");
    pid_t pid;

    (void)state;
    assert_int_equal(sscanf(client_ask(daemon_address(daemon, "without"), "pid\n"), "pid %d", &pid),
                     1);
    assert_string_equal(proc_line(pid, "limits", "Max processes"), own);
    assert_int_not_equal(strncmp(own, "12345 ", 6), 0);
    assert_int_equal(sscanf(client_ask(daemon_address(daemon, "with"), "pid\n"), "pid %d", &pid),
                     1);
    expect_limits(pid);
    daemon_expect_stop(daemon);
}

static void
command_line_gives_groups_and_limits(void **state)
{
    struct daemon *daemon;
    pid_t worker;

    (void)state;
    need_root("to change user and groups");
    daemon = DAEMON_RUN("--listen", "tcp://127.0.0.1:0", "--set", "limits.nofile=100", "--set",
                        "groups=4", "--set", "groups=27", "--set", "limits.cpu=90s",
                        FIXTURES "/good_command.so");
    (void)daemon_wait_log(daemon, "listening on");
    worker = daemon_worker(daemon);
    expect_groups(worker, "4 27");
    expect_limit(worker, "Max open files", "100", "100");
    expect_limit(worker, "Max cpu time", "90", "91");
    daemon_expect_stop(daemon);
}

static void
command_line_tells_its_mistakes(void **state)
{
    struct outcome outcome = COMMAND("", "--check", "--listen", "tcp://127.0.0.1:0", "--set",
                                     "limits.nofil=100", "--set", "limits=100", "--set",
                                     "groups=no-such-group", FIXTURES "/good_command.so");

    (void)state;
    assert_int_equal(outcome.status, 78);
    assert_contains(outcome.errors,
                    "--set limits: unknown key \"nofil\"; did you mean \"nofile\"?");
    assert_contains(outcome.errors, "--set limits: found \"100\"; expected a group; give its keys");
    assert_contains(outcome.errors, "--set groups: unknown group \"no-such-group\"");
}

/* Neither root's capability nor a hard limit of more than 300 descriptors. */
static void
become_limited(void *userdata)
{
    const struct rlimit limit = {300, 300};

    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        _exit(1);
    become_nobody(userdata);
}

static void
limit_above_the_daemons_own_is_a_mistake(void **state)
{
    const char *configuration = daemon_configuration(
        "listeners = {\n%s%s};",
        listener_text("test", "tcp", "none", "good_command",
                      "limits = {\ncore = 0;\nnofile =\n 301; };"),
        listener_text("fits", "tcp", "none", "good_command", "limits = { nofile = 300; };"));
    const char *arguments[] = {"--check", "-c", configuration, NULL};
    struct daemon *daemon;

    (void)state;
    assert_int_equal(chmod(test_folder(), 0755), 0);
    daemon = daemon_run_prepared(arguments, become_limited, NULL);
    daemon_expect_exit(daemon, 78);
    assert_contains(
        daemon_log(daemon),
        "listeners.test.limits.nofile: found 301, but this daemon may give 300 at most; "
        "lower it, or raise the daemon's own limit (LimitNOFILE= in its unit)");
    assert_lacks(daemon_log(daemon), "listeners.fits");
}

/* The worker raises its soft limit for max_connections, but never beyond what it is given. */
static void
too_few_descriptors_are_told(void **state)
{
    struct daemon *daemon = daemon_serve("tcp", "threading", "good_command",
                                         "max_connections = 1000; limits = { nofile = 100; };");

    (void)state;
    expect_limit(daemon_worker(daemon), "Max open files", "100", "100");
    assert_contains(daemon_log(daemon), "max_connections = 1000 needs 1064 descriptors, but only "
                                        "100 are allowed; raise limits.nofile or lower "
                                        "max_connections");
    daemon_expect_stop(daemon);
}

/* Whether it may exceed its own hard limits: CAP_SYS_RESOURCE. */
static bool
may_raise_limits(void)
{
    return (strtoull(proc_line(getpid(), "status", "CapEff:"), NULL, 16) >> 24 & 1) != 0;
}

static void
unlimited_descriptors_are_what_the_kernel_allows(void **state)
{
    const char *const arguments[] = {"--listen",
                                     "tcp://127.0.0.1:0",
                                     "--set",
                                     "limits.nofile=unlimited",
                                     FIXTURES "/good_command.so",
                                     NULL};
    const char *most = text_of("%lu", strtoul(file_text("/proc/sys/fs/nr_open"), NULL, 10));
    struct daemon *daemon = daemon_run(arguments);
    struct rlimit now;

    (void)state;
    assert_return_code(getrlimit(RLIMIT_NOFILE, &now), errno);
    if (may_raise_limits() || now.rlim_max >= strtoul(most, NULL, 10)) {
        (void)daemon_wait_log(daemon, "listening on");
        expect_limit(daemon_worker(daemon), "Max open files", most, most);
        daemon_expect_stop(daemon);
        return;
    }
    daemon_expect_exit(daemon, 78);
    assert_contains(daemon_log(daemon),
                    text_of("limits.nofile: found %s, but this daemon may give %lu at most", most,
                            (unsigned long)now.rlim_max));
}

static void
spent_processor_time_is_named_and_the_worker_replaced(void **state)
{
    struct daemon *daemon =
        daemon_serve("tcp", "threading", "good_command", "limits = { cpu = 1; };");
    const char *address = daemon_address(daemon, "test");
    pid_t worker = daemon_worker(daemon);
    int client = client_connect(address);

    (void)state;
    client_send(client, "spin 30\n");
    (void)daemon_wait_log(daemon, "was killed by signal 24 (SIGXCPU) while it ran request 1 of ");
    WAIT_UNTIL(!proc_alive(worker));
    client_close(client);
    assert_contains(client_ask(address, "echo again\n"), "again");
    daemon_expect_stop_after_fault(daemon);
}

static void
changed_limit_is_a_changed_listener(void **state)
{
    struct daemon *daemon =
        SERVE("listeners = {\n%s};", two_listeners("limits = { nofile = 100; };"));
    pid_t same = pid_of(daemon, "same"), before = pid_of(daemon, "test"), after;

    (void)state;
    expect_limit(before, "Max open files", "100", "100");
    reload(daemon);
    assert_int_equal(pid_of(daemon, "test"), before); /* nothing has changed */
    REWRITE("listeners = {\n%s};", two_listeners("limits = { nofile = 101; };"));
    reload(daemon);
    after = pid_of(daemon, "test");
    assert_int_not_equal(after, before);
    assert_int_equal(pid_of(daemon, "same"), same);
    expect_limit(after, "Max open files", "101", "101");
    REWRITE("listeners = {\n%s};", two_listeners("limits = { nofile = \"101\"; nprok = 1; };"));
    reload_in_vain(daemon, "listeners.test.limits: unknown key \"nprok\"; did you mean \"nproc\"?");
    assert_int_equal(pid_of(daemon, "test"), after);
    daemon_expect_stop(daemon);
}

RUN_TESTS(TEST_EACH_MIXIN(worker_has_the_limits_of_its_listener, "tcp"),
          TEST(worker_has_the_priority_of_its_listener), TEST(child_of_a_worker_has_them_too),
          TEST(supervisor_and_other_workers_keep_theirs),
          TEST(command_line_gives_groups_and_limits), TEST(command_line_tells_its_mistakes),
          TEST(limit_above_the_daemons_own_is_a_mistake), TEST(too_few_descriptors_are_told),
          TEST(unlimited_descriptors_are_what_the_kernel_allows),
          TEST(spent_processor_time_is_named_and_the_worker_replaced),
          TEST(changed_limit_is_a_changed_listener))
