/* SPDX-License-Identifier: MIT */
/*
 * test_bad_plugins.c - one malformed plugin per fault: what is said, and what becomes of the rest
 *
 * A fault that lies in the file is a mistake in the configuration: exit status
 * 78. One that shows only when the plugin runs makes its listener fail and be
 * tried again, while the others serve.
 */
#include <stdio.h>
#include <sys/stat.h>

#include "common/array.h"
#include "support/client.h"
#include "support/command.h"
#include "support/daemon.h"
#include "support/test.h"

/* A plugin that does not go with its listener: --check and the start end with 78. */
struct refusal {
    const char *plugin, *scheme, *mixin;
    const char *message; /* words it must contain, apart by '|' */
};

static const struct refusal mismatches[] = {
    {"bad_mixin", "tcp", "threading", "bad_mixin|threading|none|forking"},
    {"good_one_process", "tcp", "forking", "good_one_process|one process|use \"threading\""},
    {"bad_transport_datagram", "tcp", "none", "bad_transport_datagram|datagrams only"},
    {"bad_transport_datagram", "unix", "none", "bad_transport_datagram|datagrams only"},
    {"bad_transport_stream", "udp", "none", "bad_transport_stream|streams only"},
    {"bad_transport_stream", "unixgram", "none", "bad_transport_stream|streams only"},
};

/* A file that is no plugin: --check ends with 78; a daemon serves the others and tries again. */
static const struct refusal malformed[] = {
    {"bad_no_handle", "tcp", "none", "bad_no_handle|handle"},
    {"bad_no_record", "tcp", "none", "bad_no_record|SS_PLUGIN"},
    {"bad_future_abi", "tcp", "none", "bad_future_abi|99|1|rebuild"},
    {"bad_small_record", "tcp", "none", "bad_small_record|SS_PLUGIN"},
    {"bad_hook_elsewhere", "tcp", "none", "bad_hook_elsewhere|handle"},
    {"bad_unresolved", "tcp", "none", "bad_unresolved|ss_does_not_exist"},
    {"bad_options", "tcp", "none", "bad_options|twice|pause|size"},
    {"bad_options_duplicate", "tcp", "none", "\"twice\""},
    {"bad_options_fallback", "tcp", "none", "\"pause\"|\"soon\"|duration"},
    {"bad_options_list", "tcp", "none", "\"names\"|a list of strings|from 0 to 2"},
    {"bad_options_outside", "tcp", "none", "\"count\"|\"11\"|from 1 to 10"},
    {"bad_options_range", "tcp", "none", "\"size\"|min above max"},
    {"bad_options_type", "tcp", "none", "\"colour\"|99"},
    {"no_such_plugin", "tcp", "none", "no_such_plugin.so|No such file or directory|plugin_path"},
};

/* One that calls itself ready is not believed before its process has ended. */
static const struct refusal early = {
    "bad_early_ready", "tcp", "none",
    "listeners.test: the process that checks|bad_early_ready|was killed by signal 9"};

static void
assert_contains_all(const char *text, const char *words)
{
    char *rest = keep(strdup(words)), *word;

    while ((word = strsep(&rest, "|")) != NULL)
        assert_contains(text, word);
}

static void
check_refuses_it(void **state)
{
    const struct refusal *refusal = *state;
    const char *file = daemon_configuration(
        "listeners = {\n%s};",
        listener_text("test", refusal->scheme, refusal->mixin, refusal->plugin, ""));
    struct outcome outcome = COMMAND("", "--check", "-c", file);

    assert_int_equal(outcome.status, 78);
    assert_contains_all(outcome.errors, refusal->message);
    assert_lacks(outcome.output, "configuration OK");
}

static void
the_daemon_does_not_start_with_it(void **state)
{
    const struct refusal *refusal = *state;
    struct daemon *daemon =
        daemon_start("listeners = {\n%s%s};", listener_text("good", "tcp", "none", "upper", ""),
                     listener_text("test", refusal->scheme, refusal->mixin, refusal->plugin, ""));

    daemon_expect_exit(daemon, 78);
    assert_contains_all(daemon_log(daemon), refusal->message);
    assert_contains(daemon_log(daemon), ": listeners.test.");
}

/* Waits until "test" has failed for the reasons given, and sees that "good" serves. */
static void
expect_failed_listener(struct daemon *daemon, const char *reasons)
{
    (void)daemon_wait_log(daemon, "next try");
    assert_string_equal(client_ask(daemon_address(daemon, "good"), "good\n"), "GOOD\n");
    assert_contains_all(daemon_log(daemon), reasons);
    assert_lacks(daemon_log(daemon), "\\x0a"); /* several reasons are several lines */
    assert_lacks(daemon_log(daemon), "sockserverd[test]: listening");
    assert_string_equal(client_ask(daemon_address(daemon, "good"), "good\n"), "GOOD\n");
    daemon_expect_stop(daemon);
}

static void
the_others_serve_beside_it(void **state)
{
    const struct refusal *refusal = *state;
    struct daemon *daemon =
        daemon_start("listeners = {\n%s%s};", listener_text("good", "tcp", "none", "upper", ""),
                     listener_text("test", refusal->scheme, refusal->mixin, refusal->plugin, ""));

    expect_failed_listener(daemon, refusal->message);
}

/* Faults of a running plugin: its listener fails and is tried again. */
static const struct failure_case {
    const char *plugin, *mixin;
    const char *message;
} failures[] = {
    {"bad_activate", "none", "the database is not there"},
    {"bad_activate", "threading", "server_activate"},
    {"bad_activate", "forking", "server_activate"},
    {"bad_constructor_crash", "none", "signal|next try"},
    {"bad_constructor_exit", "none", "3|next try"},
    {"bad_thread", "forking", "bad_thread|started a thread"},
};

static void
only_its_listener_fails(void **state)
{
    const struct failure_case *failure = *state;
    struct daemon *daemon =
        daemon_start("listeners = {\n%s%s};", listener_text("good", "tcp", "none", "upper", ""),
                     listener_text("test", "tcp", failure->mixin, failure->plugin, ""));

    expect_failed_listener(daemon, failure->message);
}

static void
with_strict_a_failed_listener_ends_the_start(void **state)
{
    const char *listeners = text_of("%s%s", listener_text("good", "tcp", "none", "upper", ""),
                                    listener_text("test", "tcp", "none", "bad_activate", ""));
    struct daemon *daemon =
        DAEMON_RUN("--strict", "-c", daemon_configuration("listeners = {\n%s};", listeners));

    (void)state;
    daemon_expect_exit(daemon, 1);
    assert_contains(daemon_log(daemon), "the database is not there");
}

static void
expect_served(const char *plugin, const char *scheme, const char *mixin, const char *answer)
{
    struct daemon *daemon = daemon_serve(scheme, mixin, plugin, "");

    int client = client_connect(daemon_address(daemon, "test"));

    if (!scheme_is_stream(scheme)) /* a stream is answered unasked */
        client_send(client, "hello\n");
    assert_string_equal(client_receive(client), answer);
    client_close(client);
    daemon_expect_stop(daemon);
}

static void
what_a_plugin_states_is_served(void **state)
{
    (void)state;
    expect_served("bad_mixin", "tcp", "none", "bad_mixin\n");
    expect_served("bad_mixin", "tcp", "forking", "bad_mixin\n");
    expect_served("bad_transport_datagram", "udp", "none", "bad_transport_datagram\n");
    expect_served("bad_transport_stream", "unix", "none", "bad_transport_stream\n");
    expect_served("good_hook_elsewhere", "tcp", "forking", "elsewhere");
}

/* What the service manager will pass is not known in a check: either plugin may be right. */
static void
check_does_not_guess_what_will_be_passed(void **state)
{
    const char *file = daemon_configuration(
        "listeners = { a = { address = \"systemd:a\"; plugin = \"bad_transport_stream\"; };\n"
        "b = { address = \"systemd:b\"; plugin = \"bad_transport_datagram\"; }; };");
    struct outcome outcome = COMMAND("", "--check", "-c", file);

    (void)state;
    assert_string_equal(outcome.errors, "");
    assert_int_equal(outcome.status, 0);
}

static void
a_wrong_file_is_refused(void **state)
{
    const char *text = test_file("text.so", "this is no shared object\n");
    const char *folder = test_path("folder.so");
    struct outcome outcome;

    (void)state;
    outcome = COMMAND("", "--describe", text);
    assert_int_equal(outcome.status, 1);
    assert_contains(outcome.errors, "text.so");
    assert_int_equal(mkdir(folder, 0700), 0);
    outcome = COMMAND("", "--describe", folder);
    assert_int_equal(outcome.status, 1);
    assert_contains(outcome.errors, "folder.so");
    outcome = COMMAND("", "--describe", DAEMON_PROGRAM);
    assert_int_equal(outcome.status, 1);
    assert_contains(outcome.errors, "sockserverd");
}

#define MOST_TESTS 64

static struct CMUnitTest tests[MOST_TESTS];
static size_t test_count;

static void
add(const char *plugin, const char *claim, CMUnitTestFunction function, const void *state)
{
    char *name = NULL;

    if (test_count == MOST_TESTS || asprintf(&name, "%s: %s", plugin, claim) < 0)
        abort();
    tests[test_count++] =
        (struct CMUnitTest){name, function, NULL, test_done, (void *)(uintptr_t)state};
}

int
main(void)
{
    const struct CMUnitTest others[] = {
        TEST(with_strict_a_failed_listener_ends_the_start), TEST(what_a_plugin_states_is_served),
        TEST(check_does_not_guess_what_will_be_passed), TEST(a_wrong_file_is_refused)};
    int failed;

    for (size_t i = 0; i < ARRAY_SIZE(mismatches); i++) {
        const struct refusal *row = &mismatches[i];

        add(row->plugin, "check refuses it", check_refuses_it, row);
        add(row->plugin, "the daemon does not start", the_daemon_does_not_start_with_it, row);
    }
    for (size_t i = 0; i < ARRAY_SIZE(malformed); i++) {
        add(malformed[i].plugin, "check refuses it", check_refuses_it, &malformed[i]);
        add(malformed[i].plugin, "the others serve", the_others_serve_beside_it, &malformed[i]);
    }
    add(early.plugin, "check refuses it", check_refuses_it, &early);
    for (size_t i = 0; i < ARRAY_SIZE(failures); i++)
        add(failures[i].plugin, "only its listener fails", only_its_listener_fails, &failures[i]);
    failed = _cmocka_run_group_tests("bad plugins", tests, test_count, NULL, NULL);
    while (test_count > 0)
        free((void *)(uintptr_t)tests[--test_count].name);
    return failed + cmocka_run_group_tests(others, NULL, NULL);
}
