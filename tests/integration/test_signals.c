/* SPDX-License-Identifier: MIT */
/*
 * test_signals.c - every signal, sent to the supervisor and to a worker
 *
 * The manual's table says what each does; here it is done.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/client.h"
#include "support/clock.h"
#include "support/daemon.h"
#include "support/proc.h"
#include "support/test.h"

#define LARGEST_FILE (4 << 20)

/* What the event loop reads: each has tests of its own. */
static const int read_by_loop[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGCHLD};
/* What ends the supervisor on purpose. */
static const int deadly[] = {SIGQUIT, SIGABRT, SIGBUS,  SIGFPE, SIGILL,
                             SIGSEGV, SIGSYS,  SIGTRAP, SIGKILL};
/* What would stop it, like any process. */
static const int stopping[] = {SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU};

#define IS_IN(list, number) is_in(list, sizeof(list) / sizeof((list)[0]), number)

static bool
is_in(const int *list, size_t count, int number)
{
    for (size_t i = 0; i < count; i++)
        if (list[i] == number)
            return true;
    return false;
}

/* 32 and 33 are the C library's own. */
static bool
is_survived(int number)
{
    return !IS_IN(read_by_loop, number) && !IS_IN(deadly, number) && !IS_IN(stopping, number) &&
           (number < 32 || number >= SIGRTMIN);
}

static void
set_limit(void *userdata)
{
    const struct rlimit limit = {LARGEST_FILE, LARGEST_FILE}, no_core = {0, 0};

    (void)setrlimit(RLIMIT_CORE, &no_core);
    if (userdata != NULL)
        (void)setrlimit(RLIMIT_FSIZE, &limit);
}

static struct daemon *
start(const char *log, void *limited)
{
    (void)test_file("conf", text_of("log = { target = \"%s\"; };\ncontrol = { path = \"%s\"; };\n"
                                    "plugin_path = \"" SHIPPED_PLUGINS "\";\nlisteners = {\n%s};\n",
                                    log, test_path("control"),
                                    listener_text("test", "unix", "threading", "echo", "")));
    return daemon_run_prepared((const char *const[]){"-c", test_path("conf"), NULL}, set_limit,
                               limited);
}

static const char *
address(void)
{
    return address_for("unix", "test");
}

static bool
answers(void)
{
    int fd = -1;
    bool fine = client_try_connect(address(), true, &fd) == 0;

    if (fd >= 0)
        client_close(fd);
    return fine;
}

/* ---- cases ---------------------------------------------------------------------------------- */

static void
the_manual_lists_each(void **state)
{
    const char *manual = file_text(SOURCE_DIR "/daemon/supervisor/sockserverd.8");

    (void)state;
    for (int number = 1; number < 32; number++) {
        bool harmless =
            IS_IN(stopping, number) || number == SIGCONT || number == SIGURG || number == SIGWINCH;

        if (!harmless)
            assert_contains(manual, text_of(" SIG%s ", sigabbrev_np(number)));
    }
    assert_contains(manual, " SIGRTMIN ");
}

static void
a_stray_signal_does_not_end_the_supervisor(void **state)
{
    struct daemon *daemon = start("stderr", NULL);
    int sent = 0;

    (void)state;
    (void)daemon_address(daemon, "test");
    pid_t worker = daemon_worker(daemon);
    for (int number = 1; number <= SIGRTMAX; number++) {
        if (!is_survived(number))
            continue;
        daemon_signal(daemon, number);
        sent++;
    }
    assert_true(sent > 30);
    assert_string_equal(client_ask(daemon_address(daemon, "test"), "hello\n"), "hello\n");
    daemon_signal(daemon, SIGHUP); /* it comes behind all of them */
    (void)daemon_wait_log(daemon, "reloaded: ");
    assert_int_equal(daemon_worker(daemon), worker);
    daemon_expect_stop(daemon);
}

static void
a_deadly_one_ends_it(void **state)
{
    const char *left_alone = "handle_segv=0:handle_sigbus=0:handle_sigfpe=0:handle_sigill=0";

    (void)state;
    (void)setenv("ASAN_OPTIONS", left_alone, 1);
    (void)setenv("TSAN_OPTIONS", left_alone, 1);
    for (size_t i = 0; i < sizeof(deadly) / sizeof(deadly[0]); i++) {
        struct daemon *daemon = start("stderr", NULL);

        (void)daemon_address(daemon, "test");
        daemon_signal(daemon, deadly[i]);
        assert_int_equal(daemon_wait_exit(daemon), -deadly[i]);
    }
    (void)unsetenv("ASAN_OPTIONS");
    (void)unsetenv("TSAN_OPTIONS");
}

static void
a_worker_survives_or_is_replaced(void **state)
{
    static const struct {
        int number;
        bool survives;
    } rows[] = {{SIGXFSZ, true}, {SIGPIPE, true}, {SIGALRM, false}, {SIGVTALRM, false}};
    struct daemon *daemon = start("stderr", NULL);

    (void)state;
    (void)daemon_address(daemon, "test");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        pid_t worker = daemon_worker(daemon);

        assert_int_equal(kill(worker, rows[i].number), 0);
        if (!rows[i].survives)
            WAIT_UNTIL(!proc_alive(worker));
        assert_string_equal(client_ask(daemon_address(daemon, "test"), "hello\n"), "hello\n");
        assert_int_equal(daemon_worker(daemon) == worker, rows[i].survives);
    }
    daemon_expect_stop(daemon);
}

/* The log has reached the limit: lines are lost, and nothing else. */
static void
a_full_file_does_not_end_the_supervisor(void **state)
{
    const char *log = test_path("log");
    bool limited = true;
    struct stat status;

    (void)state;
    (void)test_file("log", "");
    assert_int_equal(truncate(log, LARGEST_FILE - 10), 0);
    struct daemon *daemon = start(log, &limited);
    WAIT_UNTIL(answers());
    for (int i = 0; i < 3; i++)
        assert_string_equal(client_ask(address(), "hello\n"), "hello\n");
    daemon_signal(daemon, SIGHUP);
    daemon_signal(daemon, SIGUSR1);
    assert_string_equal(client_ask(address(), "again\n"), "again\n");
    assert_int_equal(daemon_stop(daemon), 0);
    assert_int_equal(stat(log, &status), 0);
    assert_true(status.st_size <= LARGEST_FILE);
}

RUN_TESTS(TEST(the_manual_lists_each), TEST(a_stray_signal_does_not_end_the_supervisor),
          TEST(a_deadly_one_ends_it), TEST(a_worker_survives_or_is_replaced),
          TEST(a_full_file_does_not_end_the_supervisor))
