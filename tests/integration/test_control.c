/* SPDX-License-Identifier: MIT */
/*
 * test_control.c - the control socket itself: protocol, limits, path
 */
#include "control_fixture.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/command.h"
#include "support/proc.h"

#define MESSAGE 65536 /* bytes at most */

/* ---- protocol ------------------------------------------------------------------------ */

static void
describes_itself(void **state)
{
    struct daemon *daemon = serve();
    int fd = control_connect(daemon);
    const char *info = control_ask(fd, "{\"method\":\"org.varlink.service.GetInfo\"}");
    const char *text = control_ask(
        fd, "{\"method\":\"org.varlink.service.GetInterfaceDescription\",\"parameters\":"
            "{\"interface\":\"org.sockserver.Control\"}}");
    json_t *reply = json_loads(text, 0, NULL);

    (void)state;
    assert_contains(info, "\"interfaces\":[\"org.varlink.service\",\"org.sockserver.Control\"]");
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(reply, "parameters"), "description")),
        file_text(SOURCE_DIR "/daemon/supervisor/control/org.sockserver.Control.varlink"));
    json_decref(reply);
    assert_contains(control_ask(fd, "{\"method\":\"org.varlink.service.GetInterfaceDescription\","
                                    "\"parameters\":{\"interface\":\"org.varlink.service\"}}"),
                    "method GetInfo()");
    daemon_expect_stop(daemon);
}

static void
wrong_calls_are_answered_with_their_error(void **state)
{
    static const char *const cases[][2] = {
        {"{\"method\":\"org.sockserver.Control.Nothing\"}",
         "{\"error\":\"org.varlink.service.MethodNotFound\",\"parameters\":{\"method\":"
         "\"org.sockserver.Control.Nothing\"}}"},
        {"{\"method\":\"org.example.Other.Method\"}",
         "{\"error\":\"org.varlink.service.InterfaceNotFound\",\"parameters\":{\"interface\":"
         "\"org.example.Other\"}}"},
        {"{\"method\":\"nodots\"}", "{\"error\":\"org.varlink.service.InterfaceNotFound\""},
        {"{\"method\":\"\"}", "{\"error\":\"org.varlink.service.InterfaceNotFound\""},
        {CALL("Drain", ""), "{\"error\":\"org.varlink.service.InvalidParameter\",\"parameters\":"
                            "{\"parameter\":\"listener\"}}"},
        {CALL("Drain", "\"listener\":7"), "{\"error\":\"org.varlink.service.InvalidParameter\""},
        {CALL("Drain", "\"listener\":null"), "{\"error\":\"org.varlink.service.InvalidParameter\""},
        {CALL("Drain", "\"listener\":\"test\",\"wait\":1"),
         "{\"error\":\"org.varlink.service.InvalidParameter\",\"parameters\":{\"parameter\":"
         "\"wait\"}}"},
        {CALL("GetStatus", "\"listenr\":\"test\""),
         "{\"error\":\"org.varlink.service.InvalidParameter\",\"parameters\":{\"parameter\":"
         "\"listenr\"}}"},
        {CALL("GetRequests", "\"limit\":-1"),
         "{\"error\":\"org.varlink.service.InvalidParameter\""},
        {CALL("SetLogLevel", "\"level\":\"loud\""),
         "{\"error\":\"org.varlink.service.InvalidParameter\""},
        {CALL("Stop", "\"listener\":\"tset\""),
         ERROR(
             "UnknownListener") "\"parameters\":{\"listener\":\"tset\",\"suggestion\":\"test\"}}"},
        {CALL("GetStatus", "\"listener\":\"zzzzzzzzzzzz\""),
         ERROR("UnknownListener") "\"parameters\":{\"listener\":\"zzzzzzzzzzzz\",\"suggestion\":"
                                  "null}}"},
    };
    struct daemon *daemon = serve();
    int fd = control_connect(daemon);

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_starts(control_ask(fd, cases[i][0]), cases[i][1]);
    daemon_expect_stop(daemon);
}

static void
calls_in_one_piece_are_answered_in_order(void **state)
{
    static const char calls[] =
        "{\"method\":\"org.sockserver.Control.GetRequests\"}\0"
        "{\"method\":\"org.sockserver.Control.GetRequests\","
        "\"oneway\":true}\0"
        "{\"method\":\"org.sockserver.Control.GetRequests\",\"more\":true}\0"
        "{\"method\":\"org.sockserver.Control.Nothing\"}";
    struct daemon *daemon = serve();
    int fd = control_connect(daemon);

    (void)state;
    client_send_bytes(fd, calls, sizeof calls);
    client_half_close(fd);
    assert_string_equal(control_receive(fd), "{\"parameters\":{\"requests\":[]}}");
    assert_string_equal(control_receive(fd), "{\"parameters\":{\"requests\":[]}}");
    assert_starts(control_receive(fd), "{\"error\":\"org.varlink.service.MethodNotFound\"");
    client_expect_end(fd);
    daemon_expect_stop(daemon);
}

static void
messages_may_come_byte_by_byte(void **state)
{
    struct daemon *daemon = serve();
    int fd = control_connect(daemon);

    (void)state;
    for (size_t i = 0; i < sizeof GET_STATUS; i++)
        client_send_bytes(fd, &GET_STATUS[i], 1);
    assert_starts(control_receive(fd), "{\"parameters\":{");
    daemon_expect_stop(daemon);
}

/* ---- hostile clients --------------------------------------------------------------------- */

static void
junk_ends_only_its_connection(void **state)
{
    static const char *const junk[] = {
        "",     "hello",           "[]",           "{}",         "{\"method\":1}",
        "\xff", "{\"method\":\"a", "{\"method\":", "null",       "{\"method\":\"a.B\"} x",
        "\n",   "GET / HTTP/1.1",  "{{{{{{{{{{{{", "\"string\"", "{\"parameters\":{}}",
    };
    struct daemon *daemon = serve();

    (void)state;
    for (size_t i = 0; i < sizeof junk / sizeof junk[0]; i++) {
        int fd = control_connect(daemon);
        control_send(fd, junk[i]);
        client_expect_gone(fd);
        client_close(fd);
    }
    expect_answers(daemon);
    daemon_expect_stop(daemon);
}

static void
too_long_messages_end_their_connection(void **state)
{
    static char text[MESSAGE];
    struct daemon *daemon = serve();
    int fd = control_connect(daemon);

    (void)state;
    memset(text, ' ', sizeof text);
    memcpy(text, GET_STATUS, strlen(GET_STATUS));
    text[MESSAGE - 1] = '\0'; /* as long as it may be */
    client_send_bytes(fd, text, MESSAGE);
    assert_starts(control_receive(fd), "{\"parameters\":{");
    text[MESSAGE - 1] = ' ';
    client_send_bytes(fd, text, MESSAGE);
    client_expect_gone(fd);
    expect_answers(daemon);
    daemon_expect_stop(daemon);
}

/* Nothing, half a message, or a reply that is not taken: two seconds, and another's turn. */
static void
who_holds_up_is_let_go(void **state)
{
    struct daemon *daemon = serve();
    double began = clock_now();
    int idle = control_connect(daemon), half = control_connect(daemon);
    int deaf = control_connect(daemon);
    struct pollfd writable = {.fd = deaf, .events = POLLOUT};

    (void)state;
    client_send(half, "{\"method\":");
    assert_true(client_readable(idle, LONG_ENOUGH));
    client_expect_gone(idle);
    client_expect_gone(half);
    assert_true(clock_now() - began > 1.5);
    client_close(deaf); /* it had its two seconds, too */

    deaf = control_connect(daemon);
    writable.fd = deaf;
    while (poll(&writable, 1, 500) == 1 && (writable.revents & POLLHUP) == 0)
        if (send(deaf, GET_STATUS, sizeof GET_STATUS, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 &&
            errno != EAGAIN)
            break;
    writable.events = 0;
    assert_int_equal(poll(&writable, 1, LONG_ENOUGH * 1000), 1);
    assert_true(writable.revents & (POLLHUP | POLLERR));
    expect_answers(daemon);
    daemon_expect_stop(daemon);
}

#define CROWD   1000
#define WAITERS 64

static void
a_thousand_clients_hold_up_nobody(void **state)
{
    struct rlimit limit = {.rlim_cur = CROWD + 100, .rlim_max = CROWD + 100};
    struct daemon *daemon = serve();
    const char *address = daemon_address(daemon, "test");
    pid_t worker = daemon_worker(daemon);
    static int crowd[CROWD];
    double slowest = 0;

    (void)state;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    for (int i = 0; i < CROWD; i++) {
        crowd[i] = control_connect(daemon);
        if (i % 3 == 0)
            client_send(crowd[i], "{\"half\":");
        if (i % 3 == 1)
            control_send(crowd[i], "junk");
        if (i % 100 == 99) {
            double began = clock_now();
            int fd = control_connect(daemon);
            assert_starts(control_ask(fd, GET_STATUS), "{\"parameters\":{");
            if (clock_now() - began > slowest)
                slowest = clock_now() - began;
            client_close(fd);
            assert_string_equal(client_ask(address, "hello\n"), "HELLO\n");
        }
    }
    /* Who has to wait for another waits for his two seconds; on a machine with time, nobody waits.
     */
    if (slowest > (LONG_FORM ? 0.1 : 1.9))
        fail_msg("the slowest status took %.0f ms", slowest * 1000);
    for (int i = 0; i < CROWD; i++)
        client_close(crowd[i]);
    WAIT_UNTIL(proc_fd_count(daemon_pid(daemon)) < 40);
    assert_int_equal(daemon_worker(daemon), worker);
    assert_lacks(daemon_log(daemon), "does not answer");
    daemon_expect_stop(daemon);
}

/* The supervisor without a descriptor to spare: it neither spins nor stays deaf. */
static void
without_descriptors_it_pauses_and_comes_back(void **state)
{
    struct daemon *daemon = serve();
    pid_t pid = daemon_pid(daemon);
    struct rlimit limit, tight;
    int fd = control_connect(daemon);
    double cpu;

    (void)state;
    assert_return_code(prlimit(pid, RLIMIT_NOFILE, NULL, &limit), errno);
    WAIT_UNTIL(strstr(control_ask(fd, GET_STATUS), "serving") != NULL);
    tight = limit;
    tight.rlim_cur = 3; /* which it has had from the first */
    assert_return_code(prlimit(pid, RLIMIT_NOFILE, &tight, NULL), errno);
    fd = client_connect(text_of("unix://%s", daemon_control(daemon)));
    (void)daemon_wait_log(daemon, "control: cannot accept: Too many open files");
    cpu = proc_cpu_seconds(pid);
    assert_false(client_readable(fd, 1));
    if (!SANITIZED)
        assert_true(proc_cpu_seconds(pid) - cpu <= 0.05);
    assert_return_code(prlimit(pid, RLIMIT_NOFILE, &limit, NULL), errno);
    assert_starts(control_ask(fd, GET_STATUS), "{\"parameters\":{");
    daemon_expect_stop(daemon);
}

/* Only so many may wait; then a newcomer is told so at once. */
static void
who_waits_takes_no_place_until_there_are_too_many(void **state)
{
    struct daemon *daemon = daemon_serve("tcp", "threading", "good_command", "drain_timeout = 60;");
    int busy = client_connect(daemon_address(daemon, "test")), waiting[WAITERS];

    (void)state;
    client_send(busy, "echo here\n");
    client_expect(busy, "here\n");
    for (int i = 0; i < WAITERS; i++) {
        expect_answers(daemon);
        control_send(waiting[i] = control_connect(daemon),
                     CALL("Drain", "\"listener\":\"test\",\"wait\":true"));
    }
    (void)daemon_wait_log_times(daemon, "control: Drain test", WAITERS);
    assert_starts(control_receive(control_connect(daemon)), ERROR("Busy"));
    client_close(busy);
    for (int i = 0; i < WAITERS; i++)
        assert_starts(control_receive(waiting[i]), "{\"parameters\":");
    assert_string_equal(control_state(daemon, "test"), "drained");
    daemon_expect_stop(daemon);
}

/* Nobody is told to come again: each gets an answer, and the daemon serves on. */
static void
reloads_and_restarts_queue(void **state)
{
    struct daemon *daemon = serve();
    int asking[12];

    (void)state;
    (void)daemon_address(daemon, "test");
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 12; i++)
            control_send(asking[i] = control_connect(daemon),
                         i % 3 == 1 ? CALL("Restart", "\"listener\":\"test\"") : RELOAD);
        for (int i = 0; i < 12; i++) {
            assert_string_equal(control_receive(asking[i]), "{\"parameters\":{\"notices\":[]}}");
            client_close(asking[i]);
        }
    }
    assert_string_equal(control_state(daemon, "test"), "serving");
    daemon_expect_stop(daemon);
}

/* What a client sends byte by byte does not prolong its two seconds.
 */
static void
a_slow_call_has_a_total_deadline(void **state)
{
    struct daemon *daemon = serve();
    int fd = control_connect(daemon);
    double began = clock_now();

    (void)state;
    while (clock_now() - began < LONG_ENOUGH && send(fd, " ", 1, MSG_NOSIGNAL) == 1)
        (void)poll(NULL, 0, 50);
    assert_true(clock_now() - began < LONG_ENOUGH);
    assert_true(clock_now() - began > 1.5);
    expect_answers(daemon);
    daemon_expect_stop(daemon);
}

/* What a worker's memory says is never believed. */
static void
scribbled_counters_harm_nobody(void **state)
{
    static const char bytes[] = {'\xff', '\x7f', '\x03', '\x02', '\x01', '\x80'};
    struct daemon *daemon = daemon_serve("tcp", "threading", "bad_scribble", "");
    const char *address = daemon_address(daemon, "test");

    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++) {
        struct outcome outcome;
        int client = client_connect(address), fd = control_connect(daemon);
        const char *text;
        json_t *reply;

        client_send_bytes(client, &bytes[i], 1);
        client_expect(client, "done\n");
        text = control_ask(fd, GET_STATUS);
        assert_non_null(reply = json_loads(text, 0, NULL));
        assert_non_null(json_object_get(reply, "parameters"));
        json_decref(reply);
        text = control_ask(fd, CALL("GetRequests", "\"limit\":100"));
        assert_non_null(reply = json_loads(text, 0, NULL));
        assert_non_null(json_object_get(reply, "parameters"));
        json_decref(reply);
        outcome = CTL(daemon, "status");
        assert_string_equal(outcome.errors, "");
        assert_int_equal(outcome.status, 0);
        client_close(client);
        client_close(fd);
    }
    assert_lacks(daemon_log(daemon), "Sanitizer"); /* its worker is beyond a stop in order */
}

/* Its 40,000 slots take 8 MB, when looked at. */
static void
slots_that_nobody_had_take_no_memory(void **state)
{
    static const char *const more = "max_connections = 40000; cpus = 3;";
    struct daemon *daemon = daemon_serve("tcp", "coroutine", "upper", more);
    const char *address = daemon_address(daemon, "test");

    (void)state;
    for (int i = 0; i < 20; i++) {
        int client = client_connect(address);
        client_send(client, "a\n");
        client_expect(client, "A\n");
    }
    assert_int_equal(control_figure(daemon, "test", "active"), 20);
    expect_answers(daemon);
    assert_starts(control_ask(control_connect(daemon), CALL("GetRequests", "\"limit\":100")),
                  "{\"parameters\":{");
    assert_in_range(proc_shared_kib(daemon_pid(daemon)), 1, 256);
    client_close_all();
    daemon_expect_stop(daemon);
}

/* ---- the path ------------------------------------------------------------------------------- */

static bool
is_socket(const char *path, mode_t mode)
{
    struct stat status;

    return stat(path, &status) == 0 && S_ISSOCK(status.st_mode) && (status.st_mode & 0777) == mode;
}

static bool
is_gone(const char *path)
{
    return access(path, F_OK) < 0 && errno == ENOENT;
}

static const char *
configuration(const char *path)
{
    return text_of("control = { path = \"%s\"; mode = \"0600\"; };\nlisteners = {\n%s};", path,
                   listener_text("test", "tcp", "none", "upper", ""));
}

static void
the_path_is_made_and_removed(void **state)
{
    struct daemon *daemon = serve();

    (void)state;
    (void)control_connect(daemon);
    assert_true(is_socket(daemon_control(daemon), 0660));
    daemon_expect_stop(daemon);
    assert_true(is_gone(daemon_control(daemon)));
}

static void
what_a_dead_daemon_left_is_replaced(void **state)
{
    const char *path = test_path("control"), *text = configuration(path);
    struct daemon *daemon = daemon_start("%s", text);

    (void)state;
    (void)control_connect(daemon);
    daemon_signal(daemon, SIGKILL);
    (void)daemon_wait_exit(daemon);
    assert_true(is_socket(path, 0600));
    daemon = daemon_start("%s", text);
    (void)daemon_address(daemon, "test");
    expect_answers(daemon);
    daemon_expect_stop(daemon);
}

static void
a_second_daemon_does_not_start(void **state)
{
    const char *path = test_path("control"), *text = configuration(path);
    struct daemon *first = daemon_start("%s", text), *second;

    (void)state;
    (void)control_connect(first);
    second = daemon_start("%s", text);
    daemon_expect_exit(second, 1);
    assert_contains(
        daemon_log(second),
        text_of("not starting: process %d is a daemon with the same control socket, %s; "
                "stop it first",
                (int)daemon_pid(first), path));
    assert_lacks(daemon_log(second), "listening on");
    assert_lacks(daemon_log(second), "going on without it");
    expect_answers(first);
    assert_string_equal(client_ask(daemon_address(first, "test"), "hello\n"), "HELLO\n");
    daemon_expect_stop(first);
}

static void
an_impossible_path_is_a_warning(void **state)
{
    struct daemon *daemon = daemon_start("%s", configuration("/proc/no/such/folder/control"));

    (void)state;
    assert_contains(daemon_wait_log(daemon, "control socket"), "going on without it");
    assert_string_equal(client_ask(daemon_address(daemon, "test"), "hello\n"), "HELLO\n");
    daemon_expect_stop(daemon);
}

static void
reload_moves_the_path(void **state)
{
    const char *old = test_path("control"), *new = test_path("new/control");
    struct daemon *daemon = daemon_start("%s", configuration(old));
    int fd = control_connect(daemon);
    struct outcome outcome;
    const char *text = file_text(daemon_file(daemon)), *at = strstr(text, old);

    (void)state;
    assert_non_null(at);
    (void)daemon_address(daemon, "test");
    (void)test_file(strrchr(daemon_file(daemon), '/') + 1,
                    text_of("%.*s%s%s", (int)(at - text), text, new, at + strlen(old)));
    assert_string_equal(control_ask(fd, RELOAD), "{\"parameters\":{\"notices\":[]}}");
    assert_true(is_gone(old));
    assert_true(is_socket(new, 0600));
    outcome = command_run(CTL_PROGRAM, "",
                          (const char *const[]){"--socket", new, "status", "test", NULL});
    assert_int_equal(outcome.status, 0);
    daemon_expect_stop(daemon);
    assert_true(is_gone(new));
    assert_return_code(rmdir(test_path("new")), errno);
}

/* Who comes while the program is executed anew waits in the queue. */
static void
an_upgrade_refuses_nobody(void **state)
{
    struct daemon *daemon = serve();
    const char *address = text_of("unix://%s", daemon_control(daemon));
    size_t answered = 0;

    (void)state;
    (void)daemon_address(daemon, "test");
    expect_answers(daemon); /* so the socket is there */
    for (size_t times = 1; times <= 3; times++) {
        daemon_signal(daemon, SIGUSR2);
        while (daemon_count_log(daemon, "reloaded: ") < times) {
            client_close(client_connect(address)); /* fails if it is refused */
            answered++;
        }
    }
    assert_in_range(answered, 4, UINT_MAX);
    expect_answers(daemon);
    assert_true(is_socket(daemon_control(daemon), 0660));
    daemon_expect_stop(daemon);
    assert_true(is_gone(daemon_control(daemon)));
}

/* What the next program's configuration does not want goes with its path. */
static void
an_upgrade_moves_the_path(void **state)
{
    const char *old = test_path("old"), *new = test_path("new");
    const char *file = daemon_configuration("%s", configuration(old));
    struct daemon *daemon = DAEMON_RUN("-c", file);

    (void)state;
    (void)daemon_address(daemon, "test");
    WAIT_UNTIL(is_socket(old, 0600));
    assert_return_code(rename(daemon_configuration("%s", configuration(new)), file), errno);
    daemon_signal(daemon, SIGUSR2);
    WAIT_UNTIL(is_socket(new, 0600) && is_gone(old));
    (void)daemon_wait_log(daemon, "reloaded: ");
    daemon_expect_stop(daemon);
    assert_true(is_gone(new));
}

static void
once_has_none(void **state)
{
    const char *file = daemon_configuration("%s", configuration(test_path("control")));
    struct daemon *daemon = DAEMON_RUN("--once", "-c", file);
    const char *address = daemon_address(daemon, "test");

    (void)state;
    assert_true(is_gone(test_path("control")));
    assert_string_equal(client_ask(address, "hello\n"), "HELLO\n");
    assert_int_equal(daemon_wait_exit(daemon), 0);
}

RUN_TESTS(TEST(describes_itself), TEST(wrong_calls_are_answered_with_their_error),
          TEST(calls_in_one_piece_are_answered_in_order), TEST(messages_may_come_byte_by_byte),
          TEST(junk_ends_only_its_connection), TEST(too_long_messages_end_their_connection),
          TEST(who_holds_up_is_let_go), TEST(a_thousand_clients_hold_up_nobody),
          TEST(without_descriptors_it_pauses_and_comes_back),
          TEST(who_waits_takes_no_place_until_there_are_too_many), TEST(reloads_and_restarts_queue),
          TEST(a_slow_call_has_a_total_deadline), TEST(scribbled_counters_harm_nobody),
          TEST(slots_that_nobody_had_take_no_memory), TEST(the_path_is_made_and_removed),
          TEST(what_a_dead_daemon_left_is_replaced), TEST(a_second_daemon_does_not_start),
          TEST(an_impossible_path_is_a_warning), TEST(reload_moves_the_path),
          TEST(an_upgrade_refuses_nobody), TEST(an_upgrade_moves_the_path), TEST(once_has_none))
