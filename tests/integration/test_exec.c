/* SPDX-License-Identifier: MIT */
/*
 * test_exec.c - the plugin `exec`: what a program finds, and how it ends
 */
#include "exec_fixture.h"

#include <signal.h>
#include <sys/stat.h>

/* Two signals of the C library's own, 32 and 33. Its posix_spawn(3) ignores them, in what may have
 * started this test, too, and that is inherited. */
#define LIBRARYS_OWN UINT64_C(0x180000000)

/* Lists the descriptors that the shell has. */
#define LIST_DESCRIPTORS                                                                           \
    "fd=0; while [ $fd -lt 64 ]; do"                                                               \
    " [ -e /proc/$$/fd/$fd ] && printf '%s ' $fd; fd=$((fd+1)); done"

/* ---- what it finds -------------------------------------------------------------------------- */

static void
a_program_has_the_clients_socket(void **state)
{
    struct daemon *daemon = serve_shell(*state, "exec cat", "", "");
    int client = connect_to(daemon);

    client_send(client, "hello\n");
    client_expect(client, "hello\n");
    client_send(client, "more\n");
    client_half_close(client);
    assert_string_equal(client_receive_all(client), "more\n");
    (void)daemon_wait_log(daemon, ": exited with status 0, ");
    daemon_expect_stop(daemon);
}

static void
a_program_finds_three_descriptors(void **state)
{
    static const char *const places[] = {"log", "client", "null"};
    for (size_t i = 0; i < 3; i++) {
        struct daemon *daemon =
            serve_shell(*state, LIST_DESCRIPTORS, text_of("stderr = \"%s\";", places[i]), "");

        assert_string_equal(ask(daemon, ""), "0 1 2 ");
        daemon_expect_stop(daemon);
    }
}

/* The descriptors of one are below its own in the worker, and those of another above. */
static void
a_program_has_nothing_of_other_clients(void **state)
{
    struct daemon *daemon =
        serve_shell(*state, "echo ready; read line || exit; " LIST_DESCRIPTORS, "", "");
    int clients[3];

    for (size_t i = 0; i < 3; i++) {
        clients[i] = connect_to(daemon);
        client_expect(clients[i], "ready\n");
    }
    client_close(clients[1]);
    (void)daemon_wait_log(daemon, ": exited with status");
    int client = connect_to(daemon);
    client_expect(client, "ready\n");
    client_send(client, "\n");
    assert_string_equal(client_receive_all(client), "0 1 2 ");
    client_close_all();
    daemon_expect_stop(daemon);
}

static void
a_program_leads_its_group_and_finds_signals_as_usual(void **state)
{
    const size_t ways = ways_under(*state);
    const char *command = "grep -E '^Sig(Blk|Ign)' /proc/self/status;"
                          "read pid name state parent group rest < /proc/$$/stat;"
                          "test $pid = $group && echo leads";

    for (size_t i = 0; i < ways; i++) {
        struct daemon *daemon =
            serve_shell(*state, command, text_of("stderr = \"%s\";", way_texts[i]), "");
        const char *found = ask(daemon, "");
        unsigned long long blocked, ignored;
        char leads[8];

        assert_int_equal(sscanf(found, "SigBlk: %llx SigIgn: %llx %7s", &blocked, &ignored, leads),
                         3);
        assert_int_equal(blocked, 0);
        assert_int_equal(ignored & ~LIBRARYS_OWN, 0);
        daemon_expect_stop(daemon);
    }
}

/* A shell unblocks them by itself. */
static void
a_program_has_no_signal_blocked(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon = daemon_serve(server->scheme, server->mixin, "exec",
                                         "options = { command = \"/bin/grep\"; arguments = [ "
                                         "\"SigBlk\", \"/proc/self/status\" ]; };");

    assert_string_equal(ask(daemon, ""), "SigBlk:\t0000000000000000\n");
    daemon_expect_stop(daemon);
}

static void
a_program_gets_its_arguments(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon = daemon_serve(
        server->scheme, server->mixin, "exec",
        "options = { command = \"/bin/sh\"; argv0 = \"mine\"; directory = \"/usr\";"
        "arguments = [ \"-c\", \"echo $0; cat /proc/$$/cmdline | tr '\\\\000' ,; pwd\" ]; };");
    const char *found = ask(daemon, "");

    assert_starts(found, "mine\nmine,-c,");
    assert_contains(found, ",/usr\n");
    daemon_expect_stop(daemon);
}

static void
an_inetd_program_learns_who_the_client_is(void **state)
{
    struct daemon *daemon =
        serve_shell(*state, "env | sort | grep -v '^\\(PWD\\|SHLVL\\|_\\|OLDPWD\\)='",
                    "environment = [ \"ZED=1\", \"PATH=/bin\" ];", "");
    int client = connect_to(daemon);
    const char *found = client_receive_all(client);

    assert_contains(found, "\nREMOTE_ADDR=127.0.0.1\nREMOTE_HOST=127.0.0.1\nREMOTE_PORT=");
    assert_contains(found, "\nPATH=/bin\n");
    assert_contains(found, "\nZED=1\n");
    assert_contains(found, "\nSOCKSERVERD_WORKER=");
    assert_null(strstr(found, "PROTO="));
    assert_null(strstr(found, "LISTEN_FDS="));
    daemon_expect_stop(daemon);
}

static void
a_ucspi_program_learns_both_addresses(void **state)
{
    struct daemon *daemon = serve_shell(
        *state, "echo $PROTO $TCPREMOTEIP $TCPLOCALIP $TCPLOCALPORT $((TCPREMOTEPORT-REMOTE_PORT))",
        "protocol = \"ucspi\";", "");
    const char *address = daemon_address(daemon, "test");

    assert_string_equal(ask(daemon, ""),
                        text_of("TCP 127.0.0.1 127.0.0.1 %s 0\n", strrchr(address, ':') + 1));
    daemon_expect_stop(daemon);
}

static void
a_ucspi_program_learns_the_user_behind_a_unix_socket(void **state)
{
    struct daemon *daemon = serve_shell(
        *state, "echo $PROTO $UNIXREMOTEPID $UNIXREMOTEEUID $UNIXREMOTEEGID $UNIXLOCALPATH",
        "protocol = \"ucspi\";", "");
    const char *address = daemon_address(daemon, "test");

    assert_string_equal(ask(daemon, ""), text_of("UNIX %d %u %u %s\n", (int)getpid(), getuid(),
                                                 getgid(), strchr(address, '/') + 2));
    daemon_expect_stop(daemon);
}

static void
options_cannot_say_who_the_client_is(void **state)
{
    (void)state;
    struct daemon *daemon = daemon_start(
        "listeners = {\n%s};",
        listener_text("test", "tcp", "threading", "exec",
                      shell_options("env", "environment = \"REMOTE_ADDR=192.0.2.1\";", "")));

    (void)daemon_wait_log(daemon, "options.environment: \"REMOTE_ADDR=192.0.2.1\": it is set for "
                                  "each request");
    (void)daemon_stop(daemon);
}

/* ---- standard error ------------------------------------------------------------------------- */

static void
errors_go_to_the_log_line_by_line(void **state)
{
    struct daemon *daemon =
        serve_shell(*state, "echo one >&2; echo out; printf 'two\\nrest' >&2", "", "");

    assert_string_equal(ask(daemon, ""), "out\n");
    assert_contains(daemon_wait_log(daemon, "sh: one"), "[test/1]");
    assert_contains(daemon_wait_log(daemon, "sh: two"), "[test/1]");
    assert_contains(daemon_wait_log(daemon, "sh: rest"), "[test/1]");
    daemon_expect_stop(daemon);
}

static void
a_long_line_of_errors_is_logged_in_parts(void **state)
{
    struct daemon *daemon = serve_shell(*state, "printf '%03000d\\nend' 7 >&2", "", "");

    assert_string_equal(ask(daemon, ""), "");
    (void)daemon_wait_log(daemon, "sh: end");
    assert_int_equal(daemon_count_log(daemon, "sh: 000"), 3);
    daemon_expect_stop(daemon);
}

static void
errors_go_to_the_client(void **state)
{
    struct daemon *daemon =
        serve_shell(*state, "echo one >&2; echo two", "stderr = \"client\";", "");

    assert_string_equal(ask(daemon, ""), "one\ntwo\n");
    daemon_expect_stop(daemon);
}

static void
errors_go_nowhere(void **state)
{
    struct daemon *daemon =
        serve_shell(*state, "echo oops >&2; echo two", "stderr = \"null\";", "");

    assert_string_equal(ask(daemon, ""), "two\n");
    daemon_expect_stop(daemon);
    assert_null(strstr(daemon_log(daemon), "oops"));
}

/* ---- what cannot be executed ---------------------------------------------------------------- */

static void
a_command_that_is_missing_fails_the_listener(void **state)
{
    static const struct {
        const char *options, *said;
    } rows[] = {
        {"command = \"/no/such/program\";",
         "options.command: /no/such/program: No such file or directory; install the program"},
        {"command = \"/etc/passwd\";",
         "options.command: /etc/passwd: Permission denied; let the listener's user execute it"},
        {"command = \"/etc\";", "options.command: /etc: Is a directory; name a program's file"},
        {"command = \"cat\";", "options.command: found \"cat\"; expected an absolute path"},
        {"command = \"/bin/sh\"; protocol = \"xinetd\";",
         "options.protocol: found \"xinetd\"; expected \"inetd\" or \"ucspi\""},
        {"command = \"/bin/sh\"; stderr = \"syslog\";",
         "options.stderr: found \"syslog\"; expected \"log\", \"client\" or \"null\""},
        {"command = \"/bin/sh\"; directory = \"/no/such\";",
         "options.directory: /no/such: No such file or directory; make it"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct daemon *daemon = daemon_start(
            "listeners = {\n%s};", listener_text("test", "tcp", "threading", "exec",
                                                 text_of("options = { %s };", rows[i].options)));

        (void)daemon_wait_log(daemon, rows[i].said);
        (void)daemon_stop(daemon);
    }
}

static void
a_command_that_goes_away_is_named(void **state)
{
    const size_t ways = ways_under(*state);
    const struct server_case *server = *state;

    for (size_t i = 0; i < ways; i++) {
        const char *script = test_file("script", "#!/no/such/interpreter\n");

        assert_int_equal(chmod(script, 0755), 0);
        assert_int_equal(chmod(test_folder(), 0755), 0);
        struct daemon *daemon = daemon_serve(
            server->scheme, server->mixin, "exec",
            text_of("options = { command = \"%s\"; stderr = \"%s\"; };", script, way_texts[i]));
        assert_string_equal(ask(daemon, ""), "");
        (void)daemon_wait_log(daemon,
                              text_of("cannot execute %s: No such file or directory; ", script));
        daemon_expect_stop(daemon);
    }
}

RUN_TESTS(TEST_EACH_STREAM(a_program_has_the_clients_socket),
          TEST_EACH_MIXIN(a_program_finds_three_descriptors, "tcp"),
          TEST_CASE(a_program_has_nothing_of_other_clients, "tcp", "threading"),
          TEST_CASE(a_program_has_nothing_of_other_clients, "tcp", "coroutine"),
          TEST_CASE(a_program_leads_its_group_and_finds_signals_as_usual, "tcp", "threading"),
          TEST_CASE(a_program_leads_its_group_and_finds_signals_as_usual, "tcp", "coroutine"),
          TEST_CASE(a_program_leads_its_group_and_finds_signals_as_usual, "tcp", "forking"),
          TEST_EACH_MIXIN(a_program_has_no_signal_blocked, "tcp"),
          TEST_CASE(a_program_gets_its_arguments, "tcp", "threading"),
          TEST_CASE(an_inetd_program_learns_who_the_client_is, "tcp", "threading"),
          TEST_CASE(an_inetd_program_learns_who_the_client_is, "tcp", "forking"),
          TEST_CASE(a_ucspi_program_learns_both_addresses, "tcp", "threading"),
          TEST_CASE(a_ucspi_program_learns_both_addresses, "tcp", "forking"),
          TEST_EACH_MIXIN(a_ucspi_program_learns_the_user_behind_a_unix_socket, "unix"),
          TEST(options_cannot_say_who_the_client_is),
          TEST_EACH_MIXIN(errors_go_to_the_log_line_by_line, "tcp"),
          TEST_CASE(a_long_line_of_errors_is_logged_in_parts, "tcp", "threading"),
          TEST_CASE(errors_go_to_the_client, "tcp", "threading"),
          TEST_CASE(errors_go_to_the_client, "tcp", "forking"),
          TEST_CASE(errors_go_nowhere, "tcp", "threading"),
          TEST_CASE(errors_go_nowhere, "tcp", "forking"),
          TEST(a_command_that_is_missing_fails_the_listener),
          TEST_EACH_MIXIN(a_command_that_goes_away_is_named, "tcp"))
