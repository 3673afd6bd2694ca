/* SPDX-License-Identifier: MIT */
/*
 * test_forward.c - the plugin `forward`, and with it ss_connect() and ss_relay(): connections
 */
#include "forward_fixture.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>

#define BULK (4u << 20)

/* ---- bytes, and their end ------------------------------------------------------------------- */

static void
bytes_go_both_ways_and_so_does_their_end(void **state)
{
    const struct server_case *server = *state;
    struct place place = open_place(server->scheme, "target");
    struct daemon *daemon = serve_forward(server, quote(place.address), "", "");
    struct pair pair = connect_pair(daemon, &place);

    expect_exchange(pair, "one", "two");
    client_half_close(pair.client);
    client_expect_end(pair.target);
    client_send(pair.target, "after the end");
    client_half_close(pair.target);
    assert_string_equal(client_receive_all(pair.client), "after the end");
    (void)daemon_wait_log(daemon,
                          text_of(": forwarded to %s, 3 bytes in, 16 bytes out, ", place.address));
    daemon_expect_stop(daemon);
}

static void
a_target_may_end_first(void **state)
{
    const struct server_case *server = *state;
    struct place place = open_place(server->scheme, "target");
    struct daemon *daemon = serve_forward(server, quote(place.address), "", "");
    struct pair pair = connect_pair(daemon, &place);

    client_send(pair.target, "greeting");
    client_half_close(pair.target);
    assert_string_equal(client_receive_all(pair.client), "greeting");
    client_send(pair.client, "still heard");
    client_half_close(pair.client);
    assert_string_equal(client_receive_all(pair.target), "still heard");
    (void)daemon_wait_log(daemon, ": forwarded to ");
    daemon_expect_stop(daemon);
}

struct sending {
    int fd;
    unsigned seed;
};

static void
fill(unsigned char *block, size_t size, size_t offset, unsigned seed)
{
    for (size_t i = 0; i < size; i++)
        block[i] = (unsigned char)((offset + i) * 2654435761u >> 13 ^ seed);
}

static void *
send_bulk(void *argument)
{
    const struct sending *sending = argument;
    unsigned char block[65536];

    for (size_t done = 0; done < BULK; done += sizeof(block)) {
        size_t sent = 0;
        fill(block, sizeof(block), done, sending->seed);
        while (sent < sizeof(block)) {
            ssize_t put = send(sending->fd, block + sent, sizeof(block) - sent, MSG_NOSIGNAL);
            if (put < 0)
                return NULL; /* the receiver will miss it */
            sent += (size_t)put;
        }
    }
    (void)shutdown(sending->fd, SHUT_WR);
    return NULL;
}

/* Whether all of it comes, and then the end. In any thread. */
static bool
bulk_comes(int fd, unsigned seed)
{
    unsigned char expected[65536], got[65536];

    for (size_t done = 0; done < BULK; done += sizeof(got)) {
        fill(expected, sizeof(expected), done, seed);
        if (recv(fd, got, sizeof(got), MSG_WAITALL) != sizeof(got) ||
            memcmp(got, expected, sizeof(got)) != 0)
            return false;
    }
    return recv(fd, got, 1, 0) == 0;
}

static void *
receive_bulk(void *argument)
{
    const struct sending *receiving = argument;

    return bulk_comes(receiving->fd, receiving->seed) ? argument : NULL;
}

/* Both directions at once, as fast as they can: through pipes, or copied. */
static void
much_goes_both_ways_at_once(void **state)
{
    const struct server_case *server = *state;
    struct place place = open_place(server->scheme, "target");
    struct daemon *daemon = serve_forward(server, quote(place.address), "", "");
    struct pair pair = connect_pair(daemon, &place);
    struct sending there = {pair.client, 1}, back = {pair.target, 2};
    pthread_t threads[3];

    assert_int_equal(pthread_create(&threads[0], NULL, send_bulk, &there), 0);
    assert_int_equal(pthread_create(&threads[1], NULL, send_bulk, &back), 0);
    struct sending arrives = {pair.target, 1};
    assert_int_equal(pthread_create(&threads[2], NULL, receive_bulk, &arrives), 0);
    assert_true(bulk_comes(pair.client, 2));
    void *came = NULL;
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(pthread_join(threads[i], &came), 0);
    assert_non_null(came);
    (void)daemon_wait_log(daemon, text_of(", %u bytes in, %u bytes out, ", BULK, BULK));
    daemon_expect_stop(daemon);
}

/* ---- nobody is sent more than he takes ------------------------------------------------------ */

/* Sends until nothing more is taken for a while. */
static size_t
send_until_full(int fd)
{
    char block[65536] = {0};
    size_t sent = 0;
    struct pollfd wanted = {.fd = fd, .events = POLLOUT};

    assert_return_code(fcntl(fd, F_SETFL, O_NONBLOCK), errno);
    while (poll(&wanted, 1, 200) > 0) {
        ssize_t put = send(fd, block, sizeof(block), MSG_NOSIGNAL);
        assert_true(put > 0 || errno == EAGAIN);
        sent += put > 0 ? (size_t)put : 0;
        assert_true(sent < 64u << 20);
    }
    assert_return_code(fcntl(fd, F_SETFL, 0), errno);
    return sent;
}

static void
a_reader_that_does_not_read_holds_up_the_writer(void **state)
{
    const struct server_case *server = *state;
    struct place place = open_place(server->scheme, "target");
    struct daemon *daemon = serve_forward(server, quote(place.address), "", "");
    pid_t worker = daemon_worker(daemon);

    for (int way = 0; way < 2; way++) {
        struct pair pair = connect_pair(daemon, &place);
        int from = way == 0 ? pair.target : pair.client;
        int to = way == 0 ? pair.client : pair.target;
        size_t before = proc_memory_kib(worker);
        size_t sent = send_until_full(from), got = 0;
        if (!SANITIZED) /* which keeps what was freed */
            assert_true(proc_memory_kib(worker) < before + 4096);
        client_half_close(from);
        client_send(to, "the other way is free");
        client_expect(from, "the other way is free");
        while (got < sent) {
            static char block[65536];
            size_t part = sent - got < sizeof(block) ? sent - got : sizeof(block);
            assert_int_equal(client_receive_bytes(to, block, part), part);
            got += part;
        }
        client_expect_end(to);
        client_close(pair.client);
        client_close(pair.target);
    }
    daemon_expect_stop(daemon);
}

/* ---- ends of another kind ------------------------------------------------------------------- */

static void
a_client_that_vanishes_is_told_to_the_target(void **state)
{
    const struct server_case *server = *state;
    struct place place = open_place("tcp", "target");
    struct daemon *daemon = serve_forward(server, quote(place.address), "", "");
    struct pair pair = connect_pair(daemon, &place);

    expect_exchange(pair, "one", "two");
    client_reset(pair.client);
    client_expect_gone(pair.target);
    (void)daemon_wait_log(daemon, ": client went away, ");
    daemon_expect_stop(daemon);
}

static void
a_target_that_fails_is_named(void **state)
{
    const struct server_case *server = *state;
    struct place place = open_place("tcp", "target");
    struct daemon *daemon = serve_forward(server, quote(place.address), "", "");
    struct pair pair = connect_pair(daemon, &place);

    expect_exchange(pair, "one", "two");
    client_reset(pair.target);
    client_expect_gone(pair.client);
    (void)daemon_wait_log(daemon,
                          text_of("%s has failed: Connection reset by peer", place.address));
    daemon_expect_stop(daemon);
}

/* A Unix socket that is closed says so in both directions at once. */
static void
a_target_that_closes_ends_a_silent_client(void **state)
{
    const struct server_case *server = *state;
    struct place place = open_place("unix", "target");
    struct daemon *daemon = serve_forward(server, quote(place.address), "", "");
    struct pair pair = connect_pair(daemon, &place);

    expect_exchange(pair, "one", "two");
    client_close(pair.target);
    client_expect_end(pair.client);
    (void)daemon_wait_log(daemon, ": forwarded to unix://");
    daemon_expect_stop(daemon);
}

static void
silence_ends_after_idle_timeout(void **state)
{
    const struct server_case *server = *state;
    struct place place = open_place("tcp", "target");
    struct daemon *daemon =
        serve_forward(server, quote(place.address), "idle_timeout = \"300ms\";", "");
    struct pair pair = connect_pair(daemon, &place);

    expect_exchange(pair, "one", "two");
    client_expect_end(pair.client);
    client_expect_end(pair.target);
    (void)daemon_wait_log(daemon, ": idle for too long, 3 bytes in, 3 bytes out, ");
    daemon_expect_stop(daemon);
}

static void
request_timeout_ends_it(void **state)
{
    const struct server_case *server = *state;
    struct place place = open_place("tcp", "target");
    struct daemon *daemon =
        serve_forward(server, quote(place.address), "", "request_timeout = \"300ms\";");
    struct pair pair = connect_pair(daemon, &place);

    client_expect_gone(pair.client);
    client_expect_end(pair.target);
    (void)daemon_wait_log(daemon, ": request_timeout is over, ");
    daemon_expect_stop(daemon);
}

static void
a_drain_lets_it_go_on_and_its_end_cuts_it(void **state)
{
    const struct server_case *server = *state;
    struct place place = open_place("tcp", "target");
    struct daemon *daemon =
        serve_forward(server, quote(place.address), "", "drain_timeout = \"1s\";");
    struct pair pair = connect_pair(daemon, &place);

    expect_exchange(pair, "one", "two");
    daemon_signal(daemon, SIGTERM);
    (void)daemon_wait_log(daemon, "SIGTERM: stopping");
    expect_exchange(pair, "still", "here");
    client_expect_gone(pair.client);
    client_expect_end(pair.target);
    daemon_expect_exit(daemon, 0);
    assert_contains(daemon_log(daemon), ": cut by the drain's deadline, ");
}

static void
a_worker_that_is_killed_takes_its_pairs_with_it(void **state)
{
    const struct server_case *server = *state;
    struct place place = open_place("tcp", "target");
    struct daemon *daemon = serve_forward(server, quote(place.address), "", "");
    struct pair pair = connect_pair(daemon, &place);
    pid_t worker = daemon_worker(daemon);

    expect_exchange(pair, "one", "two");
    assert_return_code(kill(worker, SIGKILL), errno);
    client_expect_gone(pair.client);
    client_expect_gone(pair.target);
    pair = connect_pair(daemon, &place);
    expect_exchange(pair, "three", "four");
    client_close(pair.client);
    client_close(pair.target);
    (void)daemon_stop(daemon);
}

/* ---- many ----------------------------------------------------------------------------------- */

/* Pairs that have spoken once and are silent now: 10,000 of them in the long form. */
static void
silent_pairs_cost_little(void **state)
{
    const struct server_case *server = *state;
    size_t pairs = LONG_FORM ? 10000 : 500;
    struct rlimit limit = {2 * pairs + 100, 2 * pairs + 100};
    struct rlimit before;

    assert_return_code(getrlimit(RLIMIT_NOFILE, &before), errno);
    if (before.rlim_cur < limit.rlim_cur && setrlimit(RLIMIT_NOFILE, &limit) < 0) {
        print_message("skipped: %zu descriptors are not to be had\n", (size_t)limit.rlim_cur);
        skip();
    }
    if (2 * pairs > 3900) { /* as many as a test's clients can be */
        print_message("with 1,900 pairs, as a test has no more descriptors\n");
        pairs = 1900;
    }
    struct place place = open_place("tcp", "target");
    struct daemon *daemon = serve_forward(
        server, quote(place.address), "",
        "max_connections = 12000; drain_timeout = \"50ms\"; limits = { nofile = 20000; };");
    pid_t worker = daemon_worker(daemon);
    expect_exchange(connect_pair(daemon, &place), "one", "two");
    size_t memory = proc_memory_kib(worker), descriptors = proc_fd_count(worker);
    for (size_t i = 0; i < pairs; i++)
        expect_exchange(connect_pair(daemon, &place), "one", "two");
    double each = (double)(proc_memory_kib(worker) - memory) / (double)pairs;
    print_message("%zu pairs: %.1f KiB each, %zu descriptors\n", pairs, each,
                  proc_fd_count(worker) - descriptors);
    assert_int_equal(proc_fd_count(worker) - descriptors, 2 * pairs);
#if !SANITIZED
    assert_true(each < 24);
#endif
    (void)daemon_stop(daemon);
}

RUN_TESTS(TEST_EACH_STREAM(bytes_go_both_ways_and_so_does_their_end),
          TEST_EACH_STREAM(a_target_may_end_first), TEST_EACH_STREAM(much_goes_both_ways_at_once),
          TEST_CASE(a_reader_that_does_not_read_holds_up_the_writer, "tcp", "threading"),
          TEST_CASE(a_reader_that_does_not_read_holds_up_the_writer, "tcp", "coroutine"),
          TEST_CASE(a_reader_that_does_not_read_holds_up_the_writer, "unix", "coroutine"),
          TEST_EACH_MIXIN(a_client_that_vanishes_is_told_to_the_target, "tcp"),
          TEST_EACH_MIXIN(a_target_that_fails_is_named, "tcp"),
          TEST_EACH_MIXIN(a_target_that_closes_ends_a_silent_client, "tcp"),
          TEST_EACH_MIXIN(silence_ends_after_idle_timeout, "tcp"),
          TEST_EACH_MIXIN(request_timeout_ends_it, "tcp"),
          TEST_CASE(a_drain_lets_it_go_on_and_its_end_cuts_it, "tcp", "threading"),
          TEST_CASE(a_drain_lets_it_go_on_and_its_end_cuts_it, "tcp", "forking"),
          TEST_CASE(a_drain_lets_it_go_on_and_its_end_cuts_it, "tcp", "coroutine"),
          TEST_CASE(a_worker_that_is_killed_takes_its_pairs_with_it, "tcp", "threading"),
          TEST_CASE(a_worker_that_is_killed_takes_its_pairs_with_it, "tcp", "coroutine"),
          TEST_CASE(silent_pairs_cost_little, "tcp", "coroutine"))
