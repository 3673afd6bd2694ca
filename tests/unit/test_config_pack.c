/* SPDX-License-Identifier: MIT */
/*
 * test_config_pack.c - a configuration as bytes, and bytes that are none
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/array.h"
#include "common/cleanup.h"
#include "common/records.h"
#include "config/config_pack.h"

#define LONGEST_PATH                                                                               \
    "/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"  \
    "xxxxxxxxxxxxxxxx"
_Static_assert(sizeof(LONGEST_PATH) == 108, "it has 107 characters");

/* All records of a configuration without listeners. */
static const char *const whole[][2] = {
    {"sockserverd-configuration", "1"},
    {"result", "0"},
    {"errors", "0"},
    {"more", "0"},
    {"exhausted", "0"},
    {"file", "x.conf"},
    {"plugin_path", "/plugins"},
    {"pre_stop_delay", "0"},
    {"reload_auto", "0"},
    {"log.target", "auto"},
    {"log.level", "6"},
    {"log.format", "1"},
    {"log.access", "1"},
    {"control.path", "/run/control"},
    {"control.mode", "432"},
    {"control.group", ""},
    {"control.gid", "0"},
    {"files_read", "0"},
    {"tables", "0"},
    {"listeners", "0"},
    {"end", ""},
};

/* Unpacks it with other values for one key or two; NULL: that record is left out. */
static int
unpack_with(const char *key, const char *value, const char *second_key, const char *second_value)
{
    struct record_writer writer = {0};
    _cleanup_free_ char *bytes = NULL;
    struct errors errors;
    struct config config;
    size_t size;
    int result = 77;

    for (size_t i = 0; i < ARRAY_SIZE(whole); i++) {
        const char *put = whole[i][1];
        if (key != NULL && strcmp(whole[i][0], key) == 0)
            put = value;
        if (second_key != NULL && strcmp(whole[i][0], second_key) == 0)
            put = second_value;
        if (put != NULL)
            record_put(&writer, whole[i][0], put);
    }
    assert_int_equal(record_finish(&writer, &bytes, &size), 0);
    assert_null(writer.bytes);
    int r = config_unpack(bytes, size, &result, &config, &errors);
    if (r < 0) {
        assert_int_equal(result, 77);
        return r;
    }
    assert_int_equal(config.listener_count, 0);
    config_done(&config);
    errors_done(&errors);
    return 0;
}

static void
every_record_must_be_there(void **state)
{
    (void)state;
    assert_int_equal(unpack_with(NULL, NULL, NULL, NULL), 0);
    for (size_t i = 0; i < ARRAY_SIZE(whole); i++)
        assert_int_equal(unpack_with(whole[i][0], NULL, NULL, NULL), -EBADMSG);
}

static void
values_that_no_configuration_has_are_refused(void **state)
{
    static const struct {
        const char *key, *value, *second_key, *second_value;
        int result;
    } rows[] = {
        {"sockserverd-configuration", "2", NULL, NULL, -EBADMSG},
        {"result", "22", NULL, NULL, 0},
        {"result", "4096", NULL, NULL, -EBADMSG},
        {"more", "1", NULL, NULL, -EBADMSG}, /* than none */
        {"exhausted", "1", NULL, NULL, -EBADMSG},
        {"exhausted", "1", "result", "12", 0},
        {"exhausted", "2", "result", "12", -EBADMSG},
        {"plugin_path", "", NULL, NULL, -EBADMSG},
        {"plugin_path", "", "result", "22", -EBADMSG},
        {"plugin_path", "", "result", "12", 0}, /* there was no memory for it */
        {"pre_stop_delay", "3600000001", NULL, NULL, -EBADMSG},
        {"reload_auto", "2", NULL, NULL, -EBADMSG},
        {"log.target", "", NULL, NULL, -EBADMSG},
        {"log.level", "8", NULL, NULL, -EBADMSG},
        {"log.format", "2", NULL, NULL, -EBADMSG},
        {"log.access", "2", NULL, NULL, -EBADMSG},
        {"control.path", "", NULL, NULL, -EBADMSG},
        {"control.path", "control", NULL, NULL, -EBADMSG},
        {"control.path", LONGEST_PATH, NULL, NULL, 0},
        {"control.path", LONGEST_PATH "x", NULL, NULL, -EBADMSG},
        {"control.mode", "512", NULL, NULL, -EBADMSG},
        {"control.gid", "4294967296", NULL, NULL, -EBADMSG},
        {"control.gid", "99999999999999999999", NULL, NULL, -EBADMSG},
        {"control.gid", "1x", NULL, NULL, -EBADMSG},
        {"files_read", "1", NULL, NULL, -EBADMSG},
        {"files_read", "1001", NULL, NULL, -EBADMSG},
        {"tables", "1", NULL, NULL, -EBADMSG},
        {"tables", "99999999", NULL, NULL, -EBADMSG},
        {"listeners", "1", NULL, NULL, -EBADMSG},
        {"errors", "102", NULL, NULL, -EBADMSG},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        print_message("%s = %s\n", rows[i].key, rows[i].value);
        assert_int_equal(
            unpack_with(rows[i].key, rows[i].value, rows[i].second_key, rows[i].second_value),
            rows[i].result);
    }
}

static void
bytes_behind_the_end_are_refused(void **state)
{
    struct record_writer writer = {0};
    _cleanup_free_ char *bytes = NULL;
    struct errors errors;
    struct config config;
    size_t size;
    int result;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(whole); i++)
        record_put(&writer, whole[i][0], whole[i][1]);
    record_put_bytes(&writer, "x", 1);
    assert_int_equal(record_finish(&writer, &bytes, &size), 0);
    assert_int_equal(config_unpack(bytes, size, &result, &config, &errors), -EBADMSG);
}

/* A hundred are told, and one more that tells of the others. */
static void
as_many_mistakes_come_back_as_were_made(void **state)
{
    static const unsigned counts[] = {0, 1, 100, 101, 102, 5000};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
        struct errors errors = {0}, back_errors;
        struct config config, back;
        _cleanup_free_ char *bytes = NULL;
        size_t size;
        int result, expected = counts[i] == 0 ? 0 : -EINVAL;

        assert_int_equal(config_load_nothing(&config, NULL), 0);
        for (unsigned j = 0; j < counts[i]; j++)
            errors_add(&errors, "x.conf", j + 1, "mistake");
        assert_int_equal(config_pack(expected, &config, &errors, &bytes, &size), 0);
        assert_int_equal(config_unpack(bytes, size, &result, &back, &back_errors), 0);
        assert_int_equal(result, expected);
        assert_int_equal(back_errors.count, errors.count);
        assert_int_equal(back_errors.more, errors.more);
        for (size_t j = 0; j < errors.count; j++)
            assert_string_equal(back_errors.texts[j], errors.texts[j]);
        assert_string_equal(back.plugin_path, config.plugin_path);
        config_done(&back);
        config_done(&config);
        errors_done(&back_errors);
        errors_done(&errors);
    }
}

/* Reads a configuration of the text. */
static void
load(const char *text, struct config *ret)
{
    char path[] = "/tmp/sockserverd-test-XXXXXX";
    struct errors errors = {0};
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    (void)close(fd);
    int r = config_load(ret, path, NULL, &errors);
    (void)unlink(path);
    for (size_t i = 0; i < errors.count; i++)
        print_error("%s\n", errors.texts[i]);
    assert_int_equal(r, 0);
    errors_done(&errors);
}

/* Listeners that have the same lists have one table, here and there. */
static void
tables_are_handed_over_once(void **state)
{
    _cleanup_free_ char *bytes = NULL;
    struct config config, back;
    struct errors errors = {0}, back_errors;
    size_t size;
    int result;

    (void)state;
    load("defaults = { deny = [ \"192.0.2.0/24\", \"user:0\" ]; };\n"
         "listeners = {\n"
         "a = { address = \"unix:@a\"; plugin = \"echo\"; };\n"
         "b = { address = \"unix:@b\"; plugin = \"echo\"; deny = [ ]; };\n"
         "c = { address = \"unix:@c\"; plugin = \"echo\"; };\n"
         "d = { address = \"unix:@d\"; plugin = \"echo\"; allow = \"local\"; };\n"
         "e = { address = \"unix:@e\"; plugin = \"echo\"; };\n"
         "};\n",
         &config);
    assert_int_equal(config_pack(0, &config, &errors, &bytes, &size), 0);
    assert_int_equal(config_unpack(bytes, size, &result, &back, &back_errors), 0);
    assert_int_equal(back.listener_count, 5);
    for (size_t i = 0; i < 5; i++)
        assert_true(settings_equal(config.listeners[i], back.listeners[i]));
    assert_null(back.listeners[1]->access);
    assert_non_null(back.listeners[0]->access);
    assert_ptr_equal(back.listeners[0]->access, back.listeners[2]->access);
    assert_ptr_equal(back.listeners[0]->access, back.listeners[4]->access);
    assert_ptr_not_equal(back.listeners[3]->access, back.listeners[2]->access);
    assert_false(settings_equal(back.listeners[3], back.listeners[4]));
    config_done(&back);
    errors_done(&back_errors);
    config_done(&config);
}

/* It would let everybody in. */
static void
lists_without_their_table_are_refused(void **state)
{
    _cleanup_free_ char *bytes = NULL;
    struct config config, back;
    struct errors errors = {0}, back_errors;
    struct access_list *table;
    size_t size;
    int result;

    (void)state;
    load("listeners = { a = { address = \"unix:@a\"; plugin = \"echo\"; deny = \"local\"; }; };",
         &config);
    struct settings *settings = (struct settings *)config.listeners[0];
    table = settings->access;
    settings->access = NULL;
    assert_int_equal(config_pack(0, &config, &errors, &bytes, &size), 0);
    assert_int_equal(config_unpack(bytes, size, &result, &back, &back_errors), -EBADMSG);
    settings->access = table;
    config_done(&config);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_record_must_be_there),
        cmocka_unit_test(values_that_no_configuration_has_are_refused),
        cmocka_unit_test(bytes_behind_the_end_are_refused),
        cmocka_unit_test(as_many_mistakes_come_back_as_were_made),
        cmocka_unit_test(tables_are_handed_over_once),
        cmocka_unit_test(lists_without_their_table_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
