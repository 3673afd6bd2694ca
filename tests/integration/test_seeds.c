/* SPDX-License-Identifier: MIT */
/*
 * test_seeds.c - the tutorials' servers, as conf/examples has them, with the tutorials' clients
 *
 * The files are used as they are, but for the addresses: ports become 0 and
 * /tmp the test's folder.
 */
#include <ctype.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/client.h"
#include "support/daemon.h"
#include "support/test.h"

/* Every "HOST:PORT" of a tcp or udp address gets port 0. */
static const char *
free_ports(const char *text)
{
    char *changed = keep(strdup(text));
    char *place = changed;

    while ((place = strstr(place, "://")) != NULL) {
        char *end = strpbrk(place, "\" \n)"), *port = end;

        assert_non_null(end);
        while (isdigit((unsigned char)port[-1]))
            port--;
        if (port[-1] == ':' && port < end) {
            *port++ = '0';
            memmove(port, end, strlen(end) + 1);
        }
        place += strlen("://");
    }
    return changed;
}

static const char *
private_paths(const char *text)
{
    const char *changed = "", *place;

    while ((place = strstr(text, ":///tmp/")) != NULL) {
        changed = text_of("%s%.*s://%s/", changed, (int)(place - text), text, test_folder());
        text = place + strlen(":///tmp/");
    }
    return text_of("%s%s", changed, text);
}

static struct daemon *
start_example(const char *name)
{
    const char *text = file_text(text_of("%s/conf/examples/%s.conf", SOURCE_DIR, name));

    return daemon_start("%s", private_paths(free_ports(text)));
}

/* Runs the tutorial's own client against the address; what it prints. */
static const char *
run_client(const char *plugin, const char *address, const char *arguments)
{
    const char *output = test_path("client.output");
    const char *command =
        text_of("%s %s/plugins/%s/client.py %s %s > %s 2>&1", need_program("python3"), SOURCE_DIR,
                plugin, strstr(address, "://") + 3, arguments, output);

    if (system(command) != 0)
        fail_msg("%s failed:\n%s", command, file_text(output));
    return file_text(output);
}

static void
s01_s02_threading_server_talks_with_many_clients(void **state)
{
    struct daemon *daemon = start_example("talk");
    const char *address = daemon_address(daemon, "FtpServer");
    int first = client_connect(address), second = client_connect(address);

    (void)state;
    for (int i = 0; i < 3; i++) {
        client_send(first, "abc");
        client_expect(first, "ABC");
        client_send(second, "x1\n");
        client_expect(second, "X1\n");
    }
    client_half_close(first);
    client_expect_end(first); /* the end ends the loop */
    client_send(second, "still");
    client_expect(second, "STILL");
    client_close_all();
    daemon_expect_stop(daemon);
}

static void
s03_every_server_class_serves(void **state)
{
    static const char *const mixins[] = {"", "Threading", "Forking"};
    static const char *const servers[] = {"TCPServer", "UDPServer", "UnixStreamServer",
                                          "UnixDatagramServer"};
    struct daemon *daemon = start_example("classes");

    (void)state;
    for (size_t i = 0; i < 12; i++) {
        const char *name = text_of("%s%s", mixins[i / 4], servers[i % 4]);

        assert_string_equal(client_ask(daemon_address(daemon, name), "hello\n"), "HELLO\n");
    }
    daemon_expect_stop(daemon);
}

static void
s03_handle_request_is_once(void **state)
{
    const char *text = file_text(SOURCE_DIR "/conf/examples/strip_upper_sync.conf");
    struct daemon *daemon =
        DAEMON_RUN("--once", "-c", daemon_configuration("%s", free_ports(text)));

    (void)state;
    assert_string_equal(client_ask(daemon_address(daemon, "TCPServer"), "once\n"), "ONCE");
    daemon_expect_exit(daemon, 0);
}

static void
s04_the_handler_greets_and_closes(void **state)
{
    struct daemon *daemon = start_example("greet_and_close");
    const char *address = daemon_address(daemon, "MyServer");

    (void)state;
    for (int i = 0; i < 3; i++)
        assert_string_equal(client_ask(address, "anything"), "亲,学会了吗");
    daemon_expect_stop(daemon);
    assert_lacks(daemon_log(daemon), "failed");
}

static void
s05_s06_the_client_gets_upper_case_and_the_log_says_who_wrote(void **state)
{
    struct daemon *daemon = start_example("strip_upper");
    const char *address = daemon_address(daemon, "Myserver");
    int client = client_connect(address);

    (void)state;
    client_send(client, "hello\n");
    assert_string_equal(client_receive_all(client), "HELLO");
    client_close(client);
    (void)daemon_wait_log(daemon, ": 127.0.0.1 wrote:");
    (void)daemon_wait_log(daemon, ": hello");
    assert_string_equal(run_client("example_strip_upper", address, "hello"),
                        "Sent:     hello\nReceived: HELLO\n");
    daemon_expect_stop(daemon);
}

static void
s07_a_plain_server_serves_one_after_the_other(void **state)
{
    struct daemon *daemon = start_example("strip_upper_sync");
    const char *address = daemon_address(daemon, "TCPServer"); /* "localhost" was looked up */
    int first = client_connect(address), second = client_connect(address);

    (void)state;
    assert_starts(address, "tcp://127.0.0.1:");
    client_send(second, "second\n");
    assert_false(client_readable(second, 0.5));
    client_send(first, "hello world with TCP");
    assert_string_equal(client_receive_all(first), "HELLO WORLD WITH TCP");
    assert_string_equal(client_receive_all(second), "SECOND");
    client_close_all();
    assert_contains(run_client("example_strip_upper", address, "hello world with TCP"),
                    "Received: HELLO WORLD WITH TCP\n");
    daemon_expect_stop(daemon);
}

static void
s08_readline_waits_for_the_whole_line(void **state)
{
    struct daemon *daemon = start_example("readline");
    int client = client_connect(daemon_address(daemon, "TCPServer"));

    (void)state;
    client_send(client, "spl");
    assert_false(client_readable(client, 0.1));
    client_send(client, "it line\nrest");
    assert_string_equal(client_receive_all(client), "SPLIT LINE");
    client_close(client);
    daemon_expect_stop(daemon);
}

static void
s09_the_answer_comes_from_the_same_port(void **state)
{
    struct daemon *daemon = start_example("datagram");
    const char *address = daemon_address(daemon, "UDPServer");
    struct sockaddr_storage sender, asked;
    socklen_t size = sizeof sender, asked_size = client_resolve(address, &asked);
    int client = client_socket(address);
    char answer[64] = "";

    (void)state;
    client_send_to(client, address, "hello udp\n");
    assert_true(client_readable(client, DEADLINE));
    memset(&sender, 0, sizeof sender);
    assert_true(recvfrom(client, answer, sizeof answer - 1, 0, (struct sockaddr *)&sender, &size) >
                0);
    assert_string_equal(answer, "HELLO UDP");
    assert_int_equal(size, asked_size);
    assert_memory_equal(&sender, &asked, size);
    client_close(client);
    assert_contains(run_client("example_datagram", address, "hello udp"), "Received: HELLO UDP");
    daemon_expect_stop(daemon);
}

static void
s10_three_clients_are_told_which_thread_answers(void **state)
{
    struct daemon *daemon = start_example("worker_name");
    const char *address = daemon_address(daemon, "ThreadedTCPServer");

    (void)state;
    for (int i = 1; i <= 3; i++) {
        const char *answer = client_ask(address, text_of("Hello World %d", i));

        assert_starts(answer, "ThreadedTCPServer-thread-");
        assert_contains(answer, text_of(": Hello World %d", i));
    }
    assert_contains(run_client("example_worker_name", address, ""), ": Hello World 3");
    daemon_expect_stop(daemon);
}

static void
s11_an_empty_handler_ends_at_once(void **state)
{
    struct daemon *daemon = start_example("empty");
    int client = client_connect(daemon_address(daemon, "FtpServer"));

    (void)state;
    client_expect_end(client);
    client_close(client);
    daemon_expect_stop(daemon);
}

RUN_TESTS(TEST(s01_s02_threading_server_talks_with_many_clients),
          TEST(s03_every_server_class_serves), TEST(s03_handle_request_is_once),
          TEST(s04_the_handler_greets_and_closes),
          TEST(s05_s06_the_client_gets_upper_case_and_the_log_says_who_wrote),
          TEST(s07_a_plain_server_serves_one_after_the_other),
          TEST(s08_readline_waits_for_the_whole_line),
          TEST(s09_the_answer_comes_from_the_same_port),
          TEST(s10_three_clients_are_told_which_thread_answers),
          TEST(s11_an_empty_handler_ends_at_once))
