/* SPDX-License-Identifier: MIT */
/*
 * test_datagram.c - one packet in, at most one packet out
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>

#include "support/client.h"
#include "support/control.h"
#include "support/daemon.h"
#include "support/test.h"

static struct daemon *
serve(void **state, const char *more)
{
    const struct server_case *server = *state;

    return daemon_serve(server->scheme, server->mixin, "good_command", more);
}

/* Whoever answers: the sender's address must be the one that was asked. */
static void
expect_answer_from(const char *address, const char *text)
{
    struct sockaddr_storage asked, sender;
    socklen_t size = sizeof sender, asked_size = client_resolve(address, &asked);
    int client = client_socket(address);
    char buffer[256] = "";

    client_send_to(client, address, text_of("echo %s\n", text));
    assert_true(client_readable(client, DEADLINE));
    memset(&sender, 0, sizeof sender);
    assert_true(recvfrom(client, buffer, sizeof buffer - 1, 0, (struct sockaddr *)&sender, &size) >
                0);
    assert_string_equal(buffer, text_of("%s\n", text));
    assert_int_equal(size, asked_size);
    assert_memory_equal(&sender, &asked, size);
    client_close(client);
}

static void
c45_the_reply_comes_from_the_listeners_address(void **state)
{
    struct daemon *daemon = serve(state, "");

    expect_answer_from(daemon_address(daemon, "test"), "who");
    daemon_expect_stop(daemon);
}

static void
c45_the_reply_comes_from_the_address_that_was_asked(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon = daemon_start("listeners = { test = { address = \"udp://*:0\"; plugin = "
                                         "\"good_command\"; mixin = \"%s\"; }; };",
                                         server->mixin);
    const char *port = strrchr(daemon_address(daemon, "test"), ':') + 1;

    expect_answer_from(text_of("udp://127.0.0.1:%s", port), "one");
    expect_answer_from(text_of("udp://127.0.0.2:%s", port), "two");
    expect_answer_from(text_of("udp://127.1.2.3:%s", port), "three");
    daemon_expect_stop(daemon);
}

static void
c46_a_long_packet_is_cut_flagged_and_counted(void **state)
{
    struct daemon *daemon = serve(state, "max_packet_size = 19;");
    const char *address = daemon_address(daemon, "test");

    assert_string_equal(client_ask(address, "packet\ntruncated\n12"),
                        "packet 19\ntruncated false\nunknown 12\n");
    assert_string_equal(client_ask(address, "packet\ntruncated\n123"),
                        "packet 19\ntruncated true\nunknown 12\n");
    WAIT_UNTIL(control_figure(daemon, "test", "truncated") == 1);
    daemon_expect_stop(daemon);
}

static void
c47_the_reply_is_one_packet_sent_at_the_end(void **state)
{
    struct daemon *daemon = serve(state, "");
    int client = client_connect(daemon_address(daemon, "test"));

    client_send(client, "echo one\nflush\necho two\n");
    assert_string_equal(client_receive(client), "one\nflushed\ntwo\n");
    daemon_expect_stop(daemon);
}

/* Sends what must not be answered, and sees that the next answer is that of the next packet. */
static void
expect_no_reply(struct daemon *daemon, const char *text)
{
    int client = client_connect(daemon_address(daemon, "test"));

    client_send(client, text);
    assert_false(client_readable(client, 0.1));
    client_send(client, "echo next\n");
    assert_string_equal(client_receive(client), "next\n");
    client_close(client);
}

static void
c48_nothing_written_is_no_packet(void **state)
{
    struct daemon *daemon = serve(state, "");

    expect_no_reply(daemon, "quit\n");
    daemon_expect_stop(daemon);
}

static void
c48_reply_always_sends_an_empty_packet(void **state)
{
    struct daemon *daemon = serve(state, "reply = \"always\";");

    assert_string_equal(client_ask(daemon_address(daemon, "test"), "quit\n"), "");
    assert_string_equal(client_ask(daemon_address(daemon, "test"), "echo hi\n"), "hi\n");
    daemon_expect_stop(daemon);
}

static void
c48_reply_never_sends_nothing(void **state)
{
    struct daemon *daemon = serve(state, "reply = \"never\";");
    int client = client_connect(daemon_address(daemon, "test"));

    client_send(client, "echo hi\nlog 6 was here\n");
    (void)daemon_wait_log(daemon, "was here");
    daemon_expect_stop(daemon);
    assert_false(client_readable(client, 0));
}

static void
c49_no_partial_reply_after_an_error(void **state)
{
    struct daemon *daemon = serve(state, "");

    expect_no_reply(daemon, "write-then-fail\n");
    daemon_expect_stop(daemon);
}

static void
c50_an_unnamed_sender_is_handled_without_a_reply(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon = daemon_serve("unixgram", server->mixin, "good_hooks", "");
    const char *address = daemon_address(daemon, "test");
    struct sockaddr_storage place;
    socklen_t size = client_resolve(address, &place);
    int nobody = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    assert_return_code(nobody, errno);
    assert_int_equal(sendto(nobody, "hello\n", 6, 0, (struct sockaddr *)&place, size), 6);
    (void)close(nobody);
    (void)daemon_wait_log(daemon, "hook finish");
    assert_string_equal(client_ask(address, "named\n"), "named\n");
    daemon_expect_stop(daemon);
    assert_int_equal(daemon_count_log(daemon, "hook handle\n"), 2);
    assert_lacks(daemon_log(daemon), "told of");
    assert_lacks(daemon_log(daemon), "failed");
}

static void
an_empty_packet_is_a_request(void **state)
{
    struct daemon *daemon = serve(state, "reply = \"always\";");

    assert_string_equal(client_ask(daemon_address(daemon, "test"), ""), "");
    daemon_expect_stop(daemon);
}

static void
a_big_packet_comes_back_whole(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon = daemon_serve(server->scheme, server->mixin, "echo", "");
    int client = client_connect(daemon_address(daemon, "test"));
    char *sent = keep(malloc(65000)), *got = keep(malloc(65000));

    for (size_t i = 0; i < 65000; i++)
        sent[i] = (char)(i * 7);
    client_send_bytes(client, sent, 65000);
    assert_true(client_readable(client, DEADLINE));
    assert_int_equal(recv(client, got, 65000, 0), 65000);
    assert_memory_equal(got, sent, 65000);
    client_close(client);
    daemon_expect_stop(daemon);
}

/* Many senders at once: each gets its own answer. */
static void
answers_find_their_senders(void **state)
{
    struct daemon *daemon = serve(state, "");
    int clients[30];

    for (int i = 0; i < 30; i++) {
        clients[i] = client_connect(daemon_address(daemon, "test"));
        client_send(clients[i], text_of("echo %d\n", i));
    }
    for (int i = 0; i < 30; i++)
        assert_string_equal(client_receive(clients[i]), text_of("%d\n", i));
    daemon_expect_stop(daemon);
}

/* They queue up while nobody looks, so that "none" takes them all at once. */
static void
a_burst_is_answered_but_for_a_sender_that_left(void **state)
{
    struct daemon *daemon = serve(state, "");
    const char *address = daemon_address(daemon, "test");
    pid_t worker = daemon_worker(daemon);
    int clients[8];

    assert_string_equal(client_ask(address, "echo ready\n"), "ready\n");
    assert_int_equal(kill(worker, SIGSTOP), 0);
    for (int i = 0; i < 8; i++) {
        clients[i] = client_connect(address);
        client_send(clients[i], text_of("echo %d\n", i));
    }
    client_close(clients[3]);
    assert_int_equal(kill(worker, SIGCONT), 0);
    for (int i = 0; i < 8; i++)
        if (i != 3)
            assert_string_equal(client_receive(clients[i]), text_of("%d\n", i));
    assert_string_equal(client_ask(address, "echo still here\n"), "still here\n");
    daemon_expect_stop(daemon);
}

static int
longest_queue(void)
{
    char text[16] = "";
    int fd = open("/proc/sys/net/unix/max_dgram_qlen", O_RDONLY | O_CLOEXEC);

    if (fd >= 0 && read(fd, text, sizeof(text) - 1) < 0)
        text[0] = '\0';
    if (fd >= 0)
        (void)close(fd);
    return atoi(text);
}

/* One warning in ten seconds, not one for each answer. */
static void
expect_few_warnings(struct daemon *daemon, double began)
{
    size_t warnings = daemon_count_log(daemon, "answers are dropped");

    assert_in_range(warnings, 1, 1 + (size_t)((clock_now() - began) / 10));
}

/* A Unix socket takes as many packets that nobody has read as the kernel is told to allow; then a
 * send to it waits. */
static void
a_client_that_does_not_read_holds_up_nobody(void **state)
{
    if (longest_queue() > 40)
        skip(); /* the daemon's own send buffer would be full first */
    struct daemon *daemon = serve(state, "write_timeout = 3600.0;");
    const char *address = daemon_address(daemon, "test");
    int deaf = client_socket(address);
    double began = clock_now();

    for (int i = 0; i < 100; i++)
        client_send_to(deaf, address, "echo hello\n");
    assert_string_equal(client_ask(address, "echo still here\n"), "still here\n");
    WAIT_UNTIL(control_figure(daemon, "test", "unsent") > 50);
    (void)daemon_wait_log(daemon, "answers are dropped");
    expect_few_warnings(daemon, began);
    assert_int_equal(control_figure(daemon, "test", "failed"), 0);
    client_close(deaf);
    daemon_expect_stop(daemon);
}

/* One that is connected may have as many as the listener's send buffer has room for; so only a part
 * of that is given to it. */
static void
a_connected_client_that_does_not_read_leaves_room_for_others(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon = daemon_serve(server->scheme, server->mixin, "echo", "");
    const char *address = daemon_address(daemon, "test");
    int deaf = client_connect(address);
    char *long_text = keep(calloc(1, 6001));
    double began = clock_now();

    memset(long_text, 'x', 6000);
    for (int i = 0; i < 400; i++) {
        client_send(deaf, i % 2 == 0 ? "hello" : long_text);
        if (i % 40 == 39)
            assert_string_equal(client_ask(address, "still here"), "still here");
    }
    WAIT_UNTIL(control_figure(daemon, "test", "unsent") > 200);
    for (int i = 0; i < 10; i++)
        assert_string_equal(client_ask(address, long_text), long_text);
    /* Once it has read, it is answered like everybody. */
    while (client_readable(deaf, 0.1))
        (void)client_receive(deaf);
    client_send(deaf, "I read");
    assert_string_equal(client_receive(deaf), "I read");
    expect_few_warnings(daemon, began);
    daemon_expect_stop(daemon);
}

RUN_TESTS(TEST_EACH_DATAGRAM(c45_the_reply_comes_from_the_listeners_address),
          TEST_EACH_MIXIN(c45_the_reply_comes_from_the_address_that_was_asked, "udp"),
          TEST_EACH_DATAGRAM(c46_a_long_packet_is_cut_flagged_and_counted),
          TEST_EACH_DATAGRAM(c47_the_reply_is_one_packet_sent_at_the_end),
          TEST_EACH_DATAGRAM(c48_nothing_written_is_no_packet),
          TEST_EACH_DATAGRAM(c48_reply_always_sends_an_empty_packet),
          TEST_EACH_DATAGRAM(c48_reply_never_sends_nothing),
          TEST_EACH_DATAGRAM(c49_no_partial_reply_after_an_error),
          TEST_EACH_MIXIN(c50_an_unnamed_sender_is_handled_without_a_reply, "unixgram"),
          TEST_EACH_DATAGRAM(an_empty_packet_is_a_request),
          TEST_EACH_DATAGRAM(a_big_packet_comes_back_whole),
          TEST_EACH_DATAGRAM(answers_find_their_senders),
          TEST_EACH_DATAGRAM(a_burst_is_answered_but_for_a_sender_that_left),
          TEST_EACH_MIXIN(a_client_that_does_not_read_holds_up_nobody, "unixgram"),
          TEST_EACH_MIXIN(a_connected_client_that_does_not_read_leaves_room_for_others, "unixgram"))
