/* SPDX-License-Identifier: MIT */
/*
 * test_varlink.c - messages of the control socket, whole, in pieces, and wrong
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/array.h"
#include "common/cleanup.h"
#include "common/varlink.h"

#define LIMIT 65536

static const char two_calls[] = "{\"method\":\"a.b.C\"}\0{\"method\":\"d.e.F\",\"oneway\":true}";

static void
expect_method(struct varlink_input *input, const char *method)
{
    struct varlink_call call;
    json_t *message;

    assert_int_equal(varlink_input_next(input, &message), 1);
    assert_int_equal(varlink_call_parse(message, &call), 0);
    assert_string_equal(call.method, method);
    json_decref(message);
}

static void
messages_may_be_split_anywhere(void **state)
{
    (void)state;
    for (size_t split = 0; split <= sizeof(two_calls); split++) {
        struct varlink_input input;
        json_t *message;
        size_t first = strlen(two_calls) + 1;

        varlink_input_init(&input, LIMIT);
        assert_int_equal(varlink_input_feed(&input, two_calls, split), 0);
        if (split >= first)
            expect_method(&input, "a.b.C");
        if (split < sizeof(two_calls))
            assert_int_equal(varlink_input_next(&input, &message), 0);
        assert_int_equal(varlink_input_feed(&input, two_calls + split, sizeof(two_calls) - split),
                         0);
        if (split < first)
            expect_method(&input, "a.b.C");
        expect_method(&input, "d.e.F");
        assert_int_equal(varlink_input_next(&input, &message), 0);
        varlink_input_done(&input);
    }
}

static void
messages_come_byte_by_byte(void **state)
{
    struct varlink_input input;
    json_t *message;
    size_t found = 0;

    (void)state;
    varlink_input_init(&input, LIMIT);
    for (size_t i = 0; i < sizeof(two_calls); i++) {
        assert_int_equal(varlink_input_feed(&input, two_calls + i, 1), 0);
        if (varlink_input_next(&input, &message) == 1) {
            found++;
            json_decref(message);
        }
    }
    assert_int_equal(found, 2);
    varlink_input_done(&input);
}

static void
what_is_no_object_is_refused(void **state)
{
    static const char *const junk[] = {
        "",
        " ",
        "null",
        "true",
        "12",
        "\"text\"",
        "[]",
        "{",
        "}",
        "{} {}",
        "{\"a\":1,}",
        "{'a':1}",
        "{\"a\":1 \"b\":2}",
        "{\"a\":\"\\u0000\"}",
        "{\"a\":\"\xff\"}",
        "{\"a\":1,\"a\":2}",
        "GET / HTTP/1.0\r\n\r\n",
        "\x16\x03\x01",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(junk); i++) {
        struct varlink_input input;
        json_t *message = NULL;

        varlink_input_init(&input, LIMIT);
        assert_int_equal(varlink_input_feed(&input, junk[i], strlen(junk[i]) + 1), 0);
        if (varlink_input_next(&input, &message) != -EBADMSG)
            fail_msg("not refused: %s", junk[i]);
        assert_null(message);
        varlink_input_done(&input);
    }
}

static void
deep_nesting_is_refused(void **state)
{
    struct varlink_input input;
    char deep[LIMIT];
    json_t *message;

    (void)state;
    memset(deep, '[', sizeof(deep) - 1);
    memcpy(deep, "{\"a\":", 5);
    deep[sizeof(deep) - 1] = '\0';
    varlink_input_init(&input, LIMIT);
    assert_int_equal(varlink_input_feed(&input, deep, sizeof(deep)), 0);
    assert_int_equal(varlink_input_next(&input, &message), -EBADMSG);
    varlink_input_done(&input);
}

/* LIMIT bytes with the one that ends it are the most; one more is too long. */
static void
longer_messages_than_the_limit_are_refused(void **state)
{
    char *text = malloc(LIMIT + 1);
    struct varlink_input input;
    json_t *message;

    (void)state;
    memset(text, ' ', LIMIT + 1);
    memcpy(text, "{}", 2);
    text[LIMIT - 1] = '\0';
    varlink_input_init(&input, LIMIT);
    assert_int_equal(varlink_input_feed(&input, text, LIMIT), 0);
    assert_int_equal(varlink_input_next(&input, &message), 1);
    json_decref(message);

    text[LIMIT - 1] = ' ';
    assert_int_equal(varlink_input_feed(&input, text, LIMIT), 0);
    assert_int_equal(varlink_input_next(&input, &message), -EMSGSIZE);
    assert_int_equal(varlink_input_feed(&input, text, 1), -EMSGSIZE);
    varlink_input_done(&input);
    free(text);
}

static void
reading_takes_what_the_socket_has(void **state)
{
    struct varlink_input input;
    json_t *message;
    int pair[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    varlink_input_init(&input, 128);
    assert_int_equal(varlink_input_read(&input, pair[0]), -EAGAIN);
    assert_int_equal(write(pair[1], two_calls, sizeof(two_calls)), sizeof(two_calls));
    assert_int_equal(varlink_input_read(&input, pair[0]), sizeof(two_calls));
    expect_method(&input, "a.b.C");
    expect_method(&input, "d.e.F");
    for (int i = 0; i < 128; i++)
        assert_int_equal(write(pair[1], "x", 1), 1);
    while (input.size < 128)
        assert_true(varlink_input_read(&input, pair[0]) > 0);
    assert_int_equal(varlink_input_next(&input, &message), -EMSGSIZE);
    assert_int_equal(varlink_input_read(&input, pair[0]), -EMSGSIZE);
    (void)close(pair[1]);
    varlink_input_done(&input);
    varlink_input_init(&input, 128);
    assert_int_equal(varlink_input_read(&input, pair[0]), 0);
    varlink_input_done(&input);
    (void)close(pair[0]);
}

static void
calls_with_members_of_the_wrong_type_are_refused(void **state)
{
    static const char *const wrong[] = {
        "{}",
        "{\"method\":1}",
        "{\"method\":null}",
        "{\"method\":\"a.B\",\"parameters\":[]}",
        "{\"method\":\"a.B\",\"parameters\":\"x\"}",
        "{\"method\":\"a.B\",\"oneway\":1}",
        "{\"method\":\"a.B\",\"more\":\"yes\"}",
        "{\"method\":\"a.B\",\"upgrade\":[]}",
    };
    static const char *const right[] = {
        "{\"method\":\"\"}",
        "{\"method\":\"a.B\",\"parameters\":null,\"more\":null}",
        "{\"method\":\"a.B\",\"parameters\":{},\"oneway\":true,\"more\":false,\"extra\":1}",
        "{\"method\":\"a.B\",\"oneway\":null,\"more\":false,\"upgrade\":null}",
        "{\"method\":\"a.B\",\"upgrade\":false}",
    };
    struct varlink_call call;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        json_t *message = json_loads(wrong[i], 0, NULL);
        assert_int_equal(varlink_call_parse(message, &call), -EBADMSG);
        json_decref(message);
    }
    for (size_t i = 0; i < ARRAY_SIZE(right); i++) {
        json_t *message = json_loads(right[i], 0, NULL);
        assert_int_equal(varlink_call_parse(message, &call), 0);
        assert_int_equal(call.oneway, i == 2); /* the row that says so */
        assert_false(call.more);
        json_decref(message);
    }
}

static void
texts_end_with_one_nul_byte(void **state)
{
    size_t size = 0;
    _cleanup_free_ char *call = varlink_call_text("a.B", json_pack("{s:i}", "x", 1), &size);

    (void)state;
    assert_string_equal(call, "{\"method\":\"a.B\",\"parameters\":{\"x\":1}}");
    assert_int_equal(size, strlen(call) + 1);
    _cleanup_free_ char *reply = varlink_reply_text(NULL, json_object(), &size);
    assert_string_equal(reply, "{\"parameters\":{}}");
    _cleanup_free_ char *error = varlink_reply_text("a.Bad", json_object(), &size);
    assert_string_equal(error, "{\"error\":\"a.Bad\",\"parameters\":{}}");
    assert_int_equal(size, strlen(error) + 1);
}

/* A value that there was no memory for is NULL, as jansson's functions return it. */
static void
what_lacks_a_part_is_no_message(void **state)
{
    size_t size = 0;
    json_t *object = json_object(), *array = json_array();

    (void)state;
    varlink_set(&object, "one", json_integer(1));
    varlink_append(&array, json_integer(1));
    assert_int_equal(json_object_size(object), 1);
    assert_int_equal(json_array_size(array), 1);
    varlink_set(&object, "two", NULL);
    varlink_append(&array, NULL);
    assert_null(object);
    assert_null(array);
    varlink_set(&object, "three", json_integer(3));
    varlink_append(&array, json_integer(3));
    assert_null(object);
    assert_null(array);
    assert_null(varlink_reply_text(NULL, NULL, &size));
    assert_null(varlink_reply_text("a.Bad", NULL, &size));
}

static void
strings_may_hold_any_bytes(void **state)
{
    static const char *const cases[][2] = {
        {"plain", "plain"},
        {"gr\xc3\xbc\xc3\x9f"
         "e",
         "gr\xc3\xbc\xc3\x9f"
         "e"},
        {"gr\xfc\xdf"
         "e",
         "gr??e"},
        {"\xc3\xbc\xff", "???"},
        {"\033[2J", "\033[2J"},
        {"", ""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        json_t *string = varlink_string(cases[i][0], strlen(cases[i][0]));
        assert_string_equal(json_string_value(string), cases[i][1]);
        json_decref(string);
    }
    json_t *part = varlink_string("part\xff", 4);
    assert_string_equal(json_string_value(part), "part");
    json_decref(part);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_may_be_split_anywhere),
        cmocka_unit_test(messages_come_byte_by_byte),
        cmocka_unit_test(what_is_no_object_is_refused),
        cmocka_unit_test(deep_nesting_is_refused),
        cmocka_unit_test(longer_messages_than_the_limit_are_refused),
        cmocka_unit_test(reading_takes_what_the_socket_has),
        cmocka_unit_test(calls_with_members_of_the_wrong_type_are_refused),
        cmocka_unit_test(texts_end_with_one_nul_byte),
        cmocka_unit_test(what_lacks_a_part_is_no_message),
        cmocka_unit_test(strings_may_hold_any_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
