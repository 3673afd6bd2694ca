/* SPDX-License-Identifier: MIT */
/*
 * test_python_seeds.c - the tutorials' programs as they are printed, under the plugin `python`
 *
 * tests/python/seeds holds them; what was mended stands in its README. The clients are the
 * tutorials' own where they have some.
 */
#include <stdlib.h>

#include "python_fixture.h"
#include "support/command.h"

static struct daemon *
serve_seed(const struct server_case *server, const char *name)
{
    return serve_python(server, text_of("script = \"%s/%s\";", PYTHON_SEEDS, name), "");
}

/* Runs the tutorial's own client, whose address is another: what it prints. */
static const char *
run_client(const char *name, const char *address, const char *arguments)
{
    const char *port = strrchr(address, ':') + 1, *output = test_path("client.output");
    const char *command =
        text_of("sed 's/9999/%s/; s/\"localhost\"/\"127.0.0.1\"/' %s/%s > %s && "
                "timeout 60 %s %s %s > %s 2>&1",
                port, PYTHON_SEEDS, name, test_path("client.py"), need_program("python3"),
                test_path("client.py"), arguments, output);

    if (system(command) != 0)
        fail_msg("%s failed:\n%s", command, file_text(output));
    return file_text(output);
}

static void
s01_talks_and_spins_at_the_end_of_the_stream(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon =
        serve_python(server, text_of("script = \"%s/s01_talk.py\";", PYTHON_SEEDS),
                     "spin_limit = 0.5;\ndrain_timeout = 0.2;\n");
    int client = client_connect(daemon_address(daemon, "test"));

    for (int i = 0; i < 3; i++) {
        client_send(client, "abc");
        client_expect(client, "ABC");
    }
    (void)daemon_wait_log(daemon, "<socket.socket fd=");
    client_half_close(client); /* it loops for ever now: the guard ends that */
    (void)daemon_wait_log(daemon, "spin_limit is over");
    assert_contains(daemon_log(daemon), "s01_talk.py:1"); /* and where it was */
    assert_contains(daemon_log(daemon), " in handle");
    client_close(client);
    client = client_connect(daemon_address(daemon, "test"));
    client_send(client, "next");
    client_expect(client, "NEXT");
    client_close_all();
    daemon_expect_stop(daemon);
}

static void
s04_greets_and_closes_the_connection_itself(void **state)
{
    struct daemon *daemon = serve_seed(*state, "s04_greet.py");

    for (int i = 0; i < 3; i++)
        assert_string_equal(client_ask(daemon_address(daemon, "test"), "anything"), "亲,学会了吗");
    daemon_expect_stop(daemon);
    assert_lacks(daemon_log(daemon), "failed");
}

static void
s05_s06_answers_in_upper_case(void **state)
{
    struct daemon *daemon = serve_seed(*state, "s05_upper.py");
    const char *address = daemon_address(daemon, "test");

    assert_string_equal(run_client("s06_client.py", address, ""),
                        "Sent:     hello\nReceived: HELLO\n");
    (void)daemon_wait_log(daemon, ": 127.0.0.1 wrote:");
    (void)daemon_wait_log(daemon, ": b'hello'");
    daemon_expect_stop(daemon);
}

static void
s07_s08_answer_the_same_client(void **state)
{
    static const char *const programs[] = {"s07_tcp.py", "s08_stream.py"};

    for (size_t i = 0; i < 2; i++) {
        struct daemon *daemon = serve_seed(*state, programs[i]);
        assert_string_equal(
            run_client("s07_client.py", daemon_address(daemon, "test"), "hello world with TCP"),
            "Sent:     hello world with TCP\nReceived: HELLO WORLD WITH TCP\n");
        daemon_expect_stop(daemon);
    }
}

static void
s08_reads_a_line_in_pieces(void **state)
{
    struct daemon *daemon = serve_seed(*state, "s08_stream.py");
    int client = client_connect(daemon_address(daemon, "test"));

    client_send(client, "spl");
    assert_false(client_readable(client, 0.1));
    client_send(client, "it line\nrest");
    assert_string_equal(client_receive_all(client), "SPLIT LINE");
    daemon_expect_stop(daemon);
}

static void
s09_answers_from_the_same_port(void **state)
{
    struct daemon *daemon = serve_seed(*state, "s09_udp.py");
    const char *address = daemon_address(daemon, "test");

    assert_string_equal(run_client("s09_client.py", address, "hello udp"),
                        "Sent:     hello udp\nReceived: HELLO UDP\n");
    assert_string_equal(client_ask(address, "again"), "AGAIN"); /* hears that port only */
    daemon_expect_stop(daemon);
}

/* Server and clients in one program, which ends the server. */
static void
s10_is_its_own_client(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon = serve_seed(server, "s10_threaded.py");
    const char *who = strcmp(server->mixin, "threading") == 0 ? "test-thread-"
                      : strcmp(server->mixin, "none") == 0    ? "test-main"
                                                              : "MainThread";

    for (int i = 1; i <= 3; i++) {
        const char *line = daemon_wait_log(daemon, text_of(": Hello World %d", i));
        assert_contains(line, text_of("Received: %s", who));
    }
    (void)daemon_wait_log(daemon, "asked to stop");
    daemon_expect_stop(daemon);
}

static void
s11_closes_at_once(void **state)
{
    struct daemon *daemon = serve_seed(*state, "s11_empty.py");

    for (int i = 0; i < 3; i++)
        client_expect_end(client_connect(daemon_address(daemon, "test")));
    daemon_expect_stop(daemon);
}

RUN_TESTS(TEST_EACH_PYTHON(s01_talks_and_spins_at_the_end_of_the_stream, "tcp"),
          TEST_EACH_PYTHON(s04_greets_and_closes_the_connection_itself, "tcp"),
          TEST_EACH_PYTHON(s05_s06_answers_in_upper_case, "tcp"),
          TEST_EACH_PYTHON(s07_s08_answer_the_same_client, "tcp"),
          TEST_EACH_PYTHON(s08_reads_a_line_in_pieces, "tcp"),
          TEST_EACH_PYTHON(s09_answers_from_the_same_port, "udp"),
          TEST_EACH_PYTHON(s10_is_its_own_client, "tcp"),
          TEST_EACH_PYTHON(s11_closes_at_once, "tcp"))
