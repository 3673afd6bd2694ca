/* SPDX-License-Identifier: MIT */
/*
 * test_forward_reload.c - the plugin `forward` under load, while its listener changes
 */
#include "forward_fixture.h"

#include "reload_fixture.h"
#include "support/load.h"

static const char *
forward_text(const char *scheme, const char *mixin, const char *to, const char *more)
{
    return listener_text("test", scheme, mixin, "forward",
                         text_of("options = { to = %s; };\n%s", to, more));
}

static void
listeners_and_targets_change_without_a_lost_client(void **state)
{
    static const char *const mixins[] = {"none", "coroutine", "threading", "forking", "coroutine"};
    const struct server_case *server = *state;
    struct daemon *near, *far;
    struct load *load;

    far =
        daemon_start("listeners = {\n%s%s};", listener_text("one", "tcp", "coroutine", "echo", ""),
                     listener_text("two", "tcp", "threading", "echo", ""));
    const char *one = daemon_address(far, "one"), *two = daemon_address(far, "two");
    const char *dead = nowhere("tcp", "");
    near = SERVE("listeners = {\n%s};", forward_text(server->scheme, "forking", quote(one), ""));
    load = load_start(daemon_address(near, "test"), 3, "");
    for (size_t i = 0; i < sizeof(mixins) / sizeof(mixins[0]); i++) {
        REWRITE("listeners = {\n%s};",
                forward_text(server->scheme, mixins[i],
                             text_of("[ \"%s\", \"%s\", \"%s\" ]", dead, i % 2 ? one : two, one),
                             ""));
        reload(near);
        load_wait_more(load, 20);
    }
    load_stop(load);
    load_expect_answered(load, 100);
    daemon_expect_stop(near);
    daemon_expect_stop(far);
}

/* A pair that is in use when its listener gets a new generation goes on. */
static void
a_reload_leaves_pairs_alone(void **state)
{
    const struct server_case *server = *state;
    struct place first = open_place("tcp", ""), second = open_place("tcp", "");
    struct daemon *daemon = SERVE("listeners = {\n%s};", forward_text(server->scheme, server->mixin,
                                                                      quote(first.address), ""));
    struct pair old = connect_pair(daemon, &first);

    expect_exchange(old, "one", "two");
    REWRITE("listeners = {\n%s};",
            forward_text(server->scheme, server->mixin, quote(second.address), ""));
    reload(daemon);
    struct pair young = connect_pair(daemon, &second);
    expect_exchange(young, "three", "four");
    expect_exchange(old, "still", "there");
    client_close(old.client);
    client_expect_end(old.target);
    client_close(old.target);
    client_close(young.client);
    client_expect_end(young.target);
    client_close(young.target);
    daemon_expect_stop(daemon);
}

RUN_TESTS(TEST_CASE(listeners_and_targets_change_without_a_lost_client, "tcp", "any"),
          TEST_CASE(listeners_and_targets_change_without_a_lost_client, "unix", "any"),
          TEST_CASE(a_reload_leaves_pairs_alone, "tcp", "threading"),
          TEST_CASE(a_reload_leaves_pairs_alone, "tcp", "forking"),
          TEST_CASE(a_reload_leaves_pairs_alone, "tcp", "coroutine"))
