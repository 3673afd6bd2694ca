/* SPDX-License-Identifier: MIT */
/*
 * test_servers.c - four servers, four mixins: addresses, sockets and who is served when
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <unistd.h>

#include "support/client.h"
#include "support/daemon.h"
#include "support/proc.h"
#include "support/test.h"

static struct daemon *
serve(void **state, const char *plugin, const char *more)
{
    const struct server_case *server = *state;

    return daemon_serve(server->scheme, server->mixin, plugin, more);
}

static void
c01_to_c12_and_c73_to_c76_serves_three_clients_in_turn(void **state)
{
    struct daemon *daemon = serve(state, "upper", "");
    const char *address = daemon_address(daemon, "test");

    assert_string_equal(client_ask(address, "Hello World 1\n"), "HELLO WORLD 1\n");
    assert_string_equal(client_ask(address, "Hello World 2\n"), "HELLO WORLD 2\n");
    assert_string_equal(client_ask(address, "Hello World 3\n"), "HELLO WORLD 3\n");
    daemon_expect_stop(daemon);
}

static void
c14_reports_its_real_address(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon = serve(state, "good_command", "");
    const char *address = daemon_address(daemon, "test");
    const char *expected = strncmp(server->scheme, "unix", 4) == 0
                               ? address_for(server->scheme, "test")
                               : text_of("%s://127.0.0.1:", server->scheme);

    assert_starts(address, expected);
    assert_lacks(text_of("%s|", address), ":0|");
    assert_string_equal(client_ask(address, "address\n"), text_of("address %s\n", address));
    assert_string_equal(client_ask(address, "name\n"), "name test\n");
    daemon_expect_stop(daemon);
}

static void
listening_line_names_mixin_and_plugin(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon = serve(state, "good_command", "");

    (void)daemon_wait_log(daemon, text_of(" (%s, good_command.so)", server->mixin));
    daemon_expect_stop(daemon);
}

static void
c16_closes_before_the_first_request(void **state)
{
    struct daemon *daemon = serve(state, "upper", "");

    daemon_expect_stop(daemon);
}

/* Whether the address can be bound by somebody else, as the daemon does (SO_REUSEADDR). */
static bool
can_bind(const char *address)
{
    struct sockaddr_storage place;
    socklen_t size = client_resolve(address, &place);
    int fd = socket(place.ss_family, address[0] == 't' ? SOCK_STREAM : SOCK_DGRAM, 0);
    bool bound;

    assert_return_code(fd, errno);
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    bound = bind(fd, (struct sockaddr *)&place, size) == 0;
    (void)close(fd);
    return bound;
}

static void
c18_closing_frees_the_address(void **state)
{
    struct daemon *daemon = serve(state, "upper", "");
    const char *address = daemon_address(daemon, "test");

    if (strncmp(address, "unix", 4) == 0)
        assert_return_code(access(test_path("test.sock"), F_OK), errno);
    daemon_expect_stop(daemon);
    if (strncmp(address, "unix", 4) == 0)
        assert_int_equal(access(test_path("test.sock"), F_OK), -1);
    assert_true(can_bind(address));
}

static void
c18_a_stopped_listener_gives_its_descriptors_back(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon =
        daemon_start("listeners = {\n%s%s};", listener_text("stays", "unix", "none", "upper", ""),
                     listener_text("goes", server->scheme, server->mixin, "good_command", ""));
    const char *goes = daemon_address(daemon, "goes");
    const char *stays = daemon_address(daemon, "stays");
    size_t before = proc_fd_count(daemon_pid(daemon));

    assert_string_equal(client_ask(goes, "stop\n"), "stopping\n");
    WAIT_UNTIL(proc_child_count(daemon_pid(daemon)) == 1);
    WAIT_UNTIL(proc_fd_count(daemon_pid(daemon)) < before);
    WAIT_UNTIL(strncmp(goes, "unix", 4) != 0 || access(test_path("goes.sock"), F_OK) < 0);
    WAIT_UNTIL(can_bind(goes));
    assert_string_equal(client_ask(stays, "still here\n"), "STILL HERE\n");
    daemon_expect_stop(daemon);
}

static void
c63_nodelay_is_set_on_tcp_and_ignored_on_unix(void **state)
{
    struct daemon *daemon = serve(state, "good_command", "");
    const char *address = daemon_address(daemon, "test");
    const char *answer = client_ask(address, "nodelay\n");

    if (address[0] == 't')
        assert_string_equal(answer, "nodelay 1\n");
    else
        assert_string_equal(answer, text_of("error %d\n", -EOPNOTSUPP));
    daemon_expect_stop(daemon);
}

static void
c63_nodelay_can_be_switched_off(void **state)
{
    struct daemon *daemon = daemon_serve("tcp", "threading", "good_command", "nodelay = false;");

    (void)state;
    assert_string_equal(client_ask(daemon_address(daemon, "test"), "nodelay\n"), "nodelay 0\n");
    daemon_expect_stop(daemon);
}

/* Has the server close first, so that the port lingers in TIME_WAIT; its address. */
static const char *
leave_time_wait(void)
{
    struct daemon *daemon = daemon_serve("tcp", "none", "good_command", "");
    const char *address = daemon_address(daemon, "test");
    int client = client_connect(address);

    client_send(client, "quit\n");
    client_expect_end(client);
    client_close(client);
    daemon_expect_stop(daemon);
    return address;
}

static void
c64_restarts_at_once_on_the_same_port(void **state)
{
    const char *address = leave_time_wait();
    struct daemon *daemon =
        daemon_start("listeners = { test = { address = \"%s\"; plugin = \"upper\"; }; };", address);

    (void)state;
    assert_string_equal(daemon_address(daemon, "test"), address);
    assert_string_equal(client_ask(address, "again\n"), "AGAIN\n");
    daemon_expect_stop(daemon);
}

static void
c64_without_reuse_address_time_wait_is_in_the_way(void **state)
{
    const char *address = leave_time_wait();
    struct daemon *daemon = daemon_start("listeners = { test = { address = \"%s\"; plugin = "
                                         "\"upper\"; reuse_address = false; }; };",
                                         address);

    (void)state;
    (void)daemon_wait_log(daemon, "Address already in use");
    daemon_expect_stop(daemon);
}

static void
c65_two_daemons_share_a_port(void **state)
{
    struct daemon *first = daemon_serve("tcp", "none", "good_command", "reuse_port = true;");
    const char *address = daemon_address(first, "test");
    struct daemon *second = daemon_start("listeners = { test = { address = \"%s\"; plugin = "
                                         "\"good_command\"; reuse_port = true; }; };",
                                         address);
    const char *one, *other;

    (void)state;
    assert_string_equal(daemon_address(second, "test"), address);
    one = client_ask(address, "pid\n");
    WAIT_UNTIL((other = client_ask(address, "pid\n")) && strcmp(one, other) != 0);
    daemon_expect_stop(first);
    daemon_expect_stop(second);
}

static void
c67_a_disabled_listener_is_not_bound(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon = daemon_start(
        "listeners = {\n%s%s};",
        listener_text("off", server->scheme, server->mixin, "upper", "enabled = false;"),
        listener_text("on", server->scheme, server->mixin, "upper", ""));

    assert_string_equal(client_ask(daemon_address(daemon, "on"), "on\n"), "ON\n");
    assert_int_equal(proc_child_count(daemon_pid(daemon)), 1);
    assert_lacks(daemon_log(daemon), "sockserverd[off]: listening");
    assert_int_equal(access(test_path("off.sock"), F_OK), -1);
    daemon_expect_stop(daemon);
}

static void
c68_without_a_mixin_the_second_client_waits(void **state)
{
    struct daemon *daemon = serve(state, "good_command", "");
    const char *address = daemon_address(daemon, "test");
    int first = client_connect(address), second = client_connect(address);

    client_send(first, "echo one\n");
    client_expect(first, "one\n");
    client_send(second, "echo two\n");
    assert_false(client_readable(second, 0.2));
    client_close(first);
    client_expect(second, "two\n");
    client_close(second);
    daemon_expect_stop(daemon);
}

static void
with_a_mixin_the_second_client_is_served_beside_the_first(void **state)
{
    struct daemon *daemon = serve(state, "good_command", "");
    const char *address = daemon_address(daemon, "test");
    int first = client_connect(address), second = client_connect(address);

    client_send(first, "echo one\n");
    client_expect(first, "one\n");
    client_send(second, "echo two\n");
    client_expect(second, "two\n");
    client_send(first, "echo three\n");
    client_expect(first, "three\n");
    client_close(first);
    client_close(second);
    daemon_expect_stop(daemon);
}

static void
c69_request_data_is_private_and_listener_data_is_shared(void **state)
{
    const struct server_case *server = *state;
    bool forking = strcmp(server->mixin, "forking") == 0;
    struct daemon *daemon = serve(state, "good_command", "");
    const char *address = daemon_address(daemon, "test");

    assert_string_equal(client_ask(address, "shared\n"), "shared 1\n");
    assert_string_equal(client_ask(address, "shared\n"), forking ? "shared 1\n" : "shared 2\n");
    assert_string_equal(client_ask(address, "shared\n"), forking ? "shared 1\n" : "shared 3\n");
    assert_string_equal(client_ask(address, "data mine\ndata\n"), "data mine\ndata mine\n");
    assert_string_equal(client_ask(address, "data\n"), "data \n");
    daemon_expect_stop(daemon);
}

static void
c51_unix_peer_is_known_by_its_credentials(void **state)
{
    struct daemon *daemon = serve(state, "good_command", "");
    const char *address = daemon_address(daemon, "test");

    assert_string_equal(client_ask(address, "credentials\n"),
                        text_of("credentials %d %u %u\n", (int)getpid(), getuid(), getgid()));
    assert_string_equal(client_ask(address, "client\nsockaddr\n"),
                        text_of("client pid %d uid %u\nsockaddr %d %zu\n", (int)getpid(), getuid(),
                                AF_UNIX, sizeof(sa_family_t)));
    daemon_expect_stop(daemon);
}

static void
tcp_and_udp_clients_are_known_by_their_address(void **state)
{
    struct daemon *daemon = serve(state, "good_command", "");
    const char *address = daemon_address(daemon, "test");
    struct sockaddr_in own;
    socklen_t size = sizeof own;
    int client = client_connect(address);

    assert_return_code(getsockname(client, (struct sockaddr *)&own, &size), errno);
    client_send(client, "client\nsockaddr\n");
    assert_string_equal(client_receive(client), text_of("client 127.0.0.1:%u\nsockaddr %d %zu\n",
                                                        ntohs(own.sin_port), AF_INET, sizeof own));
    client_close(client);
    assert_string_equal(client_ask(address, "credentials\n"), text_of("error %d\n", -ENOTSUP));
    daemon_expect_stop(daemon);
}

static void
worker_names_say_listener_and_mixin(void **state)
{
    const struct server_case *server = *state;
    const char *name = strcmp(server->mixin, "none") == 0        ? "worker test-main\n"
                       : strcmp(server->mixin, "threading") == 0 ? "worker test-thread-"
                       : strcmp(server->mixin, "coroutine") == 0 ? "worker test-coroutine-"
                                                                 : "worker test-child-";
    struct daemon *daemon = serve(state, "good_command", "");

    assert_starts(client_ask(daemon_address(daemon, "test"), "worker\n"), name);
    daemon_expect_stop(daemon);
}

static bool
have_ipv6(void)
{
    const struct sockaddr_in6 loopback = {.sin6_family = AF_INET6,
                                          .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    bool have = fd >= 0 && bind(fd, (const struct sockaddr *)&loopback, sizeof loopback) == 0;

    if (fd >= 0)
        (void)close(fd);
    return have;
}

static void
serves_ipv6(void **state)
{
    struct daemon *daemon;
    const char *address;

    (void)state;
    if (!have_ipv6()) {
        print_message("no IPv6 loopback here\n");
        skip();
    }
    daemon = daemon_start("listeners = { t = { address = \"tcp://[::1]:0\"; plugin = \"upper\"; };"
                          " u = { address = \"udp://[::1]:0\"; plugin = \"upper\"; }; };");
    address = daemon_address(daemon, "t");
    assert_starts(address, "tcp://[::1]:");
    assert_string_equal(client_ask(address, "six\n"), "SIX\n");
    assert_string_equal(client_ask(daemon_address(daemon, "u"), "six\n"), "SIX\n");
    daemon_expect_stop(daemon);
}

static void
a_star_serves_ipv4_and_ipv6(void **state)
{
    struct daemon *daemon = daemon_start("listeners = { test = { address = \"tcp://*:0\"; plugin = "
                                         "\"good_command\"; mixin = \"threading\"; }; };");
    const char *port = strrchr(daemon_address(daemon, "test"), ':') + 1;
    const char *four = text_of("tcp://127.0.0.1:%s", port);
    const char *six = text_of("tcp://[::1]:%s", port);

    (void)state;
    assert_starts(client_ask(four, "client\n"), "client 127.0.0.1:");
    if (!have_ipv6()) {
        print_message("skipped: no IPv6 loopback here\n");
        skip();
    }
    assert_starts(client_ask(six, "client\n"), "client [::1]:");
    daemon_expect_stop(daemon);
}

static void
serves_abstract_unix_names(void **state)
{
    const char *name = text_of("@sockserverd-test-%d", (int)getpid());
    struct daemon *daemon =
        daemon_start("listeners = { s = { address = \"unix:%s-s\"; plugin = \"upper\"; };"
                     " d = { address = \"unixgram:%s-d\"; plugin = \"upper\"; }; };",
                     name, name);

    (void)state;
    assert_string_equal(daemon_address(daemon, "s"), text_of("unix:%s-s", name));
    assert_string_equal(client_ask(daemon_address(daemon, "s"), "abstract\n"), "ABSTRACT\n");
    assert_string_equal(client_ask(daemon_address(daemon, "d"), "abstract\n"), "ABSTRACT\n");
    daemon_expect_stop(daemon);
}

RUN_TESTS(TEST_EACH_SERVER(c01_to_c12_and_c73_to_c76_serves_three_clients_in_turn),
          TEST_EACH_SERVER(c14_reports_its_real_address),
          TEST_EACH_MIXIN(listening_line_names_mixin_and_plugin, "tcp"),
          TEST_EACH_SERVER(c16_closes_before_the_first_request),
          TEST_EACH_SERVER(c18_closing_frees_the_address),
          TEST_EACH_SERVER(c18_a_stopped_listener_gives_its_descriptors_back),
          TEST_EACH_STREAM(c63_nodelay_is_set_on_tcp_and_ignored_on_unix),
          TEST(c63_nodelay_can_be_switched_off), TEST(c64_restarts_at_once_on_the_same_port),
          TEST(c64_without_reuse_address_time_wait_is_in_the_way),
          TEST(c65_two_daemons_share_a_port),
          TEST_EACH_SERVER(c67_a_disabled_listener_is_not_bound),
          TEST_CASE(c68_without_a_mixin_the_second_client_waits, "tcp", "none"),
          TEST_CASE(c68_without_a_mixin_the_second_client_waits, "unix", "none"),
          TEST_CASE(with_a_mixin_the_second_client_is_served_beside_the_first, "tcp", "threading"),
          TEST_CASE(with_a_mixin_the_second_client_is_served_beside_the_first, "tcp", "forking"),
          TEST_CASE(with_a_mixin_the_second_client_is_served_beside_the_first, "tcp", "coroutine"),
          TEST_CASE(with_a_mixin_the_second_client_is_served_beside_the_first, "unix", "threading"),
          TEST_CASE(with_a_mixin_the_second_client_is_served_beside_the_first, "unix", "coroutine"),
          TEST_CASE(with_a_mixin_the_second_client_is_served_beside_the_first, "unix", "forking"),
          TEST_EACH_STREAM(c69_request_data_is_private_and_listener_data_is_shared),
          TEST_EACH_MIXIN(c51_unix_peer_is_known_by_its_credentials, "unix"),
          TEST_EACH_MIXIN(tcp_and_udp_clients_are_known_by_their_address, "tcp"),
          TEST_EACH_MIXIN(tcp_and_udp_clients_are_known_by_their_address, "udp"),
          TEST_EACH_SERVER(worker_names_say_listener_and_mixin), TEST(serves_ipv6),
          TEST(a_star_serves_ipv4_and_ipv6), TEST(serves_abstract_unix_names))
