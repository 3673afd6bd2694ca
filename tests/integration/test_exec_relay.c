/* SPDX-License-Identifier: MIT */
/*
 * test_exec_relay.c - the plugin `exec` where bytes pass through it: behind a PROXY header, TLS
 */
#include "exec_fixture.h"

#include <errno.h>
#include <signal.h>
#include <sys/stat.h>

#define TRUSTED  "proxy = { trusted = [ \"127.0.0.1\", \"local\" ]; };"
#define ANNOUNCE "PROXY TCP4 192.0.2.7 198.51.100.1 4000 7\r\n"
#define BULK     (1024 * 1024)

static struct daemon *
serve_behind(const struct server_case *server, const char *command, const char *options,
             const char *more)
{
    return serve_shell(server, command, options, text_of("%s\n%s", TRUSTED, more));
}

/* A client whose first bytes come together with the header. */
static int
connect_behind(struct daemon *daemon, const char *text)
{
    int client = connect_to(daemon);

    client_send(client, text_of("%s%s", ANNOUNCE, text));
    return client;
}

static void
what_came_with_the_header_is_the_programs(void **state)
{
    struct daemon *daemon =
        serve_behind(*state, "read line; echo $REMOTE_ADDR $REMOTE_PORT $line; exec cat", "", "");
    int client = connect_behind(daemon, "hello\n");

    client_expect(client, "192.0.2.7 4000 hello\n");
    client_send(client, "more\n");
    client_half_close(client);
    assert_string_equal(client_receive_all(client), "more\n");
    (void)daemon_wait_log(daemon, "192.0.2.7:4000: exited with status 0, ");
    daemon_expect_stop(daemon);
}

static void
a_program_that_waits_for_its_client_gets_the_socket(void **state)
{
    struct daemon *daemon = serve_behind(*state, "echo $REMOTE_ADDR; exec cat", "", "");
    int client = connect_behind(daemon, "");

    client_expect(client, "192.0.2.7\n");
    client_send(client, "late\n");
    client_half_close(client);
    assert_string_equal(client_receive_all(client), "late\n");
    daemon_expect_stop(daemon);
}

static void
a_program_may_end_its_output_first(void **state)
{
    (void)need_program("python3");
    struct daemon *daemon =
        serve_behind(*state,
                     "exec python3 -c 'import socket; s = socket.socket(fileno=0)\n"
                     "s.send(s.recv(99)); s.shutdown(1); s.recv(99)'",
                     "", "");
    int client = connect_behind(daemon, "hello\n");

    assert_string_equal(client_receive_all(client), "hello\n");
    client_send(client, "the end\n");
    (void)daemon_wait_log(daemon, ": exited with status 0, ");
    daemon_expect_stop(daemon);
}

static void
much_goes_through_both_ways(void **state)
{
    struct daemon *daemon = serve_behind(*state, "exec cat", "", "");
    char *sent = keep(malloc(BULK)), *received = keep(malloc(BULK));
    int client = connect_behind(daemon, "x");

    for (size_t i = 0; i < BULK; i++)
        sent[i] = (char)(i * 7 + i / 251);
    client_expect(client, "x");
    for (size_t i = 0; i < BULK; i += BULK / 16) {
        client_send_bytes(client, sent + i, BULK / 16);
        assert_int_equal(client_receive_bytes(client, received + i, BULK / 16), BULK / 16);
    }
    assert_memory_equal(sent, received, BULK);
    client_half_close(client);
    client_expect_end(client);
    daemon_expect_stop(daemon);
}

static void
a_program_that_reads_nothing_may_still_write(void **state)
{
    struct daemon *daemon =
        serve_behind(*state, "exec 0<&-; echo one; sleep 0.1; echo two", "", "");
    int client = connect_behind(daemon, "unread\n");

    client_send(client, "unread, too\n");
    assert_string_equal(client_receive_all(client), "one\ntwo\n");
    (void)daemon_wait_log(daemon, ": exited with status 0, ");
    daemon_expect_stop(daemon);
}

static void
a_client_that_vanishes_ends_the_program(void **state)
{
    struct daemon *daemon = serve_behind(*state, "read line; echo $$; exec sleep 1000", "", "");
    int client = connect_behind(daemon, "hello\n");
    pid_t program = told_pid(client);

    client_reset(client);
    WAIT_UNTIL(proc_state(program) == 0);
    (void)daemon_wait_log(daemon, ": client went away, ");
    daemon_expect_stop(daemon);
}

static void
request_timeout_ends_the_program(void **state)
{
    struct daemon *daemon = serve_behind(*state, "read line; echo $$; exec sleep 1000", "",
                                         "request_timeout = \"300ms\";");
    int client = connect_behind(daemon, "hello\n");
    pid_t program = told_pid(client);

    client_expect_gone(client);
    WAIT_UNTIL(proc_state(program) == 0);
    (void)daemon_wait_log(daemon, ": request_timeout is over, ");
    daemon_expect_stop(daemon);
}

/* ---- TLS ------------------------------------------------------------------------------------ */

static void
need_tls(void)
{
    if (access(BUILD_DIR "/lib/sockserverd/tls.so", R_OK) == 0 &&
        system("command -v openssl > /dev/null") == 0)
        return;
    print_message("skipped: this build has no TLS, or openssl(1) is not installed\n");
    skip();
}

static struct daemon *
serve_tls(const struct server_case *server, const char *command)
{
    need_tls();
    assert_int_equal(
        system(text_of("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "
                       "-days 90 -subj /CN=localhost -keyout %s -out %s 2> /dev/null",
                       test_path("a.key"), test_path("a.pem"))),
        0);
    assert_return_code(chmod(test_path("a.key"), 0600), errno);
    return serve_shell(server, command, "protocol = \"ucspi\";",
                       text_of("tls = { certificate = \"%s\"; key = \"%s\"; };", test_path("a.pem"),
                               test_path("a.key")));
}

/* What the client gets that says this to begin with, and then waits for the end. */
static const char *
ask_tls(struct daemon *daemon, const char *text)
{
    const char *address = daemon_address(daemon, "test");
    const char *command =
        text_of("printf '%s' | timeout 60 openssl s_client -quiet -ign_eof -connect %s > %s 2> "
                "/dev/null",
                text, strstr(address, "://") + 3, test_path("answer"));

    if (system(command) < 0)
        fail_msg("cannot run %s", command);
    return file_text(test_path("answer"));
}

static void
a_program_speaks_plainly_with_an_encrypted_client(void **state)
{
    struct daemon *daemon =
        serve_tls(*state, "read line; echo $PROTO $TCPLOCALIP $line; echo oops >&2; exit 4");

    assert_string_equal(ask_tls(daemon, "hello\\n"), "TCP 127.0.0.1 hello\n");
    (void)daemon_wait_log(daemon, "sh: oops");
    (void)daemon_wait_log(daemon, ": exited with status 4, ");
    daemon_expect_stop(daemon);
}

static void
much_goes_to_an_encrypted_client(void **state)
{
    struct daemon *daemon =
        serve_tls(*state, "read line; head -c 1000000 /dev/zero | tr '\\000' x");
    const char *answer = ask_tls(daemon, "hello\\n");

    assert_int_equal(strlen(answer), 1000000);
    assert_int_equal(strspn(answer, "x"), 1000000);
    daemon_expect_stop(daemon);
}

RUN_TESTS(TEST_EACH_MIXIN(what_came_with_the_header_is_the_programs, "tcp"),
          TEST_EACH_MIXIN(a_program_that_waits_for_its_client_gets_the_socket, "tcp"),
          TEST_EACH_MIXIN(a_program_may_end_its_output_first, "tcp"),
          TEST_EACH_MIXIN(much_goes_through_both_ways, "tcp"),
          TEST_EACH_MIXIN(a_program_that_reads_nothing_may_still_write, "tcp"),
          TEST_EACH_MIXIN(a_client_that_vanishes_ends_the_program, "tcp"),
          TEST_EACH_MIXIN(request_timeout_ends_the_program, "tcp"),
          TEST_EACH_MIXIN(a_program_speaks_plainly_with_an_encrypted_client, "tcp"),
          TEST_EACH_MIXIN(much_goes_to_an_encrypted_client, "tcp"))
