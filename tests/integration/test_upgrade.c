/* SPDX-License-Identifier: MIT */
/*
 * test_upgrade.c - the daemon executes itself anew, with everything that runs
 */
#include "upgrade_fixture.h"

#include <netinet/in.h>
#include <signal.h>

#include "support/client.h"
#include "support/command.h"
#include "support/load.h"
#include "support/manager.h"
#include "support/proc.h"

static const char *
listeners(const char *more)
{
    return daemon_configuration("listeners = { %s %s %s %s };",
                                listener_text("threads", "tcp", "threading", "good_command", ""),
                                listener_text("forks", "tcp", "forking", "good_command", ""),
                                listener_text("local", "unix", "none", "good_command", ""), more);
}

static void
upgrade(struct daemon *daemon, size_t times)
{
    daemon_signal(daemon, SIGUSR2);
    (void)daemon_wait_log_times(daemon, "upgraded to sockserverd", times);
    (void)daemon_wait_log_times(daemon, "reloaded: ", times);
}

/* ---- cases ----------------------------------------------------------------------------- */

static void
twenty_upgrades_under_load_fail_nobody(void **state)
{
    static const char *const names[] = {"threads", "forks", "local"};
    size_t times = SANITIZED ? 4 : 20;
    struct daemon *daemon = start(listeners(""));
    struct load *loads[3];

    (void)state;
    for (size_t i = 0; i < 3; i++)
        loads[i] = load_start(daemon_address(daemon, names[i]), 2, "echo ");
    for (size_t i = 1; i <= times; i++) {
        copy_program(DAEMON_PROGRAM, program());
        upgrade(daemon, i);
        load_wait_more(loads[0], 3);
    }
    for (size_t i = 0; i < 3; i++) {
        load_stop(loads[i]);
        load_expect_answered(loads[i], times);
    }
    WAIT_UNTIL(proc_child_count(daemon_pid(daemon)) == 3);
    assert_int_equal(proc_zombie_count(daemon_pid(daemon)), 0);
    daemon_expect_stop(daemon);
}

static void
open_connections_go_on_in_their_workers(void **state)
{
    struct daemon *daemon = start(listeners(""));
    const char *address = daemon_address(daemon, "threads");
    int client = client_connect(address);

    (void)state;
    (void)daemon_address(daemon, "forks");
    (void)daemon_address(daemon, "local");
    client_send(client, "pid\n");
    const char *before = client_receive_line(client);
    upgrade(daemon, 1);
    client_send(client, "pid\n");
    assert_string_equal(client_receive_line(client), before);
    int other = client_connect(address);
    client_send(other, "pid\n");
    assert_string_not_equal(client_receive_line(other), before); /* a new generation serves */
    client_close(other);
    upgrade(daemon, 2); /* now one that drains goes on, too */
    client_send(client, "pid\n");
    assert_string_equal(client_receive_line(client), before);
    client_close(client);
    WAIT_UNTIL(proc_child_count(daemon_pid(daemon)) == 3);
    daemon_expect_stop(daemon);
}

static void
a_worker_that_dies_after_an_upgrade_is_noticed(void **state)
{
    struct daemon *daemon = start(listeners(""));
    const char *address = daemon_address(daemon, "threads");
    int client = client_connect(address);

    (void)state;
    (void)daemon_address(daemon, "forks");
    (void)daemon_address(daemon, "local");
    client_send(client, "pid\n");
    pid_t worker = (pid_t)atoi(client_receive_line(client) + strlen("pid "));
    upgrade(daemon, 1);
    assert_return_code(kill(worker, SIGKILL), errno); /* it drains, for the client is there */
    (void)daemon_wait_log(daemon, text_of("worker %d was killed by signal 9", (int)worker));
    client_expect_gone(client);
    assert_string_equal(client_ask(address, "echo on\n"), "on\n");
    daemon_expect_stop(daemon);
}

/* The program says no, in one way or another: the running one goes on. Returns its log. */
static const char *
expect_refusal(const char *why, const char *also)
{
    struct daemon *daemon = start(listeners(""));
    const char *address = daemon_address(daemon, "threads");

    (void)daemon_address(daemon, "forks");
    (void)daemon_address(daemon, "local");
    int client = client_connect(address);
    client_send(client, "pid\n");
    const char *before = client_receive_line(client);
    if (also != NULL)
        install_script(also);
    else
        assert_return_code(unlink(program()), errno);
    daemon_signal(daemon, SIGUSR2);
    (void)daemon_wait_log(daemon, text_of("cannot upgrade: %s; going on as before", why));
    client_send(client, "pid\n");
    assert_string_equal(client_receive_line(client), before);
    assert_string_equal(client_ask(address, "echo on\n"), "on\n");
    client_close(client);
    install(); /* and the next one is fine */
    upgrade(daemon, 1);
    assert_string_equal(client_ask(address, "echo on\n"), "on\n");
    daemon_expect_stop(daemon);
    return daemon_log(daemon);
}

static void
a_program_that_fails_leaves_the_old_one_running(void **state)
{
    (void)state;
    (void)expect_refusal("the new program's check failed",
                         "#!/bin/sh\necho 'it is broken' >&2\nexit 1\n");
}

/* No listener is open, so no socket is handed over. */
static void
with_every_listener_stopped_it_goes_on(void **state)
{
    struct daemon *daemon = start(daemon_configuration(
        "control = { path = \"%s\"; };\nlisteners = { %s };", test_path("control"),
        listener_text("one", "unix", "none", "good_command", "")));
    const char *address = daemon_address(daemon, "one");
    const char *const stop[] = {"--socket", test_path("control"), "stop", "one", NULL};
    const char *const begin[] = {"--socket", test_path("control"), "start", "one", NULL};

    (void)state;
    assert_int_equal(command_run(CTL_PROGRAM, "", stop).status, 0);
    upgrade(daemon, 1);
    assert_int_equal(command_run(CTL_PROGRAM, "", begin).status, 0);
    assert_string_equal(client_ask(address, "echo on\n"), "on\n");
    daemon_expect_stop(daemon);
}

/* It says more than anybody wants to read. */
static void
a_program_that_says_too_much_leaves_the_old_one_running(void **state)
{
    (void)state;
    assert_contains(expect_refusal("the new program's check failed",
                                   "#!/bin/sh\nyes 'it is broken' | head -c 300000\nexit 1\n"),
                    "the new program said more than is kept");
}

/* Its check is longer on its way than the daemon looks away. */
static void
a_program_that_takes_its_time_is_waited_for(void **state)
{
    struct daemon *daemon = start(listeners(""));
    const char *address = daemon_address(daemon, "threads");

    (void)state;
    (void)daemon_address(daemon, "forks");
    (void)daemon_address(daemon, "local");
    copy_program(program(), test_path("bin/real"));
    install_script(text_of("#!/bin/sh\nsleep 1.3\nexec %s \"$@\"\n", test_path("bin/real")));
    upgrade(daemon, 1);
    assert_string_equal(client_ask(address, "echo on\n"), "on\n");
    daemon_expect_stop(daemon);
}

/* A check that does not end is no reason to go on. */
static void
a_stop_ends_an_upgrade(void **state)
{
    struct daemon *daemon = start(listeners(""));
    const char *seen = test_path("seen");

    (void)state;
    (void)daemon_address(daemon, "threads");
    (void)daemon_address(daemon, "forks");
    (void)daemon_address(daemon, "local");
    install_script(text_of("#!/bin/sh\necho $$ > %s\nexec sleep 1000\n", seen));
    daemon_signal(daemon, SIGUSR2);
    WAIT_UNTIL(access(seen, F_OK) == 0 && strchr(file_text(seen), '\n') != NULL);
    pid_t trial = (pid_t)atoi(file_text(seen));
    daemon_expect_stop(daemon);
    WAIT_UNTIL(!proc_alive(trial));
    assert_contains(daemon_log(daemon), "stopped");
}

static void
a_file_that_is_no_program_leaves_the_old_one_running(void **state)
{
    (void)state;
    (void)expect_refusal("the new program's check failed", "\177ELF junk");
}

static void
a_missing_program_leaves_the_old_one_running(void **state)
{
    (void)state;
    (void)expect_refusal("the new program's check failed", NULL);
}

static void
a_program_that_knows_no_hand_over_is_refused(void **state)
{
    (void)state;
    (void)expect_refusal("the new program does not understand what it would be handed",
                         "#!/bin/sh\necho configuration OK\n");
}

static void
a_bad_configuration_is_found_before_the_upgrade(void **state)
{
    const char *file = listeners("");
    struct daemon *daemon = start(file);
    const char *address = daemon_address(daemon, "threads");

    (void)state;
    (void)daemon_address(daemon, "local");
    (void)daemon_address(daemon, "forks");
    FILE *stream = fopen(file, "ae");
    assert_non_null(stream);
    assert_true(fputs("nonsense = 1;\n", stream) >= 0);
    assert_int_equal(fclose(stream), 0);
    daemon_signal(daemon, SIGUSR2);
    (void)daemon_wait_log(daemon, "cannot upgrade: the new program's check failed");
    assert_contains(daemon_log(daemon), "nonsense");
    assert_string_equal(client_ask(address, "echo on\n"), "on\n");
    daemon_expect_stop(daemon);
}

static void
an_upgrade_takes_the_new_configuration(void **state)
{
    const char *file = listeners(""), *text = file_text(file);
    struct daemon *daemon = start(file);

    (void)state;
    const char *address = daemon_address(daemon, "threads");
    (void)daemon_address(daemon, "forks");
    (void)daemon_address(daemon, "local");
    const char *end = strrchr(text, '}');
    FILE *stream = fopen(file, "we");
    assert_non_null(stream);
    assert_true(fprintf(stream, "%.*s%s};\n", (int)(end - text), text,
                        listener_text("added", "udp", "none", "upper", "")) > 0);
    assert_int_equal(fclose(stream), 0);
    upgrade(daemon, 1);
    assert_string_equal(client_ask(daemon_address(daemon, "added"), "new\n"), "NEW\n");
    assert_string_equal(client_ask(address, "echo on\n"), "on\n");
    daemon_expect_stop(daemon);
}

static void
a_unix_path_goes_with_the_daemon_that_made_it(void **state)
{
    struct daemon *daemon = start(listeners(""));
    const char *address = daemon_address(daemon, "local");

    (void)state;
    (void)daemon_address(daemon, "forks");
    (void)daemon_address(daemon, "threads");
    upgrade(daemon, 1);
    assert_string_equal(client_ask(address, "echo on\n"), "on\n");
    daemon_expect_stop(daemon);
    assert_int_equal(access(test_path("local.sock"), F_OK), -1);
}

static void
descriptors_do_not_pile_up(void **state)
{
    struct daemon *daemon = start(listeners(""));
    size_t before;

    (void)state;
    (void)daemon_address(daemon, "forks");
    (void)daemon_address(daemon, "local");
    (void)daemon_address(daemon, "threads");
    upgrade(daemon, 1);
    WAIT_UNTIL(proc_child_count(daemon_pid(daemon)) == 3);
    before = proc_fd_count(daemon_pid(daemon));
    for (size_t i = 2; i <= 5; i++)
        upgrade(daemon, i);
    WAIT_UNTIL(proc_child_count(daemon_pid(daemon)) == 3);
    WAIT_UNTIL(proc_fd_count(daemon_pid(daemon)) <= before);
    daemon_expect_stop(daemon);
}

static void
the_program_has_no_traces_of_it_in_its_workers(void **state)
{
    struct daemon *daemon = start(daemon_configuration(
        "listeners = { %s };", listener_text("test", "tcp", "threading", "good_command", "")));

    (void)state;
    (void)daemon_address(daemon, "test");
    pid_t before = daemon_worker(daemon);
    upgrade(daemon, 1);
    WAIT_UNTIL(daemon_worker(daemon) != before);
    const char *environment = proc_environment(daemon_worker(daemon));
    assert_lacks(environment, "SOCKSERVERD_HAND_OVER");
    assert_lacks(environment, "LISTEN_");
    daemon_expect_stop(daemon);
}

static void
signals_at_once_are_all_followed(void **state)
{
    struct daemon *daemon = start(listeners(""));
    const char *address = daemon_address(daemon, "threads");

    (void)state;
    daemon_signal(daemon, SIGUSR2); /* maybe before it is ready */
    daemon_signal(daemon, SIGHUP);
    (void)daemon_wait_log(daemon, "upgraded to sockserverd");
    (void)daemon_wait_log(daemon, "reloaded: ");
    daemon_signal(daemon, SIGHUP);
    daemon_signal(daemon, SIGUSR2);
    daemon_signal(daemon, SIGUSR2);
    (void)daemon_wait_log_times(daemon, "upgraded to sockserverd", 2);
    assert_string_equal(client_ask(address, "echo on\n"), "on\n");
    daemon_signal(daemon, SIGUSR2);
    daemon_signal(daemon, SIGTERM); /* the stop wins, or comes after the upgrade */
    assert_int_equal(daemon_wait_exit(daemon), 0);
    assert_int_equal(access(test_path("local.sock"), F_OK), -1);
}

/* ---- beside the manager --------------------------------------------------------------- */

static struct daemon *
start_under(struct manager *manager, const char *file)
{
    static const char *arguments[4];

    install();
    arguments[0] = program();
    arguments[1] = "-c";
    arguments[2] = file;
    return manager_start_program(manager, file, become_copy, arguments);
}

static int
listen_somewhere(const char **ret_address)
{
    struct sockaddr_in place = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(place);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_return_code(bind(fd, (struct sockaddr *)&place, size), errno);
    assert_return_code(listen(fd, 64), errno);
    assert_return_code(getsockname(fd, (struct sockaddr *)&place, &size), errno);
    *ret_address = text_of("tcp://127.0.0.1:%d", ntohs(place.sin_port));
    return fd;
}

static void
the_manager_sees_no_gap(void **state)
{
    struct manager *manager = manager_new();
    const char *address;
    int fd = listen_somewhere(&address);

    (void)state;
    manager_pass(manager, "web", fd);
    struct daemon *daemon = start_under(
        manager, listeners("web = { address = \"systemd:web\"; plugin = \"good_command\"; };"));
    manager_wait(manager, "READY=1\n");
    WAIT_UNTIL(manager_stored_count(manager) == 4); /* three sockets, one path */
    upgrade(daemon, 1);
    upgrade(daemon, 2);
    assert_lacks(manager_heard(manager), "STOPPING=1");
    assert_lacks(manager_heard(manager), "FDSTOREREMOVE=1\nFDNAME=web");
    manager_wait(manager, "RELOADING=1\nMONOTONIC_USEC=");
    WAIT_UNTIL(manager_stored_count(manager) == 4);
    assert_string_equal(daemon_address(daemon, "web"), address);
    assert_string_equal(client_ask(address, "echo on\n"), "on\n");
    assert_string_equal(client_ask(daemon_address(daemon, "local"), "echo on\n"), "on\n");
    daemon_expect_stop(daemon);
    client_close(client_connect(address)); /* the socket unit's still listens */
    assert_return_code(access(test_path("local.sock"), F_OK), errno);
    (void)close(fd);
}

/* ---- beside the operator --------------------------------------------------------------- */

static const char *
control_of(const char *file)
{
    const char *intro = "control = { path = \"", *place = strstr(file_text(file), intro);

    assert_non_null(place);
    place += strlen(intro);
    return text_of("%.*s", (int)strcspn(place, "\""), place);
}

static struct outcome
control(const char *file, const char *command, const char *name)
{
    const char *arguments[] = {"--socket", control_of(file), command, name, NULL};

    return command_run(CTL_PROGRAM, "", arguments);
}

/* What the control socket says about the listener, as JSON. */
static const char *
status_of(const char *file, const char *listener)
{
    const char *call = text_of("{\"method\":\"org.sockserver.Control.GetStatus\",\"parameters\":{"
                               "\"listener\":\"%s\"}}",
                               listener);
    int fd = client_connect(text_of("unix://%s", control_of(file)));

    client_send_bytes(fd, call, strlen(call) + 1);
    const char *answer = client_receive(fd);
    client_close(fd);
    return answer;
}

static void
statistics_go_on(void **state)
{
    const char *file = listeners("");
    struct daemon *daemon = start(file);
    const char *address = daemon_address(daemon, "threads");

    (void)state;
    (void)daemon_address(daemon, "forks");
    (void)daemon_address(daemon, "local");
    for (size_t i = 0; i < 7; i++)
        assert_string_equal(client_ask(address, "echo on\n"), "on\n");
    assert_contains(status_of(file, "threads"), "\"accepted\":7,");
    upgrade(daemon, 1);
    assert_contains(status_of(file, "threads"), "\"accepted\":7,");
    assert_string_equal(client_ask(address, "echo on\n"), "on\n");
    WAIT_UNTIL(proc_child_count(daemon_pid(daemon)) == 3); /* the old workers are gone */
    assert_contains(status_of(file, "threads"), "\"accepted\":8,");
    assert_contains(status_of(file, "threads"), "\"generation\":2,");
    upgrade(daemon, 2); /* now also what dead workers have counted */
    assert_contains(status_of(file, "threads"), "\"accepted\":8,");
    assert_contains(status_of(file, "threads"), "\"generation\":3,");
    daemon_expect_stop(daemon);
}

static void
what_was_stopped_or_drained_stays_so(void **state)
{
    const char *file = listeners("");
    struct daemon *daemon = start(file);
    const char *drained = daemon_address(daemon, "threads");
    const char *stopped = daemon_address(daemon, "forks");
    int fd;

    (void)state;
    (void)daemon_address(daemon, "local");
    assert_int_equal(control(file, "drain", "threads").status, 0);
    assert_int_equal(control(file, "stop", "forks").status, 0);
    upgrade(daemon, 1);
    assert_contains(status_of(file, "threads"), "\"state\":\"drained\"");
    assert_contains(status_of(file, "forks"), "\"state\":\"stopped\"");
    assert_true(client_try_connect(stopped, true, &fd) < 0);
    int waiting = client_connect(drained); /* the queue is the same one */
    client_send(waiting, "echo patience\n");
    assert_int_equal(control(file, "resume", "threads").status, 0);
    assert_string_equal(client_receive_line(waiting), "patience\n");
    client_close(waiting);
    daemon_expect_stop(daemon);
}

static void
the_operator_is_told_what_became_of_it(void **state)
{
    const char *file = listeners("");
    struct daemon *daemon = start(file);

    (void)state;
    (void)daemon_address(daemon, "threads");
    (void)daemon_address(daemon, "forks");
    (void)daemon_address(daemon, "local");
    assert_int_equal(control(file, "upgrade", NULL).status, 0);
    (void)daemon_wait_log(daemon, "reloaded: ");
    install_script("#!/bin/sh\necho 'it is broken' >&2\nexit 1\n");
    struct outcome outcome = control(file, "upgrade", NULL);
    assert_int_equal(outcome.status, 1);
    assert_contains(outcome.errors, "it is broken");
    assert_contains(outcome.errors, "the new program's check failed");
    daemon_expect_stop(daemon);
}

RUN_TESTS(TEST(twenty_upgrades_under_load_fail_nobody),
          TEST(open_connections_go_on_in_their_workers),
          TEST(a_worker_that_dies_after_an_upgrade_is_noticed),
          TEST(a_program_that_fails_leaves_the_old_one_running),
          TEST(with_every_listener_stopped_it_goes_on),
          TEST(a_program_that_says_too_much_leaves_the_old_one_running),
          TEST(a_program_that_takes_its_time_is_waited_for), TEST(a_stop_ends_an_upgrade),
          TEST(a_file_that_is_no_program_leaves_the_old_one_running),
          TEST(a_missing_program_leaves_the_old_one_running),
          TEST(a_program_that_knows_no_hand_over_is_refused),
          TEST(a_bad_configuration_is_found_before_the_upgrade),
          TEST(an_upgrade_takes_the_new_configuration),
          TEST(a_unix_path_goes_with_the_daemon_that_made_it), TEST(descriptors_do_not_pile_up),
          TEST(signals_at_once_are_all_followed), TEST(the_manager_sees_no_gap),
          TEST(statistics_go_on), TEST(what_was_stopped_or_drained_stays_so),
          TEST(the_operator_is_told_what_became_of_it),
          TEST(the_program_has_no_traces_of_it_in_its_workers))
