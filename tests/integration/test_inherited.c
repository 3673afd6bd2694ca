/* SPDX-License-Identifier: MIT */
/*
 * test_inherited.c - what the daemon inherits from whoever executes it, and what it leaves to who
 * comes after it
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "support/client.h"
#include "support/command.h"
#include "support/daemon.h"
#include "support/proc.h"
#include "support/test.h"

#define CROWD 300 /* listeners: more than 1,024 descriptors */

/* ---- before the daemon ------------------------------------------------------------------ */

static void
ignore_all(void *userdata)
{
    (void)userdata;
    for (int number = 1; number < NSIG; number++)
        (void)signal(number, SIG_IGN);
}

static void
block_all(void *userdata)
{
    sigset_t all;

    (void)userdata;
    (void)sigfillset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, NULL);
}

static void
set_timers(void *userdata)
{
    /* Not before the daemon has had time to end them: it is slow under a sanitizer. */
    const struct itimerval soon = {.it_value = {.tv_sec = SANITIZED ? 5 : 0, .tv_usec = 300000},
                                   .it_interval = {.tv_usec = 1000}};

    (void)userdata;
    (void)setitimer(ITIMER_REAL, &soon, NULL);
    (void)setitimer(ITIMER_PROF, &soon, NULL);
}

static void
mask_all(void *userdata)
{
    (void)userdata;
    (void)umask(0777);
}

static void
remove_folder(void *userdata)
{
    if (mkdir(userdata, 0700) < 0 || chdir(userdata) < 0 || rmdir(userdata) < 0)
        _exit(1);
}

static void
close_standard(void *userdata)
{
    (void)userdata;
    (void)close(STDIN_FILENO);
    (void)close(STDOUT_FILENO);
}

static void
limit_descriptors(void *userdata)
{
    struct rlimit limit;

    (void)userdata;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        _exit(1);
    limit.rlim_cur = 1024;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        _exit(1);
}

static const struct inheritance {
    const char *name;
    void (*prepare)(void *userdata);
} inheritances[] = {
    {"all signals ignored", ignore_all},      {"all signals blocked", block_all},
    {"timers that run", set_timers},          {"umask 0777", mask_all},
    {"a folder that is gone", remove_folder}, {"no standard input and output", close_standard},
};

static struct daemon *
start_prepared(const char *configuration, void (*prepare)(void *userdata))
{
    const char *arguments[] = {"-c", configuration, NULL};

    return daemon_run_prepared(arguments, prepare, (void *)(uintptr_t)test_path("gone"));
}

/* Waits until the worker is another one than before. */
static void
await_another_worker(struct daemon *daemon, pid_t before)
{
    double until = clock_now() + DEADLINE;

    while (proc_child_count(daemon_pid(daemon)) != 1 || daemon_worker(daemon) == before) {
        assert_true(clock_now() < until);
        clock_pause();
    }
}

/* The value of a line in /proc/PID/status, as text. */
static const char *
status_of(pid_t process, const char *name)
{
    char *text = keep(calloc(1, 8192));
    int fd = open(text_of("/proc/%d/status", (int)process), O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_true(read(fd, text, 8191) > 0);
    (void)close(fd);
    const char *line = strstr(text, text_of("\n%s:", name));
    assert_non_null(line);
    return line + strlen(name) + 2;
}

static void
expect_nothing_left(pid_t process)
{
    unsigned long long quit = 1ull << (SIGQUIT - 1);
    char folder[4096] = "";

    assert_int_equal(strtoull(status_of(process, "SigBlk"), NULL, 16) & quit, 0);
    assert_int_equal(strtoull(status_of(process, "SigIgn"), NULL, 16) & quit, 0);
    assert_int_equal(strtoul(status_of(process, "Umask"), NULL, 8) & 0700, 0);
    assert_true(readlink(text_of("/proc/%d/cwd", (int)process), folder, sizeof(folder) - 1) > 0);
    assert_null(strstr(folder, "(deleted)"));
}

/* No timer wakes it a thousand times a second. */
static void
expect_rest(pid_t process)
{
    long before = strtol(status_of(process, "voluntary_ctxt_switches"), NULL, 10);

    usleep(500000);
    assert_true(strtol(status_of(process, "voluntary_ctxt_switches"), NULL, 10) - before < 100);
}

/* A crash, a reload, an upgrade and a stop go as if nothing had been inherited. */
static void
nothing_is_inherited(void **state)
{
    const struct inheritance *inheritance = *state;
    const char *listener = listener_text("test", "unix", "threading", "good_command", "");
    const char *file = daemon_configuration(
        "log = { target = \"stderr\"; access = false; };\nlisteners = {\n%s};", listener);
    struct daemon *daemon = start_prepared(file, inheritance->prepare);
    const char *address = daemon_address(daemon, "test");
    pid_t worker = daemon_worker(daemon);

    assert_return_code(kill(worker, SIGKILL), errno);
    await_another_worker(daemon, worker);
    assert_string_equal(client_ask(address, "echo 1\n"), "1\n");
    daemon_signal(daemon, SIGHUP);
    (void)daemon_wait_log(daemon, "reloaded: ");
    daemon_signal(daemon, SIGUSR2);
    (void)daemon_wait_log(daemon, "upgraded to ");
    expect_nothing_left(daemon_pid(daemon));
    expect_nothing_left(daemon_worker(daemon));
    expect_rest(daemon_pid(daemon));
    assert_string_equal(client_ask(address, "echo 2\n"), "2\n");
    daemon_expect_stop(daemon);
}

/* ---- descriptors -------------------------------------------------------------------------- */

static const char *
crowd(const char *more)
{
    char *text = keep(calloc(CROWD, 256)), *end = text;

    for (int i = 0; i < CROWD; i++)
        end += sprintf(end, "l%d = { address = \"unix://%s/l%d\"; plugin = \"echo\"; %s };\n", i,
                       test_folder(), i, more);
    return text;
}

static void
skip_if_too_slow(void)
{
    if (!CHECKED_THREAD)
        return;
    print_message("skipped under ThreadSanitizer, with which %d workers start too slowly\n", CROWD);
    skip();
}

/* The usual soft limit of 1,024 descriptors is the workers', not the supervisor's. */
static void
many_listeners_need_no_more_than_the_hard_limit(void **state)
{
    const char *file =
        daemon_configuration("listeners = {\n%s%s};", crowd(""),
                             listener_text("test", "unix", "none", "good_command", ""));
    struct daemon *daemon;
    struct rlimit limit;

    (void)state;
    skip_if_too_slow();
    assert_return_code(getrlimit(RLIMIT_NOFILE, &limit), errno);
    if (limit.rlim_max < 4096)
        skip();
    daemon = start_prepared(file, limit_descriptors);
    (void)daemon_wait_log_times(daemon, "listening on", CROWD + 1);
    assert_true(proc_fd_count(daemon_pid(daemon)) > 1024);
    daemon_expect_stop(daemon);
    assert_lacks(daemon_log(daemon), "Too many open files");
}

static void
check_tells_how_many_are_needed(void **state)
{
    const char *file = daemon_configuration("listeners = {\n%s};", crowd("enabled = false;"));

    (void)state;
    skip_if_too_slow();
    assert_contains(COMMAND("", "--check", "-c", file).output,
                    "listeners needs up to 4264 descriptors");
}

/* ---- after the supervisor ------------------------------------------------------------------- */

/* The address is free for the next daemon at once, and open connections are served to their end. */
static void
a_dead_supervisors_address_is_free(void **state)
{
    const struct server_case *server = *state;
    const char *text =
        listener_text("test", "tcp", server->mixin, "good_command",
                      strcmp(server->mixin, "forking") == 0 ? "recycle_after = 0;" : "");
    struct daemon *first = daemon_start("listeners = {\n%s};", text), *second;
    const char *address = daemon_address(first, "test");
    int client = client_connect(address);

    client_send(client, "echo before\n");
    client_expect(client, "before\n");
    daemon_signal(first, SIGKILL);
    second = daemon_start("listeners = { test = { plugin = \"good_command\"; mixin = \"%s\"; "
                          "address = \"%s\"; }; };",
                          server->mixin, address);
    assert_string_equal(daemon_address(second, "test"), address);
    assert_string_equal(client_ask(address, "echo new\n"), "new\n");
    client_send(client, "echo after\n");
    client_expect(client, "after\n");
    client_close(client);
    (void)daemon_wait_exit(first);
    daemon_expect_stop(second);
}

/* ---- helpers of plugins ------------------------------------------------------------------ */

static void
expect_gone(pid_t process)
{
    double until = clock_now() + DEADLINE;

    while (proc_alive(process)) {
        assert_true(clock_now() < until);
        clock_pause();
    }
}

static void
await_no_zombies(pid_t parent)
{
    double until = clock_now() + DEADLINE;

    while (proc_zombie_count(parent) != 0) {
        assert_true(clock_now() < until);
        clock_pause();
    }
}

/* A program that a plugin started, in a session of its own or not, and whose parent has ended. */
static pid_t
start_helper(const char *address, const char *how)
{
    pid_t helper = atoi(client_ask(address, text_of("helper %s\n", how)));

    assert_true(helper > 1);
    assert_true(proc_alive(helper));
    return helper;
}

static void
helpers_end_with_their_worker(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon = daemon_start(
        "listeners = {\n%s%s};", listener_text("test", "unix", server->mixin, "good_command", ""),
        listener_text("other", "unix", "none", "good_command", ""));
    const char *address = daemon_address(daemon, "test");
    pid_t near = start_helper(address, "near"), far = start_helper(address, "far");
    pid_t others = start_helper(daemon_address(daemon, "other"), "far");

    assert_int_equal(CTL(daemon, "restart", "test").status, 0);
    expect_gone(near);
    expect_gone(far);
    assert_true(proc_alive(others));
    await_no_zombies(daemon_pid(daemon));
    daemon_expect_stop(daemon);
    assert_false(proc_alive(others));
}

static void
a_helper_that_ignores_sigterm_is_killed(void **state)
{
    struct daemon *daemon = daemon_serve("unix", "none", "good_command", "");
    pid_t helper = start_helper(daemon_address(daemon, "test"), "stubborn");

    (void)state;
    assert_int_equal(daemon_stop(daemon), 0);
    assert_false(proc_alive(helper));
    assert_contains(daemon_log(daemon), "left behind did not end: killing them");
}

static void
helpers_are_kept_where_asked(void **state)
{
    struct daemon *daemon = daemon_serve("unix", "none", "good_command", "kill_helpers = false;");
    pid_t helper = start_helper(daemon_address(daemon, "test"), "far");

    (void)state;
    assert_int_equal(daemon_stop(daemon), 0);
    assert_true(proc_alive(helper));
    assert_return_code(kill(helper, SIGKILL), errno);
}

/* ---- files of others ------------------------------------------------------------------------ */

static void
a_foreign_lock_stays(void **state)
{
    const char *lock = test_file("test.sock.lock", "somebody's");
    struct daemon *daemon = daemon_start("listeners = {\n%s};",
                                         listener_text("test", "unix", "none", "good_command", ""));

    (void)state;
    assert_contains(daemon_wait_log(daemon, "is not a lock of ours"), "test.sock");
    assert_return_code(unlink(lock), errno);
    assert_string_equal(client_ask(daemon_address(daemon, "test"), "echo 1\n"), "1\n");
    daemon_expect_stop(daemon);
}

static void
a_path_that_is_bound_stays(void **state)
{
    const char *path = test_path("test.sock");
    struct sockaddr_storage address;
    socklen_t size = client_resolve(text_of("unix://%s", path), &address);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct stat before, after;
    struct daemon *daemon;

    (void)state;
    assert_return_code(bind(fd, (struct sockaddr *)&address, size), errno);
    assert_return_code(stat(path, &before), errno);
    daemon = daemon_start("listeners = {\n%s};",
                          listener_text("test", "unix", "none", "good_command", ""));
    (void)daemon_wait_log(daemon, "a running process has bound it and does not listen yet");
    assert_return_code(stat(path, &after), errno);
    assert_int_equal(before.st_ino, after.st_ino);
    (void)close(fd);
    assert_string_equal(client_ask(daemon_address(daemon, "test"), "echo 1\n"), "1\n");
    daemon_expect_stop(daemon);
}

RUN_TESTS(TEST_ROW(nothing_is_inherited, &inheritances[0], "all signals ignored"),
          TEST_ROW(nothing_is_inherited, &inheritances[1], "all signals blocked"),
          TEST_ROW(nothing_is_inherited, &inheritances[2], "timers that run"),
          TEST_ROW(nothing_is_inherited, &inheritances[3], "umask 0777"),
          TEST_ROW(nothing_is_inherited, &inheritances[4], "a folder that is gone"),
          TEST_ROW(nothing_is_inherited, &inheritances[5], "no standard input and output"),
          TEST(many_listeners_need_no_more_than_the_hard_limit),
          TEST(check_tells_how_many_are_needed),
          TEST_EACH_MIXIN(a_dead_supervisors_address_is_free, "tcp"),
          TEST_EACH_MIXIN(helpers_end_with_their_worker, "unix"),
          TEST(a_helper_that_ignores_sigterm_is_killed), TEST(helpers_are_kept_where_asked),
          TEST(a_foreign_lock_stays), TEST(a_path_that_is_bound_stays))
