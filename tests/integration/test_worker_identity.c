/* SPDX-License-Identifier: MIT */
/*
 * test_worker_identity.c - a worker has the user, groups and capabilities of its listener
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

/* ---- reload and upgrade ------------------------------------------------------ */

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
          TEST(changed_groups_are_a_changed_listener), TEST(upgrade_keeps_groups_and_limits))
