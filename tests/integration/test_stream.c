/* SPDX-License-Identifier: MIT */
/*
 * test_stream.c - reading and writing a connection, and how it ends
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "support/client.h"
#include "support/daemon.h"
#include "support/proc.h"
#include "support/test.h"

#define BIG 8000000

static struct daemon *
serve(void **state, const char *more)
{
    const struct server_case *server = *state;

    return daemon_serve(server->scheme, server->mixin, "good_command", more);
}

static int
connect_to(struct daemon *daemon)
{
    return client_connect(daemon_address(daemon, "test"));
}

/* The number behind the word in the answer to a command. */
static pid_t
ask_number(int client, const char *command, const char *word)
{
    const char *line;

    client_send(client, command);
    line = client_receive_line(client);
    assert_starts(line, word);
    return (pid_t)strtol(line + strlen(word), NULL, 10);
}

static void
expect_alphabet(const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != (char)('a' + i % 26))
            fail_msg("byte %zu is '%c'", i, bytes[i]);
    }
}

static void
c26_reading_and_writing_share_one_descriptor(void **state)
{
    struct daemon *daemon = serve(state, "");
    size_t before;
    int first = connect_to(daemon), second;
    pid_t server = ask_number(first, "pid\n", "pid ");

    bool forking = strcmp(((const struct server_case *)*state)->mixin, "forking") == 0;

    before = proc_fd_count(server);
    second = connect_to(daemon);
    assert_int_equal(ask_number(second, "pid\n", "pid ") != server, forking);
    assert_int_equal(proc_fd_count(server), before + !forking);
    client_close(first);
    client_close(second);
    daemon_expect_stop(daemon);
}

/* Without waiting for requests. */
static void
stop_at_once(struct daemon *daemon)
{
    daemon_signal(daemon, SIGTERM);
    (void)daemon_wait_log(daemon, "stopping");
    daemon_signal(daemon, SIGTERM);
    daemon_expect_exit(daemon, 0);
}

static void
c27_flushed_text_is_sent_at_once(void **state)
{
    struct daemon *daemon = serve(state, "");
    int client = connect_to(daemon);

    client_send(client, "echo now\nflush\nnap 600\n");
    client_expect(client, "now\nflushed\n");
    client_close(client);
    stop_at_once(daemon);
}

static void
c27_an_unbuffered_write_is_sent_at_once(void **state)
{
    struct daemon *daemon = serve(state, "write_buffer = 0;");
    int client = connect_to(daemon);

    client_send(client, "echo now\nnap 600\n"); /* nothing else flushes it */
    client_expect(client, "now\n");
    client_close(client);
    stop_at_once(daemon);
}

static void
c27_a_big_write_arrives_complete_under_interruptions(void **state)
{
    struct daemon *daemon = serve(state, "");
    int client = connect_to(daemon);
    pid_t server = ask_number(client, "pid\n", "pid ");
    char *bytes = keep(malloc(BIG));
    size_t used = 0, interruptions = 0;

    client_send(client, text_of("big %d\nquit\n", BIG));
    while (used < BIG) {
        size_t wanted = BIG - used < BIG / 16 ? BIG - used : BIG / 16;

        /* A stopped and continued process sees EINTR from a wait with a timeout. A child may
         * have ended when the kernel holds all that is left. */
        if (kill(server, SIGSTOP) == 0) {
            assert_return_code(kill(server, SIGCONT), errno);
            interruptions++;
        }
        assert_int_equal(client_receive_bytes(client, bytes + used, wanted), wanted);
        used += wanted;
    }
    assert_true(interruptions > 0);
    expect_alphabet(bytes, BIG);
    client_expect_end(client);
    client_close(client);
    daemon_expect_stop(daemon);
}

static void
c43_the_client_gets_every_byte_and_then_the_end(void **state)
{
    struct daemon *daemon = serve(state, "");
    int client = connect_to(daemon);
    char *sent = keep(malloc(40000)), *bytes = keep(malloc(300000));

    memset(sent, 'u', 40000); /* but for the commands, never read by the handler */
    memcpy(sent, "big 300000\nquit\n", strlen("big 300000\nquit\n"));
    client_send_bytes(client, sent, 40000);
    assert_int_equal(client_receive_bytes(client, bytes, 300000), 300000);
    expect_alphabet(bytes, 300000);
    client_expect_end(client);
    client_close(client);
    daemon_expect_stop(daemon);
}

static void
c44_a_handler_may_close_the_connection_itself(void **state)
{
    struct daemon *daemon = serve(state, "");
    int beside = -1;

    if (strcmp(((const struct server_case *)*state)->mixin, "none") != 0)
        beside = connect_to(daemon);
    for (int i = 0; i < 20; i++) {
        int client = connect_to(daemon);

        client_send(client, "close\n");
        client_expect(client, "closing\n");
        client_expect_end(client);
        client_close(client);
    }
    if (beside >= 0) { /* its descriptor was not closed by mistake */
        client_send(beside, "echo still here\n");
        client_expect(beside, "still here\n");
        client_close(beside);
    }
    daemon_expect_stop(daemon);
    assert_lacks(daemon_log(daemon), "ailed");
    assert_lacks(daemon_log(daemon), "Bad file descriptor");
}

static void
c62_buffered_output_is_flushed_at_the_end(void **state)
{
    struct daemon *daemon = serve(state, "");

    assert_string_equal(client_ask(daemon_address(daemon, "test"), "echo one\necho two\nquit\n"),
                        "one\ntwo\n");
    daemon_expect_stop(daemon);
}

static void
c62_a_failed_last_flush_is_no_error(void **state)
{
    struct daemon *daemon = serve(state, "");
    int client = connect_to(daemon);

    client_send(client, "echo ready\nflush\nnap 0.2\necho lost\nquit\n");
    client_expect(client, "ready\n");
    client_reset(client);
    assert_string_equal(client_ask(daemon_address(daemon, "test"), "echo next\n"), "next\n");
    daemon_expect_stop(daemon);
    assert_lacks(daemon_log(daemon), "failed");
}

static void
c71_a_client_that_vanishes_is_no_error(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon =
        daemon_start("log = { target = \"stderr\"; access = true; };\nlisteners = {\n%s};",
                     listener_text("test", server->scheme, server->mixin, "good_command", ""));
    int client = connect_to(daemon);

    client_send(client, "big 50000000\n");
    assert_true(client_readable(client, DEADLINE));
    client_reset(client);
    assert_string_equal(client_ask(daemon_address(daemon, "test"), "echo next\n"), "next\n");
    daemon_expect_stop(daemon);
    assert_lacks(daemon_log(daemon), "failed");
    assert_int_equal(daemon_count_log(daemon, "sockserverd[test/1]"), 1);
}

static void
c70_a_line_spans_several_segments(void **state)
{
    struct daemon *daemon = serve(state, "");
    int client = connect_to(daemon);

    client_send(client, "ec");
    assert_false(client_readable(client, 0.02));
    client_send(client, "ho split li");
    assert_false(client_readable(client, 0.02));
    client_send(client, "ne\necho rest");
    client_expect(client, "split line\n");
    client_half_close(client); /* the last line ends with the stream */
    client_expect(client, "rest\n");
    client_expect_end(client);
    client_close(client);
    daemon_expect_stop(daemon);
}

static void
c70_a_line_ends_at_the_limit(void **state)
{
    struct daemon *daemon = serve(state, "max_line = 100;");
    const char *address = daemon_address(daemon, "test");
    const char *line = text_of("%0*d", 99, 0);

    assert_string_equal(client_ask(address, text_of("line-limit\n%s\n", line)), "line 100\n");
    assert_string_equal(client_ask(address, text_of("line-limit\n%s0\n", line)),
                        text_of("error %d\n", -EMSGSIZE));
    daemon_expect_stop(daemon);
}

static void
c61_a_silent_client_is_given_up(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon =
        daemon_serve(server->scheme, server->mixin, "good_hooks", "read_timeout = \"1s\";");
    double began = clock_now();
    int client = connect_to(daemon);

    client_expect_gone(client);
    assert_true(clock_now() - began > 0.99);
    (void)daemon_wait_log(daemon, "told of ETIMEDOUT");
    assert_string_equal(client_ask(daemon_address(daemon, "test"), "hello\n"), "hello\n");
    daemon_expect_stop(daemon);
    assert_int_equal(daemon_count_log(daemon, "told of"), 1);
}

static void
c61_a_request_ends_when_its_time_is_up(void **state)
{
    struct daemon *daemon = serve(state, "request_timeout = \"1s\";");
    double began = clock_now();
    int client = connect_to(daemon);

    client_send(client, "echo ready\nsleep 600\n");
    client_expect(client, "ready\n");
    client_expect_gone(client);
    assert_true(clock_now() - began > 0.99);
    client_close(client);
    assert_string_equal(client_ask(daemon_address(daemon, "test"), "echo next\n"), "next\n");
    daemon_expect_stop(daemon);
}

static void
a_client_that_does_not_read_is_given_up(void **state)
{
    struct daemon *daemon = serve(state, "write_timeout = \"200ms\";");
    int client = connect_to(daemon);

    client_send(client, "big 50000000\n");
    (void)daemon_wait_log(daemon, "idle for too long");
    client_expect_gone(client);
    daemon_expect_stop(daemon);
}

static void
pipelined_requests_are_all_answered(void **state)
{
    struct daemon *daemon = serve(state, "");
    int client = connect_to(daemon);
    const char *all = "";

    for (int i = 0; i < 50; i++)
        all = text_of("%secho %d\n", all, i);
    client_send(client, all);
    for (int i = 0; i < 50; i++)
        client_expect(client, text_of("%d\n", i));
    client_close(client);
    daemon_expect_stop(daemon);
}

static void
sendfile_sends_the_file_behind_what_was_written(void **state)
{
    struct daemon *daemon = serve(state, "");
    const char *content = text_of("%0*d", 100000, 7);
    const char *path = test_file("content", content);

    assert_string_equal(client_ask(daemon_address(daemon, "test"),
                                   text_of("echo before\nsendfile %s\necho after\n", path)),
                        text_of("before\n%safter\n", content));
    daemon_expect_stop(daemon);
}

/* What a handler has set on its own descriptor stays so. */
static void
sendfile_leaves_the_descriptor_as_it_was(void **state)
{
    struct daemon *daemon = serve(state, "");
    const char *path = test_file("content", "seven\n");

    assert_string_equal(
        client_ask(daemon_address(daemon, "test"),
                   text_of("sendfile %s\nblocks no\nsendfile %s\nblocks\nquit\n", path, path)),
        "seven\nseven\nblocks 0\n");
    daemon_expect_stop(daemon);
}

static void
a_handler_may_end_its_output_and_read_on(void **state)
{
    struct daemon *daemon = serve(state, "");
    int client = connect_to(daemon);

    client_send(client, "end-output\n");
    assert_string_equal(client_receive_all(client), "the end\n");
    client_send(client, "still here\n");
    (void)daemon_wait_log(daemon, "behind the end: still here");
    client_close(client);
    daemon_expect_stop(daemon);
}

/* A wait that has a limit tells of input once; what is read then is that input. */
static void
what_was_waited_for_is_read(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon = daemon_serve(server->scheme, server->mixin, "good_command", "");
    int client = client_connect(daemon_address(daemon, "test"));

    for (int i = 0; i < 3; i++) {
        client_send(client, "wait-input 20\n");
        client_expect(client, "waiting\n");
        client_send(client, "echo well\n");
        client_expect(client, "wait 1\nwell\n");
    }
    client_send(client, "wait-input 0.01\n");
    client_expect(client, "waiting\nwait 0\n");
    client_close(client);
    daemon_expect_stop(daemon);
}

/* The kernel does not know of the bytes that are in a buffer already. */
static void
one_of_several_is_waited_for(void **state)
{
    struct daemon *daemon = serve(state, "");
    int client = connect_to(daemon);

    client_send(client, "wait-any 20\necho behind it\n");
    client_expect(client, "waiting\nany 1: 0 0 1\nbehind it\n");
    client_send(client, "wait-any 20\n");
    client_expect(client, "waiting\n");
    client_send(client, "echo later\n");
    client_expect(client, "any 1: 0 0 1\nlater\n");
    client_send(client, "wait-any 0.01\n");
    client_expect(client, "waiting\nany 0: 0 0 0\n");
    client_send(client, "wait-nothing 20\n");
    client_expect(client, "error -9\n");
    client_close(client);
    daemon_expect_stop(daemon);
}

RUN_TESTS(TEST_EACH_MIXIN(a_handler_may_end_its_output_and_read_on, "tcp"),
          TEST_EACH_STREAM(what_was_waited_for_is_read),
          TEST_EACH_STREAM(one_of_several_is_waited_for),
          TEST_EACH_MIXIN(sendfile_leaves_the_descriptor_as_it_was, "tcp"),
          TEST_CASE(c26_reading_and_writing_share_one_descriptor, "tcp", "threading"),
          TEST_CASE(c26_reading_and_writing_share_one_descriptor, "tcp", "forking"),
          TEST_EACH_STREAM(c27_flushed_text_is_sent_at_once),
          TEST_EACH_STREAM(c27_an_unbuffered_write_is_sent_at_once),
          TEST_EACH_STREAM(c27_a_big_write_arrives_complete_under_interruptions),
          TEST_EACH_STREAM(c43_the_client_gets_every_byte_and_then_the_end),
          TEST_EACH_STREAM(c44_a_handler_may_close_the_connection_itself),
          TEST_EACH_STREAM(c62_buffered_output_is_flushed_at_the_end),
          TEST_EACH_MIXIN(c62_a_failed_last_flush_is_no_error, "tcp"),
          TEST_EACH_MIXIN(c71_a_client_that_vanishes_is_no_error, "tcp"),
          TEST_EACH_STREAM(c70_a_line_spans_several_segments),
          TEST_EACH_STREAM(c70_a_line_ends_at_the_limit),
          TEST_EACH_STREAM(c61_a_silent_client_is_given_up),
          TEST_EACH_STREAM(c61_a_request_ends_when_its_time_is_up),
          TEST_EACH_MIXIN(a_client_that_does_not_read_is_given_up, "tcp"),
          TEST_EACH_STREAM(pipelined_requests_are_all_answered),
          TEST_EACH_STREAM(sendfile_sends_the_file_behind_what_was_written))
