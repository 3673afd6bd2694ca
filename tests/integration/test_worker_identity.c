/* SPDX-License-Identifier: MIT */
/*
 * test_worker_identity.c - a worker has the supplementary groups and the limits of its listener
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

#define NOBODY 65534

/* The line of /proc/PID/FILE that begins so, behind that beginning and blanks. */
static const char *
proc_line(pid_t pid, const char *name, const char *begin)
{
    FILE *stream = fopen(text_of("/proc/%d/%s", (int)pid, name), "re");
    char line[1024];
    const char *found = NULL;

    assert_non_null(stream);
    while (found == NULL && fgets(line, sizeof(line), stream) != NULL)
        if (strncmp(line, begin, strlen(begin)) == 0)
            found = text_of("%s", line + strlen(begin) + strspn(line + strlen(begin), " \t"));
    (void)fclose(stream);
    if (found == NULL)
        fail_msg("/proc/%d/%s has no line \"%s\"", (int)pid, name, begin);
    return found;
}

/* Soft and hard limit as the kernel shows them: "100 100", "unlimited unlimited". */
static void
expect_limit(pid_t pid, const char *name, const char *soft, const char *hard)
{
    char found_soft[32], found_hard[32];

    assert_int_equal(sscanf(proc_line(pid, "limits", name), "%31s %31s", found_soft, found_hard),
                     2);
    assert_string_equal(found_soft, soft);
    assert_string_equal(found_hard, hard);
}

static void
expect_groups(pid_t pid, const char *groups)
{
    const char *found = proc_line(pid, "status", "Groups:");

    assert_memory_equal(found, groups, strlen(groups));
    assert_int_equal(strspn(found + strlen(groups), " \n"), strlen(found + strlen(groups)));
}

/* Without `user`: sockserverd if there is one, else nobody. */
static const struct passwd *
default_account(void)
{
    const struct passwd *account = getpwnam("sockserverd");

    if (account == NULL)
        account = getpwnam("nobody");
    assert_non_null(account);
    return account;
}

static uid_t
default_user(void)
{
    return default_account()->pw_uid;
}

static gid_t
default_group(void)
{
    return default_account()->pw_gid;
}

/* ---- user ------------------------------------------------------------------ */

static void
expect_capabilities(pid_t pid, const char *expected)
{
    static const char *const sets[] = {"CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"};

    for (size_t i = 0; i < 5; i++)
        assert_memory_equal(proc_line(pid, "status", sets[i]), expected, strlen(expected));
}

static void
nobody_is_root_by_accident(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon;

    need_root("to change user and groups");
    daemon = daemon_serve(server->scheme, server->mixin, "good_command", "");
    assert_string_equal(client_ask(daemon_address(daemon, "test"), "identity\n"),
                        text_of("identity %u %u %u %u\n", default_user(), default_user(),
                                default_group(), default_group()));
    expect_capabilities(daemon_worker(daemon), "0000000000000000\n");
    daemon_expect_stop(daemon);
}

static void
root_must_be_said_and_may_nothing(void **state)
{
    struct daemon *daemon;

    (void)state;
    need_root("to change user and groups");
    daemon = daemon_serve("tcp", "threading", "good_command", "user = \"root\";");
    assert_string_equal(client_ask(daemon_address(daemon, "test"), "identity\n"),
                        "identity 0 0 0 0\n");
    expect_capabilities(daemon_worker(daemon), "0000000000000000\n");
    daemon_expect_stop(daemon);
}

static void
capabilities_are_kept_by_name(void **state)
{
    static const char *const users[] = {"", "user = \"root\";"};
    struct daemon *daemon;

    (void)state;
    need_root("to change user and groups");
    for (size_t i = 0; i < 2; i++) {
        daemon =
            daemon_serve("tcp", "forking", "good_command",
                         text_of("%s capabilities = [ \"Cap_Kill\", \"net_raw\" ];", users[i]));
        expect_capabilities(daemon_worker(daemon), "0000000000002020\n");
        daemon_expect_stop(daemon);
    }
}

static void
unknown_capability_is_a_mistake(void **state)
{
    struct outcome outcome = COMMAND("", "--check", "--listen", "tcp://127.0.0.1:0", "--set",
                                     "capabilities=net_admim", FIXTURES "/good_command.so");

    (void)state;
    assert_int_equal(outcome.status, 78);
    assert_contains(outcome.errors,
                    "--set capabilities: unknown capability \"net_admim\"; expected "
                    "a name of capabilities(7), such as \"net_bind_service\"");
}

/* Neither the folder nor the file is for the worker's user. All that names the plugin says its own
 * path, and its hooks are found. */
static void
a_plugin_out_of_reach_is_handed_over(void **state)
{
    static const char *const modes[] = {"644", "600"};
    const struct server_case *server = *state;

    need_root("to change user and groups");
    for (size_t i = 0; i < 2; i++) {
        const char *folder = test_path(text_of("private%zu", i));
        const char *plugin = text_of("%s/mine.so", folder);
        const char *copy =
            text_of("install -m %s %s/good_command.so %s", modes[i], FIXTURES, plugin);

        assert_int_equal(mkdir(folder, 0700), 0);
        assert_int_equal(system(copy), 0);
        struct outcome outcome = COMMAND("", "--check", "--listen", "tcp://127.0.0.1:0", plugin);
        assert_string_equal(outcome.errors, "");
        assert_int_equal(outcome.status, 0);
        struct daemon *daemon = daemon_serve(server->scheme, server->mixin, plugin, "");
        assert_contains(daemon_log(daemon), "mine.so)");
        assert_contains(client_ask(daemon_address(daemon, "test"), "echo hi\n"), "hi");
        assert_lacks(proc_fd_list(daemon_worker(daemon)), "plugin");
        assert_lacks(proc_fd_list(daemon_worker(daemon)), "mine.so");
        assert_int_equal(system(copy), 0); /* another file, so a reload replaces the worker */
        daemon_signal(daemon, SIGHUP);
        (void)daemon_wait_log(daemon, "generation 2 serves");
        assert_contains(client_ask(daemon_address(daemon, "test"), "echo hi\n"), "hi");
        daemon_expect_stop(daemon);
    }
}

/* ---- groups ---------------------------------------------------------------- */

static void
worker_has_the_groups_of_its_listener(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon;
    const char *answer;

    need_root("to change user and groups");
    daemon = daemon_serve(server->scheme, server->mixin, "good_command",
                          "user = \"65534\"; group = \"65534\"; groups = ( \"root\", 27, \"4\" );");
    expect_groups(daemon_worker(daemon), "0 4 27");
    answer = client_ask(daemon_address(daemon, "test"), "identity\n");
    assert_string_equal(answer, "identity 65534 65534 65534 65534 0 4 27\n");
    daemon_expect_stop(daemon);
}

static void
changed_user_has_no_other_groups(void **state)
{
    struct daemon *daemon;

    (void)state;
    need_root("to change user and groups");
    daemon = daemon_start(
        "listeners = {\n%s%s};",
        listener_text("none", "tcp", "none", "good_command", "user = \"65534\"; groups = [ ];"),
        listener_text("given", "tcp", "none", "good_command", "groups = [ \"4\" ];"));
    assert_string_equal(client_ask(daemon_address(daemon, "none"), "identity\n"),
                        "identity 65534 65534 65534 65534\n");
    assert_string_equal(client_ask(daemon_address(daemon, "given"), "identity\n"),
                        text_of("identity %u %u %u %u 4\n", default_user(), default_user(),
                                default_group(), default_group()));
    daemon_expect_stop(daemon);
}

static void
become_nobody(void *userdata)
{
    (void)userdata;
    if (getuid() == 0 && (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
                          setresuid(NOBODY, NOBODY, NOBODY) < 0))
        _exit(1);
}

static void
groups_need_the_rights_of_root(void **state)
{
    const char *const arguments[] = {"--listen", "tcp://127.0.0.1:0",         "--strict", "--set",
                                     "groups=4", FIXTURES "/good_command.so", NULL};
    struct daemon *daemon = daemon_run_prepared(arguments, become_nobody, NULL);

    (void)state;
    daemon_expect_exit(daemon, 1);
    assert_contains(daemon_log(daemon),
                    "cannot set the supplementary groups: Operation not permitted; the daemon must "
                    "run as root (or with CAP_SETUID and CAP_SETGID) to use `user`, `group` and "
                    "`groups`");
}

/* An empty list asks for nothing that a daemon without supplementary groups does not have. */
static void
groups_that_are_so_already_need_no_rights(void **state)
{
    const char *const arguments[] = {"--listen", "tcp://127.0.0.1:0",         "--strict", "--set",
                                     "groups=",  FIXTURES "/good_command.so", NULL};
    struct daemon *daemon;

    (void)state;
    need_root("to change user and groups"); /* for a process without groups */
    daemon = daemon_run_prepared(arguments, become_nobody, NULL);
    (void)daemon_wait_log(daemon, "listening on");
    daemon_expect_stop(daemon);
}

/* ---- limits ---------------------------------------------------------------- */

/* Address space is left alone where a sanitizer takes terabytes of it. */
#define LIMITS                                                                                     \
    "limits = { nofile = 200; nproc = 12345; cpu = \"2h\"; core = 0; stack = \"4M\";"              \
    " as = " AS "; };"
#if SANITIZED
#define AS       "\"1024T\""
#define AS_BYTES "1125899906842624"
#else
#define AS       "\"8G\""
#define AS_BYTES "8589934592"
#endif

static void
expect_limits(pid_t pid)
{
    expect_limit(pid, "Max open files", "200", "200");
    expect_limit(pid, "Max processes", "12345", "12345");
    expect_limit(pid, "Max cpu time", "7200", "7201");
    expect_limit(pid, "Max core file size", "0", "0");
    expect_limit(pid, "Max stack size", "4194304", "4194304");
    expect_limit(pid, "Max address space", AS_BYTES, AS_BYTES);
}

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

/* ---- reload and upgrade ------------------------------------------------------ */

static pid_t
pid_of(struct daemon *daemon, const char *listener)
{
    pid_t pid;

    assert_int_equal(sscanf(client_ask(daemon_address(daemon, listener), "pid\n"), "pid %d", &pid),
                     1);
    return pid;
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

static void
changed_groups_are_a_changed_listener(void **state)
{
    struct daemon *daemon;
    pid_t before, after;

    (void)state;
    need_root("to change user and groups");
    daemon = SERVE("listeners = {\n%s};", two_listeners("groups = [ \"4\", \"27\" ];"));
    before = pid_of(daemon, "test");
    expect_groups(before, "4 27");
    REWRITE("listeners = {\n%s};", two_listeners("groups = [ \"4\" ];"));
    reload(daemon);
    after = pid_of(daemon, "test");
    assert_int_not_equal(after, before);
    expect_groups(after, "4");
    REWRITE("listeners = {\n%s};", two_listeners("groups = \"4\";"));
    reload(daemon);
    assert_int_equal(pid_of(daemon, "test"), after); /* one text is a list of one */
    daemon_expect_stop(daemon);
}

/* Through the state that goes over, and to the new program's workers. */
static void
upgrade_keeps_groups_and_limits(void **state)
{
    struct daemon *daemon;
    pid_t before, after;
    int client;

    (void)state;
    need_root("to change user and groups");
    daemon =
        SERVE("listeners = {\n%s};", two_listeners("groups = [ \"4\", \"27\" ];\n" LIMITS
                                                   "options = { names = [ \"a\", \"b\" ]; };"));
    before = pid_of(daemon, "test");
    client = client_connect(daemon_address(daemon, "test"));
    daemon_signal(daemon, SIGUSR2);
    (void)daemon_wait_log(daemon, "upgraded to sockserverd");
    (void)daemon_wait_log(daemon, "reloaded: ");
    client_send(client, "names\n"); /* to the worker from before */
    client_expect(client, "names 2 \"a\" \"b\"\n");
    client_close(client);
    after = pid_of(daemon, "test");
    assert_int_not_equal(after, before);
    expect_groups(after, "4 27");
    expect_limits(after);
    daemon_expect_stop(daemon);
}

RUN_TESTS(TEST_EACH_MIXIN(nobody_is_root_by_accident, "tcp"),
          TEST(root_must_be_said_and_may_nothing), TEST(capabilities_are_kept_by_name),
          TEST(unknown_capability_is_a_mistake),
          TEST_EACH_MIXIN(a_plugin_out_of_reach_is_handed_over, "tcp"),
          TEST_EACH_MIXIN(worker_has_the_groups_of_its_listener, "tcp"),
          TEST(changed_user_has_no_other_groups), TEST(groups_need_the_rights_of_root),
          TEST(groups_that_are_so_already_need_no_rights),
          TEST_EACH_MIXIN(worker_has_the_limits_of_its_listener, "tcp"),
          TEST(worker_has_the_priority_of_its_listener), TEST(child_of_a_worker_has_them_too),
          TEST(supervisor_and_other_workers_keep_theirs),
          TEST(command_line_gives_groups_and_limits), TEST(command_line_tells_its_mistakes),
          TEST(limit_above_the_daemons_own_is_a_mistake), TEST(too_few_descriptors_are_told),
          TEST(unlimited_descriptors_are_what_the_kernel_allows),
          TEST(spent_processor_time_is_named_and_the_worker_replaced),
          TEST(changed_limit_is_a_changed_listener), TEST(changed_groups_are_a_changed_listener),
          TEST(upgrade_keeps_groups_and_limits))
