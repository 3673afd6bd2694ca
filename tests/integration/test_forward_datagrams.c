/* SPDX-License-Identifier: MIT */
/*
 * test_forward_datagrams.c - the plugin `forward`, and with it ss_send(): a session for each peer
 */
#include "forward_fixture.h"

#include <signal.h>
#include <sys/un.h>

#define BRIEFLY "drain_timeout = \"50ms\";"

/* What came to the target, and from whom. */
struct heard {
    char text[64];
    struct sockaddr_storage from;
    socklen_t size;
};

static struct heard
hear(int fd)
{
    struct heard heard = {.size = sizeof(heard.from)};

    assert_true(client_readable(fd, DEADLINE));
    assert_return_code(recvfrom(fd, heard.text, sizeof(heard.text) - 1, 0,
                                (struct sockaddr *)&heard.from, &heard.size),
                       errno);
    return heard;
}

static void
reply(int fd, const struct heard *heard, const char *text)
{
    assert_return_code(
        sendto(fd, text, strlen(text), 0, (const struct sockaddr *)&heard->from, heard->size),
        errno);
}

static struct heard
expect_heard(int fd, const char *text)
{
    struct heard heard = hear(fd);

    assert_string_equal(heard.text, text);
    return heard;
}

static bool
same_place(const struct heard *one, const struct heard *other)
{
    return one->size == other->size && memcmp(&one->from, &other->from, one->size) == 0;
}

static void
each_peer_gets_its_own_answers(void **state)
{
    const struct server_case *server = *state;
    struct place place = open_place(server->scheme, "target");
    struct daemon *daemon = serve_forward(server, quote(place.address), "", BRIEFLY);
    int one = connect_to(daemon), two = connect_to(daemon);

    client_send(one, "from one");
    struct heard from_one = expect_heard(place.fd, "from one");
    client_send(two, "from two");
    struct heard from_two = expect_heard(place.fd, "from two");
    assert_false(same_place(&from_one, &from_two));
    reply(place.fd, &from_two, "to two");
    reply(place.fd, &from_one, "to one");
    client_expect(one, "to one");
    client_expect(two, "to two");
    client_send(one, "again");
    struct heard again = expect_heard(place.fd, "again");
    assert_true(same_place(&again, &from_one));
    reply(place.fd, &again, "a");
    reply(place.fd, &again, "b"); /* as many as it likes */
    client_expect(one, "a");
    client_expect(one, "b");
    (void)daemon_wait_log(daemon, text_of("forwarded to %s, 5 bytes in", place.address));
    (void)daemon_stop(daemon);
}

static void
a_session_ends_when_it_is_silent(void **state)
{
    const struct server_case *server = *state;
    struct place place = open_place(server->scheme, "target");
    struct daemon *daemon =
        serve_forward(server, quote(place.address), "session_timeout = \"200ms\";", BRIEFLY);
    int peer = connect_to(daemon);

    client_send(peer, "first");
    struct heard first = expect_heard(place.fd, "first");
    (void)daemon_wait_log(daemon, ", 5 bytes in, 0 bytes out, ");
    client_send(peer, "second");
    struct heard second = expect_heard(place.fd, "second");
    assert_false(same_place(&first, &second));
    reply(place.fd, &second, "still answered");
    client_expect(peer, "still answered");
    (void)daemon_stop(daemon);
}

/* The oldest goes, and its peer gets another session when it speaks again. */
static void
a_full_table_loses_the_oldest(void **state)
{
    const struct server_case *server = *state;
    struct place place = open_place(server->scheme, "target");
    struct daemon *daemon = serve_forward(server, quote(place.address), "max_sessions = 2;",
                                          "max_connections = 8; " BRIEFLY);
    int peers[3];

    for (size_t i = 0; i < 3; i++) {
        peers[i] = connect_to(daemon);
        client_send(peers[i], "hello");
        (void)expect_heard(place.fd, "hello");
    }
    (void)daemon_wait_log(daemon, ", 5 bytes in, 0 bytes out, "); /* the first one's */
    for (size_t i = 0; i < 3; i++) {
        client_send(peers[i], "again");
        struct heard again = expect_heard(place.fd, "again");
        reply(place.fd, &again, "answer");
        client_expect(peers[i], "answer");
    }
    (void)daemon_stop(daemon);
}

static void
a_flood_of_peers_leaves_room_for_the_next(void **state)
{
    const struct server_case *server = *state;
    struct place place = open_place(server->scheme, "target");
    struct daemon *daemon =
        serve_forward(server, quote(place.address), "", "max_connections = 16; " BRIEFLY);

    for (size_t i = 0; i < 100; i++) {
        int peer = connect_to(daemon);
        client_send(peer, "hello");
        struct heard heard = expect_heard(place.fd, "hello");
        reply(place.fd, &heard, "answer");
        client_expect(peer, "answer");
    }
    assert_true(proc_fd_count(daemon_worker(daemon)) < 50); /* 12 sessions, and its own */
    (void)daemon_stop(daemon);
}

/* ICMP says that nobody is there: the next datagram goes elsewhere. */
static void
a_target_that_refuses_is_left_alone(void **state)
{
    const struct server_case *server = *state;
    const char *dead = nowhere(server->scheme, "dead");
    struct place place = open_place(server->scheme, "target");
    struct daemon *daemon =
        serve_forward(server, text_of("[ \"%s\", \"%s\" ]", dead, place.address),
                      "fail_timeout = \"1h\";", BRIEFLY);
    int peer = connect_to(daemon);

    client_send(peer, "lost");
    (void)daemon_wait_log(daemon, text_of("%s: ", dead));
    for (size_t i = 0; i < 3; i++) {
        client_send(peer, "arrives");
        struct heard heard = hear(place.fd);
        reply(place.fd, &heard, "answer");
        client_expect(peer, "answer");
    }
    (void)daemon_stop(daemon);
}

static void
an_empty_datagram_is_one_too(void **state)
{
    const struct server_case *server = *state;
    struct place place = open_place(server->scheme, "target");
    struct daemon *daemon = serve_forward(server, quote(place.address), "", BRIEFLY);
    int peer = connect_to(daemon);
    char byte;

    assert_return_code(send(peer, "", 0, 0), errno);
    struct heard heard = expect_heard(place.fd, "");
    reply(place.fd, &heard, "");
    assert_true(client_readable(peer, DEADLINE));
    assert_int_equal(recv(peer, &byte, 1, 0), 0);
    reply(place.fd, &heard, "the session goes on");
    client_expect(peer, "the session goes on");
    (void)daemon_stop(daemon);
}

static void
a_drain_waits_for_answers_on_their_way(void **state)
{
    const struct server_case *server = *state;
    struct place place = open_place(server->scheme, "target");
    struct daemon *daemon = serve_forward(server, quote(place.address), "", "");
    int peer = connect_to(daemon);

    client_send(peer, "question");
    struct heard heard = expect_heard(place.fd, "question");
    daemon_signal(daemon, SIGTERM);
    (void)daemon_wait_log(daemon, "SIGTERM: stopping");
    reply(place.fd, &heard, "answer");
    client_expect(peer, "answer");
    daemon_expect_exit(daemon, 0); /* long before session_timeout and drain_timeout */
}

#define EACH(function)                                                                             \
    TEST_CASE(function, "udp", "threading"), TEST_CASE(function, "udp", "coroutine"),              \
        TEST_CASE(function, "unixgram", "threading"), TEST_CASE(function, "unixgram", "coroutine")

RUN_TESTS(EACH(each_peer_gets_its_own_answers), EACH(a_session_ends_when_it_is_silent),
          EACH(a_full_table_loses_the_oldest), EACH(a_flood_of_peers_leaves_room_for_the_next),
          TEST_CASE(a_target_that_refuses_is_left_alone, "udp", "threading"),
          TEST_CASE(a_target_that_refuses_is_left_alone, "udp", "coroutine"),
          EACH(an_empty_datagram_is_one_too),
          TEST_CASE(a_drain_waits_for_answers_on_their_way, "udp", "threading"),
          TEST_CASE(a_drain_waits_for_answers_on_their_way, "udp", "coroutine"))
