/* SPDX-License-Identifier: MIT */
/*
 * test_spin.c - handlers that use the processor and never wait: named, cut, and replaced
 *
 * What decides is processor time: a busy machine makes these tests slower, and
 * nobody guilty.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "support/client.h"
#include "support/daemon.h"
#include "support/proc.h"
#include "support/test.h"

#define MIXINS 4

static const char *const mixins[MIXINS] = {"none", "threading", "forking", "coroutine"};

/* A listener for each mixin, called by its name, and one whose handlers never spin. */
static struct daemon *
serve(const char *scheme, const char *more)
{
    const char *text = listener_text("other", "tcp", "threading", "good_command", "");

    for (size_t i = 0; i < MIXINS; i++)
        text =
            text_of("%s%s", text, listener_text(mixins[i], scheme, mixins[i], "good_spin", more));
    return daemon_start("log = { access = true; };\nlisteners = {\n%s};", text);
}

/* Tells the handler of each mixin's listener to do something; *ret_clients: who told it. */
static void
tell_all(struct daemon *daemon, const char *what, int ret_clients[MIXINS])
{
    for (size_t i = 0; i < MIXINS; i++) {
        ret_clients[i] = client_connect(daemon_address(daemon, mixins[i]));
        client_send(ret_clients[i], text_of("%s\n", what));
    }
}

/* ThreadSanitizer holds back a signal until the thread calls the C library. One that spins does
 * not. */
static void
need_signals(void)
{
    if (CHECKED_THREAD)
        skip();
}

static pid_t
ask_pid(struct daemon *daemon, const char *listener)
{
    return atoi(client_ask(daemon_address(daemon, listener), "pid\n"));
}

/* "[none]: request 1 spins: ..." or, where the loop itself says it, "[coroutine/1]: request ...".
 */
static void
expect_named(struct daemon *daemon, const char *mixin, uint64_t request)
{
    bool loop = strcmp(mixin, "coroutine") == 0;
    const char *who = loop ? text_of("[%s/%lu]", mixin, request) : text_of("[%s]", mixin);
    const char *line = daemon_wait_log(daemon, text_of("%s: request %lu ", who, request));

    assert_contains(line, "spins: it has used ");
    assert_contains(line, "good_spin.so+0x");
}

/* ---- spinning on ---------------------------------------------------------------------------- */

/* Under forking the child of request 1 is killed; others' workers are replaced. */
static void
expect_replaced(struct daemon *daemon, const char *mixin, pid_t worker)
{
    if (strcmp(mixin, "forking") == 0) {
        (void)daemon_wait_log(daemon, "[forking]: request 2 was cut and spins on: its child ");
        return;
    }
    (void)daemon_wait_log(daemon, text_of("[%s]: worker %d has a handler that spins; starting "
                                          "another beside it",
                                          mixin, (int)worker));
    WAIT_UNTIL(!proc_alive(worker));
}

static void
one_that_spins_is_named_cut_and_replaced(void **state)
{
    need_signals();
    const char *scheme = *state;
    struct daemon *daemon = serve(scheme, "spin_limit = \"0.1s\"; drain_timeout = \"20s\";");
    pid_t workers[MIXINS];
    int clients[MIXINS];

    for (size_t i = 0; i < MIXINS; i++)
        workers[i] = ask_pid(daemon, mixins[i]);
    tell_all(daemon, "spin", clients);
    for (size_t i = 0; i < MIXINS; i++) {
        expect_named(daemon, mixins[i], 2);
        if (scheme_is_stream(scheme))
            client_expect_gone(clients[i]);
    }
    assert_contains(daemon_log(daemon), "(spin_for_ever+0x"); /* which is static */
    assert_string_equal(client_ask(daemon_address(daemon, "other"), "echo well\n"), "well\n");
    for (size_t i = 0; i < MIXINS; i++) {
        expect_replaced(daemon, mixins[i], workers[i]);
        assert_int_not_equal(ask_pid(daemon, mixins[i]), workers[i]);
    }
    client_close_all();
    daemon_expect_stop_after_fault(daemon);
}

/*
 * Those beside it in the same worker go on, and end when they want to. Here
 * finish() spins, which is named and cut as a handler.
 */
static void
others_of_its_worker_are_drained(void **state)
{
    need_signals();
    const char *options =
        text_of("options = { hook = \"finish\"; spins = \"%s\"; };", test_path("spins"));
    struct daemon *daemon =
        daemon_serve("tcp", "threading", "good_spin",
                     text_of("spin_limit = \"0.1s\"; drain_timeout = \"60s\"; %s", options));
    const char *address = daemon_address(daemon, "test");
    int beside = client_connect(address), spinner;
    const char *worker;

    (void)state;
    client_send(beside, "pid\n");
    worker = client_receive_line(beside);
    (void)test_file("spins", "");
    spinner = client_connect(address);
    client_half_close(spinner);
    assert_contains(daemon_wait_log(daemon, "request 2 of 127.0.0.1:"), " spins: ");
    client_expect_gone(spinner);
    (void)daemon_wait_log(daemon, "generation 2 serves");
    assert_string_not_equal(client_ask(address, "pid\n"), worker);
    client_send(beside, "pid\n");
    client_expect(beside, worker);
    client_half_close(beside);
    client_expect_end(beside);
    /* This finish() returns, since the file is gone; then the drain is over, long before its time.
     */
    WAIT_UNTIL(!proc_alive(atoi(worker)));
    client_close_all();
    daemon_expect_stop_after_fault(daemon);
}

/* ---- ending when it is cut -------------------------------------------------------------- */

static const struct {
    const char *command;
    bool yields; /* under coroutine the others run meanwhile, and it is left alone */
} endless[] = {{"lines", false}, {"look", true}};

/* What reads on at the end of the stream is told that it was cut; nothing need be replaced. */
static void
one_that_ignores_the_end_is_ended(void **state)
{
    need_signals();
    struct daemon *daemon = serve("tcp", "spin_limit = \"0.1s\"; drain_timeout = \"0.2s\";");
    uint64_t number = 0;

    (void)state;
    for (size_t i = 0; i < sizeof endless / sizeof endless[0]; i++) {
        int clients[MIXINS];

        number++;
        tell_all(daemon, endless[i].command, clients);
        for (size_t j = 0; j < MIXINS; j++) {
            client_half_close(clients[j]);
            if (endless[i].yields && strcmp(mixins[j], "coroutine") == 0) {
                client_close(clients[j]);
                continue;
            }
            expect_named(daemon, mixins[j], number);
            client_expect_gone(clients[j]);
            (void)daemon_wait_log_times(daemon, text_of("[%s/%lu]: 127.0.0.1", mixins[j], number),
                                        1);
        }
    }
    assert_int_equal(daemon_count_log(daemon, "spin_limit is over"), 2 * MIXINS - 1);
    assert_int_equal(daemon_count_log(daemon, "spins on"), 0);
    daemon_expect_stop_after_fault(daemon);
}

/* ---- who is left alone ------------------------------------------------------------------ */

/* More than the limit in all; but bytes move in between, or it waits by itself. */
static void
one_that_computes_or_waits_is_left_alone(void **state)
{
    struct daemon *daemon = serve("tcp", "spin_limit = \"0.2s\";");
    int clients[MIXINS];

    (void)state;
    tell_all(daemon, "compute 0.1", clients);
    for (int turn = 0; turn < 3; turn++)
        for (size_t i = 0; i < MIXINS; i++) {
            client_expect(clients[i], "ok\n");
            client_send(clients[i], turn < 2 ? "compute 0.1\n" : "pieces 0.3\n");
        }
    for (size_t i = 0; i < MIXINS; i++)
        client_expect(clients[i], "ok\n");
    client_close_all();
    assert_int_equal(daemon_count_log(daemon, "spins"), 0);
    daemon_expect_stop(daemon);
}

static void
without_a_limit_nobody_spins(void **state)
{
    struct daemon *daemon = serve("tcp", "spin_limit = \"none\";");
    int clients[MIXINS];

    (void)state;
    tell_all(daemon, "compute 0.2", clients);
    for (size_t i = 0; i < MIXINS; i++)
        client_expect(clients[i], "ok\n");
    assert_int_equal(daemon_count_log(daemon, "spins"), 0);
    client_close_all();
    daemon_expect_stop(daemon);
}

/* ---- hooks ------------------------------------------------------------------------------ */

/* Under none it holds up all requests, although pings are answered beside it. */
static void
a_hook_of_the_server_that_spins_is_found(void **state)
{
    need_signals();
    const char *file = test_path("spins");
    struct daemon *daemon =
        daemon_serve("tcp", "none", "good_spin",
                     text_of("spin_limit = \"0.2s\"; service_interval = \"10ms\"; "
                             "options = { hook = \"service_actions\"; spins = \"%s\"; };",
                             file));
    pid_t worker = ask_pid(daemon, "test");

    (void)state;
    (void)test_file("spins", "");
    assert_contains(daemon_wait_log(daemon, "a hook of the listener spins: "), "(spin_for_ever+0x");
    (void)daemon_wait_log(daemon, "the hook spins on");
    WAIT_UNTIL(!proc_alive(worker));
    assert_int_not_equal(ask_pid(daemon, "test"), worker);
    daemon_expect_stop_after_fault(daemon);
}

/* ---- where it crashed ------------------------------------------------------------------- */

static const struct {
    const char *command, *signal, *place, *address;
} crashes[] = {
    {"segv", "(SIGSEGV)", " at good_spin.so+0x", ", address 0x40 while"},
    {"bus", "(SIGBUS)", " at good_spin.so+0x", ", address 0x"},
#ifdef __x86_64__ /* elsewhere a division by zero is none */
    {"fpe", "(SIGFPE)", " at good_spin.so+0x", ", address 0x"},
#endif
    {"abort", "(SIGABRT)", ", called from good_spin.so+0x", " while it "},
    {"library", "(SIGSEGV)", ", called from good_spin.so+0x", ", address 0x40 while"},
};

static void
a_crash_is_told_with_its_place(void **state)
{
    const struct server_case *server = *state;
    bool child = strcmp(server->mixin, "forking") == 0;
    struct daemon *daemon = daemon_serve(server->scheme, server->mixin, "good_spin", "");
    const char *address = daemon_address(daemon, "test");

    if (SANITIZED)
        skip(); /* which reports crashes itself */
    for (size_t i = 0; i < sizeof crashes / sizeof crashes[0]; i++) {
        int client = client_connect(address);

        client_send(client, text_of("%s\n", crashes[i].command));
        client_expect_gone(client);
        const char *line = daemon_wait_log_times(daemon, " was killed by signal ", i + 1);
        assert_contains(line, crashes[i].signal);
        assert_contains(line, crashes[i].place);
        assert_contains(line, crashes[i].address);
        assert_contains(line, "(crash"); /* or crash.cold */
        assert_contains(line, child ? " while it served request " : " while it ran request ");
        client_close(client);
        daemon_signal(daemon, SIGHUP); /* each crash is the first one again */
        (void)daemon_wait_log_times(daemon, "reloaded: ", i + 1);
    }
    daemon_expect_stop(daemon);
}

RUN_TESTS(TEST_ROW(one_that_spins_is_named_cut_and_replaced, "tcp", "tcp"),
          TEST_ROW(one_that_spins_is_named_cut_and_replaced, "udp", "udp"),
          TEST(others_of_its_worker_are_drained), TEST(one_that_ignores_the_end_is_ended),
          TEST(one_that_computes_or_waits_is_left_alone), TEST(without_a_limit_nobody_spins),
          TEST(a_hook_of_the_server_that_spins_is_found),
          TEST_EACH_MIXIN(a_crash_is_told_with_its_place, "tcp"))
