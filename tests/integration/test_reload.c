/* SPDX-License-Identifier: MIT */
/*
 * test_reload.c - another configuration, or another build of a plugin, under a running daemon
 *
 * TORTURE=1 in the environment: the long form.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/un.h>
#include <unistd.h>

#include "support/client.h"
#include "support/daemon.h"
#include "support/load.h"
#include "support/proc.h"
#include "support/test.h"

#define RELOADS_MAX 100

static bool
long_form(void)
{
    return getenv("TORTURE") != NULL;
}

/* ---- a daemon whose file can be written anew ---------------------------------------- */

static const char *file;

#define SERVE(...)   serve(daemon_configuration(__VA_ARGS__))
#define REWRITE(...) rewrite(daemon_configuration(__VA_ARGS__))

static struct daemon *
serve(const char *configuration)
{
    file = configuration;
    return DAEMON_RUN("-c", file);
}

static void
rewrite(const char *configuration)
{
    assert_return_code(rename(configuration, file), errno);
}

/* Waits for the end of it. */
static void
reload(struct daemon *daemon)
{
    size_t done = daemon_count_log(daemon, "reloaded: ");

    daemon_signal(daemon, SIGHUP);
    (void)daemon_wait_log_times(daemon, "reloaded: ", done + 1);
}

static void
reload_in_vain(struct daemon *daemon, const char *complaint)
{
    size_t done = daemon_count_log(daemon, "reload failed: ");

    daemon_signal(daemon, SIGHUP);
    (void)daemon_wait_log_times(daemon, "reload failed: ", done + 1);
    assert_contains(daemon_log(daemon), complaint);
}

/* The plugin is replaced as an installation does it: by rename. */
static const char *
install_build(char build)
{
    const char *from = text_of("%s/good_build_%c.so", FIXTURES, build);
    const char *beside = test_path("build.so.new"), *place = test_path("build.so");

    if (system(text_of("cp %s %s", from, beside)) != 0)
        fail_msg("cannot copy %s", from);
    assert_return_code(rename(beside, place), errno);
    return place;
}

static char
build_of(const char *address)
{
    return client_ask(address, "1\n")[0];
}

/* ---- under load -------------------------------------------------------------------------- */

static const struct server_case matrix[] = {
    {"tcp", "none"},     {"tcp", "threading"},  {"tcp", "forking"},      {"tcp", "coroutine"},
    {"udp", "none"},     {"udp", "threading"},  {"udp", "coroutine"},    {"unix", "none"},
    {"unix", "forking"}, {"unix", "coroutine"}, {"unixgram", "forking"}, {"unixgram", "threading"},
};
#define LISTENERS (sizeof matrix / sizeof matrix[0])

struct reloads {
    size_t count;
    double began[RELOADS_MAX], done[RELOADS_MAX];
};

/* Build 'a' first, then 'b' after reload 0, 'a' after reload 1 ... */
static char
build_after(size_t reloads)
{
    return reloads % 2 == 0 ? 'a' : 'b';
}

/* No answer that began after a reload was done comes from the build before it. */
static void
expect_right_builds(const struct load *load, const struct reloads *reloads)
{
    const struct load_entry *history;
    size_t size = load_history(load, &history);

    for (size_t i = 0; i < size; i++) {
        const struct load_entry *entry = &history[i];
        size_t done = 0, begun = 0;

        while (done < reloads->count && reloads->done[done] < entry->began)
            done++;
        while (begun < reloads->count && reloads->began[begun] < entry->ended)
            begun++;
        if (begun == done && entry->build != build_after(done))
            fail_msg("an answer of build %c, begun %.3f s after reload %zu to build %c",
                     entry->build, entry->began - reloads->done[done - 1], done, build_after(done));
    }
}

static const char *
all_listeners(void)
{
    const char *plugin = test_path("build.so"), *text = "";

    for (size_t i = 0; i < LISTENERS; i++)
        text = text_of(
            "%s%s", text,
            listener_text(text_of("l%zu", i), matrix[i].scheme, matrix[i].mixin, plugin, ""));
    return text;
}

static void
reload_under_load(struct daemon *daemon, struct reloads *reloads, struct load **loads)
{
    size_t fds = 0, memory = 0;

    for (size_t i = 0; i < reloads->count; i++) {
        if (i == 4) { /* what is allocated once has been */
            memory = proc_memory_kib(daemon_pid(daemon));
            fds = proc_fd_count(daemon_pid(daemon));
        }
        (void)install_build(build_after(i + 1));
        reloads->began[i] = clock_now();
        reload(daemon);
        reloads->done[i] = clock_now();
        load_wait_more(loads[i % LISTENERS], 3);
    }
    WAIT_UNTIL(proc_fd_count(daemon_pid(daemon)) <= fds);
    if (!SANITIZED && proc_memory_kib(daemon_pid(daemon)) > memory + 512)
        fail_msg("the supervisor has grown from %zu to %zu KiB", memory,
                 proc_memory_kib(daemon_pid(daemon)));
}

static void
reloads_lose_nobody_and_bring_the_new_build(void **state)
{
    struct reloads reloads = {.count = long_form() ? RELOADS_MAX : 8};
    struct load *loads[LISTENERS];
    struct daemon *daemon;

    (void)state;
    (void)install_build('a');
    daemon = SERVE("listeners = {\n%s};", all_listeners());
    for (size_t i = 0; i < LISTENERS; i++)
        loads[i] = load_start(daemon_address(daemon, text_of("l%zu", i)), 1, "");
    reload_under_load(daemon, &reloads, loads);
    for (size_t i = 0; i < LISTENERS; i++)
        load_wait_more(loads[i], reloads.count);
    for (size_t i = 0; i < LISTENERS; i++)
        load_stop(loads[i]);
    for (size_t i = 0; i < LISTENERS; i++) {
        load_expect_answered(loads[i], reloads.count);
        expect_right_builds(loads[i], &reloads);
    }
    daemon_expect_stop(daemon);
}

/* Another mixin sets other modes on the same socket. */
static void
mixins_may_change_under_load(void **state)
{
    static const char *const mixins[] = {"none", "coroutine", "threading", "forking", "coroutine"};
    const struct server_case *server = *state;
    struct daemon *daemon;
    struct load *load;

    daemon = SERVE("listeners = {\n%s};",
                   listener_text("test", server->scheme, "forking", "good_command", ""));
    load = load_start(daemon_address(daemon, "test"), 3, "echo ");
    for (size_t i = 0; i < sizeof mixins / sizeof mixins[0]; i++) {
        REWRITE("listeners = {\n%s};",
                listener_text("test", server->scheme, mixins[i], "good_command", ""));
        reload(daemon);
        load_wait_more(load, 20);
    }
    load_stop(load);
    load_expect_answered(load, 100);
    daemon_expect_stop(daemon);
}

/* ---- what is touched, and what is not ------------------------------------------------------ */

static const char *
two_listeners(const char *test_more)
{
    return text_of("%s%s", listener_text("same", "tcp", "threading", "good_command", ""),
                   listener_text("test", "tcp", "threading", "good_command", test_more));
}

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
    const struct server_case *server = *state;
    const char *address = address_for(server->scheme, "x");
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

/* ---- what goes wrong ------------------------------------------------------------------------- */

static void
a_bad_reload_changes_nothing(void **state)
{
    struct daemon *taken = daemon_serve("tcp", "none", "upper", "");
    const char *address = daemon_address(taken, "test"), *before;
    struct daemon *daemon = SERVE("listeners = {\n%s};", two_listeners(""));
    struct load *load = load_start(daemon_address(daemon, "test"), 2, "echo ");
    int open = client_connect(daemon_address(daemon, "test"));
    const struct {
        const char *listeners, *complaint;
    } rows[] = {
        {"test = { address", "syntax error"},
        {text_of("%s%s", two_listeners("max_connections = 9;"), "x = { plugin = \"upper\"; };"),
         "listeners.x: \"address\" is missing"},
        {two_listeners("options = { gretting = 1; };"), "gretting"},
        {text_of("%s%s", two_listeners("max_connections = 9;"),
                 listener_text("bad", "tcp", "none", "bad_no_handle", "")),
         "bad_no_handle"},
        {text_of("%s%s", two_listeners("max_connections = 9;"),
                 listener_text("bad", "tcp", "none", "bad_activate", "")),
         "server_activate failed"},
        {text_of("%sbad = { address = \"%s\"; plugin = \"upper\"; };",
                 two_listeners("max_connections = 9;"), address),
         "Address already in use"},
    };

    (void)state;
    client_send(open, "pid\n");
    before = client_receive_line(open);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        REWRITE("listeners = {\n%s};", rows[i].listeners);
        reload_in_vain(daemon, rows[i].complaint);
        assert_string_equal(client_ask(daemon_address(daemon, "test"), "pid\n"), before);
    }
    WAIT_UNTIL(proc_child_count(daemon_pid(daemon)) == 2); /* nothing of them is left */
    client_send(open, "pid\n");
    client_expect(open, before);
    load_stop(load);
    load_expect_answered(load, 10);
    client_close_all();
    daemon_expect_stop(daemon);
    daemon_expect_stop(taken);
}

static void
a_failed_listener_is_tried_at_once(void **state)
{
    struct daemon *taken = daemon_serve("tcp", "none", "upper", "");
    const char *address = daemon_address(taken, "test");
    struct daemon *daemon =
        SERVE("log = { target = \"stderr\"; level = \"debug\"; };\n"
              "listeners = { test = { address = \"%s\"; plugin = \"upper\"; }; };",
              address);
    double began;

    (void)state;
    (void)daemon_wait_log(daemon, "(next try in 6.4 s)");
    began = clock_now();
    daemon_expect_stop(taken);
    reload(daemon);
    (void)daemon_address(daemon, "test");
    assert_true(clock_now() - began < 6);
    daemon_expect_stop(daemon);
}

static void
many_hangups_are_few_reloads(void **state)
{
    struct daemon *daemon = SERVE("listeners = {\n%s};", two_listeners(""));

    (void)state;
    (void)daemon_address(daemon, "same");
    (void)daemon_address(daemon, "test");
    REWRITE("listeners = {\n%s};", two_listeners("max_connections = 7;"));
    daemon_signal(daemon, SIGHUP);
    (void)daemon_wait_log(daemon, "SIGHUP: reloading");
    for (int i = 0; i < 5; i++) {
        daemon_signal(daemon, SIGHUP);
        (void)daemon_wait_log_times(daemon, "SIGHUP: reloading", (size_t)i + 2);
    }
    (void)daemon_wait_log_times(daemon, "reloaded: ", 2);
    assert_in_range(daemon_count_log(daemon, "reloaded: "), 2, 5);
    assert_int_equal(daemon_count_log(daemon, "generation 2 serves"), 1);
    daemon_expect_stop(daemon);
}

static void
a_stop_ends_a_reload(void **state)
{
    struct daemon *daemon = SERVE("listeners = {\n%s};", two_listeners(""));

    (void)state;
    (void)daemon_address(daemon, "same");
    (void)daemon_address(daemon, "test");
    REWRITE("listeners = {\n%s};", two_listeners("max_connections = 7;"));
    daemon_signal(daemon, SIGHUP);
    (void)daemon_wait_log(daemon, "SIGHUP: reloading");
    daemon_expect_stop(daemon);
}

static void
a_worker_killed_during_a_reload_is_replaced(void **state)
{
    struct daemon *daemon =
        SERVE("listeners = {\n%s};", listener_text("test", "tcp", "threading", "good_command", ""));
    const char *address = daemon_address(daemon, "test");

    (void)state;
    for (int i = 0; i < 4; i++) {
        size_t done = daemon_count_log(daemon, "reload");
        REWRITE("listeners = {\n%s};", listener_text("test", "tcp", "threading", "good_command",
                                                     text_of("max_connections = %d;", 10 + i)));
        pid_t children[PROC_CHILDREN];
        daemon_signal(daemon, SIGHUP);
        (void)daemon_wait_log_times(daemon, "SIGHUP: reloading", (size_t)i + 1);
        size_t count = proc_children(daemon_pid(daemon), children);
        for (size_t j = 0; j < count; j++)
            (void)kill(children[j], SIGKILL);
        for (size_t j = 0; j < count; j++) /* until then it may still take a client with it */
            WAIT_UNTIL(!proc_alive(children[j]));
        /* Its check, its new or its old worker: it is reported, or done. */
        (void)daemon_wait_log_times(daemon, "reload", done + 2);
        assert_string_equal(client_ask(address, "echo hi\n"), "hi\n");
    }
    daemon_expect_stop(daemon);
}

/* ---- the log, and the service manager ------------------------------------------------------- */

static void
the_log_changes_with_a_reload(void **state)
{
    const char *listeners =
        text_of("listeners = {\n%s};", listener_text("test", "tcp", "none", "good_command", ""));
    struct daemon *daemon = SERVE(
        "log = { target = \"stderr\"; level = \"warning\"; access = false; };\n%s", listeners);
    const char *log = test_path("the.log");
    pid_t worker;

    (void)state;
    WAIT_UNTIL(proc_child_count(daemon_pid(daemon)) == 1);
    worker = daemon_worker(daemon);
    REWRITE("log = { target = \"stderr\"; level = \"debug\"; access = false; };\n%s", listeners);
    do { /* until it is ready, it is not heard */
        daemon_signal(daemon, SIGHUP);
        clock_pause();
    } while (daemon_count_log(daemon, "reloaded: ") == 0);
    assert_int_equal(daemon_worker(daemon), worker); /* told, not replaced */

    REWRITE("log = { target = \"stderr\"; level = \"info\"; access = true; };\n%s", listeners);
    reload(daemon);
    (void)daemon_wait_log(daemon, "generation 2 serves");

    REWRITE("log = { target = \"%s\"; level = \"info\"; access = true; };\n%s", log, listeners);
    daemon_signal(daemon, SIGHUP);
    WAIT_UNTIL(access(log, F_OK) == 0 && strstr(file_text(log), "reloaded: ") != NULL);
    REWRITE("log = { target = \"stderr\"; level = \"info\"; access = true; };\n%s", listeners);
    daemon_signal(daemon, SIGHUP);
    WAIT_UNTIL(strstr(file_text(log), "restart the daemon for this") != NULL);
    assert_int_equal(daemon_stop(daemon), 0);
    assert_contains(file_text(log), "stopped");
}

/* The next datagrams that the manager gets, up to one with the text. */
static const char *
told(int manager, const char *text)
{
    const char *all = "";

    while (strstr(all, text) == NULL)
        all = text_of("%s%s\n", all, client_receive(manager));
    return all;
}

static void
the_service_manager_is_told(void **state)
{
    const char *path = test_path("notify");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct daemon *daemon;
    const char *story;

    (void)state;
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    assert_return_code(bind(manager, (struct sockaddr *)&address, sizeof address), errno);
    assert_return_code(setenv("NOTIFY_SOCKET", path, 1), errno);
    daemon = SERVE("listeners = {\n%s};", two_listeners(""));
    assert_return_code(unsetenv("NOTIFY_SOCKET"), errno);
    (void)told(manager, "READY=1");
    for (int good = 1; good >= 0; good--) {
        REWRITE("listeners = {\n%s%s};", two_listeners("max_connections = 7;"),
                good ? "" : "x = { };");
        daemon_signal(daemon, SIGHUP);
        story = told(manager, "RELOADING=1");
        assert_contains(story, "MONOTONIC_USEC=");
        story = told(manager, "READY=1"); /* whatever became of it: it serves */
    }
    assert_contains(told(manager, "STATUS=2 serving"), "STATUS=2 serving");
    daemon_expect_stop(daemon);
    (void)close(manager);
}

RUN_TESTS(TEST(reloads_lose_nobody_and_bring_the_new_build),
          TEST_CASE(mixins_may_change_under_load, "tcp", ""),
          TEST_CASE(mixins_may_change_under_load, "udp", ""),
          TEST(an_unchanged_listener_is_not_touched),
          TEST_CASE(open_connections_end_in_their_own_generation, "tcp", "none"),
          TEST_CASE(open_connections_end_in_their_own_generation, "tcp", "threading"),
          TEST_CASE(open_connections_end_in_their_own_generation, "unix", "forking"),
          TEST_CASE(open_connections_end_in_their_own_generation, "unix", "coroutine"),
          TEST(of_many_draining_generations_the_oldest_is_cut),
          TEST(listeners_are_added_removed_disabled_and_enabled),
          TEST_CASE(a_renamed_listener_keeps_its_socket, "tcp", ""),
          TEST_CASE(a_renamed_listener_keeps_its_socket, "unix", ""),
          TEST_CASE(a_renamed_listener_keeps_its_socket, "udp", ""),
          TEST_CASE(a_listener_enabled_while_it_still_stops_serves_again, "tcp", "none"),
          TEST_CASE(a_listener_enabled_while_it_still_stops_serves_again, "unix", "threading"),
          TEST_CASE(a_listener_enabled_again_does_not_wait_for_old_requests, "tcp", "none"),
          TEST_CASE(a_listener_enabled_again_does_not_wait_for_old_requests, "unix", "forking"),
          TEST(an_old_generation_that_hangs_holds_up_nothing),
          TEST(a_moved_listener_answers_its_old_queue), TEST(a_bad_reload_changes_nothing),
          TEST(a_failed_listener_is_tried_at_once), TEST(many_hangups_are_few_reloads),
          TEST(a_stop_ends_a_reload), TEST(a_worker_killed_during_a_reload_is_replaced),
          TEST(the_log_changes_with_a_reload), TEST(the_service_manager_is_told))
