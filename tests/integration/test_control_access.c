/* SPDX-License-Identifier: MIT */
/*
 * test_control_access.c - who may change things through the control socket, and whom others cannot
 * keep from it
 */
#include "control_fixture.h"

#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/proc.h"

#define NOBODY       65534
#define GROUP        54321 /* nobody's */
#define OTHER_GROUPS 60000

/* ---- who may what --------------------------------------------------------------------------- */

/* Asks as somebody else, with so many supplementary groups, whose last one is given: the reply, ""
 * if there is none. */
static const char *
ask_with_groups(uid_t uid, gid_t gid, size_t count, gid_t last, struct daemon *daemon,
                const char *text)
{
    gid_t groups[100];
    const char *answer = test_path("answer");
    int status;
    pid_t pid;

    for (size_t i = 0; i < count; i++)
        groups[i] = (gid_t)(OTHER_GROUPS + i);
    groups[count - 1] = last;
    assert_return_code(chmod(test_folder(), 0777), errno);
    pid = fork();
    if (pid == 0) {
        FILE *out = fopen(answer, "we");
        int fd;

        if (out == NULL || setgroups(count, groups) < 0 || setresgid(gid, gid, gid) < 0 ||
            setresuid(uid, uid, uid) < 0)
            _exit(1);
        if (client_try_connect(text_of("unix://%s", daemon_control(daemon)), true, &fd) == 0)
            (void)fputs(control_ask(fd, text), out);
        (void)fclose(out);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    return file_text(answer);
}

static const char *
ask_as(uid_t uid, gid_t gid, gid_t supplementary, struct daemon *daemon, const char *text)
{
    return ask_with_groups(uid, gid, 1, supplementary, daemon, text);
}

static struct daemon *
serve_all(const char *more)
{
    return daemon_start("control = { path = \"%s\"; mode = \"0666\"; group = \"%d\"; };\n"
                        "listeners = {\n%s%s};",
                        test_path("control"), GROUP,
                        listener_text("test", "tcp", "none", "upper", ""), more);
}

static void
changing_is_for_root_the_user_and_the_group(void **state)
{
    struct daemon *daemon;

    (void)state;
    need_root("to become somebody else");
    daemon = serve_all("");
    (void)daemon_address(daemon, "test");
    assert_starts(ask_as(0, 0, 0, daemon, RELOAD), "{\"parameters\":");
    assert_starts(ask_as(NOBODY, NOBODY, NOBODY, daemon, GET_STATUS), "{\"parameters\":");
    assert_starts(ask_as(NOBODY, NOBODY, NOBODY, daemon, RELOAD), ERROR("PermissionDenied"));
    assert_starts(ask_as(NOBODY, NOBODY, NOBODY, daemon, CALL("Stop", "\"listener\":\"test\"")),
                  ERROR("PermissionDenied"));
    assert_starts(ask_as(NOBODY, NOBODY, GROUP, daemon, RELOAD), "{\"parameters\":");
    assert_starts(ask_as(NOBODY, GROUP, NOBODY, daemon, RELOAD), "{\"parameters\":");
    assert_starts(ask_with_groups(NOBODY, NOBODY, 100, GROUP, daemon, RELOAD), "{\"parameters\":");
    assert_starts(ask_with_groups(NOBODY, NOBODY, 100, NOBODY, daemon, RELOAD),
                  ERROR("PermissionDenied"));
    assert_string_equal(control_state(daemon, "test"), "serving");
    daemon_expect_stop(daemon);
}

/* ---- a crowd of another user ----------------------------------------------------------------- */

#define CROWD  100
#define PLACES 8 /* for all the calls of users like these */

/* Calls that ask for more than a socket holds, without reading an answer; whom the daemon lets go
 * comes again. */
_Noreturn static void
be_deaf_crowd(const char *address)
{
    const char call[] = GET_STATUS;
    static int crowd[CROWD];

    for (int i = 0; i < CROWD; i++)
        crowd[i] = -1;
    for (;;) {
        for (int i = 0; i < CROWD; i++) {
            if (crowd[i] < 0 && client_try_connect(address, true, &crowd[i]) != 0)
                crowd[i] = -1;
            while (crowd[i] >= 0 &&
                   send(crowd[i], call, sizeof(call), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
                ;
            if (crowd[i] >= 0 && errno != EAGAIN) {
                (void)close(crowd[i]);
                crowd[i] = -1;
            }
        }
        (void)poll(NULL, 0, 10);
    }
}

static pid_t
start_deaf_crowd(struct daemon *daemon)
{
    const char *address = text_of("unix://%s", daemon_control(daemon));
    pid_t parent = getpid(), pid = fork();

    if (pid == 0) {
        if (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
            setresuid(NOBODY, NOBODY, NOBODY) < 0)
            _exit(1);
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* a change of the user would have cleared it */
        if (getppid() == parent)
            be_deaf_crowd(address);
        _exit(1);
    }
    return pid;
}

static void
a_crowd_of_another_user_keeps_root_out_of_nothing(void **state)
{
    struct daemon *daemon;
    double slowest = 0;

    (void)state;
    need_root("to become somebody else");
    daemon = serve_all("");
    assert_return_code(chmod(test_folder(), 0777), errno);
    const char *address = daemon_address(daemon, "test");
    size_t quiet = proc_fd_count(daemon_pid(daemon));
    pid_t crowd = start_deaf_crowd(daemon);
    WAIT_UNTIL(proc_fd_count(daemon_pid(daemon)) >= quiet + PLACES);
    for (int i = 0; i < 30; i++) {
        double began = clock_now();
        int fd = control_connect(daemon);
        assert_starts(control_ask(fd, i % 10 == 9 ? RELOAD : GET_STATUS), "{\"parameters\":{");
        client_close(fd);
        if (clock_now() - began > slowest)
            slowest = clock_now() - began;
        assert_string_equal(client_ask(address, "hello\n"), "HELLO\n");
    }
    if (slowest > (LONG_FORM ? 1.0 : 20.0)) /* who is kept out would never get in */
        fail_msg("the slowest answer took %.0f ms", slowest * 1000);
    assert_int_equal(waitpid(crowd, NULL, WNOHANG), 0);
    assert_return_code(kill(crowd, SIGKILL), errno);
    assert_int_equal(waitpid(crowd, NULL, 0), crowd);
    daemon_expect_stop(daemon);
}

/* Who only waits, for a drain without end, holds no place that another needs. */
static void
waiters_keep_nobody_out(void **state)
{
    struct daemon *daemon;
    int waiting[8];

    (void)state;
    need_root("to become somebody else");
    daemon =
        serve_all(listener_text("busy", "tcp", "threading", "good_command", "drain_timeout = 60;"));
    int busy = client_connect(daemon_address(daemon, "busy"));
    client_send(busy, "echo here\n");
    client_expect(busy, "here\n");
    for (int i = 0; i < 8; i++)
        control_send(waiting[i] = control_connect(daemon),
                     CALL("Drain", "\"listener\":\"busy\",\"wait\":true"));
    (void)daemon_wait_log_times(daemon, "control: Drain busy", 8);
    assert_starts(ask_as(NOBODY, NOBODY, NOBODY, daemon, GET_STATUS), "{\"parameters\":");
    assert_starts(ask_as(0, 0, 0, daemon, RELOAD), "{\"parameters\":");
    client_close(busy);
    for (int i = 0; i < 8; i++)
        assert_starts(control_receive(waiting[i]), "{\"parameters\":");
    daemon_expect_stop(daemon);
}

RUN_TESTS(TEST(changing_is_for_root_the_user_and_the_group),
          TEST(a_crowd_of_another_user_keeps_root_out_of_nothing), TEST(waiters_keep_nobody_out))
