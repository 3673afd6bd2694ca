/* SPDX-License-Identifier: MIT */
/*
 * test_forward_targets.c - the plugin `forward`: which target, and what it is told first
 */
#include "forward_fixture.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "support/command.h"
#include "support/proxy.h"
#include "support/tls.h"

/* Of a test that leaves its connections open. */
#define SOON "drain_timeout = \"50ms\";"

/* ---- those that do not answer --------------------------------------------------------------- */

static void
a_target_that_refuses_is_left_alone(void **state)
{
    const struct server_case *server = *state;
    const char *dead = nowhere(server->scheme, "dead");
    struct place place = open_place(server->scheme, "target");
    struct daemon *daemon = serve_forward(
        server, text_of("[ \"%s\", \"%s\" ]", dead, place.address), "fail_timeout = \"1h\";", "");

    for (int i = 0; i < 6; i++) {
        struct pair pair = connect_pair(daemon, &place);
        expect_exchange(pair, "one", "two");
        client_close(pair.client);
        client_close(pair.target);
    }
    (void)daemon_wait_log(daemon, text_of("%s: ", dead));
    assert_int_equal(daemon_count_log(daemon, "it is left alone for 3600 s, as long as"), 1);
    daemon_expect_stop(daemon);
}

static void
a_target_that_is_back_is_used_again(void **state)
{
    const struct server_case *server = *state;
    const char *address = nowhere("unix", "late");
    struct place other = open_place("unix", "other"), late;
    struct daemon *daemon =
        serve_forward(server, text_of("[ \"%s\", \"%s\" ]", address, other.address),
                      "fail_timeout = \"100ms\";", SOON);

    client_close(connect_pair(daemon, &other).client);
    (void)daemon_wait_log(daemon, "it is left alone for 0.1 s");
    late = open_place("unix", "late");
    WAIT_UNTIL(
        (client_close(connect_to(daemon)), daemon_count_log(daemon, "late.sock works again") > 0));
    (void)late;
    (void)daemon_stop(daemon);
}

static void
when_all_have_failed_they_are_tried_all_the_same(void **state)
{
    const struct server_case *server = *state;
    const char *first = nowhere("unix", "first"), *second = nowhere("unix", "second");
    struct daemon *daemon = serve_forward(server, text_of("[ \"%s\", \"%s\" ]", first, second),
                                          "fail_timeout = \"1h\";", "");

    client_expect_gone(connect_to(daemon));
    (void)daemon_wait_log(daemon, ": No such file or directory");
    struct place place = open_place("unix", "second");
    struct pair pair = connect_pair(daemon, &place);
    expect_exchange(pair, "one", "two");
    (void)daemon_wait_log(daemon, "second.sock works again");
    client_close(pair.client);
    client_close(pair.target);
    daemon_expect_stop(daemon);
}

/* Its queue is full: it neither answers nor refuses. */
static void
a_target_that_is_silent_costs_connect_timeout(void **state)
{
    const struct server_case *server = *state;
    struct place place = open_place(server->scheme, "target");
    const char *silent;
    int listening = client_listen(address_for(server->scheme, "silent"), 0, &silent), fd;

    (void)listening;
    for (int i = 0; i < 3; i++)
        (void)client_try_connect(silent, false, &fd);
    struct daemon *daemon =
        serve_forward(server, text_of("[ \"%s\", \"%s\" ]", silent, place.address),
                      "connect_timeout = \"300ms\";", SOON);
    expect_exchange(connect_pair(daemon, &place), "one", "two");
    (void)daemon_wait_log(daemon, text_of("%s: Connection timed out; it is left alone", silent));
    (void)daemon_stop(daemon);
}

static void
a_client_is_told_that_no_target_answers(void **state)
{
    const struct server_case *server = *state;
    const char *dead = nowhere("tcp", "");
    struct daemon *daemon = serve_forward(server, quote(dead), "", "");
    int client = connect_to(daemon);

    client_expect_gone(client);
    (void)daemon_wait_log(daemon, text_of("cannot connect to %s: Connection refused", dead));
    (void)daemon_wait_log(daemon, ": failed, 0 bytes in, 0 bytes out, ");
    daemon_expect_stop(daemon);
}

/* ---- names ---------------------------------------------------------------------------------- */

static void
a_name_is_looked_up(void **state)
{
    const struct server_case *server = *state;
    struct place place = open_place("tcp", "");
    struct daemon *daemon = serve_forward(
        server, text_of("\"tcp://localhost:%s\"", strrchr(place.address, ':') + 1), "", "");
    struct pair pair = connect_pair(daemon, &place);

    expect_exchange(pair, "one", "two");
    client_close(pair.client);
    client_expect_end(pair.target);
    client_close(pair.target);
    daemon_expect_stop(daemon);
}

static void
a_name_that_does_not_exist_is_named(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon = serve_forward(server, "\"tcp://no-such-host.invalid:80\"", "", "");

    client_expect_gone(connect_to(daemon));
    (void)daemon_wait_log(daemon, "cannot connect to tcp://no-such-host.invalid:80: ");
    daemon_expect_stop(daemon);
}

/* ---- one of several ------------------------------------------------------------------------- */

static void
clients_go_round(void **state)
{
    const struct server_case *server = *state;
    struct place a = open_place("unix", "a"), b = open_place("unix", "b");
    struct daemon *daemon =
        serve_forward(server, text_of("[ \"%s\", \"%s\" ]", a.address, b.address), "", SOON);

    for (int i = 0; i < 3; i++) {
        expect_exchange(connect_pair(daemon, &a), "one", "two");
        expect_exchange(connect_pair(daemon, &b), "one", "two");
    }
    (void)daemon_stop(daemon);
}

/* One that is served at b, and that is no longer counted there on return. */
static void
come_and_go(struct daemon *daemon, struct pair pair, size_t times)
{
    expect_exchange(pair, "one", "two");
    client_half_close(pair.client);
    client_half_close(pair.target);
    client_expect_end(pair.client);
    (void)daemon_wait_log_times(daemon, "b.sock, ", times);
}

static void
clients_go_where_fewest_are(void **state)
{
    const struct server_case *server = *state;
    struct place a = open_place("unix", "a"), b = open_place("unix", "b");
    struct daemon *daemon = serve_forward(
        server, text_of("[ \"%s\", \"%s\" ]", a.address, b.address), "balance = \"least\";", SOON);
    struct pair stays = connect_pair(daemon, &a);

    expect_exchange(stays, "one", "two");
    for (size_t i = 1; i <= 3; i++) /* a has one all the time, so b gets the others */
        come_and_go(daemon, connect_pair(daemon, &b), i);
    (void)daemon_stop(daemon);
}

/* The one at a stays, and a has failed since. While b has fewer, nobody tries a; that must not put
 * off the next attempt, once b has more. */
static void
a_failed_target_is_not_given_up_for_longer_by_others(void **state)
{
    const struct server_case *server = *state;
    struct place a = open_place("unix", "a"), b = open_place("unix", "b");
    struct daemon *daemon =
        serve_forward(server, text_of("[ \"%s\", \"%s\" ]", a.address, b.address),
                      "balance = \"least\"; fail_timeout = \"700ms\";", SOON);

    expect_exchange(connect_pair(daemon, &a), "one", "two");
    struct pair second = connect_pair(daemon, &b);
    client_close(a.fd);
    assert_return_code(unlink(a.address + strlen("unix://")), errno);
    struct pair third = connect_pair(daemon, &b); /* a is the first of two equals, and fails */
    (void)daemon_wait_log(daemon, "a.sock: No such file or directory; it is left alone for 0.7 s");
    double over = clock_now() + 0.7;
    a = open_place("unix", "a");
    come_and_go(daemon, second, 1);
    come_and_go(daemon, third, 2);
    WAIT_UNTIL(clock_now() > over);
    come_and_go(daemon, connect_pair(daemon, &b), 3);
    expect_exchange(connect_pair(daemon, &b), "one", "two"); /* a was looked at first */
    expect_exchange(connect_pair(daemon, &b), "one", "two");
    expect_exchange(connect_pair(daemon, &a), "one", "two");
    (void)daemon_wait_log(daemon, "a.sock works again");
    (void)daemon_stop(daemon);
}

/* ---- PROXY headers -------------------------------------------------------------------------- */

static unsigned
port_of(int fd, bool own)
{
    struct sockaddr_in address;
    socklen_t size = sizeof(address);

    if (own)
        assert_return_code(getsockname(fd, (struct sockaddr *)&address, &size), errno);
    else
        assert_return_code(getpeername(fd, (struct sockaddr *)&address, &size), errno);
    return ntohs(address.sin_port);
}

static void
the_client_is_announced_as_text(void **state)
{
    const struct server_case *server = *state;
    struct place place = open_place("tcp", "");
    struct daemon *daemon =
        serve_forward(server, quote(place.address), "proxy_protocol = \"v1\";", "");
    struct pair pair = connect_pair(daemon, &place);

    client_expect(pair.target, text_of("PROXY TCP4 127.0.0.1 127.0.0.1 %u %u\r\n",
                                       port_of(pair.client, true), port_of(pair.client, false)));
    expect_exchange(pair, "one", "two");
    client_close(pair.client);
    client_expect_end(pair.target);
    client_close(pair.target);
    daemon_expect_stop(daemon);
}

static void
expect_bytes(int fd, const void *expected, size_t size)
{
    char got[300];

    assert_int_equal(client_receive_bytes(fd, got, size), size);
    assert_memory_equal(got, expected, size);
}

static void
the_client_is_announced_in_binary(void **state)
{
    const struct server_case *server = *state;
    struct place place = open_place("tcp", "");
    struct daemon *daemon =
        serve_forward(server, quote(place.address), "proxy_protocol = \"v2\";", "");
    struct pair pair = connect_pair(daemon, &place);
    unsigned from = port_of(pair.client, true), to = port_of(pair.client, false);
    const unsigned char block[12] = {127,
                                     0,
                                     0,
                                     1,
                                     127,
                                     0,
                                     0,
                                     1,
                                     (unsigned char)(from >> 8),
                                     (unsigned char)from,
                                     (unsigned char)(to >> 8),
                                     (unsigned char)to};
    char header[16 + sizeof(block)];
    size_t size = proxy_header(header, PROXY_ANNOUNCE, PROXY_TCP4, block, sizeof(block));

    expect_bytes(pair.target, header, size);
    expect_exchange(pair, "one", "two");
    client_close(pair.client);
    client_expect_end(pair.target);
    client_close(pair.target);
    daemon_expect_stop(daemon);
}

static void
an_announced_client_is_announced_further(void **state)
{
    const struct server_case *server = *state;
    struct place place = open_place("tcp", "");
    struct daemon *daemon = serve_forward(server, quote(place.address), "proxy_protocol = \"v1\";",
                                          "proxy = { trusted = [ \"127.0.0.1\", \"local\" ]; };");
    int client = connect_to(daemon);

    client_send(client, "PROXY TCP6 2001:db8::7 2001:db8::1 4000 80\r\nread ahead");
    int target = client_accept(place.fd);
    client_expect(target, text_of("PROXY TCP6 2001:db8::7 ::ffff:127.0.0.1 4000 %u\r\n",
                                  port_of(client, false)));
    client_expect(target, "read ahead");
    expect_exchange((struct pair){client, target}, "one", "two");
    client_close(client);
    client_expect_end(target);
    client_close(target);
    (void)daemon_wait_log(daemon, "[2001:db8::7]:4000: forwarded to ");
    daemon_expect_stop(daemon);
}

static void
a_client_announced_to_a_unix_socket_is_announced_further(void **state)
{
    static const char *const rows[][2] = {
        {"PROXY TCP4 192.0.2.7 198.51.100.1 4000 7\r\n", "PROXY TCP4 192.0.2.7 0.0.0.0 4000 0\r\n"},
        {"PROXY TCP6 2001:db8::7 2001:db8::1 4000 80\r\n", "PROXY TCP6 2001:db8::7 :: 4000 0\r\n"},
    };
    const struct server_case *server = *state;
    struct place place = open_place("tcp", "");
    struct daemon *daemon = serve_forward(server, quote(place.address), "proxy_protocol = \"v1\";",
                                          "proxy = { trusted = [ \"127.0.0.1\", \"local\" ]; };");

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int client = connect_to(daemon);
        client_send(client, rows[i][0]);
        int target = client_accept(place.fd);
        client_expect(target, rows[i][1]);
        expect_exchange((struct pair){client, target}, "one", "two");
        client_close(client);
        client_expect_end(target);
        client_close(target);
    }
    daemon_expect_stop(daemon);
}

static void
a_unix_client_is_announced_by_its_path(void **state)
{
    const struct server_case *server = *state;
    struct place place = open_place("tcp", "");
    struct daemon *v1 = serve_forward(server, quote(place.address), "proxy_protocol = \"v1\";", "");
    struct pair pair = connect_pair(v1, &place);
    char header[16 + 216], block[216] = "";

    client_expect(pair.target, "PROXY UNKNOWN\r\n");
    expect_exchange(pair, "one", "two");
    client_close(pair.client);
    client_close(pair.target);
    daemon_expect_stop(v1);
    struct daemon *v2 = serve_forward(server, quote(place.address), "proxy_protocol = \"v2\";", "");
    pair = connect_pair(v2, &place);
    (void)snprintf(block + 108, 108, "%s", daemon_address(v2, "test") + strlen("unix://"));
    size_t size = proxy_header(header, PROXY_ANNOUNCE, PROXY_UNIX, block, sizeof(block));
    expect_bytes(pair.target, header, size);
    client_close(pair.client);
    client_close(pair.target);
    daemon_expect_stop(v2);
}

/* ---- TLS ------------------------------------------------------------------------------------ */

static void
need_tls(void)
{
    if (access(BUILD_DIR "/lib/sockserverd/tls.so", R_OK) == 0 &&
        access(CERTIFICATE_PROGRAM, X_OK) == 0)
        return;
    print_message("skipped: this build has no TLS\n");
    skip();
}

/* A daemon that encrypts for the forwarding one: client -> near -> (TLS) -> far -> echo. */
static struct daemon *
serve_both(const struct server_case *server, const char *options)
{
    const char *name = test_path("own");

    need_tls();
    TLS_MAKE(name, "ec", "localhost", "-1", "30", "-", "DNS:localhost");
    assert_return_code(chmod(test_folder(), 0755), errno);
    struct daemon *far =
        daemon_start("listeners = {\n%s};",
                     listener_text("far", "tcp", "coroutine", "echo",
                                   text_of("tls = { certificate = \"%s.pem\"; key = \"%s.key\"; };",
                                           name, name)));
    const char *port = strrchr(daemon_address(far, "far"), ':') + 1;
    assert_return_code(chmod(text_of("%s.pem", name), 0644), errno);
    return serve_forward(server, text_of("\"tcp://localhost:%s\"", port),
                         text_of("tls = true; %s", options), "");
}

static void
the_target_is_spoken_to_with_tls(void **state)
{
    struct daemon *near = serve_both(*state, text_of("tls_ca = \"%s.pem\";", test_path("own")));
    int client = connect_to(near);
    char *sent = keep(malloc(400000)), *got = keep(malloc(400000));

    for (size_t i = 0; i < 400000; i++)
        sent[i] = (char)(i * 31 + i / 257);
    for (size_t i = 0; i < 400000; i += 50000) {
        client_send_bytes(client, sent + i, 50000);
        assert_int_equal(client_receive_bytes(client, got + i, 50000), 50000);
    }
    assert_memory_equal(sent, got, 400000);
    client_half_close(client);
    client_expect_end(client);
    (void)daemon_wait_log(near, ", 400000 bytes in, 400000 bytes out, ");
    daemon_expect_stop(near);
}

static void
a_certificate_that_nobody_trusts_is_refused(void **state)
{
    struct daemon *near = serve_both(*state, "");

    client_expect_gone(connect_to(near));
    (void)daemon_wait_log(near, ": its certificate is refused: self-signed certificate");
    daemon_expect_stop(near);
}

static void
a_certificate_for_another_name_is_refused(void **state)
{
    struct daemon *near = serve_both(
        *state, text_of("tls_ca = \"%s.pem\"; tls_name = \"other.example\";", test_path("own")));

    client_expect_gone(connect_to(near));
    (void)daemon_wait_log(near, ": its certificate is refused: hostname mismatch");
    daemon_expect_stop(near);
}

/* ---- mistakes ------------------------------------------------------------------------------- */

static void
mistakes_are_explained(void **state)
{
    static const struct {
        const char *scheme, *mixin, *options, *said;
    } rows[] = {
        {"tcp", "threading", "to = \"udp://127.0.0.1:7\";",
         "options.to: \"udp://127.0.0.1:7\": this listener has connections, so its targets are"},
        {"udp", "threading", "to = \"tcp://127.0.0.1:7\";",
         "options.to: \"tcp://127.0.0.1:7\": this listener has datagrams, so its targets are"},
        {"tcp", "threading", "to = \"127.0.0.1:7\";", "it must begin with tcp://, unix:, udp://"},
        {"tcp", "threading", "to = \"tcp://*:7\";", "a target is one host"},
        {"tcp", "threading", "to = \"tcp://::1:7\";", "an IPv6 address stands in brackets"},
        {"tcp", "threading", "to = \"tcp://[::1:7\";", "an IPv6 address stands in brackets"},
        {"tcp", "threading", "to = \"tcp://[]:7\";", "an IPv6 address stands in brackets"},
        {"tcp", "threading", "to = \"tcp://[::1]x:7\";", "an IPv6 address stands in brackets"},
        {"tcp", "threading", "to = \"tcp://[::1]:7:7\";", "an IPv6 address stands in brackets"},
        {"tcp", "threading", "to = \"tcp://a b:7\";", "neither spaces nor"},
        {"tcp", "threading", "to = \"tcp://localhost\";", "it must be HOST:PORT behind"},
        {"tcp", "threading", "to = \"tcp://localhost:70000\";", "the port must be 1 to 65535"},
        {"tcp", "threading", "to = \"unix:relative\";", "it must be \"///PATH\" or \"@NAME\""},
        {"tcp", "threading", "to = \"unix:///a\"; balance = \"best\";",
         "options.balance: found \"best\"; expected \"round\" or \"least\""},
        {"tcp", "threading", "to = \"unix:///a\"; proxy_protocol = \"v3\";",
         "options.proxy_protocol: found \"v3\"; expected \"none\", \"v1\" or \"v2\"; did you mean"},
        {"tcp", "threading", "to = \"unix:///a\"; tls = true;", "set tls_name"},
        {"tcp", "threading", "to = \"tcp://a:1\"; tls_name = \"a\";",
         "options.tls_name: it has no meaning without `tls = true`"},
        {"tcp", "threading", "to = \"tcp://a:1\"; tls = true; tls_ca = \"/no/such\";",
         "options.tls_ca: /no/such: No such file or directory; name a file"},
        {"tcp", "threading", "to = \"tcp://a:1\"; tls = true; tls_ca = \"/dev/zero\";",
         "options.tls_ca: /dev/zero: Invalid argument; name a file"},
        {"udp", "forking", "to = \"udp://127.0.0.1:7\";",
         "datagrams are forwarded under the mixins"},
        {"udp", "none", "to = \"udp://127.0.0.1:7\";", "datagrams are forwarded under the mixins"},
        {"udp", "coroutine", "to = \"udp://127.0.0.1:7\"; tls = true;", "there is no DTLS"},
        {"udp", "coroutine", "to = \"udp://127.0.0.1:7\"; proxy_protocol = \"v2\";",
         "PROXY headers are for connections"},
        {"udp", "coroutine", "to = \"udp://127.0.0.1:7\"; max_sessions = 1000000;",
         "it must be less than max_connections"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *file = daemon_configuration(
            "listeners = {\n%s};", listener_text("test", rows[i].scheme, rows[i].mixin, "forward",
                                                 text_of("options = { %s };", rows[i].options)));
        assert_contains(COMMAND("", "--check", "-c", file).errors, rows[i].said);
    }
}

RUN_TESTS(TEST_EACH_STREAM(a_target_that_refuses_is_left_alone),
          TEST_CASE(a_target_that_is_back_is_used_again, "tcp", "threading"),
          TEST_CASE(a_target_that_is_back_is_used_again, "tcp", "forking"),
          TEST_CASE(when_all_have_failed_they_are_tried_all_the_same, "tcp", "coroutine"),
          TEST_CASE(when_all_have_failed_they_are_tried_all_the_same, "tcp", "forking"),
          TEST_EACH_STREAM(a_target_that_is_silent_costs_connect_timeout),
          TEST_EACH_MIXIN(a_client_is_told_that_no_target_answers, "tcp"),
          TEST_EACH_MIXIN(a_name_is_looked_up, "tcp"),
          TEST_EACH_MIXIN(a_name_that_does_not_exist_is_named, "tcp"),
          TEST_CASE(clients_go_round, "tcp", "threading"),
          TEST_CASE(clients_go_round, "tcp", "coroutine"),
          TEST_CASE(clients_go_where_fewest_are, "tcp", "forking"),
          TEST_CASE(clients_go_where_fewest_are, "tcp", "coroutine"),
          TEST_CASE(a_failed_target_is_not_given_up_for_longer_by_others, "tcp", "coroutine"),
          TEST_EACH_MIXIN(the_client_is_announced_as_text, "tcp"),
          TEST_EACH_MIXIN(the_client_is_announced_in_binary, "tcp"),
          TEST_EACH_MIXIN(an_announced_client_is_announced_further, "tcp"),
          TEST_CASE(a_client_announced_to_a_unix_socket_is_announced_further, "unix", "coroutine"),
          TEST_CASE(a_unix_client_is_announced_by_its_path, "unix", "coroutine"),
          TEST_EACH_MIXIN(the_target_is_spoken_to_with_tls, "tcp"),
          TEST_CASE(a_certificate_that_nobody_trusts_is_refused, "tcp", "threading"),
          TEST_CASE(a_certificate_for_another_name_is_refused, "tcp", "coroutine"),
          TEST(mistakes_are_explained))
