/* SPDX-License-Identifier: MIT */
/*
 * test_reload.c - another configuration, or another build of a plugin, under a running daemon
 */
#include "reload_fixture.h"

#include <unistd.h>

#include "support/load.h"
#include "support/proc.h"

static void
an_unchanged_listener_is_not_touched(void **state)
{
    struct daemon *daemon = SERVE("listeners = {\n%s};", two_listeners(""));
    const char *same = daemon_address(daemon, "same"), *test = daemon_address(daemon, "test");
    const char *before = client_ask(same, "pid\n"), *changing = client_ask(test, "pid\n");
    int open = client_connect(same);

    (void)state;
    client_send(open, "echo before\n");
    client_expect(open, "before\n");
    /* It stands elsewhere in the file, and another key of it means the same. */
    REWRITE("# moved\n\nlisteners = {\n%s};", two_listeners("max_connections = 7;"));
    reload(daemon);
    client_send(open, "echo after\n");
    client_expect(open, "after\n");
    assert_string_equal(client_ask(same, "pid\n"), before);
    assert_string_not_equal(client_ask(test, "pid\n"), changing);
    client_close(open);
    daemon_expect_stop(daemon);
}

static void
open_connections_end_in_their_own_generation(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon;
    const char *address;
    int client;

    (void)install_build('a');
    daemon = SERVE("listeners = {\n%s};",
                   listener_text("test", server->scheme, server->mixin, test_path("build.so"), ""));
    address = daemon_address(daemon, "test");
    client = client_connect(address);
    client_send(client, "1\n");
    client_expect(client, "a 1\n");
    (void)install_build('b');
    reload(daemon);
    client_send(client, "2\n");
    client_expect(client, "a 2\n");
    assert_int_equal(build_of(address), 'b');
    client_close(client);
    WAIT_UNTIL(proc_child_count(daemon_pid(daemon)) == 1);
    daemon_expect_stop(daemon);
}

static void
of_many_draining_generations_the_oldest_is_cut(void **state)
{
    struct daemon *daemon =
        SERVE("listeners = {\n%s};", listener_text("test", "tcp", "threading", "good_command", ""));
    const char *address = daemon_address(daemon, "test");
    int clients[6];

    (void)state;
    for (int i = 0; i < 6; i++) {
        clients[i] = client_connect(address);
        client_send(clients[i], "echo hi\n");
        client_expect(clients[i], "hi\n");
        if (i == 5)
            break; /* the present one, behind five that drain */
        REWRITE("listeners = {\n%s};", listener_text("test", "tcp", "threading", "good_command",
                                                     text_of("max_connections = %d;", 10 + i)));
        reload(daemon);
    }
    client_expect_gone(clients[0]);
    for (int i = 1; i < 6; i++) {
        client_send(clients[i], "echo still here\n");
        client_expect(clients[i], "still here\n");
    }
    client_close_all();
    daemon_expect_stop(daemon);
}

static void
listeners_are_added_removed_disabled_and_enabled(void **state)
{
    struct daemon *daemon =
        SERVE("listeners = {\n%s%s%s};", listener_text("goes", "unix", "none", "upper", ""),
              listener_text("pauses", "unix", "forking", "upper", ""),
              listener_text("comes", "unix", "threading", "upper", "enabled = false;"));
    const char *pauses = daemon_address(daemon, "pauses"), *goes = daemon_address(daemon, "goes");
    int client;

    (void)state;
    REWRITE("listeners = {\n%s%s%s};",
            listener_text("pauses", "unix", "forking", "upper", "enabled = false;"),
            listener_text("comes", "unix", "threading", "upper", ""),
            listener_text("new", "tcp", "none", "upper", ""));
    reload(daemon);
    assert_string_equal(client_ask(daemon_address(daemon, "comes"), "hi\n"), "HI\n");
    assert_string_equal(client_ask(daemon_address(daemon, "new"), "hi\n"), "HI\n");
    WAIT_UNTIL(client_try_connect(goes, true, &client) == -ENOENT);
    WAIT_UNTIL(client_try_connect(pauses, true, &client) == -ENOENT);

    REWRITE("listeners = {\n%s};", listener_text("pauses", "unix", "forking", "upper", ""));
    reload(daemon);
    assert_string_equal(client_ask(pauses, "back\n"), "BACK\n");
    WAIT_UNTIL(proc_child_count(daemon_pid(daemon)) == 1);
    daemon_expect_stop(daemon);
}

static void
a_listener_enabled_while_it_still_stops_serves_again(void **state)
{
    const struct server_case *server = *state;
    const char *on = listener_text("test", server->scheme, server->mixin, "good_command",
                                   "max_connections = 1;"),
               *off = listener_text("test", server->scheme, server->mixin, "good_command",
                                    "max_connections = 1; enabled = false;"),
               *other = listener_text("other", "unix", "none", "upper", "");
    struct daemon *daemon = SERVE("listeners = {\n%s%s};", on, other);
    int busy = client_connect(daemon_address(daemon, "test")), queued;
    const char *line, *address;

    client_send(busy, "echo busy\n");
    client_expect(busy, "busy\n");
    queued = client_connect(daemon_address(daemon, "test"));
    client_send(queued, "echo queued\n");
    REWRITE("listeners = {\n%s%s};", off, other);
    reload(daemon);
    REWRITE("listeners = {\n%s%s};", on, other);
    daemon_signal(daemon, SIGHUP);
    (void)daemon_wait_log_times(daemon, "SIGHUP: reloading", 2);
    client_close(busy);
    client_expect(queued, "queued\n");
    client_close(queued);
    (void)daemon_wait_log_times(daemon, "reloaded: ", 2);
    line = strstr(daemon_wait_log_times(daemon, "sockserverd[test]: listening on", 2), " on ") + 4;
    address = text_of("%.*s", (int)strcspn(line, " "), line);
    assert_string_equal(client_ask(address, "echo hi\n"), "hi\n");
    assert_lacks(daemon_log(daemon), "already in use");
    daemon_expect_stop(daemon);
}

/* A listener that is removed and added again. */
struct comeback {
    const char *mixin, *name; /* the name it comes back with */
};
#define COMEBACK(mixin, name)                                                                      \
    TEST_ROW(a_removed_listener_comes_back_while_its_queue_is_answered,                            \
             (&(const struct comeback){mixin, name}), mixin " as " name)

/* The new one takes the socket back, and who waits in its queue. */
static void
a_removed_listener_comes_back_while_its_queue_is_answered(void **state)
{
    const struct comeback *comeback = *state;
    const char *other = listener_text("other", "unix", "none", "upper", ""), *address;
    struct daemon *daemon = SERVE(
        "listeners = {\n%s%s};", other,
        listener_text("test", "tcp", comeback->mixin, "good_command", "max_connections = 1;"));
    int busy, queued, late;

    address = daemon_address(daemon, "test");
    busy = client_connect(address);
    client_send(busy, "echo busy\n");
    client_expect(busy, "busy\n");
    queued = client_connect(address);
    client_send(queued, "echo queued\n");
    REWRITE("listeners = {\n%s};", other);
    reload(daemon);
    REWRITE("listeners = {\n%s%s = { address = \"%s\"; mixin = \"%s\"; plugin = \"good_command\"; "
            "}; };",
            other, comeback->name, address, comeback->mixin);
    reload(daemon);
    client_expect(queued, "queued\n");
    client_close(queued);
    assert_string_equal(client_ask(address, "name\n"), text_of("name %s\n", comeback->name));
    client_send(busy, "echo still there\n");
    client_expect(busy, "still there\n");
    client_close(busy);
    WAIT_UNTIL(proc_child_count(daemon_pid(daemon)) == 2);
    late = client_connect(address);
    client_send(late, "echo late\n");
    client_expect(late, "late\n");
    client_close(late);
    daemon_expect_stop(daemon);
}

static void
a_listener_moves_back_while_its_queue_is_answered(void **state)
{
    const char *text = "listeners = { test = { address = \"%s\"; plugin = \"good_command\"; }; };";
    struct daemon *daemon = SERVE(
        "listeners = { test = { address = \"tcp://127.0.0.1:0\"; plugin = \"good_command\"; }; };");
    const char *address = daemon_address(daemon, "test");
    int busy = client_connect(address), queued;

    (void)state;
    client_send(busy, "echo busy\n");
    client_expect(busy, "busy\n");
    queued = client_connect(address);
    client_send(queued, "echo queued\n");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    REWRITE(text, text_of("unix://%s", test_path("elsewhere")));
    reload(daemon);
    REWRITE(text, address);
    reload(daemon);
#pragma GCC diagnostic pop
    client_expect(queued, "queued\n");
    client_close_all();
    assert_string_equal(client_ask(address, "echo hi\n"), "hi\n");
    daemon_expect_stop(daemon);
}

static void
names_are_looked_up_at_a_reload(void **state)
{
    const char *test = listener_text("test", "tcp", "none", "upper", "");
    struct daemon *daemon = SERVE("listeners = {\n%s};", test);

    (void)state;
    (void)daemon_address(daemon, "test");
    REWRITE("listeners = {\n%snamed = { address = \"tcp://localhost:0\"; plugin = \"upper\"; }; };",
            test);
    reload(daemon);
    assert_string_equal(client_ask(daemon_address(daemon, "named"), "hi\n"), "HI\n");
    daemon_expect_stop(daemon);
}

static void
a_listener_enabled_again_does_not_wait_for_old_requests(void **state)
{
    const struct server_case *server = *state;
    const char *on = listener_text("test", server->scheme, server->mixin, "good_command", ""),
               *off = listener_text("test", server->scheme, server->mixin, "good_command",
                                    "enabled = false;");
    struct daemon *daemon = SERVE("listeners = {\n%s};", on);
    int open = client_connect(daemon_address(daemon, "test"));
    size_t fds = proc_fd_count(daemon_pid(daemon));

    client_send(open, "echo before\n");
    client_expect(open, "before\n");
    REWRITE("listeners = {\n%s};", off);
    reload(daemon);
    WAIT_UNTIL(proc_fd_count(daemon_pid(daemon)) < fds); /* its socket is closed */
    REWRITE("listeners = {\n%s};", on);
    reload(daemon);
    assert_int_equal(daemon_count_log(daemon, "sockserverd[test]: listening on"), 2);
    client_send(open, "echo after\n");
    client_expect(open, "after\n");
    client_close(open);
    daemon_expect_stop(daemon);
}

/* It is killed for its silence, but later: the new generation need not wait for that. */
static void
an_old_generation_that_hangs_holds_up_nothing(void **state)
{
    struct daemon *daemon =
        SERVE("listeners = {\n%s};", listener_text("test", "tcp", "threading", "good_command", ""));
    const char *address = daemon_address(daemon, "test");
    pid_t old = daemon_worker(daemon);

    (void)state;
    assert_return_code(kill(old, SIGSTOP), errno);
    WAIT_UNTIL(proc_state(old) == 'T');
    REWRITE("listeners = {\n%s};",
            listener_text("test", "tcp", "threading", "good_command", "max_connections = 7;"));
    reload(daemon);
    assert_string_equal(client_ask(address, "echo hi\n"), "hi\n");
    assert_return_code(kill(old, SIGKILL), errno);
    daemon_expect_stop(daemon);
}

static void
a_renamed_listener_keeps_its_socket(void **state)
{
    const char *address = address_for(*state, "x");
    const char *text = "listeners = { %s = { address = \"%s\"; plugin = \"good_command\"; }; };";
    struct daemon *daemon;
    struct load *load;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    daemon = SERVE(text, "old", address);
    load = load_start(daemon_address(daemon, "old"), 2, "echo ");
    load_wait_more(load, 10);
    REWRITE(text, "young", address);
#pragma GCC diagnostic pop
    reload(daemon);
    load_wait_more(load, 10);
    load_stop(load);
    load_expect_answered(load, 20);
    assert_string_equal(daemon_address(daemon, "young"), daemon_address(daemon, "old"));
    assert_string_equal(client_ask(daemon_address(daemon, "young"), "name\n"), "name young\n");
    daemon_expect_stop(daemon);
}

/* A client that waits at the old address when the listener moves away is answered. */
static void
a_moved_listener_answers_its_old_queue(void **state)
{
    const char *text = "listeners = { test = { address = \"unix://%s\"; plugin = \"good_command\"; "
                       "}; };";
    int busy, queued;
    struct daemon *daemon;

    (void)state;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    daemon = SERVE(text, test_path("one"));
    busy = client_connect(daemon_address(daemon, "test"));
    client_send(busy, "echo busy\n");
    client_expect(busy, "busy\n");
    queued = client_connect(daemon_address(daemon, "test"));
    client_send(queued, "echo in the queue\n");
    REWRITE(text, test_path("two"));
#pragma GCC diagnostic pop
    reload(daemon);
    (void)daemon_wait_log(daemon, "/two (none, good_command.so)");
    client_close(busy);
    client_expect(queued, "in the queue\n");
    client_close(queued);
    assert_string_equal(client_ask(text_of("unix://%s", test_path("two")), "echo hi\n"), "hi\n");
    assert_int_equal(access(test_path("one"), F_OK), -1);
    daemon_expect_stop(daemon);
}

RUN_TESTS(TEST(an_unchanged_listener_is_not_touched),
          TEST_CASE(open_connections_end_in_their_own_generation, "tcp", "none"),
          TEST_CASE(open_connections_end_in_their_own_generation, "tcp", "threading"),
          TEST_CASE(open_connections_end_in_their_own_generation, "unix", "forking"),
          TEST_CASE(open_connections_end_in_their_own_generation, "unix", "coroutine"),
          TEST(of_many_draining_generations_the_oldest_is_cut),
          TEST(listeners_are_added_removed_disabled_and_enabled),
          TEST_ROW(a_renamed_listener_keeps_its_socket, "tcp", "tcp"),
          TEST_ROW(a_renamed_listener_keeps_its_socket, "unix", "unix"),
          TEST_ROW(a_renamed_listener_keeps_its_socket, "udp", "udp"),
          TEST_CASE(a_listener_enabled_while_it_still_stops_serves_again, "tcp", "none"),
          TEST_CASE(a_listener_enabled_while_it_still_stops_serves_again, "unix", "threading"),
          COMEBACK("none", "test"), COMEBACK("threading", "another"), COMEBACK("forking", "test"),
          COMEBACK("coroutine", "test"), TEST(a_listener_moves_back_while_its_queue_is_answered),
          TEST(names_are_looked_up_at_a_reload),
          TEST_CASE(a_listener_enabled_again_does_not_wait_for_old_requests, "tcp", "none"),
          TEST_CASE(a_listener_enabled_again_does_not_wait_for_old_requests, "unix", "forking"),
          TEST(an_old_generation_that_hangs_holds_up_nothing),
          TEST(a_moved_listener_answers_its_old_queue))
