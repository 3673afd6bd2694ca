/* SPDX-License-Identifier: MIT */
/*
 * test_state.c - what a plugin keeps outlives its processes: shared memory, and descriptors
 *
 * The visit counter of good_counter is exact whatever ends between two visits.
 */
#include "reload_fixture.h"

#include <unistd.h>

#include "support/command.h"
#include "support/proc.h"

#define CROWD 20

static const char *
counter(const struct server_case *server, const char *more)
{
    bool several = strcmp(server->mixin, "none") == 0 || strcmp(server->mixin, "coroutine") == 0;

    return listener_text("test", server->scheme, server->mixin, "good_counter",
                         text_of("%s %s", several ? "cpus = 2;" : "", more));
}

static struct daemon *
serve_counter(const struct server_case *server, const char *more)
{
    struct daemon *daemon = SERVE("listeners = {\n%s};", counter(server, more));

    (void)daemon_address(daemon, "test");
    return daemon;
}

static void
expect_answer(struct daemon *daemon, const char *command, const char *answer)
{
    assert_string_equal(client_ask(daemon_address(daemon, "test"), text_of("%s\n", command)),
                        text_of("%s\n", answer));
}

static void
visit(struct daemon *daemon, long number)
{
    expect_answer(daemon, "visit", text_of("%ld", number));
}

static void
upgrade(struct daemon *daemon)
{
    size_t upgraded = daemon_count_log(daemon, "upgraded to sockserverd");
    size_t reloaded = daemon_count_log(daemon, "reloaded: ");

    daemon_signal(daemon, SIGUSR2);
    (void)daemon_wait_log_times(daemon, "upgraded to sockserverd", upgraded + 1);
    (void)daemon_wait_log_times(daemon, "reloaded: ", reloaded + 1);
}

/* Kills every worker, and waits until others serve. */
static void
crash(struct daemon *daemon)
{
    pid_t workers[PROC_CHILDREN];
    size_t count = proc_children(daemon_pid(daemon), workers);
    size_t deaths = daemon_count_log(daemon, "was killed by signal 9");

    for (size_t i = 0; i < count; i++)
        assert_return_code(kill(workers[i], SIGKILL), errno);
    (void)daemon_wait_log_times(daemon, "was killed by signal 9", deaths + count);
}

/* ---- shared memory --------------------------------------------------------------------- */

/* Many at once; each is told another number, and the last one how many there were. */
static void
expect_crowd(struct daemon *daemon, long *visits)
{
    const char *address = daemon_address(daemon, "test");
    bool told[CROWD] = {false};
    int clients[CROWD];

    for (size_t i = 0; i < CROWD; i++) {
        clients[i] = client_connect(address);
        client_send(clients[i], "visit\n");
        client_half_close(clients[i]);
    }
    for (size_t i = 0; i < CROWD; i++) {
        long number = atol(client_receive_line(clients[i])) - *visits - 1;

        if (number < 0 || number >= CROWD || told[number])
            fail_msg("visit %ld after %ld", number + *visits + 1, *visits);
        told[number] = true;
        client_close(clients[i]);
    }
    *visits += CROWD;
}

static void
visits_are_exact_across_processes(void **state)
{
    struct daemon *daemon = serve_counter(*state, "");
    long visits = 0;

    for (size_t i = 0; i < 10; i++)
        expect_crowd(daemon, &visits);
    daemon_expect_stop(daemon);
}

static void
visits_are_exact_through_crash_reload_and_upgrade(void **state)
{
    struct daemon *daemon = serve_counter(*state, "");
    long visits = 0;

    expect_crowd(daemon, &visits);
    crash(daemon);
    expect_crowd(daemon, &visits);
    REWRITE("listeners = {\n%s};", counter(*state, "max_line = 2000;"));
    reload(daemon);
    expect_crowd(daemon, &visits);
    upgrade(daemon);
    expect_crowd(daemon, &visits);
    crash(daemon);
    expect_crowd(daemon, &visits);
    daemon_expect_stop_after_fault(daemon);
}

/* Whoever finds it next is told once. */
static void
a_lock_survives_its_holder(void **state)
{
    struct daemon *daemon = serve_counter(*state, "");
    long visits = 0;

    for (int deaths = 1; deaths <= 2; deaths++) {
        int client = client_connect(daemon_address(daemon, "test"));

        client_send(client, "die\n");
        client_expect_gone(client);
        client_close(client);
        (void)daemon_wait_log_times(daemon, "was killed by signal 9", (size_t)deaths);
        expect_crowd(daemon, &visits);
        expect_answer(daemon, "repairs", text_of("%d", deaths));
    }
    daemon_expect_stop_after_fault(daemon);
}

static void
a_lock_knows_its_holder(void **state)
{
    struct daemon *daemon = serve_counter(*state, "");

    /* ThreadSanitizer tells of it when what is not locked is unlocked. */
    for (size_t i = 0; i < 2 && !CHECKED_THREAD; i++)
        expect_answer(daemon, "twice", "0 -35 0 -1");
    expect_answer(daemon, "area 4096", "same");
    expect_answer(daemon, "area 4097", "EINVAL");
    expect_answer(daemon, "area 0", "EINVAL");
    daemon_expect_stop(daemon);
}

static void
another_size_begins_with_zeros(void **state)
{
    struct daemon *daemon = serve_counter(*state, "");
    int client = client_connect(daemon_address(daemon, "test"));

    visit(daemon, 1);
    client_send(client, "visit\n");
    client_expect(client, "2\n");
    REWRITE("listeners = {\n%s};", counter(*state, "options = { size = \"8K\"; };"));
    reload(daemon);
    visit(daemon, 1);
    client_send(client, "visit\n"); /* the old generation goes on with its own */
    client_expect(client, "3\n");
    client_close(client);
    WAIT_UNTIL(proc_child_count(daemon_pid(daemon)) == 1);
    crash(daemon);
    visit(daemon, 2);
    daemon_expect_stop_after_fault(daemon);
}

static const struct server_case tcp_threading = {"tcp", "threading"};

/* Its generation asks for memory of another size, and cannot have it. */
static void
a_reload_that_fails_costs_nothing(void **state)
{
    struct daemon *daemon = serve_counter(&tcp_threading, "");

    (void)state;
    visit(daemon, 1);
    REWRITE("listeners = {\n%s};", counter(&tcp_threading, "options = { size = \"1000000G\"; };"));
    reload_in_vain(daemon, "server_activate failed: Invalid argument");
    visit(daemon, 2);
    (void)daemon_worker(daemon); /* the one that has failed is gone */
    crash(daemon);
    visit(daemon, 3);
    daemon_expect_stop_after_fault(daemon);
}

/* Memory files of this name that the supervisor has open. */
static size_t
files_held(struct daemon *daemon, const char *name)
{
    const char *fds = proc_fd_list(daemon_pid(daemon));
    size_t count = 0;

    for (; (fds = strstr(fds, name)) != NULL; fds++)
        count++;
    return count;
}

static void
memory_that_nobody_uses_any_more_is_released(void **state)
{
    struct daemon *daemon = serve_counter(&tcp_threading, "");

    (void)state;
    for (size_t i = 2; i <= 5; i++) {
        visit(daemon, 1);
        REWRITE("listeners = {\n%s};",
                counter(&tcp_threading, text_of("options = { size = \"%zuK\"; };", 4 * i)));
        reload(daemon);
        WAIT_UNTIL(proc_child_count(daemon_pid(daemon)) == 1);
        WAIT_UNTIL(files_held(daemon, "memfd:shared") == 1);
    }
    daemon_expect_stop(daemon);
}

/* ---- descriptors ------------------------------------------------------------------------- */

static void
kept_descriptors_outlive_processes(void **state)
{
    struct daemon *daemon = serve_counter(*state, "options = { first = \"from the start\"; };");

    expect_answer(daemon, "kept first", "from the start");
    expect_answer(daemon, "keep later from a request", "0");
    crash(daemon);
    expect_answer(daemon, "kept later", "from a request");
    REWRITE("listeners = {\n%s};", counter(*state, "options = { first = \"too late\"; };"));
    reload(daemon);
    expect_answer(daemon, "kept first", "from the start");
    upgrade(daemon);
    expect_answer(daemon, "kept first", "from the start");
    expect_answer(daemon, "keep later replaced", "0");
    expect_answer(daemon, "forget first", "0");
    upgrade(daemon);
    expect_answer(daemon, "kept later", "replaced");
    expect_answer(daemon, "kept first", "too late");
    daemon_expect_stop_after_fault(daemon);
}

static void
names_and_numbers_of_descriptors_are_limited(void **state)
{
    struct daemon *daemon = serve_counter(*state, "");

    expect_answer(daemon, "kept nothing", "ENOENT");
    expect_answer(daemon, "forget nothing", "0");
    expect_answer(daemon, "kept no/name", "EINVAL");
    expect_answer(daemon, "keep no/name text", "-22");
    expect_answer(daemon, "forget", "-22");
    expect_answer(daemon, text_of("keep %064d text", 0), "-22");
    expect_answer(daemon, text_of("keep %063d text", 0), "0");
    expect_answer(daemon, text_of("forget %063d", 0), "0");
    expect_answer(daemon, "device null", "EINVAL");
    assert_int_equal(files_held(daemon, "memfd:kept"), 0);
    expect_answer(daemon, "many 1000", "32 ENOSPC");
    expect_answer(daemon, "keep n31 it replaces another", "0");
    expect_answer(daemon, "kept n31", "it replaces another");
    expect_answer(daemon, "kept n30", "n30");
    assert_int_equal(files_held(daemon, "memfd:kept"), 32);
    daemon_expect_stop(daemon);
}

static void
many_questions_are_all_answered(void **state)
{
    struct daemon *daemon = serve_counter(*state, "options = { first = \"x\"; };");
    int clients[5];

    for (size_t i = 0; i < 5; i++) {
        clients[i] = client_connect(daemon_address(daemon, "test"));
        client_send(clients[i], "ask 100\n");
        client_half_close(clients[i]);
    }
    for (size_t i = 0; i < 5; i++)
        assert_string_equal(client_receive_all(clients[i]), "asked\n");
    daemon_expect_stop(daemon);
}

/* The supervisor closes last what nobody reads, and somebody has set to wait for its bytes. */
static void
nothing_kept_holds_the_supervisor_up(void **state)
{
    struct daemon *daemon = serve_counter(*state, "");

    expect_answer(daemon, "slow connection", "0");
    crash(daemon);
    double before = clock_now();
    expect_answer(daemon, "forget connection", "0"); /* or it had not been answered in time */
    assert_true(clock_now() - before < 30);
    expect_answer(daemon, "forget listening", "0");
    daemon_expect_stop_after_fault(daemon);
}

/* ---- when it is over ------------------------------------------------------------------------ */

static void
everything_is_forgotten_at_a_stop(void **state)
{
    struct daemon *daemon = serve_counter(&tcp_threading, "options = { first = \"old\"; };");

    (void)state;
    visit(daemon, 1);
    REWRITE("listeners = {\n%s};",
            counter(&tcp_threading, "enabled = false; options = { first = \"new\"; };"));
    reload(daemon);
    WAIT_UNTIL(files_held(daemon, "memfd:kept") + files_held(daemon, "memfd:shared") == 0);
    REWRITE("listeners = {\n%s};", counter(&tcp_threading, "options = { first = \"new\"; };"));
    reload(daemon);
    visit(daemon, 1);
    expect_answer(daemon, "kept first", "new");
    daemon_expect_stop(daemon);
}

static void
another_plugin_begins_with_nothing(void **state)
{
    const char *copy = test_plugin_for_all("good_counter");
    struct daemon *daemon = serve_counter(&tcp_threading, "options = { first = \"old\"; };");
    int client = client_connect(daemon_address(daemon, "test"));

    (void)state;
    visit(daemon, 1);
    REWRITE("listeners = {\n%s};",
            listener_text("test", "tcp", "threading", copy, "options = { first = \"new\"; };"));
    reload(daemon);
    visit(daemon, 1);
    expect_answer(daemon, "kept first", "new");
    client_send(client, "visit\nkept first\n"); /* the old generation goes on with its own */
    client_expect(client, "2\n");
    client_expect(client, "old\n");
    client_close(client);
    upgrade(daemon);
    expect_answer(daemon, "kept first", "new");
    daemon_expect_stop(daemon);
}

/* One request in one process has nobody to share with, and no supervisor. */
static void
without_a_daemon_memory_is_its_own(void **state)
{
    struct outcome outcome =
        COMMAND("visit\nvisit\narea 4096\narea 1\nkeep a text\nforget a\nkept a\n", "--stdio",
                FIXTURES "/good_counter.so");

    (void)state;
    assert_string_equal(outcome.output, "1\n2\nsame\nEINVAL\n-95\n-95\nEOPNOTSUPP\n");
    assert_int_equal(outcome.status, 0);
}

static void
too_little_memory_is_told(void **state)
{
    struct daemon *daemon;

    (void)state;
    if (SANITIZED) {
        print_message("skipped: a sanitizer takes more address space than this\n");
        skip();
    }
    daemon =
        daemon_start("listeners = {\n%s};",
                     listener_text("test", "tcp", "threading", "good_counter",
                                   "limits = { as = \"500M\"; }; options = { size = \"1G\"; };"));
    (void)daemon_wait_log(daemon, "server_activate failed: Cannot allocate memory");
    daemon_expect_stop(daemon);
}

RUN_TESTS(TEST_EACH_MIXIN(visits_are_exact_across_processes, "tcp"),
          TEST_EACH_MIXIN(visits_are_exact_through_crash_reload_and_upgrade, "tcp"),
          TEST_EACH_MIXIN(a_lock_survives_its_holder, "unix"),
          TEST_EACH_MIXIN(a_lock_knows_its_holder, "tcp"),
          TEST_CASE(another_size_begins_with_zeros, "tcp", "threading"),
          TEST_CASE(another_size_begins_with_zeros, "tcp", "forking"),
          TEST(a_reload_that_fails_costs_nothing),
          TEST(memory_that_nobody_uses_any_more_is_released),
          TEST_EACH_MIXIN(kept_descriptors_outlive_processes, "unix"),
          TEST_EACH_MIXIN(names_and_numbers_of_descriptors_are_limited, "tcp"),
          TEST_EACH_MIXIN(many_questions_are_all_answered, "tcp"),
          TEST_CASE(nothing_kept_holds_the_supervisor_up, "tcp", "threading"),
          TEST_CASE(nothing_kept_holds_the_supervisor_up, "tcp", "forking"),
          TEST(everything_is_forgotten_at_a_stop), TEST(another_plugin_begins_with_nothing),
          TEST(without_a_daemon_memory_is_its_own), TEST(too_little_memory_is_told))
