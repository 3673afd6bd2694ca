/* SPDX-License-Identifier: MIT */
/*
 * test_wake.c - requests and threads end other requests' waits: ss_waker() and ss_wake()
 */
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>

#include "support/client.h"
#include "support/daemon.h"
#include "support/proc.h"
#include "support/test.h"

#define ROUNDS (SANITIZED ? 300 : 3000)
#define LINES  (SANITIZED ? 100 : 400)
#define GUESTS (SANITIZED ? 60 : 300)

static struct daemon *
serve(void **state, const char *more)
{
    const struct server_case *server = *state;

    return daemon_serve(server->scheme, server->mixin, "good_wake", more);
}

static int
connect_to(struct daemon *daemon)
{
    return client_connect(daemon_address(daemon, "test"));
}

/* Each kind of wait is ended by it, also by one that came before; once. */
static void
a_wake_ends_the_next_wait_once(void **state)
{
    static const char *const kinds[] = {"sleep", "input", "poll", "pipe", "client"};
    struct daemon *daemon = serve(state, "");
    int client = connect_to(daemon);

    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        client_send(client, text_of("self\nwait %s 600\n", kinds[i]));
        client_expect(client, text_of("self\nwaiting\n%s -4\n", kinds[i]));
        client_send(client, text_of("wait %s 0.01\n", kinds[i]));
        client_expect(client, text_of("waiting\n%s 0\n", kinds[i]));
    }
    client_close(client);
    daemon_expect_stop(daemon);
}

static void
a_datagram_is_woken_too(void **state)
{
    struct daemon *daemon = serve(state, "");
    int client = connect_to(daemon);

    client_send(client,
                "self\nwait sleep 600\nwait sleep 0.01\nself\nwait pipe 600\nwait client 600\n"
                "wait poll 600\n");
    assert_string_equal(
        client_receive(client),
        "self\nwaiting\nsleep -4\nwaiting\nsleep 0\nself\nwaiting\npipe -4\nwaiting\n"
        "client 1\nwaiting\npoll 1: 1\n");
    client_close(client);
    daemon_expect_stop(daemon);
}

/* What is in the buffer stays there, and is told of by the next wait. */
static void
a_wake_comes_before_input_and_loses_none(void **state)
{
    struct daemon *daemon = serve(state, "");
    int client = connect_to(daemon);

    client_send(client,
                "self\nwait input 600\nwait input 600\nself\nwait poll 600\nwait poll 600\nself\n"
                "wait client 600\nwait client 600\nself\nwait input -1\nself\n");
    client_expect(client,
                  "self\nwaiting\ninput -4\nwaiting\ninput 1\nself\nwaiting\npoll -4\nwaiting\n"
                  "poll 1: 1\nself\nwaiting\nclient -4\nwaiting\nclient 1\nself\nwaiting\n"
                  "input -4\nself\n");
    client_close(client);
    daemon_expect_stop(daemon);
}

static void
reads_and_writes_are_not_disturbed(void **state)
{
    struct daemon *daemon = serve(state, "");
    int client = connect_to(daemon);

    client_send(client, "self\nread\n");
    client_expect(client, "self\n");
    client_send(client, "five\n");
    client_expect(client, "read 5\n");
    client_send(client, "wait sleep 600\n"); /* it was for this one */
    client_expect(client, "waiting\nsleep -4\n");
    client_close(client);
    daemon_expect_stop(daemon);
}

static void
another_request_wakes_it(void **state)
{
    static const char *const kinds[] = {"sleep 600", "input 600", "input -1",
                                        "poll -1",   "pipe 600",  "client -1"};
    struct daemon *daemon = serve(state, "");
    int sleeper = connect_to(daemon), waker = connect_to(daemon);

    client_send(sleeper, "join s\n");
    client_expect(sleeper, "joined\n");
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        client_send(sleeper, text_of("wait %s\n", kinds[i]));
        client_expect(sleeper, "waiting\n");
        client_send(waker, "wake s\n");
        client_expect(waker, "woke\n");
        client_expect(sleeper, text_of("%.*s -4\n", (int)strcspn(kinds[i], " "), kinds[i]));
    }
    client_close_all();
    daemon_expect_stop(daemon);
}

/* Its bytes come in pieces, while it is woken again and again. */
static void
bytes_and_wakes_come_together(void **state)
{
    struct daemon *daemon = serve(state, "");
    int reader = connect_to(daemon), waker = connect_to(daemon);

    client_send(reader, text_of("join r\ncollect %d\n", LINES));
    client_expect(reader, "joined\ncollecting\n");
    for (int i = 0; i < LINES; i++) {
        client_send(waker, "wake r\n");
        client_send(reader, text_of("%d", i));
        client_send(waker, "wake r\n");
        client_send(reader, "\n");
        client_expect(waker, "woke\nwoke\n");
    }
    client_expect(reader, text_of("collected %d\n", LINES));
    client_close_all();
    daemon_expect_stop(daemon);
}

static void
no_wake_up_between_requests_is_lost(void **state)
{
    struct daemon *daemon = serve(state, "");
    int clients[6];

    for (int i = 0; i < 6; i++)
        clients[i] = connect_to(daemon);
    for (int i = 0; i < 6; i++)
        client_send(clients[i], text_of("bounce %c %c %d\n", 'a' + i, 'a' + (i ^ 1), ROUNDS));
    for (int i = 0; i < 6; i++)
        client_expect(clients[i], text_of("bounced %d\n", ROUNDS));
    client_close_all();
    daemon_expect_stop(daemon);
}

static void
no_wake_up_between_loops_is_lost(void **state)
{
    struct daemon *daemon = serve(state, "cpus = 3;");
    int clients[12];

    for (int i = 0; i < 12; i++) {
        clients[i] = connect_to(daemon);
        client_send(clients[i], "join z\n");
        client_expect(clients[i], "joined\n");
    }
    for (int i = 0; i < 12; i++)
        client_send(clients[i], text_of("bounce %c %c %d\n", 'a' + i, 'a' + (i ^ 1), ROUNDS));
    for (int i = 0; i < 12; i++)
        client_expect(clients[i], text_of("bounced %d\n", ROUNDS));
    client_close_all();
    daemon_expect_stop(daemon);
}

static void
no_wake_up_by_a_thread_is_lost(void **state)
{
    struct daemon *daemon = serve(state, "");
    int client = connect_to(daemon);

    client_send(client, text_of("thread %d\n", ROUNDS));
    client_expect(client, text_of("thread %d\n", ROUNDS));
    client_close(client);
    daemon_expect_stop(daemon);
}

/* What makes contexts serve one request after another. */
static const char *
few_contexts(void **state)
{
    const struct server_case *server = *state;

    if (strcmp(server->mixin, "none") == 0)
        return "";
    return strcmp(server->mixin, "forking") == 0 ? "max_connections = 4; recycle_after = 0;"
                                                 : "max_connections = 4;";
}

/* Requests come and go in the same few contexts, and a thread wakes all that have gone. */
static void
a_late_wake_disturbs_nobody(void **state)
{
    struct daemon *daemon = serve(state, few_contexts(state));
    const char *address = daemon_address(daemon, "test");
    int pest = client_connect(address);

    client_send(pest, "pester\n");
    client_expect(pest, "pestered\n");
    client_close(pest);
    for (int i = 0; i < GUESTS; i += 3) {
        int guests[3];
        for (int j = 0; j < 3; j++) {
            guests[j] = client_connect(address);
            client_send(guests[j], "quiet 5\n");
        }
        for (int j = 0; j < 3; j++) {
            client_expect(guests[j], "quiet\n");
            client_half_close(guests[j]);
            client_expect_end(guests[j]);
            client_close(guests[j]);
        }
    }
    daemon_expect_stop(daemon);
}

/* A context keeps its event for its next requests: descriptors do not grow with them. */
static void
nothing_is_left_behind(void **state)
{
    struct daemon *daemon = serve(state, few_contexts(state));
    const char *address = daemon_address(daemon, "test");
    size_t before = 0;

    for (int i = 0; i < 24; i++) {
        int client = client_connect(address);
        client_send(client, "self\nwait sleep 600\n");
        client_expect(client, "self\nwaiting\nsleep -4\n");
        size_t now = proc_fd_count(daemon_worker(daemon));
        if (i == 0)
            before = now;
        assert_true(now <= before + 3); /* one for each of the other contexts */
        client_half_close(client);
        client_expect_end(client);
        client_close(client);
    }
    daemon_expect_stop(daemon);
}

/* A drain is told once, by whichever wait; then waits go on, and output still goes out. */
static void
a_drain_is_told_once(void **state)
{
    static const char *const kinds[] = {"poll 600", "input 600", "input -1"};

    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        struct daemon *daemon = serve(state, "drain_timeout = \"60s\";");
        int client = connect_to(daemon);
        client_send(client, text_of("wait %s\n", kinds[i]));
        client_expect(client, "waiting\n");
        daemon_signal(daemon, SIGTERM);
        client_expect(client, text_of("%.*s -125\n", (int)strcspn(kinds[i], " "), kinds[i]));
        client_send(client, "wait poll 0.02\n");
        client_expect(client, "waiting\npoll 0\n");
        client_send(client, "wait input 0.02\n");
        client_expect(client, "waiting\ninput 0\n");
        client_send(client,
                    "self\nwait poll 600\nwait poll 600\nwake x\n"); /* what has come is told of */
        client_expect(client, "self\nwaiting\npoll -4\nwaiting\npoll 1: 1\nwoke\n");
        client_close(client);
        daemon_expect_exit(daemon, 0);
    }
}

/* Whoever comes to wait in a drain that has begun already is told of it, too. */
static void
a_wait_in_a_drain_is_told_at_once(void **state)
{
    struct daemon *daemon = serve(state, "drain_timeout = \"60s\";");
    int client = connect_to(daemon);

    client_send(client, "wait client 600\n"); /* which no drain ends */
    client_expect(client, "waiting\n");
    daemon_signal(daemon, SIGTERM);
    (void)daemon_wait_log(daemon, "stopping");
    assert_false(client_readable(client, 0.1));
    client_send(client, "wait poll 600\nwait poll 0\n");
    client_expect(client, "client 1\nwaiting\npoll 1: 1\nwaiting\npoll -125\n");
    client_close(client);
    daemon_expect_exit(daemon, 0);
}

static void
timeouts_follow_the_protocol(void **state)
{
    struct daemon *daemon = serve(state, "read_timeout = \"600s\";");
    int client = connect_to(daemon);

    client_send(client, "timeouts nan 1\n");
    client_expect(client, "timeouts -22\n");
    client_send(client, "timeouts 0.05 -1\nread\n"); /* the answer goes out before it waits */
    client_expect(client, "timeouts 0\nread -110\n");
    client_send(client, "timeouts 1.3 0\nread\n"); /* longer than one receive may block */
    client_expect(client, "timeouts 0\nread -110\n");
    client_send(client, "timeouts 0 0\nread\n");
    client_expect(client, "timeouts 0\n");
    assert_false(client_readable(client, 0.2));
    client_send(client, "x\n");
    client_expect(client, "read 2\n");
    client_send(client, "timeouts 0.05 -1\nself\nwait input -1\nwait input -1\n");
    client_expect(client, "timeouts 0\nself\nwaiting\ninput -4\nwaiting\ninput -110\n");
    client_close(client);
    daemon_expect_stop(daemon);
}

/* poll(2) has more than POLLIN and POLLOUT: what comes out of band ends a wait for it. */
static void
urgent_data_is_waited_for(void **state)
{
    struct daemon *daemon = serve(state, "");
    int client = connect_to(daemon);

    client_send(client, "wait urgent 0.01\nwait urgent 600\n");
    client_expect(client, "waiting\nurgent 0\nwaiting\n");
    assert_false(client_readable(client, 0.1)); /* it waits */
    assert_int_equal(send(client, "!", 1, MSG_OOB), 1);
    client_expect(client, text_of("urgent 1: %d\n", POLLPRI));
    client_close(client);
    daemon_expect_stop(daemon);
}

#define TEST_TOGETHER(function)                                                                    \
    TEST_CASE(function, "tcp", "threading"), TEST_CASE(function, "tcp", "coroutine"),              \
        TEST_CASE(function, "unix", "threading"), TEST_CASE(function, "unix", "coroutine")

RUN_TESTS(TEST_EACH_STREAM(a_wake_ends_the_next_wait_once),
          TEST_EACH_DATAGRAM(a_datagram_is_woken_too),
          TEST_EACH_STREAM(a_wake_comes_before_input_and_loses_none),
          TEST_EACH_MIXIN(reads_and_writes_are_not_disturbed, "tcp"),
          TEST_TOGETHER(another_request_wakes_it), TEST_TOGETHER(bytes_and_wakes_come_together),
          TEST_CASE(no_wake_up_between_requests_is_lost, "unix", "threading"),
          TEST_CASE(no_wake_up_between_requests_is_lost, "unix", "coroutine"),
          TEST_CASE(no_wake_up_between_loops_is_lost, "tcp", "coroutine"),
          TEST_EACH_MIXIN(no_wake_up_by_a_thread_is_lost, "unix"),
          TEST_EACH_MIXIN(a_late_wake_disturbs_nobody, "tcp"),
          TEST_EACH_MIXIN(nothing_is_left_behind, "unix"), TEST_EACH_STREAM(a_drain_is_told_once),
          TEST_EACH_MIXIN(a_wait_in_a_drain_is_told_at_once, "tcp"),
          TEST_EACH_MIXIN(timeouts_follow_the_protocol, "tcp"),
          TEST_EACH_MIXIN(urgent_data_is_waited_for, "tcp"))
