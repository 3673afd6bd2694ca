/* SPDX-License-Identifier: MIT */
/*
 * test_sandbox.c - what a worker may do: its identity, and the floor under its plugin
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/client.h"
#include "support/daemon.h"
#include "support/test.h"

/* The value of a line of /proc/PID/status, or "". */
static const char *
status_of(pid_t pid, const char *name)
{
    static char value[128];
    char line[256];
    FILE *file = fopen(text_of("/proc/%d/status", (int)pid), "re");

    assert_non_null(file);
    value[0] = '\0';
    while (fgets(line, sizeof(line), file) != NULL)
        if (strncmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ':')
            (void)sscanf(line + strlen(name) + 1, " %127[^\n]", value);
    (void)fclose(file);
    return value;
}

static void
a_plugin_meets_the_floor(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon = daemon_serve(server->scheme, server->mixin, "good_sandbox", "");
    const char *answers;

    daemon_wait_log(daemon, " runs as uid ");
    if (strstr(daemon_log(daemon), "no seccomp") != NULL ||
        strstr(daemon_log(daemon), "no Landlock") != NULL) {
        print_message("skipped: this kernel lacks seccomp filters or Landlock\n");
        skip();
    }
    answers = client_ask(daemon_address(daemon, "test"), "");
    assert_string_equal(answers, "mount EPERM\nunshare EPERM\nwrite-etc EACCES\n"
                                 "write-usr EACCES\nwrite-tmp ok\nread-etc ok\nprogram ok\n");
    daemon_expect_stop(daemon);
}

static void
the_kernel_agrees(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon = daemon_serve(server->scheme, server->mixin, "good_sandbox", "");
    pid_t worker = daemon_worker(daemon);

    assert_string_equal(status_of(worker, "NoNewPrivs"), "1");
    if (strstr(daemon_wait_log(daemon, " runs as uid "), "no seccomp") != NULL) {
        print_message("skipped: this kernel lacks seccomp filters\n");
        skip();
    }
    assert_string_equal(status_of(worker, "Seccomp"), "2");
    daemon_expect_stop(daemon);
}

/* The bounding set is what a setuid program could have. */
static void
a_listener_may_do_without_the_floor(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon =
        daemon_serve(server->scheme, server->mixin, "good_sandbox",
                     "sandbox = \"none\"; no_new_privileges = false; capabilities = [];");
    pid_t worker = daemon_worker(daemon);
    static const char *const same[] = {"CapBnd", "NoNewPrivs", "Seccomp"};

    (void)daemon_wait_log(daemon, "; no_new_privileges = false, sandbox = \"none\"");
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(text_of("%s", status_of(worker, same[i])),
                            text_of("%s", status_of(getpid(), same[i])));
    assert_string_equal(status_of(worker, "CapPrm"), "0000000000000000");
    assert_non_null(strstr(client_ask(daemon_address(daemon, "test"), ""), "program ok\n"));
    daemon_expect_stop(daemon);
}

static void
the_sandbox_alone_may_be_left_out(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon =
        daemon_serve(server->scheme, server->mixin, "good_sandbox", "sandbox = \"none\";");

    (void)daemon_wait_log(daemon, "; no_new_privs, sandbox = \"none\"");
    assert_string_equal(status_of(daemon_worker(daemon), "NoNewPrivs"), "1");
    daemon_expect_stop(daemon);
}

static void
a_worker_becomes_its_user(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon;
    pid_t worker;

    if (getuid() != 0) {
        print_message("skipped: only root can become another user\n");
        skip();
    }
    daemon = daemon_serve(server->scheme, server->mixin, test_plugin_for_all("good_command"),
                          "user = \"nobody\"; group = \"nogroup\"; umask = \"0027\";");
    worker = daemon_worker(daemon);
    assert_string_equal(status_of(worker, "Uid"), "65534\t65534\t65534\t65534");
    assert_string_equal(status_of(worker, "Gid"), "65534\t65534\t65534\t65534");
    assert_string_equal(status_of(worker, "Groups"), "");
    assert_string_equal(status_of(worker, "CapEff"), "0000000000000000");
    assert_string_equal(status_of(worker, "CapPrm"), "0000000000000000");
    assert_string_equal(status_of(worker, "Umask"), "0027");
    assert_string_equal(client_ask(daemon_address(daemon, "test"), "echo hi\n"), "hi\n");
    daemon_expect_stop(daemon);
}

/* The kernel says by the owner of these files whether a process may leave a core. */
static void
a_worker_that_changed_its_user_may_leave_a_core(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon;
    struct stat status;

    if (getuid() != 0) {
        print_message("skipped: only root can become another user\n");
        skip();
    }
    daemon = daemon_serve(server->scheme, server->mixin, "good_command",
                          "user = \"nobody\"; limits = { core = \"unlimited\"; };");
    if (strstr(daemon_wait_log(daemon, " runs as uid "), "no Landlock") != NULL) {
        print_message("skipped: this kernel lacks Landlock\n");
        skip();
    }
    assert_int_equal(stat(text_of("/proc/%d/environ", (int)daemon_worker(daemon)), &status), 0);
    assert_int_equal(status.st_uid, 65534);
    daemon_expect_stop(daemon);
}

RUN_TESTS(TEST_EACH_MIXIN(a_plugin_meets_the_floor, "tcp"),
          TEST_EACH_MIXIN(the_kernel_agrees, "tcp"),
          TEST_EACH_MIXIN(a_listener_may_do_without_the_floor, "tcp"),
          TEST_CASE(the_sandbox_alone_may_be_left_out, "tcp", "forking"),
          TEST_EACH_MIXIN(a_worker_becomes_its_user, "tcp"),
          TEST_EACH_MIXIN(a_worker_that_changed_its_user_may_leave_a_core, "tcp"))
