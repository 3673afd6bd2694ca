/* SPDX-License-Identifier: MIT */
/*
 * test_exhaustion.c - memory, processes and room for the log come to an end, clients are many and
 * slow
 *
 * Whatever runs out, the daemon goes on, its other listeners do not notice, and
 * when there is enough again everything is as before. TORTURE=1 in the
 * environment: the long form.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/client.h"
#include "support/daemon.h"
#include "support/load.h"
#include "support/proc.h"
#include "support/test.h"

#define CANNOT_PREPARE 77

/* A listener "other" under load, beside the listener "test" with these lines. */
static struct daemon *
serve_beside(const struct server_case *server, const char *plugin, const char *more,
             struct load **ret_other)
{
    struct daemon *daemon = daemon_start(
        "listeners = {\n%s%s};", listener_text("other", "tcp", "threading", "good_command", ""),
        listener_text("test", server->scheme, server->mixin, plugin, more));

    *ret_other = load_start(daemon_address(daemon, "other"), 1, "echo ");
    (void)daemon_address(daemon, "test");
    return daemon;
}

static void
expect_unharmed(struct load *other)
{
    load_wait_more(other, 10);
    load_stop(other);
    load_expect_answered(other, 10);
}

/* ---- memory ------------------------------------------------------------------------------ */

/* Whether the command was answered at all; *ret_refused: with the handler's error. */
static bool
leaks_once(const char *address, bool *ret_refused)
{
    const char *answer = client_ask(address, "malloc 4000000\n");

    *ret_refused = strncmp(answer, "error -12", 9) == 0;
    return answer[0] != '\0';
}

/* limits.as: a handler that leaks is refused memory. The worker goes on or is replaced. */
static void
memory_that_is_used_up_hurts_its_own_listener_only(void **state)
{
    const struct server_case *server = *state;
    struct load *other;
    bool refused = false;

    if (SANITIZED) {
        print_message("skipped: a sanitizer reserves more address space than any limit\n");
        skip();
    }
    struct daemon *daemon =
        serve_beside(server, "good_command", "limits = { as = \"192M\"; };", &other);
    const char *address = daemon_address(daemon, "test");
    pid_t worker = 0;
    for (int i = 0; i < 400 && !refused; i++)
        if (!leaks_once(address, &refused))
            break;
    for (int i = 0; i < 20; i++) /* with what is left, or from a new worker */
        assert_string_equal(client_ask(address, "echo well\n"), "well\n");
    worker = atoi(client_ask(address, "pid\n") + strlen("pid "));
    assert_true(worker > 1);
    assert_return_code(kill(worker, SIGKILL), errno);
    (void)daemon_wait_log(daemon, "was killed by signal 9");
    assert_true(leaks_once(address, &refused) && !refused); /* a new one has all of it again */
    expect_unharmed(other);
    daemon_expect_stop(daemon);
}

/* ---- processes --------------------------------------------------------------------------- */

#define CLIENTS 6

/* RLIMIT_NPROC counts all processes of a user, so this one has no others. It does not count for
 * root. */
#define LONELY_USER "64123"

static void
without_processes_clients_wait(void **state)
{
    const struct server_case *server = *state;
    struct load *other;
    int clients[CLIENTS];

    if (geteuid() != 0 || SANITIZED) {
        print_message("skipped: only root can give a worker a user without other processes\n");
        skip();
    }
    struct daemon *daemon =
        serve_beside(server, test_plugin_for_all("good_command"),
                     "user = \"" LONELY_USER "\"; limits = { nproc = 4; };", &other);
    const char *address = daemon_address(daemon, "test");
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = client_connect(address);
        client_send(clients[i], text_of("echo %d\n", i));
    }
    client_expect(clients[0], "0\n");
    double cpu = proc_cpu_seconds(daemon_pid(daemon));
    assert_false(client_readable(clients[CLIENTS - 1], 1)); /* nobody is left for it */
    assert_true(proc_cpu_seconds(daemon_pid(daemon)) - cpu < 0.2);
    for (int i = 0; i < CLIENTS; i++) {
        if (i > 0)
            client_expect(clients[i], text_of("%d\n", i));
        client_close(clients[i]);
    }
    assert_string_equal(client_ask(address, "echo again\n"), "again\n");
    assert_lacks(daemon_log(daemon), "starting another");
    expect_unharmed(other);
    daemon_expect_stop(daemon);
}

/* ---- room for the log ---------------------------------------------------------------------- */

static const char *disk; /* where the daemon has a small one of its own */

static void
mount_disk(void *userdata)
{
    (void)userdata;
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("none", disk, "tmpfs", 0, "size=256k,mode=0777") < 0)
        _exit(CANNOT_PREPARE);
}

/* A file on the daemon's disk, as it is seen from here. */
static const char *
on_disk(struct daemon *daemon, const char *name)
{
    return text_of("/proc/%d/root%s/%s", (int)daemon_pid(daemon), disk, name);
}

static bool
fill(const char *path)
{
    char bytes[4096] = "";
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);

    if (fd < 0)
        return false;
    while (write(fd, bytes, sizeof(bytes)) > 0 || write(fd, bytes, 1) > 0)
        continue;
    bool full = errno == ENOSPC;
    (void)close(fd);
    return full;
}

/* Lines are lost while the disk is full, and no request. Later lines are written again. */
static void
a_full_disk_costs_lines_only(void **state)
{
    const char *address, *file;

    (void)state;
    disk = test_path("disk");
    assert_return_code(mkdir(disk, 0777), errno);
    address = address_for("unix", "test");
    file = daemon_configuration("log = { target = \"%s/log\"; access = true; };\nlisteners = "
                                "{ test = { address = \"%s\"; plugin = \"good_command\"; "
                                "mixin = \"threading\"; }; };",
                                disk, address);
    const char *const arguments[] = {"-c", file, NULL};
    struct daemon *daemon = daemon_run_prepared(arguments, mount_disk, NULL);
    int client = -1;
    WAIT_UNTIL(!proc_alive(daemon_pid(daemon)) || client_try_connect(address, true, &client) == 0);
    if (!proc_alive(daemon_pid(daemon))) {
        assert_int_equal(daemon_wait_exit(daemon), CANNOT_PREPARE);
        print_message("skipped: a disk of its own needs root and mount namespaces\n");
        skip();
    }
    client_close(client);
    WAIT_UNTIL(fill(on_disk(daemon, "filler")));
    for (int i = 0; i < 200; i++)
        assert_string_equal(client_ask(address, "echo full\n"), "full\n");
    assert_true(fill(on_disk(daemon, "filler")));
    assert_return_code(unlink(on_disk(daemon, "filler")), errno);
    for (int i = 0; i < 5; i++)
        assert_string_equal(client_ask(address, "log 4 hello again\n"), "logged\n");
    WAIT_UNTIL(strstr(file_text(on_disk(daemon, "log")), "hello again") != NULL);
    daemon_expect_stop(daemon);
}

/* ---- clients ------------------------------------------------------------------------------- */

#define SLOW_MAX 4000

static int
by_time(const void *one, const void *other)
{
    double a = *(const double *)one, b = *(const double *)other;

    return (a > b) - (a < b);
}

/* Of a hundred exchanges the slowest but one, in seconds. */
static double
slow_exchange(const char *address)
{
    static double took[100];

    for (int i = 0; i < 100; i++) {
        double began = clock_now();
        assert_string_equal(client_ask(address, "echo quick\n"), "quick\n");
        took[i] = clock_now() - began;
    }
    qsort(took, 100, sizeof(took[0]), by_time);
    return took[98];
}

/* Many send a byte now and then, and never a line. Others are served meanwhile, and request_timeout
 * ends the slow ones. */
static void
a_crowd_of_slow_clients_holds_up_nobody(void **state)
{
    static int slow[SLOW_MAX];
    size_t count = LONG_FORM ? SLOW_MAX : 400;
    struct daemon *daemon =
        daemon_serve("unix", "coroutine", "good_command",
                     text_of("max_connections = %zu; request_queue_size = 4096; request_timeout = "
                             "\"%ds\";",
                             count + 10, LONG_FORM ? 10 : 2));
    const char *address = daemon_address(daemon, "test");
    double began = clock_now();

    (void)state;
    for (size_t i = 0; i < count; i++) {
        slow[i] = client_connect(address);
        client_send(slow[i], "x");
    }
    double took = slow_exchange(address);
    for (size_t i = 0; i < count; i += 2)
        (void)send(slow[i], "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (LONG_FORM && !SANITIZED)
        assert_true(took < 0.05);
    for (size_t i = 0; i < count; i++)
        client_expect_gone(slow[i]);
    if (LONG_FORM && !SANITIZED)
        assert_true(clock_now() - began < 15);
    client_close_all();
    assert_string_equal(client_ask(address, "echo after\n"), "after\n");
    daemon_expect_stop(daemon);
}

/* While the queue is full the kernel drops a question, too. */
static void
ask_until_answered(const char *address)
{
    int client = client_connect(address);

    do
        client_send(client, "echo after\n");
    while (!client_readable(client, 0.2));
    client_expect(client, "after\n");
    client_close(client);
}

/* Datagrams of every size, more than can be answered, to a listener beside those of others. */
static void
a_flood_of_datagrams_costs_others_nothing(void **state)
{
    static const size_t sizes[] = {0, 1, 100, 1472, 8192, 65507};
    static char bytes[65507];
    const struct server_case *server = *state;
    struct load *other;
    struct daemon *daemon = serve_beside(server, "good_command", "max_packet_size = 8000;", &other);
    const char *address = daemon_address(daemon, "test");
    int flood = client_connect(address);
    double end = clock_now() + (LONG_FORM ? 10 : 1);

    memset(bytes, 'x', sizeof(bytes));
    for (size_t i = 0; clock_now() < end; i++) {
        (void)send(flood, bytes, sizes[i % 6], MSG_DONTWAIT); /* full queues are part of it */
        (void)send(flood, "echo flood\n", 11, MSG_DONTWAIT);
    }
    client_close(flood);
    ask_until_answered(address);
    expect_unharmed(other);
    assert_lacks(daemon_log(daemon), "starting another");
    daemon_expect_stop(daemon);
}

/* ---- a plugin that is overwritten ------------------------------------------------------------ */

/* In place, and not by rename: what a worker has mapped changes under it. */
static void
a_plugin_overwritten_in_place_hurts_its_own_listener_only(void **state)
{
    const char *plugin = test_path("plugin.so");
    const char *good = text_of("%s/good_command.so", FIXTURES);
    struct load *other;

    (void)state;
    if (system(text_of("cp %s %s", good, plugin)) != 0)
        fail_msg("cannot copy the plugin");
    struct daemon *daemon = daemon_start(
        "listeners = {\n%s%s};", listener_text("other", "tcp", "threading", "good_command", ""),
        listener_text("test", "tcp", "threading", plugin, ""));
    const char *address = daemon_address(daemon, "test");
    other = load_start(daemon_address(daemon, "other"), 1, "echo ");
    assert_string_equal(client_ask(address, "echo one\n"), "one\n");
    (void)test_file("plugin.so", "this is no plugin any more\n");
    int client = client_connect(address); /* it may find the worker's death */
    client_send(client, "echo two\n");
    daemon_signal(daemon, SIGHUP);
    (void)daemon_wait_log(daemon, "plugin.so: ");
    client_close(client);
    if (system(text_of("cp %s %s.new && mv %s.new %s", good, plugin, plugin, plugin)) != 0)
        fail_msg("cannot copy the plugin");
    daemon_signal(daemon, SIGHUP);
    WAIT_UNTIL(strcmp(client_ask(address, "echo three\n"), "three\n") == 0);
    expect_unharmed(other);
    daemon_expect_stop_after_fault(daemon);
}

RUN_TESTS(TEST_CASE(memory_that_is_used_up_hurts_its_own_listener_only, "tcp", "none"),
          TEST_CASE(memory_that_is_used_up_hurts_its_own_listener_only, "tcp", "threading"),
          TEST_CASE(memory_that_is_used_up_hurts_its_own_listener_only, "unix", "coroutine"),
          TEST_CASE(without_processes_clients_wait, "tcp", "forking"),
          TEST_CASE(without_processes_clients_wait, "tcp", "threading"),
          TEST(a_full_disk_costs_lines_only), TEST(a_crowd_of_slow_clients_holds_up_nobody),
          TEST_CASE(a_flood_of_datagrams_costs_others_nothing, "udp", "none"),
          TEST_CASE(a_flood_of_datagrams_costs_others_nothing, "udp", "threading"),
          TEST_CASE(a_flood_of_datagrams_costs_others_nothing, "udp", "coroutine"),
          TEST(a_plugin_overwritten_in_place_hurts_its_own_listener_only))
