/* SPDX-License-Identifier: MIT */
/*
 * test_exec_wait.c - the plugin `exec` with wait = true, and what --check says of its options
 *
 * The programs read a datagram from their standard input, which is the listener's socket.
 */
#include "exec_fixture.h"

#include <errno.h>
#include <signal.h>
#include <sys/stat.h>

#include "common/array.h"
#include "support/command.h"
#include "support/control.h"

#define TAKE_ONE "dd bs=2048 count=1 2>/dev/null"

/* A daemon whose program has the listening socket. It can write into the test's folder. */
static struct daemon *
serve_waiting(const struct server_case *server, const char *command, const char *options,
              const char *more)
{
    assert_return_code(chmod(test_folder(), 0777), errno);
    return serve_shell(server, command, text_of("wait = true; %s", options), more);
}

/* What the programs have written. */
static const char *
written(void)
{
    return access(test_path("out"), F_OK) == 0 ? file_text(test_path("out")) : "";
}

static void
send_text(struct daemon *daemon, const char *text)
{
    int client = client_connect(daemon_address(daemon, "test"));

    assert_int_equal(send(client, text, strlen(text), 0), (ssize_t)strlen(text));
}

/* ---- who gets what -------------------------------------------------------------------------- */

static void
each_program_gets_what_has_come(void **state)
{
    struct daemon *daemon =
        serve_waiting(*state, text_of(TAKE_ONE " >>%s", test_path("out")), "", "");

    send_text(daemon, "one\n");
    WAIT_UNTIL(strcmp(written(), "one\n") == 0);
    send_text(daemon, "two\n");
    WAIT_UNTIL(strcmp(written(), "one\ntwo\n") == 0);
    (void)daemon_wait_log_times(daemon, ": exited with status 0, ", 2);
    daemon_expect_stop(daemon);
}

static void
one_program_runs_at_a_time(void **state)
{
    const char *out = test_path("out");
    struct daemon *daemon = serve_waiting(
        *state, text_of("echo [ >>%s; " TAKE_ONE " >>%s; sleep 0.1; echo ] >>%s", out, out, out),
        "", "");

    for (int i = 0; i < 3; i++)
        send_text(daemon, "x\n");
    WAIT_UNTIL(strcmp(written(), "[\nx\n]\n[\nx\n]\n[\nx\n]\n") == 0);
    daemon_expect_stop(daemon);
}

static void
a_program_accepts_its_clients_itself(void **state)
{
    static const char script[] = "import socket\n"
                                 "s = socket.socket(fileno=0)\n"
                                 "c = s.accept()[0]\n"
                                 "c.sendall(b'served: ' + c.recv(100))\n";
    const struct server_case *server = *state;

    if (access("/usr/bin/python3", X_OK) < 0) {
        print_message("skipped: /usr/bin/python3 is not installed\n");
        skip();
    }
    const char *file = test_file("accept.py", script);
    assert_return_code(chmod(file, 0644), errno);
    struct daemon *daemon =
        serve_waiting(server, text_of("exec /usr/bin/python3 %s", file), "", "");
    for (int i = 0; i < 2; i++)
        assert_string_equal(ask(daemon, "me"), "served: me");
    daemon_expect_stop(daemon);
}

static void
whom_deny_names_starts_no_program(void **state)
{
    struct daemon *daemon = serve_waiting(*state, text_of("echo started >%s", test_path("out")), "",
                                          "deny = [ \"local\" ];");

    send_text(daemon, "one\n");
    (void)daemon_wait_log(daemon, ": refused: deny");
    send_text(daemon, "two\n");
    (void)daemon_wait_log_times(daemon, ": refused: deny", 2);
    assert_string_equal(written(), "");
    daemon_expect_stop(daemon);
}

/* ---- when it does not take what has come ---------------------------------------------------- */

static void
a_program_that_takes_nothing_is_started_ever_more_rarely(void **state)
{
    struct daemon *daemon = serve_waiting(*state, "exit 0", "", "");
    int client = client_connect(daemon_address(daemon, "test"));

    if (!scheme_is_stream(((const struct server_case *)*state)->scheme))
        assert_int_equal(send(client, "x", 1, 0), 1);
    (void)daemon_wait_log(daemon, " has ended 8 times without taking what came to the socket");
    (void)daemon_wait_log(daemon, " has ended 10 times without taking what came to the socket");
    assert_true(daemon_count_log(daemon, ": exited with status 0, ") <= 10);
    daemon_expect_stop(daemon);
}

/* ---- its end -------------------------------------------------------------------------------- */

/* Tells its number, takes what has come and stays. */
static struct daemon *
serve_staying(const struct server_case *server, const char *first, const char *more, pid_t *ret)
{
    const char *out = test_path("out");
    struct daemon *daemon = serve_waiting(
        server,
        text_of("%s " TAKE_ONE " >/dev/null; echo $$ >%s; while :; do sleep 1; done", first, out),
        "kill_timeout = \"300ms\";", more);

    send_text(daemon, "x");
    WAIT_UNTIL(strchr(written(), '\n') != NULL);
    *ret = (pid_t)strtol(written(), NULL, 10);
    assert_true(proc_alive(*ret));
    return daemon;
}

static void
a_stop_ends_it_at_once(void **state)
{
    pid_t program;
    struct daemon *daemon = serve_staying(*state, "", "drain_timeout = \"1h\";", &program);

    daemon_expect_stop(daemon);
    WAIT_UNTIL(!proc_alive(program));
    assert_contains(daemon_log(daemon), ": was killed by signal 15 (SIGTERM), ");
    assert_int_equal(daemon_count_log(daemon, "/bin/sh was killed"), 0); /* no warning of it */
}

/* What waits in the socket's queue starts no program any more. */
static void
a_stop_ends_it_although_more_has_come(void **state)
{
    pid_t program;
    struct daemon *daemon = serve_staying(*state, "", "drain_timeout = \"1h\";", &program);

    send_text(daemon, "y");
    assert_int_equal(CTL(daemon, "stop", "test").status, 0);
    WAIT_UNTIL(!proc_alive(program));
    assert_int_equal(daemon_count_log(daemon, ": was killed by signal 15 (SIGTERM), "), 1);
    daemon_expect_stop(daemon);
}

static void
one_that_ignores_it_is_killed(void **state)
{
    pid_t program;
    struct daemon *daemon =
        serve_staying(*state, "trap '' TERM;", "drain_timeout = \"1h\";", &program);

    daemon_expect_stop(daemon);
    WAIT_UNTIL(!proc_alive(program));
    assert_contains(daemon_log(daemon), " did not end by SIGTERM: killing it");
}

static void
a_restart_gives_the_socket_to_another(void **state)
{
    pid_t program;
    struct daemon *daemon = serve_staying(*state, "", "", &program);

    assert_int_equal(CTL(daemon, "restart", "test").status, 0);
    WAIT_UNTIL(!proc_alive(program));
    send_text(daemon, "y");
    WAIT_UNTIL(strtol(written(), NULL, 10) != program && strchr(written(), '\n') != NULL);
    daemon_expect_stop(daemon);
}

/* ---- --check -------------------------------------------------------------------------------- */

static const struct mistake {
    const char *options, *more; /* each is a line */
    const char *said[3];        /* line 6 has the options, 7 the rest */
    const char *address;        /* NULL: tcp */
} mistakes[] = {
    {"command = \"/no/such\";",
     "",
     {":6: listeners.test.options.command: /no/such: No such file or directory; install"},
     NULL},
    {"command = \"/etc/passwd\";",
     "",
     {":6: listeners.test.options.command: /etc/passwd: Permission denied; let the listener's"},
     NULL},
    {"command = \"sh\";",
     "",
     {":6: listeners.test.options.command: found \"sh\"; expected an absolute path"},
     NULL},
    {"command = \"/bin/sh\"; directory = \"/no/such\";",
     "",
     {":6: listeners.test.options.directory: /no/such: No such file"},
     NULL},
    {"command = \"/bin/sh\"; stderr = \"x\"; protocol = \"y\";",
     "",
     {":6: listeners.test.options.stderr: found \"x\"",
      ":6: listeners.test.options.protocol: found \"y\""},
     NULL},
    {"command = \"/bin/sh\"; banner = \"/no/such\";",
     "",
     {":6: listeners.test.options.banner: /no/such: No such file or directory"},
     NULL},
    {"command = \"/bin/sh\"; banner = \"/dev/zero\";",
     "",
     {":6: listeners.test.options.banner: /dev/zero: Invalid argument; name a file with text"},
     NULL},
    {"command = \"/bin/sh\"; environment = [ \"x\" ];",
     "",
     {":6: listeners.test.options.environment: \"x\": it must be NAME=VALUE"},
     NULL},
    {"command = \"/bin/sh\"; wait = true;",
     "max_per_source = 3;",
     {":6: listeners.test.options.wait: `max_per_source` cannot hold"},
     NULL},
    {"command = \"/bin/sh\"; wait = true;",
     "mixin = \"threading\"; allow = [ \"local\" ];",
     {":6: listeners.test.options.wait: it takes mixin = \"none\"",
      ":6: listeners.test.options.wait: `allow` cannot hold"},
     NULL},
    {"command = \"/bin/sh\"; wait = true;",
     "proxy = { trusted = [ \"192.0.2.1\" ]; };",
     {":6: listeners.test.options.wait: `proxy"},
     NULL},
    {"command = \"/bin/sh\"; wait = true; banner = \"/etc/passwd\";",
     "",
     {":6: listeners.test.options.banner: a program with wait = true"},
     NULL},
    {"command = \"/bin/sh\";",
     "",
     {":3: listeners.test.options.wait: a listener of datagrams"},
     "udp://127.0.0.1:0"},
};

static const char *
mistaken_text(const struct mistake *mistake)
{
    return text_of("# 1\nlisteners = {\n  test = {\n    address = \"%s\";\n    plugin = \"exec\";\n"
                   "    options = { %s };\n    %s\n  };\n};\n",
                   mistake->address == NULL ? "tcp://127.0.0.1:0" : mistake->address,
                   mistake->options, mistake->more);
}

static void
a_check_finds_what_is_wrong_with_its_options(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(mistakes); i++) {
        const char *file = test_file("wrong.conf", mistaken_text(&mistakes[i]));
        struct outcome outcome =
            COMMAND("", "--plugin-path", SHIPPED_PLUGINS, "--check", "-c", file);

        assert_int_equal(outcome.status, 78);
        for (size_t j = 0; j < ARRAY_SIZE(mistakes[i].said) && mistakes[i].said[j] != NULL; j++)
            assert_contains(outcome.errors, text_of("%s%s", file, mistakes[i].said[j]));
    }
}

static void
a_reload_does_too_and_changes_nothing(void **state)
{
    struct daemon *daemon = serve_shell(*state, "echo served", "", "");
    const char *text = file_text(daemon_file(daemon)), *file = daemon_file(daemon);
    const char *at = strstr(text, "/bin/sh");

    assert_non_null(at);
    FILE *changed = fopen(file, "w");
    assert_non_null(changed);
    (void)fprintf(changed, "%.*s/no/such%s", (int)(at - text), text, at + strlen("/bin/sh"));
    assert_int_equal(fclose(changed), 0);
    struct outcome outcome = CTL(daemon, "reload");
    assert_int_equal(outcome.status, 1);
    assert_contains(outcome.errors, "listeners.test.options.command: /no/such: No such file");
    assert_contains(outcome.errors, text_of("%s:", file));
    assert_string_equal(ask(daemon, ""), "served\n");
    daemon_expect_stop(daemon);
}

static void
a_check_asks_as_the_listeners_user(void **state)
{
    const char *script = test_file("script", "#!/bin/sh\n");

    (void)state;
    need_root("to change the user");
    assert_return_code(chmod(script, 0700), errno);
    assert_return_code(chmod(test_folder(), 0755), errno);
    const struct mistake mistake = {.options = text_of("command = \"%s\";", script),
                                    .more = "user = \"nobody\";"};
    const char *file = test_file("wrong.conf", mistaken_text(&mistake));
    struct outcome outcome = COMMAND("", "--plugin-path", SHIPPED_PLUGINS, "--check", "-c", file);
    assert_int_equal(outcome.status, 78);
    assert_contains(outcome.errors, "Permission denied; let the listener's user execute it");
}

RUN_TESTS(TEST_CASE(each_program_gets_what_has_come, "udp", "none"),
          TEST_CASE(each_program_gets_what_has_come, "unixgram", "none"),
          TEST_CASE(one_program_runs_at_a_time, "udp", "none"),
          TEST_CASE(a_program_accepts_its_clients_itself, "tcp", "none"),
          TEST_CASE(a_program_accepts_its_clients_itself, "unix", "none"),
          TEST_CASE(whom_deny_names_starts_no_program, "udp", "none"),
          TEST_CASE(a_program_that_takes_nothing_is_started_ever_more_rarely, "udp", "none"),
          TEST_CASE(a_program_that_takes_nothing_is_started_ever_more_rarely, "tcp", "none"),
          TEST_CASE(a_stop_ends_it_at_once, "udp", "none"),
          TEST_CASE(a_stop_ends_it_although_more_has_come, "tcp", "none"),
          TEST_CASE(a_stop_ends_it_although_more_has_come, "unix", "none"),
          TEST_CASE(one_that_ignores_it_is_killed, "udp", "none"),
          TEST_CASE(a_restart_gives_the_socket_to_another, "udp", "none"),
          TEST(a_check_finds_what_is_wrong_with_its_options),
          TEST_CASE(a_reload_does_too_and_changes_nothing, "tcp", "threading"),
          TEST(a_check_asks_as_the_listeners_user))
