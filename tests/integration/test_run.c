/* SPDX-License-Identifier: MIT */
/*
 * test_run.c - a command that runs while the daemon serves: --run; and one datagram on --stdio
 */
#include <signal.h>
#include <unistd.h>

#include "support/client.h"
#include "support/command.h"
#include "support/test.h"

#define UPPER SHIPPED_PLUGINS "/upper.so"

/* ---- its end is ours ----------------------------------------------------------------------- */

static const struct {
    const char *script;
    int status;
} ends[] = {{"exit 0", 0}, {"exit 3", 3}, {"exit 255", 255}, {"kill -9 $$", 137}, {"kill $$", 143}};

static void
the_status_is_the_commands(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        struct outcome outcome = COMMAND("", UPPER, "--run", "sh", "-c", ends[i].script);
        assert_int_equal(outcome.status, ends[i].status);
        assert_string_equal(outcome.errors, "");
    }
}

static void
a_command_that_cannot_be_run_is_told(void **state)
{
    struct outcome outcome = COMMAND("", UPPER, "--run", "no-such-command", "--once");

    (void)state;
    assert_int_equal(outcome.status, 127);
    assert_contains(outcome.errors, "--run: cannot execute no-such-command: No such file");
    outcome = COMMAND("", UPPER, "--run", test_file("plain", "text"));
    assert_int_equal(outcome.status, 126);
    assert_contains(outcome.errors, "Permission denied");
}

static void
it_is_not_run_if_a_listener_cannot_start(void **state)
{
    struct outcome outcome =
        COMMAND("", "--listen", "tcp://192.0.2.1:9", UPPER, "--run", "echo", "it runs");

    (void)state;
    assert_int_equal(outcome.status, 1);
    assert_string_equal(outcome.output, "");
    assert_contains(outcome.errors, "cannot listen on tcp://192.0.2.1:9");
    outcome = COMMAND("", FIXTURES "/bad_activate.so", "--run", "echo", "it runs");
    assert_int_equal(outcome.status, 1);
    assert_string_equal(outcome.output, "");
}

/* ---- where it serves ------------------------------------------------------------------------ */

static void
the_command_knows_where_it_serves(void **state)
{
    struct outcome outcome =
        COMMAND("", UPPER, "--run", "sh", "-c",
                "test $SOCKSERVER_ADDRESS = tcp://$SOCKSERVER_HOST:$SOCKSERVER_PORT && "
                "test $SOCKSERVER_ADDRESS_UPPER = $SOCKSERVER_ADDRESS && "
                "echo $SOCKSERVER_HOST ${SOCKSERVER_PATH-no path}");

    (void)state;
    assert_int_equal(outcome.status, 0);
    assert_string_equal(outcome.output, "127.0.0.1 no path\n");
    outcome = COMMAND("", "--listen", text_of("unix://%s", test_path("socket")), UPPER, "--run",
                      "sh", "-c", "test -S $SOCKSERVER_PATH && echo ${SOCKSERVER_PORT-no port}");
    assert_string_equal(outcome.output, "no port\n");
    assert_int_equal(access(test_path("socket"), F_OK), -1);
    outcome =
        COMMAND("", "--listen", "tcp://*:0", UPPER, "--run", "sh", "-c", "echo $SOCKSERVER_HOST");
    assert_true(strcmp(outcome.output, "::1\n") == 0 || strcmp(outcome.output, "127.0.0.1\n") == 0);
}

/* What another --run around it has said is not taken for its own. */
static void
a_command_within_a_command_knows_its_own_server(void **state)
{
    struct outcome outcome =
        COMMAND("", "--listen", text_of("unix://%s", test_path("outer")), UPPER, "--run",
                DAEMON_PROGRAM, UPPER, "--run", "sh", "-c",
                "echo $SOCKSERVER_HOST ${SOCKSERVER_PATH-no} ${SOCKSERVER_PATH_UPPER-path}");

    (void)state;
    assert_string_equal(outcome.output, "127.0.0.1 no path\n");
    assert_int_equal(outcome.status, 0);
}

/* A client that is one line of the shell's own. */
static void
it_is_served(void **state)
{
    const char *bash = need_program("bash");
    struct outcome outcome = COMMAND(
        "", "--mixin", "forking", UPPER, "--run", bash, "-c",
        "exec 3<>/dev/tcp/$SOCKSERVER_HOST/$SOCKSERVER_PORT; echo hello >&3; head -n 1 <&3");

    (void)state;
    assert_string_equal(outcome.output, "HELLO\n");
    assert_int_equal(outcome.status, 0);
}

static void
each_listener_of_a_file_has_its_name(void **state)
{
    const char *text = text_of("%s%s", listener_text("my-first", "tcp", "none", "upper", ""),
                               listener_text("second", "udp", "none", "echo", ""));
    const char *file = daemon_configuration("listeners = {\n%s};", text);
    struct outcome outcome = COMMAND(
        "", "-c", file, "--run", "sh", "-c",
        "test $SOCKSERVER_PORT = $SOCKSERVER_PORT_MY_FIRST && "
        "test $SOCKSERVER_PORT != $SOCKSERVER_PORT_SECOND && echo $SOCKSERVER_ADDRESS_SECOND");

    (void)state;
    assert_int_equal(outcome.status, 0);
    assert_starts(outcome.output, "udp://127.0.0.1:");
}

/* ---- signals -------------------------------------------------------------------------------- */

static struct daemon *
run_script(const char *script)
{
    struct daemon *daemon = DAEMON_RUN(UPPER, "--run", "sh", "-c", script);

    (void)daemon_wait_log(daemon, "it runs");
    return daemon;
}

static void
a_signal_is_passed_on(void **state)
{
    struct daemon *daemon;

    (void)state;
    daemon = run_script("trap 'exit 5' TERM; echo it runs >&2; while :; do sleep 0.1; done");
    daemon_signal(daemon, SIGTERM);
    daemon_expect_exit(daemon, 5);
    daemon = run_script("trap 'exit 6' INT; echo it runs >&2; while :; do sleep 0.1; done");
    daemon_signal(daemon, SIGINT);
    daemon_expect_exit(daemon, 6);
    daemon = run_script("echo it runs >&2; exec sleep 600");
    daemon_signal(daemon, SIGTERM);
    daemon_expect_exit(daemon, 128 + SIGTERM);
}

/* The first is the command's; the second stops the daemon, the third ends what does not end. */
static void
a_command_that_ignores_signals_is_killed(void **state)
{
    struct daemon *daemon = run_script("trap 'echo not yet >&2' TERM; echo it runs >&2; "
                                       "while :; do sleep 0.1; done");

    (void)state;
    for (size_t i = 1; i < 3; i++) {
        daemon_signal(daemon, SIGTERM);
        (void)daemon_wait_log_times(daemon, "not yet", i);
    }
    daemon_signal(daemon, SIGTERM);
    daemon_expect_exit(daemon, 128 + SIGKILL);
}

/* ---- the command line ----------------------------------------------------------------------- */

static const struct {
    const char *arguments[5];
    const char *errors;
} mistakes[] = {
    {{"--run", "true"}, "--run needs something to serve before it"},
    {{UPPER, "--run"}, "--run needs a value: COMMAND..."},
    {{UPPER, "--run=true"}, "--run: expected a blank before the command: --run true"},
    {{UPPER, "--once", "--run", "true"}, "--run and --once exclude each other"},
    {{UPPER, "--check", "--run", "true"}, "--run and --check exclude each other"},
    {{"--stdio", UPPER, "--run", "true"}, "--run does not go with --stdio"},
    {{"--datagram", UPPER}, "--datagram works only with --stdio\n"},
};

static void
mistakes_are_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        struct outcome outcome = command_run(DAEMON_PROGRAM, "", mistakes[i].arguments);
        assert_contains(outcome.errors, mistakes[i].errors);
        assert_int_equal(outcome.status, 64);
    }
}

/* ---- a datagram ------------------------------------------------------------------------------ */

static void
standard_input_is_a_datagram_where_it_shall_be(void **state)
{
    const char *both = FIXTURES "/good_command.so";
    struct outcome outcome = COMMAND("packet\n", "--stdio", both);

    (void)state;
    assert_string_equal(outcome.output, "packet none\n");
    outcome = COMMAND("packet\n", "--stdio", "--datagram", both);
    assert_string_equal(outcome.output, "packet 7\n");
    assert_int_equal(outcome.status, 0);
    outcome = COMMAND("x", "--stdio", "--datagram", SHIPPED_PLUGINS "/http.so", "-o", "root=/");
    assert_contains(outcome.errors,
                    "serves streams only (.transports = SS_STREAM); leave --datagram");
    assert_int_equal(outcome.status, 78);
}

RUN_TESTS(TEST(the_status_is_the_commands), TEST(a_command_that_cannot_be_run_is_told),
          TEST(it_is_not_run_if_a_listener_cannot_start), TEST(the_command_knows_where_it_serves),
          TEST(a_command_within_a_command_knows_its_own_server), TEST(it_is_served),
          TEST(each_listener_of_a_file_has_its_name), TEST(a_signal_is_passed_on),
          TEST(a_command_that_ignores_signals_is_killed), TEST(mistakes_are_told),
          TEST(standard_input_is_a_datagram_where_it_shall_be))
