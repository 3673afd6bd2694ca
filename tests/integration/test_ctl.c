/* SPDX-License-Identifier: MIT */
/*
 * test_ctl.c - sockserverctl's commands against a real daemon with real clients
 */
#include <errno.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/counters.h"
#include "support/client.h"
#include "support/command.h"
#include "support/control.h"
#include "support/daemon.h"
#include "support/proc.h"
#include "support/test.h"

static struct daemon *
serve(const char *mixin)
{
    return daemon_serve("tcp", mixin, "good_command", "");
}

/* One listener "test" in a file that change() can rewrite. */
static const char *
change(struct daemon *daemon, const char *from, const char *to)
{
    const char *text = file_text(daemon_file(daemon)), *at = strstr(text, from);

    assert_non_null(at);
    return test_file(strrchr(daemon_file(daemon), '/') + 1,
                     text_of("%.*s%s%s", (int)(at - text), text, to, at + strlen(from)));
}

/* A client that is being served: its request lasts until it is closed. */
static int
occupy(const char *address)
{
    int client = client_connect(address);

    client_send(client, "echo here\n");
    client_expect(client, "here\n");
    return client;
}

/* ---- status --------------------------------------------------------------------------- */

static void
status_lists_every_listener(void **state)
{
    struct daemon *daemon = daemon_start(
        "listeners = {\n%s%s%s bad = { address = \"tcp://192.0.2.1:9\"; plugin = \"upper\"; };\n"
        " off = { address = \"tcp://127.0.0.1:0\"; plugin = \"upper\"; enabled = false; };\n};",
        listener_text("one", "tcp", "threading", "upper", ""),
        listener_text("two", "udp", "none", "upper", ""),
        listener_text("three", "unix", "forking", "upper", "max_connections = 7;"));
    const char *one = daemon_address(daemon, "one"), *two = daemon_address(daemon, "two");
    struct outcome outcome;

    (void)state;
    (void)daemon_address(daemon, "three");
    (void)daemon_wait_log(daemon, "sockserverd[bad]: cannot listen");
    WAIT_UNTIL((outcome = CTL(daemon, "status")).status == 0);
    assert_starts(outcome.output, "NAME");
    assert_contains(outcome.output, one);
    assert_contains(outcome.output, two);
    assert_contains(outcome.output, "three  serving  unix://");
    assert_contains(outcome.output, "0/7");
    assert_contains(outcome.output, "bad    failed   tcp://192.0.2.1:9");
    assert_contains(outcome.output, "\n  cannot listen on tcp://192.0.2.1:9: ");
    assert_contains(outcome.output, "off    stopped  tcp://127.0.0.1:0");
    assert_lacks(outcome.output, "\033");
    assert_string_equal(outcome.errors, "");
    outcome = CTL(daemon, "status", "three");
    assert_contains(outcome.output, "state  serving\n");
    assert_contains(outcome.output, "active  0/7\n");
    daemon_expect_stop(daemon);
}

/* Every member that the interface promises is there and of its type. */
static void
expect_members(const json_t *listener)
{
    static const char *const integers[] = {
        "state_us", "max_connections", "generation", "draining", "restarts", "active", "idle",
    };
    static const char *const texts[] = {"name",   "state", "address",
                                        "plugin", "mixin", "control_access"};

    for (size_t i = 0; i < sizeof integers / sizeof integers[0]; i++)
        if (!json_is_integer(json_object_get(listener, integers[i])))
            fail_msg("%s is no integer", integers[i]);
    for (size_t i = 0; i < COUNTER_COUNT; i++)
        if (!json_is_integer(json_object_get(listener, counter_table[i].name)))
            fail_msg("%s is no integer", counter_table[i].name);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (!json_is_string(json_object_get(listener, texts[i])))
            fail_msg("%s is no text", texts[i]);
    assert_true(json_is_array(json_object_get(listener, "workers")));
    assert_true(json_is_number(json_object_get(listener, "accepted_per_second")));
    assert_true(json_is_object(json_object_get(listener, "queue")));
    assert_true(json_is_object(json_object_get(listener, "recent")));
    assert_true(json_is_integer(json_object_get(json_object_get(listener, "total"), "count")));
    assert_int_equal(json_object_size(listener), 19 + COUNTER_COUNT);
}

static void
status_as_json_is_what_the_interface_says(void **state)
{
    struct daemon *daemon = serve("threading");
    const char *address = daemon_address(daemon, "test");
    struct outcome outcome;
    json_t *status;

    (void)state;
    (void)client_ask(address, "echo one\n");
    outcome = CTL(daemon, "status", "--json");
    assert_int_equal(outcome.status, 0);
    assert_non_null(status = json_loads(outcome.output, 0, NULL));
    assert_int_equal(json_integer_value(json_object_get(json_object_get(status, "daemon"), "pid")),
                     daemon_pid(daemon));
    assert_int_equal(json_array_size(json_object_get(status, "listeners")), 1);
    expect_members(json_array_get(json_object_get(status, "listeners"), 0));
    json_decref(status);
    daemon_expect_stop(daemon);
}

static void
figures_are_those_of_the_clients(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon = serve(server->mixin);
    const char *address = daemon_address(daemon, "test");
    const json_t *listener, *times;
    json_t *reply;

    for (int i = 0; i < 20; i++)
        assert_string_equal(client_ask(address, "nap 0.01\n"), "ok\n");
    (void)client_ask(address, "fail 5\n");
    WAIT_UNTIL(control_figure(daemon, "test", "total.count") == 21);
    assert_int_equal(control_figure(daemon, "test", "accepted"), 21);
    assert_int_equal(control_figure(daemon, "test", "failed"), 1);
    assert_int_equal(control_figure(daemon, "test", "bytes_in"), 20 * 9 + 7);
    assert_int_equal(control_figure(daemon, "test", "bytes_out"), 20 * 3);
    WAIT_UNTIL(control_figure(daemon, "test", "active") == 0); /* a moment after it was counted */
    reply = control_status_of(daemon, "test", &listener);
    times = json_object_get(listener, "recent");
    assert_true(json_number_value(json_object_get(times, "p50_us")) >= 8000);
    assert_true(json_number_value(json_object_get(times, "p99_us")) >=
                json_number_value(json_object_get(times, "p50_us")));
    assert_true(json_number_value(json_object_get(listener, "accepted_per_second")) > 0.1);
    json_decref(reply);
    daemon_expect_stop(daemon);
}

/* A worker's death and a new generation lose no figure. */
static void
figures_outlive_their_worker(void **state)
{
    struct daemon *daemon = serve("threading");
    const char *address = daemon_address(daemon, "test");
    pid_t first = daemon_worker(daemon);

    (void)state;
    for (int i = 0; i < 5; i++)
        (void)client_ask(address, "echo x\n");
    WAIT_UNTIL(control_figure(daemon, "test", "total.count") == 5);
    (void)kill(first, SIGKILL);
    WAIT_UNTIL(control_figure(daemon, "test", "restarts") == 1);
    assert_string_equal(client_ask(address, "echo x\n"), "x\n");
    assert_int_equal(CTL(daemon, "restart", "test").status, 0);
    assert_string_equal(client_ask(address, "echo x\n"), "x\n");
    WAIT_UNTIL(control_figure(daemon, "test", "total.count") == 7);
    assert_int_equal(control_figure(daemon, "test", "accepted"), 7);
    assert_int_equal(control_figure(daemon, "test", "generation"), 2);
    daemon_expect_stop(daemon);
}

static void
queue_shows_who_waits(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon = daemon_serve(server->scheme, "none", "good_command", "");
    const char *address = daemon_address(daemon, "test");
    int served = occupy(address), waiting[3];

    assert_int_equal(control_figure(daemon, "test", "queue.connections"), 0);
    for (int i = 0; i < 3; i++)
        waiting[i] = client_connect(address);
    WAIT_UNTIL(control_figure(daemon, "test", "queue.connections") == 3);
    assert_true(control_figure(daemon, "test", "queue.limit") >= 3);
    assert_int_equal(control_figure(daemon, "test", "active"), 1);
    client_close(served);
    for (int i = 0; i < 3; i++)
        client_close(waiting[i]);
    WAIT_UNTIL(control_figure(daemon, "test", "queue.connections") == 0);
    daemon_expect_stop(daemon);
}

static void
queue_shows_datagrams_that_wait(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon = daemon_serve(server->scheme, "none", "good_command", "");
    const char *address = daemon_address(daemon, "test");
    int client = client_connect(address);
    pid_t worker = daemon_worker(daemon);

    assert_int_equal(control_figure(daemon, "test", "queue.bytes"), 0);
    assert_return_code(kill(worker, SIGSTOP), errno);
    WAIT_UNTIL(proc_state(worker) == 'T');
    client_send(client, "echo later\n");
    WAIT_UNTIL(control_figure(daemon, "test", "queue.bytes") > 0);
    assert_return_code(kill(worker, SIGCONT), errno);
    client_expect(client, "later\n");
    WAIT_UNTIL(control_figure(daemon, "test", "queue.bytes") == 0);
    daemon_expect_stop(daemon);
}

/* ---- requests ------------------------------------------------------------------------- */

static json_t *
requests_of(struct daemon *daemon)
{
    int fd = control_connect(daemon);
    json_t *reply =
        json_loads(control_ask(fd, "{\"method\":\"org.sockserver.Control.GetRequests\"}"), 0, NULL);

    client_close(fd);
    assert_non_null(reply);
    return reply;
}

static const char *
request_text(const json_t *reply, size_t index, const char *member)
{
    const json_t *requests = json_object_get(json_object_get(reply, "parameters"), "requests");
    const char *text = json_string_value(json_object_get(json_array_get(requests, index), member));

    return text_of("%s", text == NULL ? "" : text);
}

static void
requests_are_listed_the_oldest_first(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon =
        daemon_serve("tcp", server->mixin, "good_command", "drain_timeout = \"100ms\";");
    const char *address = daemon_address(daemon, "test"), *name;
    int first = occupy(address), second = occupy(address);
    json_t *reply;

    client_send(second, "sleep 600\n");
    for (;;) { /* until both have come to rest */
        reply = requests_of(daemon);
        if (strcmp(request_text(reply, 0, "stage"), "reading") == 0 &&
            strcmp(request_text(reply, 1, "stage"), "waiting") == 0)
            break;
        json_decref(reply);
        clock_pause();
    }
    name = request_text(reply, 0, "client");
    assert_starts(name, "127.0.0.1:");
    assert_string_not_equal(name, request_text(reply, 1, "client"));
    assert_string_equal(request_text(reply, 0, "listener"), "test");
    assert_int_equal(
        json_array_size(json_object_get(json_object_get(reply, "parameters"), "requests")), 2);
    json_decref(reply);
    client_close(first);
    client_close(second);
    daemon_expect_stop(daemon);
}

/* ---- steering --------------------------------------------------------------------------- */

static void
reload_prints_the_mistakes(void **state)
{
    struct daemon *daemon = serve("threading");
    struct outcome outcome = CTL(daemon, "reload");

    (void)state;
    assert_int_equal(outcome.status, 0);
    assert_string_equal(outcome.errors, "");
    (void)change(daemon, "threading", "threadung");
    outcome = CTL(daemon, "reload");
    assert_int_equal(outcome.status, 1);
    assert_starts(outcome.errors, text_of("%s:", daemon_file(daemon)));
    assert_contains(outcome.errors, "listeners.test.mixin: unknown mixin \"threadung\"; did you "
                                    "mean \"threading\"?\n");
    (void)change(daemon, "threadung", "forking");
    assert_int_equal(CTL(daemon, "reload").status, 0);
    outcome = CTL(daemon, "status", "test");
    assert_contains(outcome.output, "mixin  forking\n");
    daemon_expect_stop(daemon);
}

static void
drain_waits_if_told_to(void **state)
{
    struct daemon *daemon = serve("threading");
    const char *address = daemon_address(daemon, "test");
    int busy = occupy(address), queued;

    (void)state;
    assert_int_equal(CTL(daemon, "drain", "test").status, 0);
    assert_string_equal(control_state(daemon, "test"), "draining");
    client_send(busy, "quit\n");
    client_expect_end(busy);
    assert_int_equal(CTL(daemon, "drain", "test", "--wait").status, 0);
    assert_string_equal(control_state(daemon, "test"), "drained");
    queued = client_connect(address); /* nobody is refused */
    client_send(queued, "echo at last\n");
    WAIT_UNTIL(control_figure(daemon, "test", "queue.connections") == 1);
    assert_int_equal(CTL(daemon, "resume", "test").status, 0);
    client_expect(queued, "at last\n");
    client_close(queued);
    daemon_expect_stop(daemon);
}

static void
stop_start_and_restart(void **state)
{
    struct daemon *daemon = daemon_serve("unix", "threading", "upper", "");
    const char *address = daemon_address(daemon, "test");
    int fd;

    (void)state;
    assert_int_equal(CTL(daemon, "stop", "test").status, 0);
    assert_true(client_try_connect(address, true, &fd) < 0);
    assert_string_equal(control_state(daemon, "test"), "stopped");
    assert_int_equal(CTL(daemon, "start", "test").status, 0);
    assert_string_equal(client_ask(address, "hello\n"), "HELLO\n");
    pid_t before = daemon_worker(daemon);
    assert_int_equal(CTL(daemon, "restart", "test").status, 0);
    assert_string_equal(client_ask(address, "hello\n"), "HELLO\n");
    WAIT_UNTIL(daemon_worker(daemon) != before);
    daemon_expect_stop(daemon);
}

static void
start_says_why_it_cannot(void **state)
{
    struct daemon *daemon = daemon_start(
        "listeners = { bad = { address = \"tcp://192.0.2.1:9\"; plugin = \"upper\"; }; };");
    struct outcome outcome;

    (void)state;
    (void)daemon_wait_log(daemon, "sockserverd[bad]: cannot listen");
    (void)control_connect(daemon);
    outcome = CTL(daemon, "start", "bad");
    assert_int_equal(outcome.status, 1);
    assert_contains(outcome.errors, "cannot listen on tcp://192.0.2.1:9: ");
    daemon_expect_stop(daemon);
}

static json_int_t
instance_of(struct daemon *daemon)
{
    struct outcome outcome = CTL(daemon, "status", "--json");
    json_t *status = json_loads(outcome.output, 0, NULL);
    const json_t *about = json_object_get(status, "daemon");
    json_int_t instance = json_integer_value(json_object_get(about, "instance"));

    assert_int_equal(json_integer_value(json_object_get(about, "pid")), daemon_pid(daemon));
    json_decref(status);
    return instance;
}

static void
upgrade_returns_when_the_new_program_answers(void **state)
{
    struct daemon *daemon = serve("threading");
    const char *address = daemon_address(daemon, "test");
    int client = occupy(address);
    json_int_t before = (control_connect(daemon), instance_of(daemon));
    struct outcome outcome = CTL(daemon, "upgrade");

    (void)state;
    assert_string_equal(outcome.errors, "");
    assert_int_equal(outcome.status, 0);
    assert_true(instance_of(daemon) != before);
    client_send(client, "echo still here\n");
    client_expect(client, "still here\n");
    client_close(client);
    assert_string_equal(client_ask(address, "echo x\n"), "x\n");
    WAIT_UNTIL(control_figure(daemon, "test", "total.count") == 2);
    daemon_expect_stop(daemon);
}

static void
log_level_changes_at_once(void **state)
{
    struct daemon *daemon = daemon_start(
        "log = { target = \"stderr\"; level = \"notice\"; access = true; };\nlisteners = {\n%s};",
        listener_text("test", "tcp", "threading", "upper", ""));
    const char *address = daemon_address(daemon, "test");
    struct outcome outcome;

    (void)state;
    (void)control_connect(daemon);
    (void)client_ask(address, "hello\n");
    WAIT_UNTIL(control_figure(daemon, "test", "total.count") == 1);
    assert_lacks(daemon_log(daemon), "bytes out");
    assert_int_equal(CTL(daemon, "log-level", "info").status, 0);
    WAIT_UNTIL((client_ask(address, "hello\n"), daemon_count_log(daemon, "bytes out") > 0));
    outcome = CTL(daemon, "log-level", "inof");
    assert_int_equal(outcome.status, 64);
    assert_contains(outcome.errors, "did you mean \"info\"?");
    daemon_expect_stop(daemon);
}

static void
a_log_level_outlives_an_upgrade(void **state)
{
    struct daemon *daemon = daemon_start(
        "log = { target = \"stderr\"; level = \"notice\"; access = true; };\nlisteners = {\n%s};",
        listener_text("test", "tcp", "threading", "upper", ""));
    const char *address = daemon_address(daemon, "test");

    (void)state;
    (void)control_connect(daemon);
    assert_int_equal(CTL(daemon, "log-level", "info").status, 0);
    for (size_t upgrades = 1; upgrades <= 2; upgrades++) {
        assert_int_equal(CTL(daemon, "upgrade").status, 0);
        (void)daemon_wait_log_times(daemon, "reloaded: ", upgrades);
        size_t lines = daemon_count_log(daemon, "bytes out");
        (void)client_ask(address, "hello\n");
        (void)daemon_wait_log_times(daemon, "bytes out", lines + 1);
    }
    daemon_expect_stop(daemon);
}

static void
unknown_listeners_are_named(void **state)
{
    static const char *const commands[] = {"status", "drain", "resume", "stop", "start", "restart"};
    struct daemon *daemon = serve("none");

    (void)state;
    (void)control_connect(daemon);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        struct outcome outcome = CTL(daemon, commands[i], "tset");
        assert_int_equal(outcome.status, 1);
        assert_string_equal(outcome.errors, "sockserverctl: there is no listener \"tset\"; did you "
                                            "mean \"test\"?\n");
    }
    daemon_expect_stop(daemon);
}

static void
no_daemon_is_said_with_its_path(void **state)
{
    const char *path = test_path("nothing");
    struct outcome outcome =
        command_run(CTL_PROGRAM, "", (const char *const[]){"--socket", path, "status", NULL});

    (void)state;
    assert_int_equal(outcome.status, 69);
    assert_starts(outcome.errors, text_of("sockserverctl: %s: No such file", path));
    outcome = command_run(CTL_PROGRAM, "", (const char *const[]){"--socket", path, "top", NULL});
    assert_int_equal(outcome.status, 1); /* no terminal */
}

/* ---- top ------------------------------------------------------------------------------- */

/* Reads the terminal until it shows the text. */
static void
expect_shown(int terminal, const char *text)
{
    static char screen[1 << 18];
    double give_up = clock_now() + DEADLINE;
    size_t size = 0;

    while (size + 1 < sizeof screen) {
        struct pollfd wanted = {.fd = terminal, .events = POLLIN};
        if (poll(&wanted, 1, clock_left(give_up)) != 1)
            break;
        ssize_t got = read(terminal, screen + size, sizeof screen - size - 1);
        if (got <= 0)
            break;
        size += (size_t)got;
        screen[size] = '\0';
        if (strstr(screen, text) != NULL)
            return;
    }
    fail_msg("never shown: %s; but:\n%s", text, screen);
}

static void
top_draws_until_q(void **state)
{
    struct daemon *daemon = serve("threading");
    const char *address = daemon_address(daemon, "test");
    int client = occupy(address), terminal, status;
    struct winsize size = {.ws_row = 30, .ws_col = 100};
    pid_t pid;

    (void)state;
    (void)control_connect(daemon);
    pid = forkpty(&terminal, NULL, NULL, &size);
    if (pid < 0 && (errno == ENOENT || errno == ENODEV)) {
        print_message("this system has no pseudo-terminals\n");
        skip();
    }
    assert_return_code(pid, errno);
    if (pid == 0) {
        (void)execl(CTL_PROGRAM, "sockserverctl", "--socket", daemon_control(daemon), "top", NULL);
        _exit(127);
    }
    expect_shown(terminal, "\033[?1049h");
    expect_shown(terminal, "1/512");
    expect_shown(terminal, "reading");
    client_send(client, "quit\n");
    client_expect_end(client);
    expect_shown(terminal, "0/512");
    size.ws_col = 60; /* at once, not at the next second */
    assert_return_code(ioctl(terminal, TIOCSWINSZ, &size), errno);
    expect_shown(terminal, "ADDRESS");
    assert_int_equal(write(terminal, "q", 1), 1);
    expect_shown(terminal, "\033[?1049l");
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    (void)close(terminal);
    daemon_expect_stop(daemon);
}

RUN_TESTS(TEST(status_lists_every_listener), TEST(status_as_json_is_what_the_interface_says),
          TEST_EACH_MIXIN(figures_are_those_of_the_clients, "tcp"),
          TEST(figures_outlive_their_worker), TEST_CASE(queue_shows_who_waits, "tcp", "none"),
          TEST_CASE(queue_shows_who_waits, "unix", "none"),
          TEST_CASE(queue_shows_datagrams_that_wait, "udp", "none"),
          TEST_CASE(queue_shows_datagrams_that_wait, "unixgram", "none"),
          TEST_CASE(requests_are_listed_the_oldest_first, "tcp", "threading"),
          TEST_CASE(requests_are_listed_the_oldest_first, "tcp", "forking"),
          TEST(reload_prints_the_mistakes), TEST(drain_waits_if_told_to),
          TEST(stop_start_and_restart), TEST(start_says_why_it_cannot),
          TEST(upgrade_returns_when_the_new_program_answers), TEST(log_level_changes_at_once),
          TEST(a_log_level_outlives_an_upgrade), TEST(unknown_listeners_are_named),
          TEST(no_daemon_is_said_with_its_path), TEST(top_draws_until_q))
