/* SPDX-License-Identifier: MIT */
/*
 * test_log_json.c - the daemon's log as JSON: each line of supervisor, worker and plugin
 */
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "common/array.h"
#include "support/client.h"
#include "support/command.h"
#include "support/daemon.h"
#include "support/test.h"

/* Parses the line; the test fails if it is no object with what every line has. */
static json_t *
parse_line(const char *line)
{
    json_error_t error;
    json_t *object = json_loadb(line, strcspn(line, "\n"), JSON_REJECT_DUPLICATES, &error);

    if (object == NULL)
        fail_msg("%s: %s", error.text, line);
    assert_true(json_is_string(json_object_get(object, "time")));
    assert_true(json_is_string(json_object_get(object, "level")));
    assert_true(json_is_string(json_object_get(object, "message")));
    return object;
}

static void
expect_all_json(const char *log)
{
    assert_true(*log != '\0');
    for (const char *line = log; *line != '\0'; line += strcspn(line, "\n") + 1)
        json_decref(parse_line(line));
}

static void
expect_text(const json_t *object, const char *name, const char *expected)
{
    const char *found = json_string_value(json_object_get(object, name));

    assert_non_null(found);
    assert_string_equal(found, expected);
}

/* The address in {"message":"listening on ADDRESS ..."}. */
static const char *
listening_address(struct daemon *daemon)
{
    const char *start = strstr(daemon_wait_log(daemon, "listening on "), "listening on ");

    start += strlen("listening on ");
    return text_of("%.*s", (int)strcspn(start, " \""), start);
}

static struct daemon *
serve_json(const struct server_case *server, const char *more)
{
    return daemon_start("log = { target = \"stderr\"; format = \"json\"; access = true; };\n"
                        "listeners = {\n%s};",
                        listener_text("test", server->scheme, server->mixin, "good_command", more));
}

static void
an_access_line_has_its_fields(void **state)
{
    struct daemon *daemon = serve_json(*state, "");
    const char *address = listening_address(daemon);

    assert_string_equal(client_ask(address, "echo hello\n"), "hello\n");
    json_t *object = parse_line(daemon_wait_log(daemon, "\"bytes_in\":"));
    expect_text(object, "listener", "test");
    expect_text(object, "level", "info");
    expect_text(object, "reason", "done");
    assert_int_equal(json_integer_value(json_object_get(object, "request")), 1);
    assert_int_equal(json_integer_value(json_object_get(object, "bytes_in")), 11);
    assert_int_equal(json_integer_value(json_object_get(object, "bytes_out")), 6);
    assert_true(json_real_value(json_object_get(object, "duration_ms")) > 0);
    const char *client = json_string_value(json_object_get(object, "client"));
    assert_non_null(client);
    assert_starts(json_string_value(json_object_get(object, "message")), client);
    json_decref(object);
    daemon_expect_exit((daemon_signal(daemon, SIGTERM), daemon), 0);
    expect_all_json(daemon_log(daemon));
}

/* What a plugin logs, at client's wish, is a string in an object, and no more than that. */
static void
hostile_lines_stay_in_their_string(void **state)
{
    static const char *const texts[][2] = {
        {"one\x1b[2Jtwo", "one\\x1b[2Jtwo"},
        {"a \"quote\", a \\ and \xff", "a \"quote\", a \\ and \\xff"},
        {"\",\"listener\":\"other", "\",\"listener\":\"other"},
        {"\x1fSOCKSERVERD_REASON=forged", "\\x1fSOCKSERVERD_REASON=forged"},
        {"\x1e"
         "0 5 forged",
         "\\x1e0 5 forged"},
    };
    struct daemon *daemon = serve_json(*state, "");
    const char *address = listening_address(daemon);

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        (void)client_ask(address, text_of("log 4 %s mark%zu\n", texts[i][0], i));
        json_t *object = parse_line(daemon_wait_log(daemon, text_of(" mark%zu", i)));
        expect_text(object, "message", text_of("%s mark%zu", texts[i][1], i));
        expect_text(object, "listener", "test");
        expect_text(object, "level", "warning");
        json_decref(object);
    }
    daemon_expect_exit((daemon_signal(daemon, SIGTERM), daemon), 0);
    expect_all_json(daemon_log(daemon));
}

/* Replaces the log group in the daemon's file. */
static void
write_log_group(struct daemon *daemon, const char *log)
{
    const char *text = file_text(daemon_file(daemon));
    const char *start = strstr(text, "log = {");
    FILE *file = fopen(daemon_file(daemon), "we");

    assert_non_null(start);
    assert_non_null(file);
    assert_true(fprintf(file, "%.*s%s%s", (int)(start - text), text, log,
                        strstr(start, "};") + strlen("};")) > 0);
    assert_int_equal(fclose(file), 0);
}

/* Back to text and to JSON again; workers of the old format are heard until they end. */
static void
a_reload_changes_the_format(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon = serve_json(server, "");
    const char *address = listening_address(daemon);
    int old = client_connect(address);

    client_send(old, "echo hi\nflush\n");
    client_expect(old, "hi\n");
    write_log_group(daemon, "log = { target = \"stderr\"; access = true; };");
    assert_int_equal(CTL(daemon, "reload").status, 0);
    assert_string_equal(client_ask(address, "log 4 plainly\n"), "logged\n");
    assert_starts(daemon_wait_log(daemon, "plainly"), "sockserverd[test/1000001]: plainly");
    client_send(old, "log 4 oldtimer\nquit\n");
    assert_starts(daemon_wait_log(daemon, "oldtimer"), "sockserverd[test/1]: oldtimer");
    write_log_group(daemon, "log = { target = \"stderr\"; format = \"json\"; access = true; };");
    assert_int_equal(CTL(daemon, "reload").status, 0);
    assert_string_equal(client_ask(address, "log 4 third\n"), "logged\n");
    json_t *object = parse_line(daemon_wait_log(daemon, "third"));
    assert_true(json_is_string(json_object_get(object, "client")));
    json_decref(object);
    daemon_expect_exit((daemon_signal(daemon, SIGTERM), daemon), 0);
}

static void
the_command_line_asks_for_json(void **state)
{
    (void)state;
    struct daemon *daemon = DAEMON_RUN("--listen", "tcp://127.0.0.1:0", "--plugin-path",
                                       SHIPPED_PLUGINS, "upper", "--log-format", "json");
    assert_string_equal(client_ask(listening_address(daemon), "hi\n"), "HI\n");
    (void)daemon_wait_log(daemon, "\"reason\":\"done\"");
    daemon_expect_exit((daemon_signal(daemon, SIGTERM), daemon), 0);
    expect_all_json(daemon_log(daemon));
    struct outcome outcome = COMMAND("", "--log-format", "xml", "--check");
    assert_int_equal(outcome.status, 64);
    assert_contains(outcome.errors, "--log-format: unknown format \"xml\"; expected text or json");
}

/* A mistake that is found before the daemon runs is for a person, or a script of a person. */
static void
a_check_speaks_text(void **state)
{
    (void)state;
    const char *file = test_file("bad.conf", "log = { format = \"json\"; level = \"loud\"; };\n");
    struct outcome outcome = COMMAND("", "--check", "--config", file);

    assert_int_not_equal(outcome.status, 0);
    assert_contains(outcome.errors, "log.level: found \"loud\"");
    assert_lacks(outcome.errors, "{\"time\"");
}

RUN_TESTS(TEST_EACH_SERVER(an_access_line_has_its_fields),
          TEST_CASE(hostile_lines_stay_in_their_string, "tcp", "threading"),
          TEST_CASE(hostile_lines_stay_in_their_string, "unix", "forking"),
          TEST_CASE(a_reload_changes_the_format, "tcp", "threading"),
          TEST_CASE(a_reload_changes_the_format, "tcp", "coroutine"),
          TEST(the_command_line_asks_for_json), TEST(a_check_speaks_text))
