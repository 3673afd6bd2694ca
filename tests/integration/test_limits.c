/* SPDX-License-Identifier: MIT */
/*
 * test_limits.c - many requests, few descriptors, full queues
 */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

#include "support/client.h"
#include "support/control.h"
#include "support/daemon.h"
#include "support/proc.h"
#include "support/test.h"

#define UPPER SHIPPED_PLUGINS "/upper.so"

static struct daemon *
serve(void **state, const char *more)
{
    const struct server_case *server = *state;

    return daemon_serve(server->scheme, server->mixin, "good_command", more);
}

/* ---- c30: many requests ---------------------------------------------------- */

static void
ask_many(const char *address, int times)
{
    for (int i = 0; i < times; i++) {
        int client = client_connect(address);

        client_send(client, "hello\n");
        client_expect(client, "HELLO\n");
        client_close(client);
    }
}

static void
c30_finished_requests_leave_nothing_behind(void **state)
{
    const struct server_case *server = *state;
    bool forking = strcmp(server->mixin, "forking") == 0;
    int times = SANITIZED ? 200 : forking ? 1000 : 5000;
    struct daemon *daemon = daemon_serve(server->scheme, server->mixin, "upper", "");
    const char *address = daemon_address(daemon, "test");
    pid_t worker = daemon_worker(daemon);
    size_t memory, fds;

    ask_many(address, times);
    memory = proc_memory_kib(worker);
    fds = proc_fd_count(worker);
    ask_many(address, times);
    if (!SANITIZED)
        assert_in_range(proc_memory_kib(worker), 1, memory + 512);
    WAIT_UNTIL(proc_fd_count(worker) <= fds);
    WAIT_UNTIL(proc_thread_count(worker) <= 6);
    WAIT_UNTIL(proc_child_count(worker) <= 4);
    assert_int_equal(daemon_worker(daemon), worker);
    daemon_expect_stop(daemon);
}

/* ---- c36: no descriptors left ------------------------------------------------ */

#define CROWD 24

/* Leaves the worker only so many free descriptors. */
static void
limit_descriptors(pid_t worker, size_t more)
{
    struct rlimit limit = {.rlim_cur = proc_fd_count(worker) + more};

    limit.rlim_max = limit.rlim_cur;
    assert_return_code(prlimit(worker, RLIMIT_NOFILE, &limit, NULL), errno);
}

static void
wait_real_time(double seconds)
{
    double end = clock_now() + seconds;

    while (clock_left(end) > 0)
        (void)poll(NULL, 0, clock_left(end));
}

static void
c36_without_descriptors_it_pauses_and_comes_back(void **state)
{
    /* The limit of a process is changed by its own user. */
    struct daemon *daemon = serve(state, geteuid() == 0 ? "max_connections = 100; user = \"root\";"
                                                        : "max_connections = 100;");
    const char *address = daemon_address(daemon, "test");
    pid_t worker = daemon_worker(daemon);
    int clients[CROWD];
    double cpu;

    limit_descriptors(worker, 5);
    for (int i = 0; i < CROWD; i++) {
        clients[i] = client_connect(address);
        client_send(clients[i], text_of("echo %d\n", i));
    }
    (void)daemon_wait_log(daemon, "Too many open files");
    cpu = proc_cpu_seconds(worker);
    wait_real_time(1);
    if (!SANITIZED)
        assert_true(proc_cpu_seconds(worker) - cpu <= 0.05);
    for (int i = 0; i < CROWD; i++) { /* in order: those behind wait for those before */
        client_expect(clients[i], text_of("%d\n", i));
        client_close(clients[i]);
    }
    assert_string_equal(client_ask(address, "echo all well\n"), "all well\n");
    assert_int_equal(daemon_worker(daemon), worker);
    assert_in_range(daemon_count_log(daemon, "Too many open files"), 1, 5);
    daemon_expect_stop(daemon);
}

/* ---- c53, c54, c66: the limit and the queue ------------------------------------ */

/* The queue is served in order, and whoever is served keeps the place for the time of the round. */
static void
c53_two_slots_serve_five_clients_in_three_rounds(void **state)
{
    struct daemon *daemon = serve(state, "max_connections = 2;");
    const char *address = daemon_address(daemon, "test");
    int clients[5];

    for (int i = 0; i < 5; i++) {
        clients[i] = client_connect(address);
        client_send(clients[i], "echo served\n");
    }
    for (int i = 0; i < 5; i += 2) {
        client_expect(clients[i], "served\n");
        if (i == 4)
            break;
        client_expect(clients[i + 1], "served\n");
        for (int j = i + 2; j < 5; j++)
            assert_false(client_readable(clients[j], 0.1));
        client_close(clients[i]);
        client_close(clients[i + 1]);
    }
    client_close_all();
    daemon_expect_stop(daemon);
}

static void
c54_a_listener_at_its_limit_does_not_hold_up_others(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon = daemon_start("listeners = {\n%s%s};",
                                         listener_text("full", server->scheme, server->mixin,
                                                       "good_command", "max_connections = 1;"),
                                         listener_text("free", "unix", "none", "upper", ""));
    const char *full = daemon_address(daemon, "full"), *open = daemon_address(daemon, "free");
    int first = client_connect(full), second = client_connect(full);

    client_send(first, "echo first\n");
    client_expect(first, "first\n");
    client_send(second, "echo second\n");
    for (int i = 0; i < 5; i++)
        assert_string_equal(client_ask(open, "free\n"), "FREE\n");
    assert_int_equal(control_figure(daemon, "full", "active"), 1); /* the control socket answers */
    assert_false(client_readable(second, 0));
    client_close(first);
    client_expect(second, "second\n");
    client_close(second);
    daemon_expect_stop(daemon);
}

/* A connection that is complete in time; not blocking, and kept open. */
static bool
completes(const char *address, double seconds)
{
    int fd = -1;
    int error = client_try_connect(address, false, &fd);
    struct pollfd wanted = {.fd = fd, .events = POLLOUT};

    if (error < 0)
        return false; /* a Unix queue that is full says so at once */
    return poll(&wanted, 1, (int)(seconds * 1000)) == 1 &&
           (wanted.revents & (POLLERR | POLLHUP)) == 0;
}

static void
c66_a_queue_of_five_holds_six(void **state)
{
    struct daemon *daemon = serve(state, "request_queue_size = 5; max_connections = 1;");
    const char *address = daemon_address(daemon, "test");
    int busy = client_connect(address);

    client_send(busy, "echo busy\n");
    client_expect(busy, "busy\n");
    for (int i = 0; i < 6; i++)
        assert_true(completes(address, DEADLINE));
    assert_false(completes(address, 0.2));
    client_close_all();
    daemon_expect_stop(daemon);
}

/* Many at once, more than there are slots: all are served, nobody is refused. */
static void
a_crowd_is_served_completely(void **state)
{
    bool one_by_one = strcmp(((const struct server_case *)*state)->mixin, "none") == 0;
    struct daemon *daemon = serve(state, one_by_one ? "" : "max_connections = 4;");
    const char *address = daemon_address(daemon, "test");
    int clients[100];

    for (int i = 0; i < 100; i++) {
        clients[i] = client_connect(address);
        client_send(clients[i], text_of("echo %d\nquit\n", i));
    }
    for (int i = 0; i < 100; i++) {
        client_expect(clients[i], text_of("%d\n", i));
        client_expect_end(clients[i]);
        client_close(clients[i]);
    }
    daemon_expect_stop(daemon);
}

/* ---- a machine that lacks something ---------------------------------------- */

static void
lower_descriptors(void *userdata)
{
    const struct rlimit limit = {.rlim_cur = 12, .rlim_max = 12};

    (void)userdata;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        abort();
}

#define CANNOT_PREPARE 77 /* an exit status that the daemon does not have */

static void
hide_proc(void *userdata)
{
    (void)userdata;
    if (unshare(geteuid() == 0 ? CLONE_NEWNS : CLONE_NEWNS | CLONE_NEWUSER) < 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("none", "/proc", "tmpfs", 0, NULL) < 0)
        _exit(CANNOT_PREPARE);
}

/* A daemon on a machine that was prepared so ends, and says what is missing. */
static void
expect_named(void (*prepare)(void *userdata), const char *words)
{
    const char *const arguments[] = {"--listen", "tcp://127.0.0.1:0", UPPER, NULL};

    if (SANITIZED) {
        print_message("skipped: a sanitizer's runtime needs descriptors and /proc, too\n");
        skip();
    }
    struct daemon *daemon = daemon_run_prepared(arguments, prepare, NULL);
    int status = daemon_wait_exit(daemon);
    if (status == CANNOT_PREPARE) {
        print_message("skipped: there are no mount namespaces here\n");
        skip();
    }
    assert_int_equal(status, 1);
    assert_contains(daemon_log(daemon), "cannot start a worker: ");
    assert_contains(daemon_log(daemon), words);
}

static void
want_of_descriptors_is_named(void **state)
{
    (void)state;
    expect_named(lower_descriptors,
                 "Too many open files; only 12 are allowed: raise LimitNOFILE= of the");
}

static void
a_missing_proc_is_named(void **state)
{
    (void)state;
    expect_named(hide_proc, "there is no /proc, which the daemon needs: mount -t proc proc /proc");
}

RUN_TESTS(TEST(want_of_descriptors_is_named), TEST(a_missing_proc_is_named),
          TEST_CASE(c30_finished_requests_leave_nothing_behind, "tcp", "none"),
          TEST_EACH_MIXIN(c30_finished_requests_leave_nothing_behind, "unix"),
          TEST_EACH_MIXIN(c30_finished_requests_leave_nothing_behind, "udp"),
          TEST_CASE(c36_without_descriptors_it_pauses_and_comes_back, "tcp", "threading"),
          TEST_CASE(c36_without_descriptors_it_pauses_and_comes_back, "unix", "threading"),
          TEST_CASE(c53_two_slots_serve_five_clients_in_three_rounds, "tcp", "forking"),
          TEST_CASE(c53_two_slots_serve_five_clients_in_three_rounds, "unix", "forking"),
          TEST_CASE(c53_two_slots_serve_five_clients_in_three_rounds, "tcp", "threading"),
          TEST_EACH_STREAM(c54_a_listener_at_its_limit_does_not_hold_up_others),
          TEST_EACH_STREAM(c66_a_queue_of_five_holds_six),
          TEST_EACH_STREAM(a_crowd_is_served_completely))
