/* SPDX-License-Identifier: MIT */
/*
 * test_bad_plugins.c - one malformed plugin per fault: what is said, and what becomes of the rest
 *
 * A fault that lies in the file is a mistake in the configuration: exit status
 * 78. One that shows only when the plugin runs makes its listener fail and be
 * tried again, while the others serve.
 */
#include <sys/stat.h>

#include "support/client.h"
#include "support/command.h"
#include "support/daemon.h"
#include "support/proc.h"
#include "support/test.h"

/* Mistakes: with --check and at the start the daemon ends with 78 and says this. */
static const struct refusal {
    const char *plugin, *scheme, *mixin;
    const char *message; /* words it must contain, apart by '|' */
} refusals[] = {
    {"bad_no_handle", "tcp", "none", "bad_no_handle|handle"},
    {"bad_no_record", "tcp", "none", "bad_no_record|SS_PLUGIN"},
    {"bad_future_abi", "tcp", "none", "bad_future_abi|99|1"},
    {"bad_small_record", "tcp", "none", "bad_small_record"},
    {"bad_hook_elsewhere", "tcp", "none", "bad_hook_elsewhere|handle"},
    {"bad_unresolved", "tcp", "none", "bad_unresolved|ss_does_not_exist"},
    {"bad_mixin", "tcp", "threading", "bad_mixin|threading|none|forking"},
    {"bad_transport_datagram", "tcp", "none", "bad_transport_datagram|udp"},
    {"bad_transport_datagram", "unix", "none", "bad_transport_datagram"},
    {"bad_transport_stream", "udp", "none", "bad_transport_stream|tcp"},
    {"bad_transport_stream", "unixgram", "none", "bad_transport_stream"},
    {"bad_options", "tcp", "none", "bad_options|twice|pause|size"},
    {"bad_options_duplicate", "tcp", "none", "twice"},
    {"bad_options_fallback", "tcp", "none", "pause|soon"},
    {"bad_options_outside", "tcp", "none", "count|11"},
    {"bad_options_range", "tcp", "none", "size"},
    {"bad_options_type", "tcp", "none", "colour"},
    {"no_such_plugin", "tcp", "none", "no_such_plugin"},
};

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
    assert_contains(outcome.errors, "listeners.test");
    assert_lacks(outcome.output, "configuration OK");
}

static void
the_daemon_does_not_start_with_it(void **state)
{
    const struct refusal *refusal = *state;
    struct daemon *daemon =
        daemon_start("listeners = {\n%s%s};", listener_text("good", "tcp", "none", "upper", ""),
                     listener_text("test", refusal->scheme, refusal->mixin, refusal->plugin, ""));

    assert_int_equal(daemon_wait_exit(daemon), 78);
    assert_contains_all(daemon_log(daemon), refusal->message);
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
    {"bad_thread", "forking", "thread|server_activate"},
};

static void
only_its_listener_fails(void **state)
{
    const struct failure_case *failure = *state;
    struct daemon *daemon =
        daemon_start("listeners = {\n%s%s};", listener_text("good", "tcp", "none", "upper", ""),
                     listener_text("test", "tcp", failure->mixin, failure->plugin, ""));

    (void)daemon_wait_log(daemon, "sockserverd[test]: ");
    assert_string_equal(client_ask(daemon_address(daemon, "good"), "good\n"), "GOOD\n");
    (void)daemon_wait_log(daemon, "next try");
    assert_contains_all(daemon_log(daemon), failure->message);
    assert_lacks(daemon_log(daemon), "sockserverd[test]: listening");
    assert_string_equal(client_ask(daemon_address(daemon, "good"), "good\n"), "GOOD\n");
    daemon_expect_stop(daemon);
}

static void
with_strict_a_failed_listener_ends_the_start(void **state)
{
    const char *listeners = text_of("%s%s", listener_text("good", "tcp", "none", "upper", ""),
                                    listener_text("test", "tcp", "none", "bad_activate", ""));
    struct daemon *daemon =
        DAEMON_RUN("--strict", "-c", daemon_configuration("listeners = {\n%s};", listeners));

    (void)state;
    assert_int_equal(daemon_wait_exit(daemon), 1);
    assert_contains(daemon_log(daemon), "the database is not there");
}

static void
expect_served(const char *plugin, const char *scheme, const char *mixin, const char *answer)
{
    struct daemon *daemon = daemon_serve(scheme, mixin, plugin, "");

    assert_string_equal(client_ask(daemon_address(daemon, "test"), "hello\n"), answer);
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

static void
a_wrong_file_is_refused(void **state)
{
    const char *text = test_file("text.so", "this is no shared object\n");
    const char *folder = test_path("folder.so");
    struct outcome outcome;

    (void)state;
    outcome = COMMAND("", "--describe", text);
    assert_int_equal(outcome.status, 78);
    assert_contains(outcome.errors, "text.so");
    assert_int_equal(mkdir(folder, 0700), 0);
    outcome = COMMAND("", "--describe", folder);
    assert_int_equal(outcome.status, 78);
    assert_contains(outcome.errors, "folder.so");
    outcome = COMMAND("", "--describe", DAEMON_PROGRAM);
    assert_int_equal(outcome.status, 78);
    assert_contains(outcome.errors, "sockserverd");
}

#define MOST_TESTS 64

int
main(void)
{
    struct CMUnitTest tests[MOST_TESTS] = {TEST(with_strict_a_failed_listener_ends_the_start),
                                           TEST(what_a_plugin_states_is_served),
                                           TEST(a_wrong_file_is_refused)};
    size_t count = 3;

    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        void *state = (void *)(uintptr_t)&refusals[i];

        tests[count++] =
            (struct CMUnitTest){refusals[i].plugin, check_refuses_it, NULL, test_done, state};
        tests[count++] = (struct CMUnitTest){refusals[i].plugin, the_daemon_does_not_start_with_it,
                                             NULL, test_done, state};
    }
    for (size_t i = 0; i < sizeof failures / sizeof failures[0]; i++)
        tests[count++] = (struct CMUnitTest){failures[i].plugin, only_its_listener_fails, NULL,
                                             test_done, (void *)(uintptr_t)&failures[i]};
    return _cmocka_run_group_tests("bad plugins", tests, count, NULL, NULL);
}
