/* SPDX-License-Identifier: MIT */
/*
 * test_tls_files.c - certificates, keys and tickets under a daemon that reloads, restarts and
 * upgrades; the client is openssl s_client
 */
#include "upgrade_fixture.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "support/client.h"
#include "support/command.h"
#include "support/control.h"
#include "support/proc.h"

static void
need_tls(void)
{
    if (access(TLS_MODULE, R_OK) == 0 && system("command -v openssl > /dev/null") == 0)
        return;
    print_message("this build has no TLS, or openssl(1) is not installed\n");
    skip();
}

/* Makes NAME.pem and NAME.key in the test's folder; the key is its owner's alone. */
static void
make_certificate(const char *name, int days)
{
    const char *command =
        text_of("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days %d "
                "-subj /CN=localhost -keyout %s.key -out %s.pem 2> /dev/null",
                days, test_path(name), test_path(name));

    assert_int_equal(system(command), 0);
    assert_return_code(chmod(test_path(text_of("%s.key", name)), 0600), errno);
}

/* Puts the files of one name in place of those of another, as programs that renew them do. */
static void
replace(const char *name, const char *by)
{
    static const char *const ends[] = {"pem", "key"};

    for (size_t i = 0; i < 2; i++) {
        const char *command =
            text_of("cp -p %s.%s %s.new", test_path(by), ends[i], test_path(name));

        assert_int_equal(system(command), 0);
        assert_return_code(
            rename(text_of("%s.new", test_path(name)), text_of("%s.%s", test_path(name), ends[i])),
            errno);
    }
}

static const char *
tls_group(const char *more)
{
    return text_of("tls = {\ncertificate = \"%s\";\nkey = \"%s\";\n%s\n};\n", test_path("a.pem"),
                   test_path("a.key"), more);
}

static struct daemon *
serve(void)
{
    need_tls();
    make_certificate("a", 90);
    return daemon_serve("tcp", "threading", "good_command", tls_group(""));
}

/* Asks for an echo; what the client and the server have said. */
static const char *
ask(const char *address, const char *options)
{
    const char *output = test_path("s_client.output");
    const char *command = text_of("printf 'echo hello\\nquit\\n' | timeout 60 openssl s_client "
                                  "-ign_eof -connect %s %s > %s 2>&1",
                                  strstr(address, "://") + 3, options, output);

    if (system(command) < 0)
        fail_msg("cannot run %s", command);
    return file_text(output);
}

static void
expect_served(const char *address, const char *certificate)
{
    const char *said =
        ask(address, text_of("-CAfile %s.pem -verify_return_error", test_path(certificate)));

    assert_contains(said, "\nhello\n");
}

static const char *
ticket_in(const char *address)
{
    const char *ticket = test_path("ticket");

    assert_contains(ask(address, text_of("-sess_out %s", ticket)), "\nhello\n");
    return text_of("-sess_in %s", ticket);
}

static long
generation(struct daemon *daemon)
{
    const char *status = CTL(daemon, "status", "--json").output;
    const char *place = strstr(status, "\"generation\": ");

    assert_non_null(place);
    return atol(place + strlen("\"generation\": "));
}

/* ---- whose files ------------------------------------------------------------------------ */

static void
a_key_of_roots_serves_a_worker_of_nobody(void **state)
{
    (void)state;
    need_root("to have a worker of another user");
    need_tls();
    make_certificate("a", 90);
    struct daemon *daemon = daemon_serve("tcp", "forking", test_plugin_for_all("good_command"),
                                         text_of("user = \"nobody\"; %s", tls_group("")));
    const char *address = daemon_address(daemon, "test");
    expect_served(address, "a");
    assert_contains(file_text(text_of("/proc/%d/status", (int)daemon_worker(daemon))),
                    "Uid:\t65534\t65534");
    daemon_expect_stop(daemon);
}

static void
a_worker_holds_no_descriptor_of_keys(void **state)
{
    struct daemon *daemon = serve();
    const char *address = daemon_address(daemon, "test");

    (void)state;
    expect_served(address, "a");
    pid_t worker = daemon_worker(daemon);
    assert_lacks(proc_fd_list(worker), "memfd:tls");
    assert_lacks(proc_fd_list(worker), "memfd:tickets");
    assert_contains(proc_fd_list(daemon_pid(daemon)), "memfd:tls");
    assert_lacks(daemon_log(daemon), "PRIVATE");
    assert_lacks(CTL(daemon, "status", "--json").output, "PRIVATE");
    daemon_expect_stop(daemon);
}

/* Of two listeners, one with TLS: the other's worker is given nothing of it. */
static void
other_listeners_get_no_keys(void **state)
{
    (void)state;
    need_tls();
    make_certificate("a", 90);
    struct daemon *daemon = daemon_start(
        "listeners = { %s %s };", listener_text("plain", "tcp", "none", "good_command", ""),
        listener_text("test", "tcp", "threading", "good_command", tls_group("")));
    const char *plain = daemon_address(daemon, "plain");
    expect_served(daemon_address(daemon, "test"), "a");
    pid_t worker = (pid_t)atoi(client_ask(plain, "pid\n") + strlen("pid "));
    const char *maps = file_text(text_of("/proc/%d/maps", (int)worker));
    assert_lacks(maps, "libssl");
    assert_lacks(maps, "memfd:t");
    assert_lacks(proc_fd_list(worker), "memfd:t");
    daemon_expect_stop(daemon);
}

static void
a_key_that_anybody_may_read_is_warned_of_with_its_line(void **state)
{
    struct daemon *daemon = serve();

    (void)state;
    assert_int_equal(daemon_count_log(daemon, "anybody may read"), 0);
    assert_return_code(chmod(test_path("a.key"), 0644), errno);
    assert_int_equal(CTL(daemon, "reload").status, 0);
    assert_int_equal(daemon_count_log(daemon, "anybody may read"), 0); /* the bytes are the same */
    make_certificate("b", 90);
    assert_return_code(chmod(test_path("b.key"), 0604), errno);
    replace("a", "b");
    assert_int_equal(CTL(daemon, "reload").status, 0);
    const char *line = daemon_wait_log(daemon, "anybody may read the key in");
    assert_contains(line, text_of("%s:", daemon_file(daemon)));
    assert_contains(line, text_of("chmod o= %s", test_path("a.key")));
    daemon_expect_stop(daemon);
}

/* ---- reloads ---------------------------------------------------------------------------- */

static void
a_renewed_certificate_is_taken_over_and_no_connection_lost(void **state)
{
    struct daemon *daemon = serve();
    const char *address = daemon_address(daemon, "test"), *output = test_path("open.output");
    FILE *open;

    (void)state;
    expect_served(address, "a");
    open = popen(text_of("exec openssl s_client -quiet -no_ign_eof -connect %s > %s 2> /dev/null",
                         strstr(address, "://") + 3, output),
                 "we");
    assert_non_null(open);
    assert_true(fputs("echo before\n", open) > 0 && fflush(open) == 0);
    WAIT_UNTIL(access(output, R_OK) == 0 && strstr(file_text(output), "before\n") != NULL);
    assert_int_equal(CTL(daemon, "reload").status, 0);
    assert_int_equal(generation(daemon), 1); /* nothing has changed */
    make_certificate("b", 90);
    replace("a", "b");
    assert_int_equal(CTL(daemon, "reload").status, 0);
    assert_int_equal(generation(daemon), 2);
    expect_served(address, "b");
    assert_true(fputs("echo after\n", open) > 0 && fflush(open) == 0);
    WAIT_UNTIL(strstr(file_text(output), "before\nafter\n") != NULL);
    (void)pclose(open);
    daemon_expect_stop(daemon);
}

/* Neither --check nor a reload takes it; what serves goes on. */
static void
expect_refused(struct daemon *daemon, const char *key)
{
    struct outcome reload = CTL(daemon, "reload");
    struct outcome check = COMMAND("", "--check", "-c", daemon_file(daemon));

    assert_int_equal(reload.status, 1);
    assert_contains(reload.errors, text_of("%s:", daemon_file(daemon)));
    assert_contains(reload.errors, text_of("listeners.test.tls.%s: ", key));
    assert_int_equal(check.status, 78);
    assert_contains(check.errors, text_of("listeners.test.tls.%s: ", key));
    assert_int_equal(generation(daemon), 1);
    assert_contains(ask(daemon_address(daemon, "test"), ""), "\nhello\n");
}

static void
a_damaged_file_leaves_all_as_it_was(void **state)
{
    struct daemon *daemon = serve();

    (void)state;
    make_certificate("b", 90);
    (void)test_file("a.pem", "");
    expect_refused(daemon, "certificate");
    (void)test_file("a.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n");
    expect_refused(daemon, "certificate");
    assert_return_code(unlink(test_path("a.pem")), errno);
    expect_refused(daemon, "certificate");
    assert_return_code(rename(test_path("b.pem"), test_path("a.pem")), errno);
    expect_refused(daemon, "key"); /* it is another certificate's */
    assert_return_code(rename(test_path("b.key"), test_path("a.key")), errno);
    assert_int_equal(CTL(daemon, "reload").status, 0);
    expect_served(daemon_address(daemon, "test"), "a");
    daemon_expect_stop(daemon);
}

/* ---- tickets ---------------------------------------------------------------------------- */

static void
a_ticket_outlasts_its_worker_and_a_reload(void **state)
{
    struct daemon *daemon = serve();
    const char *address = daemon_address(daemon, "test"), *ticket = ticket_in(address);

    (void)state;
    assert_contains(ask(address, ticket), "Reused, ");
    assert_return_code(kill(daemon_worker(daemon), SIGKILL), errno);
    (void)daemon_wait_log(daemon, "was killed by signal 9");
    assert_contains(ask(address, ticket), "Reused, ");
    assert_int_equal(CTL(daemon, "restart", "test").status, 0);
    assert_contains(ask(address, ticket), "Reused, ");
    daemon_expect_stop(daemon);
}

static void
without_tickets_every_handshake_is_whole(void **state)
{
    (void)state;
    need_tls();
    make_certificate("a", 90);
    struct daemon *daemon =
        daemon_serve("tcp", "threading", "good_command", tls_group("tickets = false;"));
    const char *address = daemon_address(daemon, "test"), *ticket = test_path("ticket");
    assert_contains(ask(address, text_of("-sess_out %s", ticket)), "New, ");
    if (access(ticket, R_OK) == 0)
        assert_contains(ask(address, text_of("-sess_in %s", ticket)), "New, ");
    assert_lacks(proc_fd_list(daemon_pid(daemon)), "memfd:tickets");
    daemon_expect_stop(daemon);
}

static void
an_upgrade_keeps_tickets_and_files(void **state)
{
    (void)state;
    need_tls();
    make_certificate("a", 90);
    struct daemon *daemon = start(daemon_configuration(
        "listeners = { %s %s };",
        listener_text("test", "tcp", "threading", "good_command", tls_group("")),
        listener_text("same", "unix", "none", "good_command", tls_group(""))));
    const char *address = daemon_address(daemon, "test"), *ticket = ticket_in(address);
    for (size_t i = 1; i <= 2; i++) {
        daemon_signal(daemon, SIGUSR2);
        (void)daemon_wait_log_times(daemon, "upgraded to sockserverd", i);
        (void)daemon_wait_log_times(daemon, "reloaded: ", i);
        assert_contains(ask(address, ticket), "Reused, ");
    }
    daemon_expect_stop(daemon);
}

/* A damaged file stops an upgrade; what serves has its files in memory, even for new workers. */
static void
a_worker_that_dies_is_replaced_by_one_with_the_old_files(void **state)
{
    (void)state;
    need_tls();
    make_certificate("a", 90);
    struct daemon *daemon = start(
        daemon_configuration("listeners = { %s };", listener_text("test", "tcp", "threading",
                                                                  "good_command", tls_group(""))));
    const char *address = daemon_address(daemon, "test"), *ticket = ticket_in(address);
    daemon_signal(daemon, SIGUSR2);
    (void)daemon_wait_log(daemon, "reloaded: ");
    assert_return_code(rename(test_path("a.pem"), test_path("kept.pem")), errno);
    daemon_signal(daemon, SIGUSR2);
    (void)daemon_wait_log(daemon, "going on as before");
    WAIT_UNTIL(proc_child_count(daemon_pid(daemon)) == 1);
    assert_return_code(kill(daemon_worker(daemon), SIGKILL), errno);
    (void)daemon_wait_log(daemon, "was killed by signal 9");
    assert_contains(ask(address, ticket), "Reused, ");
    expect_served(address, "kept");
    daemon_expect_stop(daemon);
}

/* ---- the end of a certificate ----------------------------------------------------------- */

static void
a_certificate_that_ends_soon_is_told(void **state)
{
    (void)state;
    need_tls();
    make_certificate("a", 5);
    struct daemon *daemon = daemon_serve("tcp", "threading", "good_command", tls_group(""));
    const char *line = daemon_wait_log(daemon, "expires in ");
    assert_contains(line, test_path("a.pem")); /* four days and some hours, or just five */
    assert_contains(line, "sockserverd[test]");
    const char *status = CTL(daemon, "status", "--json").output;
    assert_contains(status, text_of("\"certificate\": \"%s\"", test_path("a.pem")));
    assert_contains(status, "\"expires\": ");
    assert_contains(status, "\"ktls\": ");
    const char *words = CTL(daemon, "status", "test").output;
    assert_contains(words, " days), ");
    assert_int_equal(CTL(daemon, "reload").status, 0);
    assert_int_equal(daemon_count_log(daemon, "expires in"), 2);
    assert_int_equal(generation(daemon), 1);
    make_certificate("b", 90);
    replace("a", "b");
    assert_int_equal(CTL(daemon, "reload").status, 0);
    assert_int_equal(daemon_count_log(daemon, "expires in"), 2);
    assert_contains(CTL(daemon, "status", "test").output, " days), ");
    daemon_expect_stop(daemon);
}

/* ---- the command line ------------------------------------------------------------------------ */

static void
enter_folder(void *userdata)
{
    (void)!chdir(userdata);
}

static void
a_command_line_takes_paths_from_here(void **state)
{
    const char *address = "tcp://127.0.0.1:0";
    const char *const arguments[] = {
        "--plugin-path", FIXTURES,        "--listen",     address,
        "--mixin",       "threading",     "--set",        "tls.certificate=a.pem",
        "--set",         "tls.key=a.key", "good_command", NULL};

    (void)state;
    need_tls();
    make_certificate("a", 90);
    struct daemon *daemon =
        daemon_run_prepared(arguments, enter_folder, (void *)(uintptr_t)test_folder());
    expect_served(daemon_address(daemon, "good_command"), "a");
    daemon_expect_stop(daemon);
}

static void
what_a_command_line_cannot_say_is_refused(void **state)
{
    struct outcome names = COMMAND("", "--check", "--listen", "tcp://127.0.0.1:0", "--set",
                                   "tls.names=a", SHIPPED_PLUGINS "/echo.so");
    struct outcome stdio = COMMAND("x", "--stdio", "--set", "tls.certificate=a", "--set",
                                   "tls.key=b", SHIPPED_PLUGINS "/echo.so");

    (void)state;
    assert_int_equal(names.status, 78);
    assert_contains(names.errors, "--set tls.names: a list of groups cannot be given on a command "
                                  "line; give it in a configuration file");
    assert_int_equal(stdio.status, 78);
    assert_contains(stdio.errors, "has no meaning with --stdio");
    assert_string_equal(stdio.output, "");
}

/* ---- the example ----------------------------------------------------------------------------- */

static const char *
replaced(const char *text, const char *what, const char *by)
{
    const char *place = strstr(text, what);

    assert_non_null(place);
    return text_of("%.*s%s%s", (int)(place - text), text, by, place + strlen(what));
}

/* With files of its own in place of those that it names, which are not there in a build. */
static void
the_example_serves(void **state)
{
    const char *text = strstr(file_text(SOURCE_DIR "/conf/examples/tls.conf"), "listeners = {");

    (void)state;
    need_tls();
    make_certificate("a", 90);
    assert_non_null(text);
    text = replaced(text, "/etc/ssl/certs/localhost.pem", test_path("a.pem"));
    text = replaced(text, "/etc/ssl/private/localhost.key", test_path("a.key"));
    text = replaced(text, ":9443", ":0");
    struct daemon *daemon = daemon_start("%s", text);
    const char *said = ask(daemon_address(daemon, "upper"), "-no_ign_eof");
    assert_contains(said, "Verify return code: 18 (self");
    daemon_expect_stop(daemon);
}

RUN_TESTS(TEST(the_example_serves), TEST(a_key_of_roots_serves_a_worker_of_nobody),
          TEST(a_worker_holds_no_descriptor_of_keys), TEST(other_listeners_get_no_keys),
          TEST(a_key_that_anybody_may_read_is_warned_of_with_its_line),
          TEST(a_renewed_certificate_is_taken_over_and_no_connection_lost),
          TEST(a_damaged_file_leaves_all_as_it_was),
          TEST(a_ticket_outlasts_its_worker_and_a_reload),
          TEST(without_tickets_every_handshake_is_whole), TEST(an_upgrade_keeps_tickets_and_files),
          TEST(a_worker_that_dies_is_replaced_by_one_with_the_old_files),
          TEST(a_certificate_that_ends_soon_is_told), TEST(a_command_line_takes_paths_from_here),
          TEST(what_a_command_line_cannot_say_is_refused))
