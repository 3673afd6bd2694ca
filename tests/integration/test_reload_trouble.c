/* SPDX-License-Identifier: MIT */
/*
 * test_reload_trouble.c - reloads that go wrong or meet something else; the log, and the service
 * manager
 */
#include "reload_fixture.h"

#include <sys/un.h>
#include <unistd.h>

#include "support/command.h"
#include "support/control.h"
#include "support/load.h"
#include "support/proc.h"

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
        {text_of("%sbad = { address = \"tcp://no.such.host.invalid:0\"; plugin = \"upper\"; };",
                 two_listeners("max_connections = 9;")),
         "listeners.bad.address: cannot resolve \"no.such.host.invalid\" port \"0\": "},
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

static struct daemon *
in_the_middle_of_a_reload(void)
{
    struct daemon *daemon = SERVE("listeners = {\n%s};", two_listeners(""));

    (void)daemon_address(daemon, "same");
    (void)daemon_address(daemon, "test");
    REWRITE("listeners = {\n%s};", two_listeners("max_connections = 7;"));
    daemon_signal(daemon, SIGHUP);
    (void)daemon_wait_log(daemon, "SIGHUP: reloading");
    return daemon;
}

static void
many_hangups_are_few_reloads(void **state)
{
    struct daemon *daemon = in_the_middle_of_a_reload();

    (void)state;
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
    struct daemon *daemon = in_the_middle_of_a_reload();

    (void)state;
    daemon_expect_stop(daemon);
}

/* ---- operators, while the plugins of a reload are tried ----------------------------- */

/* The listener "slow" has the copy of a plugin whose trial lasts as long as its file lies there. */
static const char *
with_slow(const char *more)
{
    return text_of("control = { path = \"%s\"; };\nlisteners = {\n%s%s};", test_path("control"),
                   two_listeners(more),
                   listener_text("slow", "unix", "threading", test_path("slow.so"), more));
}

static const char *
slow_file(void)
{
    return test_path("slow.so.wait");
}

/* Its serving one, and the one that tries its plugin. */
static size_t
workers_of(struct daemon *daemon, const char *listener)
{
    pid_t children[PROC_CHILDREN];
    size_t count = proc_children(daemon_pid(daemon), children), found = 0;

    for (size_t i = 0; i < count && i < PROC_CHILDREN; i++) {
        char command[4096];
        FILE *cmdline = fopen(text_of("/proc/%d/cmdline", (int)children[i]), "re");
        size_t size = cmdline == NULL ? 0 : fread(command, 1, sizeof(command), cmdline);
        if (cmdline != NULL)
            (void)fclose(cmdline);
        found += size > 0 && memmem(command, size, listener, strlen(listener) + 1) != NULL;
    }
    return found;
}

/* A reload that changes all listeners, and that goes no further than the trials. */
static struct daemon *
in_the_trials_of_a_reload(const char *stopped)
{
    if (system(text_of("cp %s/good_slow.so %s", FIXTURES, test_path("slow.so"))) != 0)
        fail_msg("cannot copy the plugin");
    struct daemon *daemon = daemon_start("%s", with_slow(""));
    file = daemon_file(daemon);
    for (size_t i = 0; i < 3; i++)
        (void)daemon_address(daemon, (const char *const[]){"same", "test", "slow"}[i]);
    if (stopped != NULL)
        assert_int_equal(CTL(daemon, "stop", stopped).status, 0);
    (void)test_file("slow.so.wait", "");
    REWRITE("%s", with_slow("max_connections = 7;"));
    daemon_signal(daemon, SIGHUP);
    WAIT_UNTIL(workers_of(daemon, "slow") == 2);
    return daemon;
}

static void
end_the_trials(struct daemon *daemon)
{
    size_t done = daemon_count_log(daemon, "reloaded: ");

    assert_return_code(unlink(slow_file()), errno);
    (void)daemon_wait_log_times(daemon, "reloaded: ", done + 1);
    assert_string_equal(client_ask(daemon_address(daemon, "slow"), "well\n"), "well\n");
}

/* What it is stopped from serves again when an operator says so, with the new settings. */
static void
who_is_stopped_during_a_reload_stays_stopped(void **state)
{
    const char *how = *state;
    struct daemon *daemon = in_the_trials_of_a_reload(NULL);
    bool stop = strcmp(how, "stop") == 0;

    assert_int_equal(CTL(daemon, how, "test").status, 0);
    end_the_trials(daemon);
    assert_string_equal(control_state(daemon, "test"), stop ? "stopped" : "drained");
    assert_lacks(daemon_log(daemon), "listening on  ");
    assert_int_equal(CTL(daemon, stop ? "start" : "resume", "test").status, 0);
    assert_string_equal(client_ask(daemon_address(daemon, "test"), "echo well\n"), "well\n");
    assert_int_equal(control_figure(daemon, "test", "max_connections"), 7);
    daemon_expect_stop(daemon);
}

static void
who_is_started_during_a_reload_gets_the_new_settings(void **state)
{
    struct daemon *daemon = in_the_trials_of_a_reload("test");

    (void)state;
    assert_int_equal(CTL(daemon, "start", "test").status, 0);
    assert_string_equal(client_ask(daemon_address(daemon, "test"), "echo one\n"), "one\n");
    pid_t old = atoi(client_ask(daemon_address(daemon, "test"), "pid\n") + strlen("pid "));
    end_the_trials(daemon);
    assert_string_equal(client_ask(daemon_address(daemon, "test"), "echo two\n"), "two\n");
    assert_int_not_equal(atoi(client_ask(daemon_address(daemon, "test"), "pid\n") + strlen("pid ")),
                         old);
    assert_int_equal(control_figure(daemon, "test", "max_connections"), 7);
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

RUN_TESTS(TEST(a_bad_reload_changes_nothing), TEST(a_failed_listener_is_tried_at_once),
          TEST(many_hangups_are_few_reloads), TEST(a_stop_ends_a_reload),
          TEST_ROW(who_is_stopped_during_a_reload_stays_stopped, "stop", "stop"),
          TEST_ROW(who_is_stopped_during_a_reload_stays_stopped, "drain", "drain"),
          TEST(who_is_started_during_a_reload_gets_the_new_settings),
          TEST(a_worker_killed_during_a_reload_is_replaced), TEST(the_log_changes_with_a_reload),
          TEST(the_service_manager_is_told))
