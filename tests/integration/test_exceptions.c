/* SPDX-License-Identifier: MIT */
/*
 * test_exceptions.c - handlers in C++ that wait in a catch block, or while they are unwound
 */
#include <unistd.h>

#include "support/client.h"
#include "support/daemon.h"
#include "support/test.h"

#define CLIENTS 6

static struct daemon *
serve(void **state, const char *more)
{
    const struct server_case *server = *state;

    if (access(BUILD_DIR "/tests/plugins/good_throws.so", R_OK) != 0) {
        print_message("skipped: there was no C++ compiler (g++) to build good_throws.so\n");
        skip();
    }
    return daemon_serve(server->scheme, server->mixin, "good_throws", more);
}

/* All of them hold one at a time, and let go in another order. */
static void
each_rethrows_its_own(struct daemon *daemon)
{
    const char *address = daemon_address(daemon, "test");
    int clients[CLIENTS];

    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = client_connect(address);
        client_send(clients[i], text_of("catch number %d\n", i));
        client_expect(clients[i], text_of("caught number %d\n", i));
    }
    for (int i = 0; i < CLIENTS; i++) {
        client_send(clients[i], "go on\n");
        client_expect(clients[i], text_of("again number %d\n", i));
        client_send(clients[i], "count\n");
        client_expect(clients[i], "count 0\n");
    }
    client_close_all();
    daemon_expect_stop(daemon);
}

static void
a_handler_rethrows_what_it_has_caught(void **state)
{
    each_rethrows_its_own(serve(state, ""));
}

static void
each_loop_keeps_what_its_handlers_have_caught(void **state)
{
    each_rethrows_its_own(serve(state, "cpus = 3;"));
}

/* What flies in one request is none of another's. */
static void
a_handler_may_wait_while_it_is_unwound(void **state)
{
    struct daemon *daemon = serve(state, "");
    const char *address = daemon_address(daemon, "test");
    int first = client_connect(address), second = client_connect(address),
        other = client_connect(address);

    client_send(first, "fly one\n");
    client_expect(first, "flying 1\n");
    client_send(second, "fly two\n");
    client_expect(second, "flying 1\n");
    client_send(other, "count\n");
    client_expect(other, "count 0\n");
    client_send(first, "go on\n");
    client_expect(first, "flying 1\nlanded one\n");
    client_send(second, "go on\n");
    client_expect(second, "flying 1\nlanded two\n");
    client_close_all();
    daemon_expect_stop(daemon);
}

RUN_TESTS(TEST_CASE(a_handler_rethrows_what_it_has_caught, "tcp", "threading"),
          TEST_CASE(a_handler_rethrows_what_it_has_caught, "tcp", "forking"),
          TEST_CASE(a_handler_rethrows_what_it_has_caught, "tcp", "coroutine"),
          TEST_CASE(each_loop_keeps_what_its_handlers_have_caught, "unix", "coroutine"),
          TEST_CASE(a_handler_may_wait_while_it_is_unwound, "tcp", "threading"),
          TEST_CASE(a_handler_may_wait_while_it_is_unwound, "tcp", "coroutine"))
