/* SPDX-License-Identifier: MIT */
/*
 * test_abi.c - plugins that were built against earlier headers are served as ever
 */
#include "support/client.h"
#include "support/command.h"
#include "support/daemon.h"
#include "support/test.h"

static void
the_first_header_is_served(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon = daemon_serve(server->scheme, server->mixin, "good_abi1",
                                         "options = { greeting = \"hi\"; limit = 10; };");
    const char *address = daemon_address(daemon, "test");

    assert_string_equal(client_ask(address, "12345\n"), "hi 6 activate setup\n");
    daemon_expect_stop(daemon);
}

static void
the_second_header_is_served(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon = daemon_serve(server->scheme, server->mixin, "good_abi2", "");

    assert_string_equal(client_ask(daemon_address(daemon, "test"), "hello\n"),
                        "hello all is well\nrelayed\n");
    assert_lacks(daemon_log(daemon), "does not do what it did");
    daemon_expect_stop(daemon);
}

static void
datagrams_are_served_by_the_second_header(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon = daemon_serve(server->scheme, server->mixin, "good_abi2", "");
    int client = client_connect(daemon_address(daemon, "test"));

    client_send(client, "hello");
    client_expect(client, "one");
    client_expect(client, "two");
    daemon_expect_stop(daemon);
}

static void
its_own_judgement_is_asked_for(void **state)
{
    const char *file = daemon_configuration(
        "listeners = {\n%s};",
        listener_text("test", "tcp", "threading", "good_abi2", "options = { count = 13; };"));
    struct outcome outcome = COMMAND("", "--check", "-c", file);

    (void)state;
    assert_int_equal(outcome.status, 78);
    assert_contains(outcome.errors, "listeners.test.options.count: 13 brings bad luck");
}

RUN_TESTS(TEST_EACH_MIXIN(the_first_header_is_served, "tcp"),
          TEST_EACH_MIXIN(the_first_header_is_served, "udp"),
          TEST_EACH_STREAM(the_second_header_is_served),
          TEST_EACH_DATAGRAM(datagrams_are_served_by_the_second_header),
          TEST(its_own_judgement_is_asked_for))
