/* SPDX-License-Identifier: MIT */
/*
 * test_kernel.c - kernels and containers of other kinds: without newer system calls, as PID 1 of a
 * namespace, under a debugger
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/client.h"
#include "support/clock.h"
#include "support/daemon.h"
#include "support/proc.h"
#include "support/test.h"

#define MOST_CALLS 8

/* ---- calls that are missing ------------------------------------------------------------- */

struct absence {
    const char *name;
    int error; /* what the filter answers */
    long calls[MOST_CALLS];
};

static const struct absence absences[] = {
    {"close_range, ENOSYS", ENOSYS, {SYS_close_range}},
    {"execveat, ENOSYS", ENOSYS, {SYS_execveat}},
    {"pidfd_open, ENOSYS", ENOSYS, {SYS_pidfd_open, SYS_pidfd_send_signal}},
    {"epoll_pwait2, ENOSYS", ENOSYS, {SYS_epoll_pwait2}},
    {"all of them, ENOSYS",
     ENOSYS,
     {SYS_close_range, SYS_execveat, SYS_pidfd_open, SYS_pidfd_send_signal, SYS_epoll_pwait2,
      SYS_clone3, SYS_landlock_create_ruleset, SYS_getrandom}},
    {"most of them, EPERM",
     EPERM,
     {SYS_close_range, SYS_execveat, SYS_epoll_pwait2, SYS_landlock_create_ruleset}},
};

static const struct absence without_memfd = {"memfd_create", ENOSYS, {SYS_memfd_create}};

/* Installs a filter like an old container's. It outlives execve(2). */
static void
take_calls_away(void *userdata)
{
    const struct absence *absence = userdata;
    struct sock_filter filter[2 * MOST_CALLS + 2];
    struct sock_fprog program = {.filter = filter};
    unsigned short end = 0;

    filter[end++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                                                 (unsigned)offsetof(struct seccomp_data, nr));
    for (size_t i = 0; i < MOST_CALLS && absence->calls[i] != 0; i++) {
        filter[end++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
                                                     (unsigned)absence->calls[i], 0, 1);
        filter[end++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K,
                                                     SECCOMP_RET_ERRNO | (unsigned)absence->error);
    }
    filter[end++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    program.len = end;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) < 0)
        _exit(99);
}

static struct daemon *
start_without(const struct absence *absence)
{
    const char *arguments[] = {
        "-c",
        daemon_configuration("listeners = {\n%s};",
                             listener_text("test", "unix", "coroutine", "good_command", "")),
        NULL};

    return daemon_run_prepared(arguments, take_calls_away, (void *)(uintptr_t)absence);
}

/* A crash, a reload, an upgrade and a stop go as ever. */
static void
it_serves_without_newer_calls(void **state)
{
    struct daemon *daemon = start_without(*state);
    const char *address = daemon_address(daemon, "test");
    pid_t worker = daemon_worker(daemon);

    assert_string_equal(client_ask(address, "echo 1\n"), "1\n");
    assert_return_code(kill(worker, SIGKILL), errno);
    assert_string_equal(client_ask(address, "echo 2\n"), "2\n");
    daemon_signal(daemon, SIGHUP);
    (void)daemon_wait_log(daemon, "reloaded: ");
    daemon_signal(daemon, SIGUSR2);
    (void)daemon_wait_log(daemon, "upgraded to ");
    assert_string_equal(client_ask(address, "echo 3\n"), "3\n");
    daemon_expect_stop(daemon);
}

static void
what_it_needs_is_named(void **state)
{
    struct daemon *daemon = start_without(&without_memfd);

    (void)state;
    (void)daemon_wait_log(daemon, "lacks memfd_create(2) of Linux 3.17");
    daemon_signal(daemon, SIGKILL);
    (void)daemon_wait_exit(daemon);
}

/* ---- PID 1 -------------------------------------------------------------------------------- */

static volatile pid_t first_process;

static void
pass_on(int number)
{
    (void)kill(first_process, number);
}

/* The caller becomes PID 1 of a new namespace; its parent passes on SIGTERM and the end. */
static void
become_first(void *userdata)
{
    int status = 0;

    (void)userdata;
    if (unshare(CLONE_NEWPID | CLONE_NEWNS) < 0)
        _exit(99);
    if ((first_process = fork()) == 0) {
        if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("proc", "/proc", "proc", 0, NULL) < 0)
            _exit(99);
        return;
    }
    (void)signal(SIGTERM, pass_on);
    (void)close(STDERR_FILENO);
    while (waitpid(first_process, &status, 0) < 0 && errno == EINTR)
        continue;
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 99);
}

static void
await_children(pid_t parent, size_t count)
{
    double until = clock_now() + DEADLINE;

    while (proc_child_count(parent) != count) {
        assert_true(clock_now() < until);
        clock_pause();
    }
}

/* What nobody waits for any more is reaped, and the worker is not taken for such a process. */
static void
the_first_process_reaps_orphans(void **state)
{
    const char *file = daemon_configuration(
        "listeners = {\n%s};", listener_text("test", "unix", "none", "good_command", ""));
    const char *arguments[] = {"-c", file, NULL};
    pid_t children[PROC_CHILDREN], supervisor, worker;
    struct daemon *daemon;
    const char *address;

    (void)state;
    if (geteuid() != 0) {
        print_message("skipped: only root makes a PID namespace\n");
        skip();
    }
    daemon = daemon_run_prepared(arguments, become_first, NULL);
    address = daemon_address(daemon, "test");
    assert_int_equal(proc_children(daemon_pid(daemon), children), 1);
    supervisor = children[0];
    await_children(supervisor, 1);
    (void)proc_children(supervisor, children);
    worker = children[0];
    assert_true(atoi(client_ask(address, "helper far\n")) > 1);
    await_children(supervisor, 2);
    (void)proc_children(supervisor, children);
    assert_return_code(kill(children[children[0] == worker], SIGKILL), errno);
    await_children(supervisor, 1);
    assert_true(proc_alive(worker));
    assert_string_equal(client_ask(address, "echo 1\n"), "1\n");
    daemon_expect_stop(daemon);
}

/* In the namespace of that process, and as an orphan there, runs sockserverctl, and writes into a
 * file how it ended. */
static void
restart_as_an_orphan(pid_t there, bool privileged, const char *command)
{
    int fd = (int)syscall(SYS_pidfd_open, there, 0);

    if (fd < 0 || setns(fd, CLONE_NEWPID | CLONE_NEWNS) < 0)
        _exit(1);
    pid_t parent = fork();
    if (parent > 0)
        _exit(waitpid(parent, NULL, 0) == parent ? 0 : 1);
    if (fork() != 0)
        _exit(0);
    while (getppid() != 1)
        clock_pause();
    if (!privileged && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        _exit(1);
    (void)execl("/bin/sh", "sh", "-c", command, NULL);
    _exit(1);
}

static int
restart_status(pid_t there, bool privileged)
{
    const char *status = test_path(privileged ? "with" : "without");
    const char *command = text_of("%s --socket %s restart test >%s.text 2>&1; echo $? >%s",
                                  CTL_PROGRAM, test_path("control"), status, status);
    pid_t child = fork();

    if (child == 0)
        restart_as_an_orphan(there, privileged, command);
    assert_int_equal(waitpid(child, NULL, 0), child);
    WAIT_UNTIL(access(status, F_OK) == 0 && strchr(file_text(status), '\n') != NULL);
    return atoi(file_text(status));
}

/* An orphan may be an operator's program, or one that a plugin has left behind. */
static void
the_first_process_knows_whose_orphans_change_something(void **state)
{
    const char *file = daemon_configuration(
        "control = { path = \"%s\"; };\nlisteners = {\n%s};", test_path("control"),
        listener_text("test", "unix", "none", "good_command", ""));
    const char *arguments[] = {"-c", file, NULL};
    pid_t children[PROC_CHILDREN];

    (void)state;
    if (geteuid() != 0) {
        print_message("skipped: only root makes a PID namespace\n");
        skip();
    }
    struct daemon *daemon = daemon_run_prepared(arguments, become_first, NULL);
    const char *address = daemon_address(daemon, "test");
    assert_int_equal(proc_children(daemon_pid(daemon), children), 1);
    assert_int_equal(restart_status(children[0], false), 1);
    assert_contains(file_text(test_path("without.text")), "only root");
    assert_int_equal(restart_status(children[0], true), 0);
    assert_string_equal(client_ask(address, "echo 1\n"), "1\n");
    daemon_expect_stop(daemon);
}

/* ---- a debugger ----------------------------------------------------------------------------- */

/* It takes as long as a worker may leave pings unanswered. */
static void
a_traced_worker_is_left_alone(void **state)
{
    struct daemon *daemon = daemon_serve("unix", "threading", "good_command", "");
    const char *address = daemon_address(daemon, "test");
    pid_t worker = daemon_worker(daemon);

    (void)state;
    if (ptrace(PTRACE_SEIZE, worker, NULL, NULL) < 0) {
        print_message("skipped: this user may not trace\n");
        skip();
    }
    assert_return_code(ptrace(PTRACE_INTERRUPT, worker, NULL, NULL), errno);
    assert_int_equal(waitpid(worker, NULL, __WALL), worker);
    assert_contains(daemon_wait_log(daemon, "leaving it alone"),
                    text_of("process %d traces it", (int)getpid()));
    assert_return_code(ptrace(PTRACE_DETACH, worker, NULL, NULL), errno);
    assert_string_equal(client_ask(address, "echo 1\n"), "1\n");
    assert_int_equal(daemon_worker(daemon), worker);
    daemon_expect_stop(daemon);
}

RUN_TESTS(TEST_ROW(it_serves_without_newer_calls, &absences[0], "close_range"),
          TEST_ROW(it_serves_without_newer_calls, &absences[1], "execveat"),
          TEST_ROW(it_serves_without_newer_calls, &absences[2], "pidfd_open"),
          TEST_ROW(it_serves_without_newer_calls, &absences[3], "epoll_pwait2"),
          TEST_ROW(it_serves_without_newer_calls, &absences[4], "all of them"),
          TEST_ROW(it_serves_without_newer_calls, &absences[5], "most of them, EPERM"),
          TEST(what_it_needs_is_named), TEST(the_first_process_reaps_orphans),
          TEST(the_first_process_knows_whose_orphans_change_something),
          TEST(a_traced_worker_is_left_alone))
