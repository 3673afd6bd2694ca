/* SPDX-License-Identifier: MIT */
/*
 * test_settings.c - one listener's settings: the table, values, judgement, transport
 *
 * The words of mistakes in files are in tests/conf/bad.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/array.h"
#include "common/cleanup.h"
#include "common/settings.h"

/* What every test has: a listener, and the mistakes found in it. */
struct fixture {
    struct settings settings;
    struct errors errors;
};

static int
begin(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    *state = fixture;
    return fixture == NULL ? -1 : settings_init(&fixture->settings, "upper");
}

static int
end(void **state)
{
    struct fixture *fixture = *state;

    settings_done(&fixture->settings);
    errors_done(&fixture->errors);
    free(fixture);
    return 0;
}

static void
set(struct fixture *fixture, const char *key, const char *text)
{
    settings_set(&fixture->settings, key, &(struct given){.text = text}, &fixture->errors);
}

static void
assert_only_mistake(const struct fixture *fixture, const char *text)
{
    assert_int_equal(fixture->errors.count, 1);
    assert_string_equal(fixture->errors.texts[0], text);
}

/* ---- the table ---------------------------------------------------------- */

static void
every_row_is_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *setting = &settings_table[i];
        bool ranged = setting->type == SETTING_INTEGER || setting->type == SETTING_SIZE ||
                      setting->type == SETTING_DURATION || setting->type == SETTING_MODE;

        print_message("%s\n", setting->key);
        assert_ptr_equal(setting_find(setting->key), setting); /* no key twice */
        assert_non_null(setting->help);
        assert_true(setting->offset < sizeof(struct settings));
        assert_int_equal(setting->type == SETTING_CHOICE, setting->choices != NULL);
        assert_int_equal(ranged, setting->max > 0);
        assert_true(setting->min <= setting->max);
    }
    assert_null(setting_find("options"));
    assert_null(setting_find(""));
}

/* A default is a value like any other: it must be in range, and stand in the settings. */
static void
defaults_are_what_the_table_says(void **state)
{
    struct fixture *fixture = *state;

    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *setting = &settings_table[i];
        _cleanup_free_ char *before = NULL, *after = NULL;

        if (setting->fallback == NULL)
            continue;
        assert_int_equal(setting_format(&fixture->settings, setting, &before), 0);
        set(fixture, setting->key, setting->fallback);
        assert_int_equal(fixture->errors.count, 0);
        assert_int_equal(setting_format(&fixture->settings, setting, &after), 0);
        assert_string_equal(before, after);
        assert_true(setting_given(&fixture->settings, setting));
    }
}

/* ---- values ------------------------------------------------------------- */

static void
values_reach_their_fields(void **state)
{
    struct fixture *fixture = *state;
    struct settings *settings = &fixture->settings;

    set(fixture, "address", "unix:@x");
    set(fixture, "plugin", "echo");
    set(fixture, "mixin", "coroutine");
    set(fixture, "nodelay", "false");
    set(fixture, "socket_mode", "0640");
    set(fixture, "max_connections", "0x10");
    set(fixture, "read_timeout", "none");
    set(fixture, "request_timeout", "250ms");
    set(fixture, "max_line", "1M");
    set(fixture, "write_buffer", "0");
    set(fixture, "reply", "never");
    set(fixture, "umask", "27");
    assert_int_equal(fixture->errors.count, 0);
    assert_string_equal(settings->address.path, "@x");
    assert_string_equal(settings->plugin, "echo");
    assert_int_equal(settings->mixin, MIXIN_COROUTINE);
    assert_false(settings->nodelay);
    assert_int_equal(settings->socket_mode, 0640);
    assert_int_equal(settings->max_connections, 16);
    assert_true(settings->read_timeout == 0);
    assert_true(settings->request_timeout == 0.25);
    assert_int_equal(settings->max_line, 1 << 20);
    assert_int_equal(settings->write_buffer, 0);
    assert_int_equal(settings->reply, REPLY_NEVER);
    assert_int_equal(settings->umask, 027);
}

static void
refused_value_leaves_the_old_one(void **state)
{
    static const char *const rows[][2] = {
        {"address", "nonsense"},
        {"plugin", ""},
        {"mixin", "threads"},
        {"nodelay", "on"},
        {"socket_mode", "0778"},
        {"socket_mode", "1777"},
        {"socket_mode", "rw"},
        {"max_connections", "0"},
        {"max_connections", "1000001"},
        {"spare", "-1"},
        {"spare", "1.5"},
        {"read_timeout", "-1"},
        {"service_interval", "0"},
        {"service_interval", "none"},
        {"drain_timeout", "366d"},
        {"max_line", "0"},
        {"read_buffer", "0"},
        {"write_buffer", "511"},
        {"max_packet_size", "64K"},
        {"reply", "Always"},
        {"cpus", "1025"},
    };
    struct fixture *fixture = *state;
    struct settings before;

    set(fixture, "address", "tcp://127.0.0.1:1");
    set(fixture, "plugin", "echo");
    assert_int_equal(settings_copy(&fixture->settings, &before), 0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        print_message("%s = %s\n", rows[i][0], rows[i][1]);
        set(fixture, rows[i][0], rows[i][1]);
        assert_int_equal(fixture->errors.count, i + 1);
        assert_true(setting_refused(&fixture->settings, setting_find(rows[i][0])));
        assert_true(settings_equal(&fixture->settings, &before));
    }
    settings_done(&before);
}

static void
command_line_mistakes_speak_of_set(void **state)
{
    static const char *const rows[][3] = {
        {"mixin", "threads", "--set mixin: unknown mixin \"threads\"; did you mean \"threading\"?"},
        {"adress", "x", "--set: unknown key \"adress\"; did you mean \"address\"?"},
        {"spare", "x", "--set spare: found \"x\"; expected a whole number from 0 to 10000"},
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        set(fixture, rows[i][0], rows[i][1]);
        assert_string_equal(fixture->errors.texts[i], rows[i][2]);
    }
}

static void
later_value_replaces_a_refused_one(void **state)
{
    struct fixture *fixture = *state;

    set(fixture, "mixin", "threads");
    set(fixture, "mixin", "threading");
    assert_int_equal(fixture->settings.mixin, MIXIN_THREADING);
    assert_false(setting_refused(&fixture->settings, setting_find("mixin")));
}

/* ---- judgement ---------------------------------------------------------- */

static void
finish_fills_in_what_the_mixin_decides(void **state)
{
    static const struct {
        const char *mixin;
        uint32_t max_connections, recycle_after;
    } rows[] = {{"none", 1, 0}, {"threading", 512, 0}, {"forking", 40, 1}, {"coroutine", 10000, 0}};
    struct fixture *fixture = *state;

    set(fixture, "address", "tcp://127.0.0.1:1");
    set(fixture, "plugin", "echo");
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        set(fixture, "mixin", rows[i].mixin);
        settings_finish(&fixture->settings, NULL, &fixture->errors);
        assert_int_equal(fixture->errors.count, 0);
        assert_int_equal(fixture->settings.max_connections, rows[i].max_connections);
        assert_int_equal(fixture->settings.recycle_after, rows[i].recycle_after);
    }
}

/* A mixin that was not understood must not condemn the keys that go with it. */
static void
refused_mixin_condemns_nothing_else(void **state)
{
    struct fixture *fixture = *state;

    set(fixture, "address", "tcp://127.0.0.1:1");
    set(fixture, "plugin", "echo");
    set(fixture, "mixin", "forks");
    set(fixture, "max_connections", "7");
    set(fixture, "recycle_after", "7");
    settings_finish(&fixture->settings, NULL, &fixture->errors);
    assert_only_mistake(fixture, "--set mixin: unknown mixin \"forks\"; did you mean \"forking\"?");
}

static void
finish_may_be_repeated(void **state)
{
    struct fixture *fixture = *state;

    set(fixture, "address", "tcp://127.0.0.1:1");
    set(fixture, "plugin", "echo");
    set(fixture, "user", "root");
    settings_finish(&fixture->settings, "/one", &fixture->errors);
    settings_finish(&fixture->settings, "/two", &fixture->errors);
    assert_int_equal(fixture->errors.count, 0);
    assert_string_equal(fixture->settings.plugin_file, "/two/echo.so");
    assert_int_equal(fixture->settings.uid, 0);
}

static void
users_and_groups_become_numbers(void **state)
{
    struct fixture *fixture = *state;
    struct settings *settings = &fixture->settings;

    set(fixture, "address", "unix:///x");
    set(fixture, "plugin", "echo");
    settings_finish(settings, NULL, &fixture->errors);
    assert_true(settings->uid == (uid_t)-1 && settings->gid == (gid_t)-1);
    assert_true(settings->socket_uid == (uid_t)-1 && settings->socket_gid == (gid_t)-1);

    set(fixture, "user", "root"); /* whose own group comes along */
    set(fixture, "socket_user", "12345");
    set(fixture, "socket_group", "54321");
    settings_finish(settings, NULL, &fixture->errors);
    assert_true(settings->uid == 0 && settings->gid == 0);
    assert_true(settings->socket_uid == 12345 && settings->socket_gid == 54321);

    set(fixture, "group", "4711");
    settings_finish(settings, NULL, &fixture->errors);
    assert_true(settings->uid == 0 && settings->gid == 4711);
    assert_int_equal(fixture->errors.count, 0);

    set(fixture, "group", "4294967295"); /* (gid_t)-1: nobody */
    settings_finish(settings, NULL, &fixture->errors);
    assert_int_equal(fixture->errors.count, 1);
}

static void
plugin_is_looked_for_in_the_path(void **state)
{
    struct fixture *fixture = *state;
    struct settings *settings = &fixture->settings;
    char folder[] = "/tmp/sockserverd-test-XXXXXX";
    _cleanup_free_ char *file = NULL, *path = NULL;
    FILE *stream;

    assert_non_null(mkdtemp(folder));
    assert_true(asprintf(&file, "%s/echo.so", folder) > 0);
    assert_true(asprintf(&path, "/nowhere::%s:/elsewhere", folder) > 0);
    assert_non_null(stream = fopen(file, "w"));
    (void)fclose(stream);

    set(fixture, "address", "tcp://127.0.0.1:1");
    set(fixture, "plugin", "echo");
    settings_finish(settings, path, &fixture->errors);
    assert_string_equal(settings->plugin_file, file);
    set(fixture, "plugin", "lost"); /* no mistake yet: where it should have been */
    settings_finish(settings, path, &fixture->errors);
    assert_string_equal(settings->plugin_file, "/nowhere/lost.so");
    set(fixture, "plugin", "./echo.so");
    settings_finish(settings, path, &fixture->errors);
    assert_string_equal(settings->plugin_file, "./echo.so");
    assert_int_equal(fixture->errors.count, 0);
    (void)unlink(file);
    (void)rmdir(folder);
}

/* ---- to the worker and back --------------------------------------------- */

static void
fill(struct fixture *fixture)
{
    struct settings *settings = &fixture->settings;

    settings->file = strdup("/etc/sockserverd/sockserverd.conf");
    settings->line = 14;
    set(fixture, "address", "tcp://[::1]:0");
    set(fixture, "plugin", "echo");
    set(fixture, "mixin", "forking");
    set(fixture, "read_timeout", "0.1234567890123");
    set(fixture, "max_line", "12345");
    set(fixture, "user", "root");
    set(fixture, "umask", "0027");
    settings_add_option(
        settings, "greeting",
        &(struct given){.text = "a \"b\"\n", .form = VALUE_STRING, .file = "x.conf", .line = 3});
    settings_add_option(settings, "limit",
                        &(struct given){.text = "5000000000", .form = VALUE_INTEGER});
    settings_add_option(settings, "empty", &(struct given){.text = ""});
    settings_add_option(
        settings, "names",
        &(struct given){
            .text = "",
            .form = VALUE_LIST,
            .file = "x.conf",
            .line = 4,
            .items =
                (struct given[]){{.text = "a", .form = VALUE_STRING, .file = "x.conf", .line = 5},
                                 {.text = "7", .form = VALUE_INTEGER, .file = "y.inc", .line = 6}},
            .item_count = 2});
    settings_add_option(settings, "none", &(struct given){.text = "", .form = VALUE_LIST});
    settings_finish(settings, "/plugins", &fixture->errors);
    assert_int_equal(fixture->errors.count, 0);
}

static void
pack_and_unpack_change_nothing(void **state)
{
    struct fixture *fixture = *state;
    _cleanup_free_ char *bytes = NULL, *again = NULL;
    size_t size, again_size;
    struct settings back;

    fill(fixture);
    assert_int_equal(settings_pack(&fixture->settings, &bytes, &size), 0);
    assert_int_equal(settings_unpack(bytes, size, &back), 0);
    assert_int_equal(settings_pack(&back, &again, &again_size), 0);
    assert_int_equal(size, again_size);
    assert_memory_equal(bytes, again, size);

    assert_true(settings_equal(&fixture->settings, &back));
    assert_string_equal(back.name, "upper");
    assert_string_equal(back.file, "/etc/sockserverd/sockserverd.conf");
    assert_int_equal(back.line, 14);
    assert_string_equal(back.address.text, "tcp://[::1]:0");
    assert_string_equal(back.address.host, "::1");
    assert_string_equal(back.plugin_file, "/plugins/echo.so");
    assert_int_equal(back.mixin, MIXIN_FORKING);
    assert_int_equal(back.max_connections, 40);
    assert_int_equal(back.request_queue_size, 0);
    assert_true(back.read_timeout == fixture->settings.read_timeout);
    assert_int_equal(back.uid, 0);
    assert_true(back.socket_uid == (uid_t)-1);
    assert_true(back.set == fixture->settings.set);
    assert_int_equal(back.option_count, 5);
    assert_string_equal(back.options[0].given.text, "a \"b\"\n");
    assert_int_equal(back.options[0].given.form, VALUE_STRING);
    assert_string_equal(back.options[0].given.file, "x.conf");
    assert_int_equal(back.options[0].given.line, 3);
    assert_null(back.options[1].given.file);
    assert_int_equal(back.options[3].given.form, VALUE_LIST);
    assert_int_equal(back.options[3].given.item_count, 2);
    assert_string_equal(back.options[3].given.items[0].text, "a");
    assert_string_equal(back.options[3].given.items[1].text, "7");
    assert_int_equal(back.options[3].given.items[1].form, VALUE_INTEGER);
    assert_string_equal(back.options[3].given.items[1].file, "y.inc");
    assert_int_equal(back.options[3].given.items[1].line, 6);
    assert_int_equal(back.options[4].given.form, VALUE_LIST);
    assert_int_equal(back.options[4].given.item_count, 0);
    settings_done(&back);
}

static void
equal_sees_every_value_but_no_place(void **state)
{
    struct fixture *fixture = *state;
    struct settings other;

    fill(fixture);
    assert_int_equal(settings_copy(&fixture->settings, &other), 0);
    free(other.file);
    other.file = strdup("/elsewhere");
    other.line = 99;
    other.options[0].given.line = 77;
    assert_true(settings_equal(&fixture->settings, &other));
    ((char *)other.options[0].given.text)[0] = 'x';
    assert_false(settings_equal(&fixture->settings, &other));
    ((char *)other.options[0].given.text)[0] = 'a';
    other.options[3].given.items[1].line = 88;
    assert_true(settings_equal(&fixture->settings, &other));
    ((char *)other.options[3].given.items[1].text)[0] = '8';
    assert_false(settings_equal(&fixture->settings, &other));
    ((char *)other.options[3].given.items[1].text)[0] = '7';
    other.options[3].given.item_count--;
    assert_false(settings_equal(&fixture->settings, &other));
    other.options[3].given.item_count++;
    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *setting = &settings_table[i];
        char *field = (char *)&other + setting->offset, *saved;

        if (setting->type == SETTING_ADDRESS)
            field = (char *)&other.address.text;
        if (setting->type == SETTING_TEXT || setting->type == SETTING_ADDRESS) {
            memcpy(&saved, field, sizeof(saved));
            memcpy(field, &(char *){(char *)"other"}, sizeof(saved));
            assert_false(settings_equal(&fixture->settings, &other));
            memcpy(field, &saved, sizeof(saved));
        } else {
            *field ^= 1;
            print_message("%s\n", setting->key);
            assert_false(settings_equal(&fixture->settings, &other));
            *field ^= 1;
        }
        assert_true(settings_equal(&fixture->settings, &other));
    }
    settings_done(&other);
}

/* Every shorter message, every byte replaced: refused or understood, never a crash. */
static void
hostile_bytes_are_refused(void **state)
{
    struct fixture *fixture = *state;
    _cleanup_free_ char *bytes = NULL;
    struct settings back;
    size_t size;

    fill(fixture);
    assert_int_equal(settings_pack(&fixture->settings, &bytes, &size), 0);
    for (size_t cut = 0; cut < size; cut++) {
        _cleanup_free_ char *copy = malloc(cut + 1); /* at the end of its memory, for sanitizers */

        memcpy(copy, bytes, cut);
        assert_int_equal(settings_unpack(copy, cut, &back), -EBADMSG);
    }
    for (size_t i = 0; i < size; i++) {
        for (unsigned value = 0; value < 256; value += 15) {
            char saved = bytes[i];
            int r;

            bytes[i] = (char)value;
            r = settings_unpack(bytes, size, &back);
            bytes[i] = saved;
            assert_true(r == 0 || r == -EBADMSG);
            if (r == 0)
                settings_done(&back);
        }
    }
}

static void
foreign_records_are_refused(void **state)
{
#define MAGIC "sockserverd-settings\0001\0"
#define NAME  "name\0x\0"
#define END   "end\0"
#define LIST  "option\0x\0text\0\0form\0006\0file\0\0line\0000\0"
#define ITEM  "text\0y\0form\0001\0file\0\0line\0000\0"
    static const struct {
        const char *bytes;
        size_t size;
        int result;
    } rows[] = {
#define ROW(text, result) {text, sizeof(text), result}
        ROW(MAGIC NAME END, 0),
        ROW(MAGIC END, -EBADMSG), /* no name */
        ROW("sockserverd-settings\0002\0" NAME END, -EBADMSG),
        ROW(MAGIC NAME NAME END, -EBADMSG), /* twice */
        ROW(MAGIC NAME "spare\0001\0spare\0001\0" END, -EBADMSG),
        ROW(MAGIC NAME "spare\00099999\0" END, -EBADMSG),
        ROW(MAGIC NAME "mixin\0many\0" END, -EBADMSG),
        ROW(MAGIC NAME "unknown\0x\0" END, -EBADMSG),
        ROW(MAGIC NAME "uid\0-1\0" END, -EBADMSG),
        ROW(MAGIC NAME "uid\0004294967296\0" END, -EBADMSG),
        ROW(MAGIC NAME "option\0x\0" END, -EBADMSG), /* half an option */
        ROW(MAGIC NAME "option\0x\0text\0y\0form\0009\0file\0\0line\0000\0" END, -EBADMSG),
        ROW(MAGIC NAME LIST "items\0000\0" END, 0),
        ROW(MAGIC NAME LIST "items\0001\0" ITEM END, 0),
        ROW(MAGIC NAME LIST END, -EBADMSG), /* no number of items */
        ROW(MAGIC NAME LIST "items\0001\0" END, -EBADMSG),
        ROW(MAGIC NAME LIST "items\0002\0" ITEM END, -EBADMSG),
        ROW(MAGIC NAME LIST "items\0000\0" ITEM END, -EBADMSG),
        ROW(MAGIC NAME LIST "items\00018446744073709551615\0" ITEM END, -EBADMSG),
        ROW(MAGIC NAME "set\00018446744073709551615\0" END, -EBADMSG),
        ROW(MAGIC NAME END "\0", -EBADMSG), /* behind the end */
#undef ROW
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct settings back;

        print_message("row %zu\n", i);
        assert_int_equal(settings_unpack(rows[i].bytes, rows[i].size, &back), rows[i].result);
        if (rows[i].result == 0)
            settings_done(&back);
    }
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(every_row_is_whole),
        TEST(defaults_are_what_the_table_says),
        TEST(values_reach_their_fields),
        TEST(refused_value_leaves_the_old_one),
        TEST(command_line_mistakes_speak_of_set),
        TEST(later_value_replaces_a_refused_one),
        TEST(finish_fills_in_what_the_mixin_decides),
        TEST(refused_mixin_condemns_nothing_else),
        TEST(finish_may_be_repeated),
        TEST(users_and_groups_become_numbers),
        TEST(plugin_is_looked_for_in_the_path),
        TEST(pack_and_unpack_change_nothing),
        TEST(equal_sees_every_value_but_no_place),
        TEST(hostile_bytes_are_refused),
        TEST(foreign_records_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
