/* SPDX-License-Identifier: MIT */
/*
 * test_commands.c - the command line: --check, --describe, --stdio, --listen, exit statuses
 */
#include <errno.h>
#include <jansson.h>
#include <unistd.h>

#include "support/client.h"
#include "support/command.h"
#include "support/daemon.h"
#include "support/test.h"

#define COMMAND_PLUGIN FIXTURES "/good_command.so"
#define UPPER_PLUGIN   SHIPPED_PLUGINS "/upper.so"

/* ---- exit statuses ------------------------------------------------------------ */

static void
wrong_usage_is_64(void **state)
{
    static const char *const lines[][5] = {
        {"--no-such-option"},
        {"--listen"},
        {"--stdio"},
        {"--describe"},
        {"--listen", "tcp://127.0.0.1:0"},
        {"surplus"},
        {"--stdio", "-o", "=x", UPPER_PLUGIN},
        {"--log-level", "loud"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct outcome outcome = command_run(DAEMON_PROGRAM, "", lines[i]);

        if (outcome.status != 64)
            fail_msg("%s ... ended with %d", lines[i][0], outcome.status);
        assert_starts(outcome.errors, "sockserverd: ");
    }
}

static void
a_mistyped_option_is_guessed(void **state)
{
    (void)state;
    assert_contains(COMMAND("", "--lisetn").errors, "did you mean --listen?");
}

static void
help_and_version_are_0(void **state)
{
    struct outcome help = COMMAND("", "--help"), version = COMMAND("", "--version");

    (void)state;
    assert_int_equal(help.status, 0);
    assert_contains(help.output, "--listen");
    assert_contains(help.output, "--stdio");
    assert_string_equal(help.errors, "");
    assert_int_equal(version.status, 0);
    assert_starts(version.output, "sockserverd ");
}

static void
a_missing_file_is_78(void **state)
{
    const char *missing = test_path("missing.conf");
    struct outcome outcome = COMMAND("", "-c", missing);

    (void)state;
    assert_int_equal(outcome.status, 78);
    assert_contains(outcome.errors, missing);
    assert_contains(outcome.errors, "No such file or directory");
}

static void
mistakes_end_the_start_with_78(void **state)
{
    struct daemon *daemon =
        daemon_start("listeners = { test = { address = \"tcp://127.0.0.1:0\"; plugin = \"upper\";\n"
                     "mixin = \"threads\"; }; };");

    (void)state;
    daemon_expect_exit(daemon, 78);
    assert_contains(daemon_log(daemon), "listeners.test.mixin");
    assert_contains(daemon_log(daemon), "did you mean \"threading\"?");
}

static void
c65_reuse_port_on_a_unix_path_is_78(void **state)
{
    const char *file =
        daemon_configuration("listeners = {\n%s};",
                             listener_text("test", "unix", "none", "upper", "reuse_port = true;"));
    struct outcome outcome = COMMAND("", "--check", "-c", file);

    (void)state;
    assert_int_equal(outcome.status, 78);
    assert_contains(outcome.errors, "listeners.test.reuse_port");
}

/* ---- --check --------------------------------------------------------------------- */

static void
check_says_ok_and_binds_nothing(void **state)
{
    const char *file = daemon_configuration(
        "listeners = {\n%s};", listener_text("test", "unix", "threading", "upper", ""));
    struct outcome outcome = COMMAND("", "--check", "-c", file);

    (void)state;
    assert_int_equal(outcome.status, 0);
    assert_string_equal(outcome.output, "configuration OK\n");
    assert_string_equal(outcome.errors, "");
    assert_int_equal(access(test_path("test.sock"), F_OK), -1);
}

static void
check_finds_all_mistakes_in_one_go(void **state)
{
    const char *file = daemon_configuration(
        "listeners = {\n"
        "one = { address = \"tcp://127.0.0.1:0\"; plugin = \"good_command\";\n"
        "options = { count = 5000;\n"
        "ratoi = 0.5; }; };\n"
        "three = { address = \"tcp://127.0.0.1:0\"; plugin = \"good_command\"; options = {\n"
        "text = [ \"a\" ]; names = (\n"
        "\"right\",\n"
        "3\n"
        "); naems = \"\"; }; };\n"
        "two = { address = \"tcp://127.0.0.1:0\"; plugin = \"good_command\"; options = { pause = "
        "\"soon\"; }; };\n"
        "};");
    struct outcome outcome = COMMAND("", "--check", "-c", file);

    (void)state;
    assert_int_equal(outcome.status, 78);
    assert_contains(outcome.errors, text_of("%s:4: listeners.one.options.count", file));
    assert_contains(outcome.errors, text_of("%s:5: listeners.one.options.ratoi", file));
    assert_contains(outcome.errors, "did you mean \"ratio\"?");
    assert_contains(outcome.errors, text_of("%s:7: listeners.three.options.text: found a list; "
                                            "expected a string",
                                            file));
    assert_contains(outcome.errors, text_of("%s:9: listeners.three.options.names: found 3 in the "
                                            "list; expected a string in quotes",
                                            file));
    assert_contains(outcome.errors, text_of("%s:10: listeners.three.options.naems", file));
    assert_contains(outcome.errors, "did you mean \"names\"?");
    assert_contains(outcome.errors, text_of("%s:11: listeners.two.options.pause", file));
}

/* ---- --describe -------------------------------------------------------------------- */

static void
describe_shows_the_plugin_and_its_options(void **state)
{
    static const char *const expected[] = {
        "good_command", "does what its client tells it", "threading", "text", "a switch", "64K",
        "250ms",
    };
    struct outcome outcome = COMMAND("", "--describe", COMMAND_PLUGIN);

    (void)state;
    assert_int_equal(outcome.status, 0);
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
        assert_contains(outcome.output, expected[i]);
}

static void
describe_json_can_be_read_by_programs(void **state)
{
    struct outcome outcome = COMMAND("", "--describe", "--json", COMMAND_PLUGIN);
    json_error_t error;
    json_t *root = json_loads(outcome.output, 0, &error);
    json_t *options;

    (void)state;
    assert_int_equal(outcome.status, 0);
    if (root == NULL)
        fail_msg("%s in:\n%s", error.text, outcome.output);
    assert_string_equal(json_string_value(json_object_get(root, "name")), "good_command");
    assert_int_equal(json_integer_value(json_object_get(root, "abi")), 2);
    options = json_object_get(root, "options");
    assert_int_equal(json_array_size(options), 7);
    assert_string_equal(json_string_value(json_object_get(json_array_get(options, 0), "name")),
                        "text");
    json_decref(root);
}

static void
describe_finds_a_plugin_by_name(void **state)
{
    struct outcome outcome = COMMAND("", "--describe", "--plugin-path", SHIPPED_PLUGINS, "upper");

    (void)state;
    assert_int_equal(outcome.status, 0);
    assert_contains(outcome.output, "sends each line back in upper case");
}

/* ---- --stdio ------------------------------------------------------------------------- */

static void
stdio_serves_one_request(void **state)
{
    struct outcome outcome = COMMAND("hello\nworld", "--stdio", UPPER_PLUGIN);

    (void)state;
    assert_int_equal(outcome.status, 0);
    assert_string_equal(outcome.output, "HELLO\nWORLD");
}

static void
stdio_takes_options(void **state)
{
    struct outcome outcome = COMMAND("options\n", "--stdio", "-o", "text=bye", "-o", "count=7",
                                     "-o", "limit=1M", COMMAND_PLUGIN);

    (void)state;
    assert_int_equal(outcome.status, 0);
    assert_string_equal(outcome.output, "text=bye flag=false count=7 ratio=0.5 limit=1048576 "
                                        "pause=0.25\n");
}

static void
option_that_is_a_list_is_repeated(void **state)
{
    struct outcome outcome = COMMAND("names\n", "--stdio", COMMAND_PLUGIN);

    (void)state;
    assert_string_equal(outcome.output, "names 2 \"one\" \"two, three\"\n");
    outcome = COMMAND("names\n", "--stdio", "-o", "names=a", "-o", "text=x", "-o", "names=b, c=d",
                      COMMAND_PLUGIN);
    assert_int_equal(outcome.status, 0);
    assert_string_equal(outcome.output, "names 2 \"a\" \"b, c=d\"\n");
    outcome = COMMAND("", "--stdio", "-o", "names=1", "-o", "names=2", "-o", "names=3", "-o",
                      "names=4", "-o", "names=5", COMMAND_PLUGIN);
    assert_int_equal(outcome.status, 78);
    assert_contains(outcome.errors, "-o names: found 5 items; expected a list of strings");
}

static void
listener_gives_its_plugin_lists(void **state)
{
    static const struct {
        const char *written, *answer;
    } rows[] = {
        {"", "names 2 \"one\" \"two, three\"\n"},
        {"options = { names = [ \"a\", \"\", \"b\" ]; };", "names 3 \"a\" \"\" \"b\"\n"},
        {"options = { names = ( \"a\" ); };", "names 1 \"a\"\n"},
        {"options = { names = \"a\"; };", "names 1 \"a\"\n"},
        {"options = { names = []; };", "names 0\n"},
    };

    const char *all = "";
    struct daemon *daemon;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        all = text_of(
            "%s%s", all,
            listener_text(text_of("n%zu", i), "tcp", "threading", "good_command", rows[i].written));
    daemon = daemon_start("listeners = {\n%s};", all);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_string_equal(client_ask(daemon_address(daemon, text_of("n%zu", i)), "names\n"),
                            rows[i].answer);
    daemon_expect_stop(daemon);
}

static void
stdio_refuses_wrong_options(void **state)
{
    struct outcome outcome = COMMAND("", "--stdio", "-o", "cuont=7", COMMAND_PLUGIN);

    (void)state;
    assert_int_equal(outcome.status, 78);
    assert_contains(outcome.errors, "cuont");
    assert_contains(outcome.errors, "did you mean \"count\"?");
}

static void
stdio_says_when_the_handler_failed(void **state)
{
    struct outcome outcome = COMMAND("fail 5\n", "--stdio", COMMAND_PLUGIN);

    (void)state;
    assert_int_equal(outcome.status, 1);
    assert_contains(outcome.errors, "Input/output error");
}

/* ---- --listen ------------------------------------------------------------------------- */

static const char *
wait_for_address(struct daemon *daemon)
{
    const char *line = daemon_wait_log(daemon, ": listening on ");
    const char *address = strstr(line, ": listening on ") + strlen(": listening on ");

    return text_of("%.*s", (int)strcspn(address, " "), address);
}

static void
listen_serves_a_plugin_without_a_file(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon = DAEMON_RUN("--listen", address_for(server->scheme, "x"), "--mixin",
                                       server->mixin, UPPER_PLUGIN);

    assert_string_equal(client_ask(wait_for_address(daemon), "hello\n"), "HELLO\n");
    (void)daemon_wait_log(daemon, text_of(" (%s, upper.so)", server->mixin));
    daemon_expect_stop(daemon);
}

static void
listen_takes_options_and_settings(void **state)
{
    struct daemon *daemon = DAEMON_RUN("--listen", "tcp://127.0.0.1:0", "--set", "max_line=50",
                                       "-o", "text=bye", COMMAND_PLUGIN);
    const char *address = wait_for_address(daemon);

    (void)state;
    assert_starts(client_ask(address, "options\n"), "text=bye ");
    assert_string_equal(client_ask(address, text_of("line-limit\n%060d\n", 0)),
                        text_of("error %d\n", -EMSGSIZE));
    daemon_expect_stop(daemon);
}

static void
listen_ends_when_the_address_is_taken(void **state)
{
    struct daemon *first = daemon_serve("tcp", "none", "upper", "");
    struct daemon *second = DAEMON_RUN("--listen", daemon_address(first, "test"), UPPER_PLUGIN);

    (void)state;
    daemon_expect_exit(second, 1);
    assert_contains(daemon_log(second), "Address already in use");
    daemon_expect_stop(first);
}

static void
listen_refuses_a_wrong_setting(void **state)
{
    struct outcome outcome =
        COMMAND("", "--listen", "tcp://127.0.0.1:0", "--set", "max_lime=5", UPPER_PLUGIN);

    (void)state;
    assert_int_equal(outcome.status, 78);
    assert_contains(outcome.errors, "did you mean \"max_line\"?");
}

RUN_TESTS(TEST(wrong_usage_is_64), TEST(a_mistyped_option_is_guessed), TEST(help_and_version_are_0),
          TEST(a_missing_file_is_78), TEST(mistakes_end_the_start_with_78),
          TEST(c65_reuse_port_on_a_unix_path_is_78), TEST(check_says_ok_and_binds_nothing),
          TEST(check_finds_all_mistakes_in_one_go), TEST(describe_shows_the_plugin_and_its_options),
          TEST(describe_json_can_be_read_by_programs), TEST(describe_finds_a_plugin_by_name),
          TEST(stdio_serves_one_request), TEST(stdio_takes_options),
          TEST(option_that_is_a_list_is_repeated), TEST(listener_gives_its_plugin_lists),
          TEST(stdio_refuses_wrong_options), TEST(stdio_says_when_the_handler_failed),
          TEST_EACH_SERVER(listen_serves_a_plugin_without_a_file),
          TEST(listen_takes_options_and_settings), TEST(listen_ends_when_the_address_is_taken),
          TEST(listen_refuses_a_wrong_setting))
