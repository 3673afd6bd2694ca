/* SPDX-License-Identifier: MIT */
/*
 * test_logging.c - log lines, access lines, and the log file
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "common/array.h"
#include "support/client.h"
#include "support/command.h"
#include "support/daemon.h"
#include "support/proc.h"
#include "support/test.h"

/* One listener "test" with good_command and such a log group. */
static struct daemon *
serve_with_log(const struct server_case *server, const char *log)
{
    return daemon_start("log = { %s };\nlisteners = {\n%s};", log,
                        listener_text("test", server->scheme, server->mixin, "good_command", ""));
}

static void
an_access_line_tells_what_a_request_was(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon = serve_with_log(server, "target = \"stderr\"; access = true;");
    const char *line;
    const char *who = strcmp(server->scheme, "tcp") == 0 ? "127.0.0.1:"
                      : strcmp(server->scheme, "udp") == 0
                          ? "127.0.0.1:"
                          : text_of("pid %d uid %u", (int)getpid(), getuid());

    assert_string_equal(client_ask(daemon_address(daemon, "test"), "echo hello\n"), "hello\n");
    line = daemon_wait_log(daemon, "sockserverd[test/1]: ");
    assert_contains(line, who);
    assert_contains(line, ": done, 11 bytes in, 6 bytes out, ");
    daemon_expect_stop(daemon);
    assert_int_equal(daemon_count_log(daemon, "sockserverd[test/"), 1);
}

/* What a client and the daemon do, and the reason in the access line. */
enum ending { LET_GO, VANISH, STOP_DAEMON };
static const struct {
    const char *command, *more;
    enum ending ending;
    const char *reason;
} endings[] = {
    {"quit\n", "", LET_GO, "done"},
    {"fail 5\n", "", LET_GO, "handle failed: Input/output error"},
    {"echo hi\nflush\nbig 50000000\n", "", VANISH, "client went away"},
    {"sleep 600\n", "request_timeout = \"1s\";", LET_GO, "request_timeout is over"},
    {"echo hi\nflush\nsleep 600\n", "drain_timeout = \"100ms\";", STOP_DAEMON,
     "cut by the drain's deadline"},
};

static void
an_access_line_tells_why_a_request_ended(void **state)
{
    const struct server_case *server = *state;

    for (size_t i = 0; i < ARRAY_SIZE(endings); i++) {
        struct daemon *daemon = daemon_start(
            "log = { target = \"stderr\"; access = true; };\nlisteners = {\n%s};",
            listener_text("test", server->scheme, server->mixin, "good_command", endings[i].more));
        int client = client_connect(daemon_address(daemon, "test"));

        client_send(client, endings[i].command);
        if (endings[i].ending != LET_GO)
            client_expect(client, "hi\n");
        if (endings[i].ending == VANISH)
            client_reset(client);
        if (endings[i].ending == STOP_DAEMON)
            daemon_signal(daemon, SIGTERM);
        assert_contains(daemon_wait_log(daemon, " bytes out"),
                        text_of(": %s, ", endings[i].reason));
        if (endings[i].ending == STOP_DAEMON)
            daemon_expect_exit(daemon, 0);
        else
            daemon_expect_stop(daemon);
        assert_int_equal(daemon_count_log(daemon, " bytes out"), 1);
    }
}

static void
requests_are_numbered(void **state)
{
    struct daemon *daemon = serve_with_log(*state, "target = \"stderr\"; access = true;");

    for (int i = 1; i <= 3; i++) {
        assert_string_equal(client_ask(daemon_address(daemon, "test"), "echo hello\n"), "hello\n");
        (void)daemon_wait_log(daemon, text_of("sockserverd[test/%d]: ", i));
    }
    daemon_expect_stop(daemon);
}

static void
without_access_there_is_no_line_for_a_request(void **state)
{
    struct daemon *daemon = serve_with_log(*state, "target = \"stderr\"; access = false;");

    assert_string_equal(client_ask(daemon_address(daemon, "test"), "echo hello\n"), "hello\n");
    daemon_expect_stop(daemon);
    assert_int_equal(daemon_count_log(daemon, "sockserverd[test/"), 0);
}

static void
a_plugins_line_carries_listener_and_request(void **state)
{
    struct daemon *daemon = serve_with_log(*state, "target = \"stderr\"; access = false;");

    assert_string_equal(client_ask(daemon_address(daemon, "test"), "log 4 look here\n"),
                        "logged\n");
    assert_string_equal(daemon_wait_log(daemon, "look here"), "sockserverd[test/1]: look here");
    daemon_expect_stop(daemon);
}

static void
lines_below_the_level_are_not_written(void **state)
{
    struct daemon *daemon =
        serve_with_log(*state, "target = \"stderr\"; level = \"notice\"; access = true;");

    assert_string_equal(client_ask(daemon_address(daemon, "test"),
                                   "log 7 debug line\nlog 6 info line\nlog 5 notice line\n"),
                        "logged\nlogged\nlogged\n");
    (void)daemon_wait_log(daemon, "notice line");
    daemon_expect_stop(daemon);
    assert_lacks(daemon_log(daemon), "debug line");
    assert_lacks(daemon_log(daemon), "info line");
}

static void
a_hostile_line_stays_one_line(void **state)
{
    struct daemon *daemon = serve_with_log(*state, "target = \"stderr\"; access = false;");

    (void)client_ask(daemon_address(daemon, "test"), "log 4 one\x1b[2Jtwo\n");
    assert_string_equal(daemon_wait_log(daemon, "two"), "sockserverd[test/1]: one\\x1b[2Jtwo");
    daemon_expect_stop(daemon);
}

static void
a_failed_handler_is_logged_once(void **state)
{
    struct daemon *daemon = serve_with_log(*state, "target = \"stderr\"; access = false;");

    (void)client_connect(daemon_address(daemon, "test"));
    client_close_all();
    {
        int client = client_connect(daemon_address(daemon, "test"));

        client_send(client, "fail 5\n");
        (void)daemon_wait_log(daemon, "handle failed: Input/output error");
    }
    daemon_expect_stop(daemon);
    assert_int_equal(daemon_count_log(daemon, "handle failed"), 1);
}

/* Waits until the file contains the text. */
static void
wait_file(const char *path, const char *text)
{
    WAIT_UNTIL(access(path, R_OK) == 0 && strstr(file_text(path), text) != NULL);
}

static void
a_log_file_is_reopened_on_sigusr1(void **state)
{
    const struct server_case *server = *state;
    const char *path = test_path("daemon.log"), *old = test_path("daemon.log.1");
    struct daemon *daemon =
        serve_with_log(server, text_of("target = \"%s\"; access = true;", path));
    const char *address, *line;

    wait_file(path, "listening on ");
    line = strstr(file_text(path), "listening on ") + strlen("listening on ");
    address = text_of("%.*s", (int)strcspn(line, " "), line);
    assert_string_equal(client_ask(address, "log 4 first\n"), "logged\n");
    wait_file(path, "sockserverd[test/1]: first");
    assert_int_equal(rename(path, old), 0);
    daemon_signal(daemon, SIGUSR1);
    WAIT_UNTIL(access(path, F_OK) == 0);
    WAIT_UNTIL(client_ask(address, "log 4 second\n") && strstr(file_text(path), "second") != NULL);
    daemon_expect_stop(daemon);
    assert_lacks(file_text(path), "first");
    assert_contains(file_text(path), "stopped");
}

/* After a reload, a crash and an upgrade, a number means one request still. */
static void
no_number_is_given_twice(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon = daemon_serve(server->scheme, server->mixin, "good_command", "");
    const char *address = daemon_address(daemon, "test");

    assert_string_equal(client_ask(address, "log 4 one\n"), "logged\n");
    assert_string_equal(client_ask(address, "log 4 two\n"), "logged\n");
    (void)daemon_wait_log(daemon, "sockserverd[test/2]: two");
    assert_int_equal(CTL(daemon, "restart", "test").status, 0);
    assert_string_equal(client_ask(address, "log 4 three\n"), "logged\n");
    (void)daemon_wait_log(daemon, "sockserverd[test/1000001]: three");
    daemon_signal(daemon, SIGUSR2);
    (void)daemon_wait_log(daemon, "upgraded to sockserverd");
    (void)daemon_wait_log(daemon, "reloaded: ");
    assert_string_equal(client_ask(address, "log 4 four\n"), "logged\n");
    (void)daemon_wait_log(daemon, "sockserverd[test/2000001]: four");
    assert_return_code(kill(daemon_worker(daemon), SIGKILL), errno);
    WAIT_UNTIL(daemon_count_log(daemon, "was killed by signal 9") == 1);
    assert_string_equal(client_ask(address, "log 4 five\n"), "logged\n");
    (void)daemon_wait_log(daemon, "sockserverd[test/3000001]: five");
    assert_int_equal(CTL(daemon, "stop", "test").status, 0);
    daemon_signal(daemon, SIGUSR2); /* while no worker is there to tell */
    (void)daemon_wait_log_times(daemon, "upgraded to sockserverd", 2);
    (void)daemon_wait_log_times(daemon, "reloaded: ", 2);
    assert_int_equal(CTL(daemon, "start", "test").status, 0);
    address = daemon_address(daemon, "test");
    assert_string_equal(client_ask(address, "log 4 six\n"), "logged\n");
    (void)daemon_wait_log(daemon, "sockserverd[test/4000001]: six");
    daemon_expect_stop(daemon);
}

/* Workers that serve at the same time number apart from each other. */
static void
several_workers_number_apart(void **state)
{
    struct daemon *daemon = daemon_serve("tcp", "none", "good_command", "cpus = 2;");
    const char *address = daemon_address(daemon, "test");
    int first = client_connect(address), second;

    (void)state;
    client_send(first, "log 4 here\n");
    client_expect(first, "logged\n");
    second = client_connect(address); /* the other worker's, for the first is busy */
    client_send(second, "log 4 there\n");
    client_expect(second, "logged\n");
    (void)daemon_wait_log(daemon, "sockserverd[test/1]: ");
    (void)daemon_wait_log(daemon, "sockserverd[test/1000000000001]: ");
    client_close_all();
    daemon_expect_stop(daemon);
}

/* The time of a log file's line, in seconds since 1970; -1: it does not begin with one in UTC. */
static time_t
line_time(const char *line)
{
    struct tm parts = {0};
    const char *rest = strptime(line, "%Y-%m-%dT%H:%M:%S", &parts);
    unsigned milliseconds;
    int size = 0;

    if (rest == NULL || sscanf(rest, ".%3uZ %n", &milliseconds, &size) != 1 || size != 6)
        return -1;
    return timegm(&parts);
}

static void
each_line_of_a_log_file_has_time_and_level(void **state)
{
    const struct server_case *server = *state;
    const char *path = test_path("daemon.log"), *before, *line;
    time_t start = time(NULL);
    struct daemon *daemon =
        serve_with_log(server, text_of("target = \"%s\"; access = true;", path));

    wait_file(path, "listening on ");
    line = strstr(file_text(path), "listening on ") + strlen("listening on ");
    line = text_of("%.*s", (int)strcspn(line, " "), line);
    assert_string_equal(client_ask(line, "log 4 beware\n"), "logged\n");
    wait_file(path, "Z warning sockserverd[test/1]: beware\n");
    wait_file(path, "Z info sockserverd[test/1]: ");
    daemon_expect_stop(daemon);
    before = file_text(path);
    for (line = before; *line != '\0'; line = strchr(line, '\n') + 1)
        if (line_time(line) < start || line_time(line) > time(NULL))
            fail_msg("no time of this test in front of: %s", line);
    assert_contains(before, "Z notice sockserverd: ");
}

RUN_TESTS(TEST_EACH_SERVER(an_access_line_tells_what_a_request_was),
          TEST_EACH_MIXIN(an_access_line_tells_why_a_request_ended, "tcp"),
          TEST_EACH_MIXIN(requests_are_numbered, "tcp"),
          TEST_EACH_MIXIN(without_access_there_is_no_line_for_a_request, "tcp"),
          TEST_EACH_SERVER(a_plugins_line_carries_listener_and_request),
          TEST_EACH_MIXIN(lines_below_the_level_are_not_written, "tcp"),
          TEST_CASE(a_hostile_line_stays_one_line, "tcp", "none"),
          TEST_EACH_MIXIN(a_failed_handler_is_logged_once, "tcp"),
          TEST_EACH_MIXIN(no_number_is_given_twice, "tcp"), TEST(several_workers_number_apart),
          TEST_CASE(each_line_of_a_log_file_has_time_and_level, "tcp", "threading"),
          TEST_EACH_MIXIN(a_log_file_is_reopened_on_sigusr1, "tcp"))
