/* SPDX-License-Identifier: MIT */
/*
 * test_example_proxy.c - examples/proxy, between nc or curl and servers behind it
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "support/client.h"
#include "support/command.h"
#include "support/daemon.h"
#include "support/test.h"

#define PLUGIN BUILD_DIR "/examples/proxy.so"

static struct daemon *
serve_proxy(const struct server_case *server, const char *to)
{
    struct daemon *daemon = daemon_start(
        "log = { target = \"stderr\"; access = true; };\nlisteners = {\n%s};",
        listener_text("test", server->scheme, server->mixin, PLUGIN,
                      text_of("options = { to = \"%s\"; }; drain_timeout = \"10s\";", to)));

    (void)daemon_address(daemon, "test");
    return daemon;
}

static const struct server_case coroutine = {"tcp", "coroutine"};

static const char *
port_of(struct daemon *daemon)
{
    return strrchr(daemon_address(daemon, "test"), ':') + 1;
}

static void
netcat_is_answered(void **state)
{
    const char *nc = need_program("nc");
    struct daemon *target = daemon_serve("tcp", "threading", "upper", "");
    struct daemon *daemon = serve_proxy(*state, daemon_address(target, "test"));
    struct outcome outcome = command_run(
        nc, "hello\nworld\n", (const char *const[]){"-N", "127.0.0.1", port_of(daemon), NULL});

    assert_string_equal(outcome.output, "HELLO\nWORLD\n");
    assert_contains(daemon_wait_log(daemon, "bytes in"),
                    text_of(": %s, 12 bytes in, 12 bytes out, ", daemon_address(target, "test")));
    daemon_expect_stop(daemon);
    daemon_expect_stop(target);
}

static void
curl_gets_a_page(void **state)
{
    const char *curl = need_program("curl");

    if (access(SHIPPED_PLUGINS "/http.so", R_OK) < 0) {
        print_message("skipped: plugins/http.so was not built\n");
        skip();
    }
    char *page = keep(malloc(200001));
    memset(page, 'x', 200000);
    page[200000] = '\0';
    (void)test_file("page", page);
    struct daemon *target = daemon_serve("tcp", "threading", "http",
                                         text_of("options = { root = \"%s\"; };", test_folder()));
    struct daemon *daemon = serve_proxy(*state, daemon_address(target, "test"));
    const char *url = text_of("http://127.0.0.1:%s/page", port_of(daemon));
    struct outcome outcome = command_run(curl, "", (const char *const[]){"-sS", url, url, NULL});
    assert_string_equal(outcome.errors, "");
    assert_string_equal(outcome.output, text_of("%s%s", page, page));
    daemon_expect_stop(daemon);
    daemon_expect_stop(target);
}

static void
each_direction_has_its_own_end(void **state)
{
    const char *address;
    int listener = client_listen("tcp://127.0.0.1:0", 1, &address);
    struct daemon *daemon = serve_proxy(*state, address);
    int client = client_connect(daemon_address(daemon, "test")), target = client_accept(listener);

    client_send(client, "a question");
    client_half_close(client);
    client_expect(target, "a question");
    client_expect_end(target);
    client_send(target, "an answer");
    client_expect(client, "an answer");
    client_close(target);
    client_expect_end(client);
    daemon_expect_stop(daemon);
}

static void
a_drain_lets_it_end(void **state)
{
    const char *address;
    int listener = client_listen("tcp://127.0.0.1:0", 1, &address);
    struct daemon *daemon = serve_proxy(*state, address);
    int client = client_connect(daemon_address(daemon, "test")), target = client_accept(listener);

    daemon_signal(daemon, SIGTERM);
    (void)daemon_wait_log(daemon, "stopping");
    client_send(client, "a question");
    client_expect(target, "a question");
    client_send(target, "an answer");
    client_close(target);
    client_expect(client, "an answer");
    client_close(client);
    daemon_expect_exit(daemon, 0);
}

static void
a_target_that_is_not_there_is_named(void **state)
{
    const char *address;

    (void)state;
    client_close(client_listen("tcp://127.0.0.1:0", 1, &address));
    struct daemon *daemon = serve_proxy(&coroutine, address);
    client_expect_end(client_connect(daemon_address(daemon, "test")));
    (void)daemon_wait_log(daemon, text_of("cannot pass it on to %s: Connection refused", address));
    daemon_expect_stop(daemon);
}

RUN_TESTS(TEST_EACH_MIXIN(netcat_is_answered, "tcp"), TEST_EACH_MIXIN(curl_gets_a_page, "tcp"),
          TEST_EACH_MIXIN(each_direction_has_its_own_end, "tcp"),
          TEST_EACH_MIXIN(a_drain_lets_it_end, "tcp"), TEST(a_target_that_is_not_there_is_named))
