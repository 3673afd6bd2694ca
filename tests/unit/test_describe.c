/* SPDX-License-Identifier: MIT */
/*
 * test_describe.c - what --describe prints, for people and for programs
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "worker/plugin/describe.h"

#define FIXTURE(name) BUILD_DIR "/tests/plugins/" name ".so"

static char output[8192], errors[8192];

/* Sends what is written to fd into a file of memory; the fd to restore. */
static int
divert(int fd, int *ret_memory)
{
    int saved = dup(fd);

    *ret_memory = memfd_create("text", MFD_CLOEXEC);
    assert_int_equal(dup2(*ret_memory, fd), fd);
    return saved;
}

static void
restore(int fd, int saved, int memory, char *text, size_t size)
{
    ssize_t got = pread(memory, text, size - 1, 0);

    assert_int_equal(dup2(saved, fd), fd);
    (void)close(saved);
    (void)close(memory);
    assert_true(got >= 0);
    text[got] = '\0';
}

static int
describe(const char *plugin, bool json)
{
    int text, complaints;

    (void)fflush(NULL);
    int saved_output = divert(STDOUT_FILENO, &text);
    int saved_errors = divert(STDERR_FILENO, &complaints);
    int status = describe_main(plugin, json);
    (void)fflush(NULL);
    restore(STDERR_FILENO, saved_errors, complaints, errors, sizeof(errors));
    restore(STDOUT_FILENO, saved_output, text, output, sizeof(output));
    return status;
}

static void
text_is_for_people(void **state)
{
    (void)state;
    assert_int_equal(describe(FIXTURE("good_abi1"), false), 0);
    assert_string_equal(errors, "");
    assert_string_equal(
        output,
        "name        good_abi1\n"
        "summary     built against the first header\n"
        "file        " FIXTURE("good_abi1") "\n"
                                            "ABI         1\n"
                                            "transports  stream, datagram\n"
                                            "mixins      none, forking, threading, coroutine\n"
                                            "processes   any number; what is in plain memory is "
                                            "each one's own\n"
                                            "hooks       setup, handle, finish, server_activate\n"
                                            "options\n"
                                            "  greeting (string, 1 to 100, default \"hello\")\n"
                                            "      begins each answer\n"
                                            "  limit (size, 1 to 1M, default \"64K\")\n"
                                            "      bytes a line may have\n");
}

static void
text_tells_what_is_not_stated(void **state)
{
    (void)state;
    assert_int_equal(describe(FIXTURE("bad_mixin"), false), 0);
    assert_non_null(strstr(output, "mixins      none, forking\n"));
    assert_non_null(strstr(output, "options     none\n"));
    assert_int_equal(describe(FIXTURE("bad_transport_stream"), false), 0);
    assert_non_null(strstr(output, "transports  stream\n"));
}

static const char *
text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static void
json_is_for_programs(void **state)
{
    json_t *object;

    (void)state;
    assert_int_equal(describe(FIXTURE("good_abi1"), true), 0);
    assert_string_equal(errors, "");
    object = json_loads(output, 0, NULL);
    assert_non_null(object);
    assert_string_equal(text_of(object, "name"), "good_abi1");
    assert_string_equal(text_of(object, "summary"), "built against the first header");
    assert_int_equal(json_integer_value(json_object_get(object, "abi")), 1);
    assert_int_equal(json_array_size(json_object_get(object, "transports")), 2);
    assert_int_equal(json_array_size(json_object_get(object, "mixins")), 4);
    const json_t *limit = json_array_get(json_object_get(object, "options"), 1);
    assert_string_equal(text_of(limit, "name"), "limit");
    assert_string_equal(text_of(limit, "type"), "size");
    assert_string_equal(text_of(limit, "default"), "64K");
    assert_true(json_is_false(json_object_get(limit, "required")));
    assert_true(json_real_value(json_object_get(limit, "min")) == 1);
    assert_true(json_real_value(json_object_get(limit, "max")) == 1 << 20);
    json_decref(object);
}

static void
list_is_shown_as_one(void **state)
{
    json_t *object;

    (void)state;
    assert_int_equal(describe(FIXTURE("good_command"), false), 0);
    assert_non_null(strstr(output,
                           "  names (list, 0 to 4 items, default [ \"one\", \"two, three\" ])\n"
                           "      a list\n"));
    assert_int_equal(describe(FIXTURE("good_command"), true), 0);
    object = json_loads(output, 0, NULL);
    assert_non_null(object);
    const json_t *names = json_array_get(json_object_get(object, "options"), 6);
    assert_string_equal(text_of(names, "name"), "names");
    assert_string_equal(text_of(names, "type"), "list");
    assert_true(json_real_value(json_object_get(names, "max")) == 4);
    const json_t *items = json_object_get(names, "default");
    assert_int_equal(json_array_size(items), 2);
    assert_string_equal(json_string_value(json_array_get(items, 0)), "one");
    assert_string_equal(json_string_value(json_array_get(items, 1)), "two, three");
    json_decref(object);
}

static void
types_and_open_ranges_are_shown(void **state)
{
    json_t *object;

    (void)state;
    assert_int_equal(describe(FIXTURE("good_one_process"), false), 0);
    assert_non_null(strstr(output, "mixins      none, threading, coroutine\n"
                                   "processes   one, in whose memory its state is\n"));
    assert_non_null(strstr(output, "  word (choice of one two, default \"one\")\n"));
    assert_non_null(strstr(output, "  file (path, default \"\")\n"));
    assert_non_null(strstr(output, "  target (address, default \"unix:@x\")\n"));
    assert_non_null(strstr(output, "  least (duration, at least 1s, default \"1s\")\n"));
    assert_non_null(strstr(output, "  most (duration, 0 to 1000000000s, default \"1s\")\n"));
    assert_int_equal(describe(FIXTURE("good_one_process"), true), 0);
    object = json_loads(output, 0, NULL);
    assert_non_null(object);
    assert_true(json_is_true(json_object_get(object, "one_process")));
    assert_int_equal(json_array_size(json_object_get(object, "mixins")), 3);
    const json_t *options = json_object_get(object, "options");
    const json_t *words = json_object_get(json_array_get(options, 0), "choices");
    assert_int_equal(json_array_size(words), 2);
    assert_string_equal(json_string_value(json_array_get(words, 1)), "two");
    assert_true(json_real_value(json_object_get(json_array_get(options, 3), "min")) == 1);
    assert_null(json_object_get(json_array_get(options, 3), "max"));
    json_decref(object);
}

static void
near_misses_of_hooks_are_told(void **state)
{
    json_t *object;

    (void)state;
    assert_int_equal(describe(FIXTURE("good_near_hooks"), false), 0);
    assert_non_null(strstr(output, "\nhooks       handle\n"));
    assert_non_null(strstr(output, "note        server_activated is no hook and is never called by "
                                   "the daemon: did you mean server_activate?\n"));
    assert_non_null(strstr(
        output, "note        Finish is no hook and is never called by the daemon: did you mean "
                "finish?\n"));
    assert_non_null(strstr(output, "note        setup is a C++ function of its own "
                                   "(_Z5setupP10ss_requesti) and is never called"));
    assert_null(strstr(output, "note        handler"));
    assert_null(strstr(output, "note        server_clos"));
    assert_int_equal(describe(FIXTURE("good_near_hooks"), true), 0);
    object = json_loads(output, 0, NULL);
    assert_int_equal(json_array_size(json_object_get(object, "hooks")), 1);
    assert_int_equal(json_array_size(json_object_get(object, "notes")), 3);
    json_decref(object);
    assert_int_equal(describe(FIXTURE("good_abi1"), true), 0);
    assert_non_null(strstr(output, "\"notes\": []"));
}

static void
plugin_that_does_not_load_is_told(void **state)
{
    (void)state;
    for (int json = 0; json < 2; json++) {
        assert_int_not_equal(describe(FIXTURE("bad_options"), json == 1), 0);
        assert_string_equal(output, "");
        assert_non_null(strstr(errors, "option \"twice\" stands twice"));
        assert_non_null(strstr(errors, "option \"size\" has min above max"));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_for_people),
        cmocka_unit_test(text_tells_what_is_not_stated),
        cmocka_unit_test(json_is_for_programs),
        cmocka_unit_test(list_is_shown_as_one),
        cmocka_unit_test(near_misses_of_hooks_are_told),
        cmocka_unit_test(types_and_open_ranges_are_shown),
        cmocka_unit_test(plugin_that_does_not_load_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
