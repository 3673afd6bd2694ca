/* SPDX-License-Identifier: MIT */
/*
 * test_log_json.c - a log line as a JSON object: valid whatever is in it, with its fields
 */
#include "log_fixture.h"

#include <jansson.h>
#include <time.h>

#include "common/cleanup.h"
#include "common/log_json.h"
#include "common/log_record.h"

/* Reads the only line that has arrived; the caller releases it. */
static json_t *
arrived_object(void)
{
    char *text = arrived();
    size_t size = strlen(text);
    json_error_t error;

    assert_true(size > 1);
    assert_true(size <= LOG_JSON_SIZE);
    assert_ptr_equal(strchr(text, '\n'), text + size - 1);
    json_t *object = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    if (object == NULL)
        fail_msg("%s: %s", error.text, text);
    return object;
}

static void
expect_text(const json_t *object, const char *name, const char *expected)
{
    const char *found = json_string_value(json_object_get(object, name));

    if (expected == NULL) {
        assert_null(json_object_get(object, name));
        return;
    }
    assert_non_null(found);
    assert_string_equal(found, expected);
}

static void
use_json(void)
{
    use_open_pipe();
    log_set_format(LOG_AS_JSON);
}

static void
line_has_its_fields(void **state)
{
    const struct log_context context = {.request = 7, .client = "[::1]:4"};
    const char *const fields[] = {"SOCKSERVERD_REASON=done", "SOCKSERVERD_BYTES_IN=6",
                                  "SOCKSERVERD_DURATION_MS=0.250", NULL};

    (void)state;
    use_json();
    log_set_listener("upper");
    log_set_context(&context);
    log_event(LOG_WARNING, fields, "it is %s", "done");
    json_t *object = arrived_object();
    expect_text(object, "level", "warning");
    expect_text(object, "listener", "upper");
    expect_text(object, "client", "[::1]:4");
    expect_text(object, "reason", "done");
    expect_text(object, "message", "it is done");
    assert_int_equal(json_integer_value(json_object_get(object, "request")), 7);
    assert_int_equal(json_integer_value(json_object_get(object, "bytes_in")), 6);
    assert_true(json_real_value(json_object_get(object, "duration_ms")) == 0.25);
    assert_int_equal(json_object_size(object), 9);
    json_decref(object);
}

static void
time_is_the_present_in_utc(void **state)
{
    struct tm parts = {0};
    unsigned milliseconds;
    int size = 0;

    (void)state;
    use_json();
    time_t before = time(NULL);
    log_info("now");
    json_t *object = arrived_object();
    const char *rest =
        strptime(json_string_value(json_object_get(object, "time")), "%Y-%m-%dT%H:%M:%S", &parts);
    assert_non_null(rest);
    assert_int_equal(sscanf(rest, ".%3uZ%n", &milliseconds, &size), 1);
    assert_int_equal(size, 5);
    assert_true(timegm(&parts) >= before && timegm(&parts) <= time(NULL));
    expect_text(object, "listener", NULL);
    assert_null(json_object_get(object, "request"));
    json_decref(object);
}

/* What somebody logs, and the message in the object. */
static const struct {
    const char *text, *message;
} hostile[] = {
    {"say \"hi\" to C:\\", "say \"hi\" to C:\\"},
    {"\",\"level\":\"emerg", "\",\"level\":\"emerg"},
    {"one\x1b[2J\ntwo\t\x7f", "one\\x1b[2J\\x0atwo\\x09\\x7f"},
    {"na\xc3\xafve \xf0\x9f\x90\x9f", "na\xc3\xafve \xf0\x9f\x90\x9f"},
    {"\xff\xfe cut \xc3", "\\xff\\xfe cut \\xc3"},
    {"\xed\xa0\x80 \xc0\xaf", "\\xed\\xa0\\x80 \\xc0\\xaf"},          /* a surrogate; overlong */
    {"\xe2\x80\xa8 \xe2\x80\xae", "\\xe2\\x80\\xa8 \\xe2\\x80\\xae"}, /* breaks, turns the line */
    {"", ""},
};

static void
any_bytes_make_a_valid_line(void **state)
{
    (void)state;
    use_json();
    for (size_t i = 0; i < ARRAY_SIZE(hostile); i++) {
        const struct log_context context = {.request = 1, .client = hostile[i].text};
        log_set_context(&context);
        log_info("%s", hostile[i].text);
        json_t *object = arrived_object();
        expect_text(object, "message", hostile[i].message);
        expect_text(object, "client", hostile[i].message);
        expect_text(object, "level", "info");
        json_decref(object);
    }
    for (int i = 0; i < 2000; i++) {
        char noise[600];
        for (size_t at = 0; at < sizeof(noise) - 1; at++)
            noise[at] = (char)(rand() % 255 + 1);
        noise[sizeof(noise) - 1] = '\0';
        log_set_context(&(const struct log_context){.client = noise + 400});
        log_info("%s", noise + rand() % 400);
        json_decref(arrived_object());
    }
}

static void
overlong_text_is_cut_and_stays_valid(void **state)
{
    static const char *const filling[] = {"x", "\"", "\\", "\x01", "\xc3\xa9"};
    static char text[10001], huge[10100];
    const char *const fields[] = {huge, "SOCKSERVERD_REASON=why", NULL};

    (void)state;
    use_json();
    for (size_t i = 0; i < ARRAY_SIZE(filling); i++) {
        text[0] = '\0';
        for (size_t at = 0; at + 2 < sizeof(text); at += strlen(filling[i]))
            (void)strcpy(text + at, filling[i]);
        (void)snprintf(huge, sizeof(huge), "SOCKSERVERD_HUGE=%s", text);
        log_event(LOG_INFO, fields, "%s", text);
        json_t *object = arrived_object();
        const char *message = json_string_value(json_object_get(object, "message"));
        assert_true(strlen(message) > 1000);
        assert_string_equal(message + strlen(message) - 3, "...");
        expect_text(object, "huge", NULL);
        expect_text(object, "reason", "why");
        json_decref(object);
    }
}

/* A field, and the value that the object has under the name. */
static const struct {
    const char *field, *name, *value;
} fields_cases[] = {
    {"SOCKSERVERD_BYTES_IN=007", "bytes_in", "007"}, /* no number of JSON's */
    {"SOCKSERVERD_BYTES_IN=", "bytes_in", ""},
    {"SOCKSERVERD_BYTES_IN=1.", "bytes_in", "1."},
    {"SOCKSERVERD_BYTES_IN=1}", "bytes_in", "1}"},
    {"SOCKSERVERD_REASON=5", "reason", "5"},
    {"SOCKSERVERD_MESSAGE=forged", "message", "text"},
    {"SOCKSERVERD_LEVEL=emerg", "level", "info"},
    {"SOCKSERVERD_CLIENT=forged", "client", "real"},
    {"SOCKSERVERD_A\"B=1", "a\"b", NULL},
    {"SOCKSERVERD_=1", "", NULL},
    {"SOCKSERVERD_NAME_THAT_IS_LONGER_THAN_ANY_OTHER=1", "name_that_is_longer_than_any_other",
     NULL},
    {"PATH=/bin", "path", NULL},
    {"SOCKSERVERD_REASON", "reason", NULL},
};

static void
fields_cannot_spoil_the_object(void **state)
{
    const struct log_context context = {.client = "real"};

    (void)state;
    use_json();
    log_set_context(&context);
    for (size_t i = 0; i < ARRAY_SIZE(fields_cases); i++) {
        const char *const twice[] = {fields_cases[i].field, fields_cases[i].field, NULL};
        log_event(LOG_INFO, twice, "text");
        json_t *object = arrived_object();
        expect_text(object, fields_cases[i].name, fields_cases[i].value);
        json_decref(object);
    }
}

static void
losses_are_told_as_an_object(void **state)
{
    (void)state;
    use_json();
    (void)overfill();
    (void)arrived();
    log_info("again");
    char *text = arrived(), *second = strchr(text, '\n') + 1;
    json_t *object = json_loadb(text, (size_t)(second - text), 0, NULL);
    expect_text(object, "message", "4 log lines were lost");
    json_decref(object);
    object = json_loads(second, 0, NULL);
    expect_text(object, "message", "again");
    json_decref(object);
}

static void
format_changes_while_the_log_is_open(void **state)
{
    (void)state;
    use_json();
    log_set_format(LOG_AS_TEXT);
    log_info("text");
    assert_string_equal(arrived(), "sockserverd: text\n");
    assert_int_equal(log_open_file(path_in_folder("log")), 0);
    log_set_format(LOG_AS_JSON);
    log_info("in a file");
    close(reader);
    reader = open(path_in_folder("log"), O_RDONLY | O_CLOEXEC);
    json_t *object = arrived_object();
    expect_text(object, "message", "in a file");
    json_decref(object);
}

/* This is the last test: a process that writes records does so until its end. */
static void
record_carries_fields_and_fits_a_pipe(void **state)
{
    const struct log_context context = {.request = 7, .client = "cli\nent"};
    static char huge[10100] = "SOCKSERVERD_HUGE=";
    const char *const fields[] = {"SOCKSERVERD_REASON=a\x1f"
                                  "b",
                                  NULL},
                      *const many[] = {huge, NULL};

    (void)state;
    use_open_pipe();
    log_use_records(true);
    log_set_context(&context);
    log_event(LOG_INFO, fields, "text");
    assert_string_equal(arrived(), "\x1e"
                                   "6 7 text\x1fSOCKSERVERD_CLIENT=cli\\x0aent"
                                   "\x1fSOCKSERVERD_REASON=a\\x1f"
                                   "b\n");
    memset(huge + strlen(huge), '\xff', sizeof(huge) - strlen(huge) - 1);
    log_event(LOG_INFO, many, "%s", huge);
    size_t size = strlen(arrived());
    assert_true(size <= LOG_RECORD_SIZE && size > LOG_RECORD_SIZE - 16);
    assert_int_equal(strcspn(arrived(), "\n"), 0);
    log_use_records(false);
    log_event(LOG_INFO, fields, "text");
    assert_string_equal(arrived(), "\x1e"
                                   "6 7 text\n");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(line_has_its_fields),
        TEST(time_is_the_present_in_utc),
        TEST(any_bytes_make_a_valid_line),
        TEST(overlong_text_is_cut_and_stays_valid),
        TEST(fields_cannot_spoil_the_object),
        TEST(losses_are_told_as_an_object),
        TEST(format_changes_while_the_log_is_open),
        TEST(record_carries_fields_and_fits_a_pipe),
    };

    return cmocka_run_group_tests_name("log_json", tests, make_folder, remove_folder);
}
