/* SPDX-License-Identifier: MIT */
/*
 * test_once.c - sockserverd --once: one request per listener, then the end
 */
#include <unistd.h>

#include "support/client.h"
#include "support/daemon.h"
#include "support/test.h"

static struct daemon *
serve_once(void **state, const char *more)
{
    const struct server_case *server = *state;
    const char *listener = listener_text("test", server->scheme, server->mixin, "good_hooks", more);

    return DAEMON_RUN("--once", "-c", daemon_configuration("listeners = {\n%s};", listener));
}

static void
c38_once_gives_up_after_the_timeout(void **state)
{
    struct daemon *daemon = serve_once(state, "timeout = \"150ms\";");

    daemon_expect_exit(daemon, 0);
    assert_int_equal(daemon_count_log(daemon, "hook handle_timeout"), 1);
    assert_int_equal(daemon_count_log(daemon, "hook handle\n"), 0);
    assert_int_equal(daemon_count_log(daemon, "hook server_close"), 1);
}

static void
c38_once_serves_one_request_and_returns(void **state)
{
    struct daemon *daemon = serve_once(state, "timeout = \"60s\";");

    assert_string_equal(client_ask(daemon_address(daemon, "test"), "hello\n"), "hello\n");
    daemon_expect_exit(daemon, 0);
    assert_int_equal(daemon_count_log(daemon, "hook handle\n"), 1);
    assert_int_equal(daemon_count_log(daemon, "hook handle_timeout"), 0);
    assert_int_equal(daemon_count_log(daemon, "hook server_close"), 1);
}

static void
once_serves_no_second_request(void **state)
{
    struct daemon *daemon = serve_once(state, "");
    const char *address = daemon_address(daemon, "test");
    int first = client_connect(address), second = client_connect(address);

    client_send(first, "first\n");
    client_expect(first, "first\n");
    client_send(second, "second\n");
    assert_false(client_readable(second, 0.1));
    client_close(first);
    client_expect_gone(second);
    daemon_expect_exit(daemon, 0);
    assert_int_equal(daemon_count_log(daemon, "hook handle\n"), 1);
}

static void
once_waits_for_one_request_of_each_listener(void **state)
{
    const char *listeners = text_of("%s%s", listener_text("one", "tcp", "none", "upper", ""),
                                    listener_text("two", "udp", "threading", "upper", ""));
    struct daemon *daemon =
        DAEMON_RUN("--once", "-c", daemon_configuration("listeners = {\n%s};", listeners));
    const char *two = daemon_address(daemon, "two");

    (void)state;
    assert_string_equal(client_ask(daemon_address(daemon, "one"), "one\n"), "ONE\n");
    assert_string_equal(client_ask(two, "two\n"), "TWO\n");
    daemon_expect_exit(daemon, 0);
}

/* A request that ended badly was a request. */
static void
once_ends_however_its_request_did(void **state)
{
    static const struct {
        const char *mixin, *command;
    } rows[] = {{"forking", "exit 0\n"},
                {"forking", "_exit 3\n"},
                {"forking", "abort\n"},
                {"forking", "pthread_exit\n"},
                {"threading", "pthread_exit\n"}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *listener = listener_text("test", "tcp", rows[i].mixin, "good_command", "");
        struct daemon *daemon =
            DAEMON_RUN("--once", "-c", daemon_configuration("listeners = {\n%s};", listener));

        assert_string_equal(client_ask(daemon_address(daemon, "test"), rows[i].command), "");
        assert_int_equal(daemon_wait_exit(daemon), 0);
    }
}

RUN_TESTS(TEST_EACH_SERVER(c38_once_gives_up_after_the_timeout),
          TEST_EACH_SERVER(c38_once_serves_one_request_and_returns),
          TEST_EACH_STREAM(once_serves_no_second_request),
          TEST(once_waits_for_one_request_of_each_listener),
          TEST(once_ends_however_its_request_did))
