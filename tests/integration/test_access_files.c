/* SPDX-License-Identifier: MIT */
/*
 * test_access_files.c - files of networks, what `explain` says of a list, and a list in an upgrade
 */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access_fixture.h"
#include "support/client.h"
#include "support/command.h"
#include "support/control.h"
#include "support/daemon.h"
#include "support/proc.h"
#include "support/test.h"
#include "upgrade_fixture.h"

/* ---- files --------------------------------------------------------------------------------- */

static struct daemon *
serve_with_file(const char *networks)
{
    return daemon_serve("tcp", "threading", "good_command",
                        text_of("deny = [ \"@%s\" ];", test_file("networks", networks)));
}

/* Reloads, and says whether the listener has another generation. */
static bool
reload_changes(struct daemon *daemon, const char *networks)
{
    long before = figure(daemon, "generation");

    (void)test_file("networks", networks);
    assert_int_equal(CTL(daemon, "reload").status, 0);
    return figure(daemon, "generation") != before;
}

static size_t
held_tables(pid_t pid)
{
    size_t count = 0;

    for (const char *at = proc_fd_list(pid); (at = strstr(at, "memfd:access")) != NULL; at++)
        count++;
    return count;
}

static void
a_file_of_networks_is_read_at_each_reload(void **state)
{
    struct daemon *daemon = serve_with_file("# who is a nuisance\r\n\r\n 127.0.0.2 # this one\r\n");
    const char *address = daemon_address(daemon, "test");
    int served = client_connect_from("127.0.0.3", address);

    (void)state;
    client_expect_gone(client_connect_from("127.0.0.2", address));
    client_send(served, "echo here\n");
    client_expect(served, "here\n");
    assert_false(reload_changes(daemon, "127.0.0.2\n# others say no more\n"));
    client_expect_gone(client_connect_from("127.0.0.2", address));
    assert_contains(CTL(daemon, "explain", "test", "127.0.0.2").output, "networks:1)");
    assert_true(reload_changes(daemon, "127.0.0.3"));
    expect_served(client_connect_from("127.0.0.2", address));
    client_expect_gone(client_connect_from("127.0.0.3", address));
    expect_served(served); /* who is in stays in */
    assert_true(reload_changes(daemon, ""));
    expect_served(client_connect_from("127.0.0.3", address));
    /* What drained has gone, and with it every table but the one that its worker has. */
    WAIT_UNTIL(held_tables(daemon_pid(daemon)) == 1);
    daemon_expect_stop(daemon);
}

static void
a_mistake_in_a_file_changes_nothing(void **state)
{
    struct daemon *daemon = serve_with_file("127.0.0.2\n");
    const char *address = daemon_address(daemon, "test"), *networks = test_path("networks");
    struct outcome outcome;

    (void)state;
    (void)test_file("networks", "127.0.0.3\n\n10.0.0.1/8\n@/etc/hosts\n");
    outcome = CTL(daemon, "reload");
    assert_int_equal(outcome.status, 1);
    assert_contains(outcome.errors, text_of("%s:3: found \"10.0.0.1/8\", an address", networks));
    assert_contains(outcome.errors, text_of("%s:4: found \"@/etc/hosts\"; expected", networks));
    assert_return_code(unlink(networks), errno);
    outcome = CTL(daemon, "reload");
    assert_contains(outcome.errors, text_of(": listeners.test.deny: cannot read the networks in "
                                            "%s: No such file",
                                            networks));
    client_expect_gone(client_connect_from("127.0.0.2", address));
    expect_served(client_connect_from("127.0.0.3", address));
    daemon_expect_stop(daemon);
}

/* An empty file lets nobody in where only those in it may come. */
static void
an_empty_allow_lets_nobody_in(void **state)
{
    struct daemon *daemon = daemon_serve("tcp", "none", "good_command",
                                         text_of("allow = \"@%s\";", test_file("networks", "#\n")));

    (void)state;
    client_expect_gone(client_connect(daemon_address(daemon, "test")));
    assert_contains(CTL(daemon, "explain", "test", "127.0.0.1").output, "denied, because allow (");
    daemon_expect_stop(daemon);
}

static void
no_file_holds_up_the_daemon(void **state)
{
    const char *fifo = test_path("fifo"), *large = test_path("large");
    struct outcome outcome;

    (void)state;
    assert_return_code(mkfifo(fifo, 0600), errno);
    (void)test_file("large", "");
    assert_return_code(truncate(large, 9 << 20), errno);
    outcome =
        COMMAND("", "--check", "--listen", "tcp://127.0.0.1:0", "--set", text_of("deny=@%s", fifo),
                "--set", "deny=@/dev/zero", "--set", text_of("deny=@%s", large), "--set",
                "deny=@/proc/kmsg", SHIPPED_PLUGINS "/echo.so");
    assert_int_equal(outcome.status, 78);
    assert_contains(outcome.errors, text_of("--set deny: cannot read the networks in %s: it is "
                                            "not a regular file",
                                            fifo));
    assert_contains(outcome.errors, "/dev/zero: it is not a regular file");
    assert_contains(outcome.errors, text_of("%s: it is larger than 8 MiB", large));
}

static const char *
many_networks(unsigned count)
{
    char *text = keep(calloc(count, 20));
    size_t used = 0;

    for (unsigned i = 0; i < count; i++)
        used += (size_t)sprintf(text + used, "%u.%u.%u.0/24\n", 20 + (i >> 15), i >> 7 & 255,
                                2 * (i & 127));
    return text;
}

/* 200 listeners have 10,000 networks in common: they are read, checked and held once. */
static void
two_hundred_listeners_share_a_list(void **state)
{
    const char *listeners = "";

    (void)state;
    for (int i = 0; i < 200; i++)
        listeners = text_of("%sl%d = { address = \"unix:@sockserverd-test-%d-%d\"; plugin = "
                            "\"good_command\"; enabled = %s; };\n",
                            listeners, i, (int)getpid(), i, i % 100 == 0 ? "true" : "false");
    struct daemon *daemon =
        daemon_start("defaults = { deny = [ \"@%s\", \"user:4242\" ]; };\nlisteners = {\n%s};",
                     test_file("networks", many_networks(10000)), listeners);
    assert_string_equal(client_ask(daemon_address(daemon, "l100"), "echo here\n"), "here\n");
    assert_contains(CTL(daemon, "explain", "l199", "user:4242").output,
                    "denied by deny = \"user:4242\" (");
    if (!INSTRUMENTED)
        assert_in_range(proc_memory_kib(daemon_pid(daemon)), 1000, 40000);
    daemon_expect_stop(daemon);
}

static void
there_is_a_bound(void **state)
{
    const char *file = test_file("networks", many_networks(100001));
    struct outcome outcome = COMMAND("", "--check", "--listen", "tcp://127.0.0.1:0", "--set",
                                     text_of("deny=@%s", file), SHIPPED_PLUGINS "/echo.so");

    (void)state;
    assert_int_equal(outcome.status, 78);
    assert_contains(outcome.errors, "--set deny: found more than 100000 networks");
}

/* ---- explain, and an upgrade --------------------------------------------------------------- */

/* The number of the line that a place in a text is in. */
static unsigned
line_of(const char *text, const char *place)
{
    unsigned line = 1;

    for (const char *at = text; at < place; at++)
        line += *at == '\n';
    return line;
}

static void
explain_says_by_which_item(void **state)
{
    struct daemon *daemon = daemon_start(
        "listeners = {\n"
        "plain = { address = \"tcp://127.0.0.1:0\"; plugin = \"good_command\"; };\n"
        "test = { address = \"tcp://127.0.0.1:0\"; plugin = \"good_command\";\n"
        "  deny = [ \"192.0.2.0/24\",\n"
        "           \"local\" ]; };\n"
        "some = { address = \"unix:@sockserverd-test-%d\"; plugin = \"good_command\";\n"
        "  allow = [ \"user:0\", \"group:4\" ]; };\n};",
        (int)getpid());
    static const struct {
        const char *listener, *client, *said, *line; /* "" for none */
    } rows[] = {
        {"plain", "192.0.2.1", "allowed, because there is neither allow nor deny\n", ""},
        {"test", "192.0.2.1", "denied by deny = \"192.0.2.0/24\" (", "  deny = "},
        {"test", "::ffff:192.0.2.1", "denied by deny = \"192.0.2.0/24\" (", "  deny = "},
        {"test", "::1", "denied by deny = \"local\" (", "           \"local\""},
        {"test", "local", "denied by deny = \"local\" (", "           \"local\""},
        {"test", "2001:db8::1", "allowed, because deny (", "  deny = "},
        {"some", "user:0", "allowed by allow = \"user:0\" (", "  allow = "},
        {"some", "user:4242", "denied, because allow (", "  allow = "},
        {"some", "user:4242,group:5,group:4", "allowed by allow = \"group:4\" (", "  allow = "},
        {"some", "local", "denied, because allow (", "  allow = "},
    };

    (void)state;
    const char *text = file_text(daemon_file(daemon));
    (void)daemon_address(daemon, "some");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct outcome outcome = CTL(daemon, "explain", rows[i].listener, rows[i].client);
        unsigned line = line_of(text, strstr(text, rows[i].line));
        assert_int_equal(outcome.status, 0);
        assert_starts(outcome.output, rows[i].said);
        if (*rows[i].line != '\0')
            assert_contains(outcome.output, text_of("(%s:%u)", daemon_file(daemon), line));
    }
    daemon_expect_stop(daemon);
}

/* The lists' verdict stands first; whether a header is believed is said beside it. */
static void
explain_says_who_may_announce(void **state)
{
    struct daemon *daemon = daemon_start(
        "listeners = {\n"
        "plain = { address = \"tcp://127.0.0.1:0\"; plugin = \"good_command\"; };\n"
        "test = { address = \"tcp://127.0.0.1:0\"; plugin = \"good_command\";\n"
        "  proxy = { trusted = [ \"192.0.2.10\" ]; }; deny = [ \"192.0.2.0/24\" ]; };\n"
        "some = { address = \"unix:@sockserverd-test-%d\"; plugin = \"good_command\";\n"
        "  proxy = { trusted = [ \"user:0\" ]; }; };\n};",
        (int)getpid());
    static const struct {
        const char *listener, *client, *verdict, *said;
    } rows[] = {
        {"test", "192.0.2.10", "denied by deny",
         " names it: it must announce its client by a PROXY header\n"},
        {"test", "198.51.100.7", "allowed, ",
         " does not name it: it is turned away, unless it comes by way of a balancer"},
        {"some", "user:0", "allowed, ", " names it"},
        {"some", "user:1", "allowed, ", " does not name it"},
        {"some", "local", "allowed, ", " does not name it"},
    };

    (void)state;
    const char *text = file_text(daemon_file(daemon));
    (void)daemon_address(daemon, "some");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct outcome outcome = CTL(daemon, "explain", rows[i].listener, rows[i].client);
        assert_int_equal(outcome.status, 0);
        assert_starts(outcome.output, rows[i].verdict);
        const char *place = strstr(strstr(text, rows[i].listener), "  proxy = ");
        assert_contains(outcome.output, text_of("\nproxy.trusted (%s:%u)%s", daemon_file(daemon),
                                                line_of(text, place), rows[i].said));
    }
    assert_null(strstr(CTL(daemon, "explain", "plain", "192.0.2.10").output, "proxy"));
    assert_contains(CTL(daemon, "explain", "plain", "192.0.2.10", "--json").output,
                    "\"proxy\": null");
    daemon_expect_stop(daemon);
}

static void
explain_says_what_it_expects(void **state)
{
    struct daemon *daemon = daemon_serve("unix", "none", "good_command", "deny = \"user:0\";");
    struct outcome outcome = CTL(daemon, "explain", "test", "192.0.2.1");

    (void)state;
    assert_int_equal(outcome.status, 1);
    assert_contains(outcome.errors, "found \"192.0.2.1\"; expected \"local\" or \"user:NAME\"");
    outcome = CTL(daemon, "explain", "test", "user:no-such-user");
    assert_int_equal(outcome.status, 64);
    assert_contains(outcome.errors, "unknown user \"no-such-user\"");
    outcome = CTL(daemon, "explain", "tes", "local");
    assert_contains(outcome.errors, "there is no listener \"tes\"");
    assert_int_equal(CTL(daemon, "explain", "test").status, 64);
    assert_int_equal(CTL(daemon, "explain", "test", "local", "more").status, 64);
    outcome = CTL(daemon, "explain", "test", "user:0", "--json");
    json_t *reply = json_loads(outcome.output, 0, NULL);
    assert_non_null(reply);
    assert_true(json_is_false(json_object_get(reply, "allowed")));
    assert_string_equal(json_string_value(json_object_get(reply, "key")), "deny");
    assert_string_equal(json_string_value(json_object_get(reply, "item")), "user:0");
    assert_true(json_is_integer(json_object_get(reply, "line")));
    json_decref(reply);
    daemon_expect_stop(daemon);
}

/* The new program has the lists that the old one had, and so have its later workers. */
static void
an_upgrade_keeps_the_lists(void **state)
{
    const char *networks = test_file("networks", "127.0.0.2\n");
    struct daemon *daemon = start(daemon_configuration(
        "control = { path = \"%s\"; };\nlisteners = {\n%s};", test_path("control"),
        listener_text("test", "tcp", "threading", "good_command",
                      text_of("deny = \"@%s\";", networks))));
    const char *address = daemon_address(daemon, "test"), *control = test_path("control");
    const char *const upgrade[] = {"--socket", control, "upgrade", NULL};
    const char *const explain[] = {"--socket", control, "explain", "test", "127.0.0.2", NULL};
    const char *const restart[] = {"--socket", control, "restart", "test", NULL};

    (void)state;
    client_expect_gone(client_connect_from("127.0.0.2", address));
    WAIT_UNTIL(access(control, F_OK) == 0);
    assert_int_equal(command_run(CTL_PROGRAM, "", upgrade).status, 0);
    (void)daemon_wait_log(daemon, "reloaded: ");
    assert_contains(command_run(CTL_PROGRAM, "", explain).output,
                    text_of("denied by deny = \"127.0.0.2\" (%s:1)", networks));
    client_expect_gone(client_connect_from("127.0.0.2", address));
    assert_int_equal(command_run(CTL_PROGRAM, "", restart).status, 0);
    client_expect_gone(client_connect_from("127.0.0.2", address));
    expect_served(client_connect_from("127.0.0.3", address));
    daemon_expect_stop(daemon);
}

RUN_TESTS(TEST(a_file_of_networks_is_read_at_each_reload),
          TEST(a_mistake_in_a_file_changes_nothing), TEST(an_empty_allow_lets_nobody_in),
          TEST(no_file_holds_up_the_daemon), TEST(two_hundred_listeners_share_a_list),
          TEST(there_is_a_bound), TEST(explain_says_by_which_item),
          TEST(explain_says_who_may_announce), TEST(explain_says_what_it_expects),
          TEST(an_upgrade_keeps_the_lists))
