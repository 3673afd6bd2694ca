/* SPDX-License-Identifier: MIT */
/*
 * test_settings.c - one listener's settings: the table, and values
 *
 * The words of mistakes in files are in tests/conf/bad.
 */
#include "settings_fixture.h"

#include <stdio.h>
#include <sys/stat.h>

#include "common/texts.h"

/* ---- the table ---------------------------------------------------------- */

static void
every_row_is_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *setting = &settings_table[i];
        bool ranged = setting->type != SETTING_TEXT && setting->type != SETTING_ADDRESS &&
                      setting->type != SETTING_BOOLEAN && setting->type != SETTING_CHOICE &&
                      setting->type != SETTING_GROUP;

        print_message("%s\n", setting->key);
        assert_ptr_equal(setting_find(setting->key), setting); /* no key twice */
        assert_non_null(setting->help);
        assert_true(setting->offset < sizeof(struct settings));
        assert_int_equal(setting->type == SETTING_CHOICE, setting->choices != NULL);
        assert_int_equal(ranged, setting->max > 0);
        assert_true(setting->min <= setting->max);
        assert_int_equal(setting->type == SETTING_LIST || setting->type == SETTING_GROUPS,
                         setting->example != NULL);
        assert_int_equal(setting->type == SETTING_GROUPS, setting->keys != NULL);
        /* A name with a dot is that of a group's key, and the group has a row of its own. */
        assert_int_equal(strchr(setting->key, '.') != NULL, setting_group_of(setting->key) != NULL);
    }
    assert_ptr_equal(setting_group_of("limits.no_such_key"), setting_find("limits"));
    assert_null(setting_group_of("limits"));
    assert_null(setting_group_of("spare.nofile"));
    assert_null(setting_group_of("limit.nofile"));
    assert_null(setting_group_of("."));
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
        {"groups", "root\n\nadm"},
        {"limits", ""},
        {"limits", "100"},
        {"limits.nofile", "15"},
        {"limits.nofile", "1000000001"},
        {"limits.nofile", "-1"},
        {"limits.nofile", "Unlimited"},
        {"limits.as", "1023K"},
        {"limits.as", "2048T"},
        {"limits.cpu", "0"},
        {"limits.cpu", "999ms"},
        {"limits.cpu", "366d"},
    };
    struct fixture *fixture = *state;
    struct settings before;

    set(fixture, "address", "tcp://127.0.0.1:1");
    set(fixture, "plugin", "echo");
    assert_int_equal(copy_of(&fixture->settings, &before), 0);
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
        {"limits.nofiles", "1", "--set limits: unknown key \"nofiles\"; did you mean \"nofile\"?"},
        {"limits.x", "1",
         "--set limits: unknown key \"x\"; expected one of: nofile, nproc, as, cpu, core, stack"},
        {"limit.nofile", "1",
         "--set: unknown key \"limit.nofile\"; did you mean \"limits.nofile\"?"},
        {"nofile", "1", "--set: unknown key \"nofile\"; did you mean \"limits.nofile\"?"},
        {"limits", "nofile=1",
         "--set limits: found \"nofile=1\"; expected a group; give its keys, such as "
         "limits.nofile"},
        {"limits.nofile", "many",
         "--set limits.nofile: found \"many\"; expected \"unlimited\" or a whole number from 16 to "
         "1000000000"},
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        set(fixture, rows[i][0], rows[i][1]);
        assert_string_equal(fixture->errors.texts[i], rows[i][2]);
    }
}

static void
expect_groups(const struct fixture *fixture, const char *const *groups)
{
    char *const *found = fixture->settings.groups;

    assert_int_equal(fixture->errors.count, 0);
    for (; *groups != NULL; groups++, found++) {
        assert_non_null(*found);
        assert_string_equal(*found, *groups);
    }
    assert_null(*found);
}
#define EXPECT_GROUPS(fixture, ...) expect_groups(fixture, (const char *const[]){__VA_ARGS__})

static void
command_line_adds_to_a_list(void **state)
{
    struct fixture *fixture = *state;

    assert_null(fixture->settings.groups);
    set(fixture, "groups", ""); /* given, and empty */
    EXPECT_GROUPS(fixture, NULL);
    set(fixture, "groups", "adm");
    set(fixture, "groups", "a, b");
    set(fixture, "groups", "");
    EXPECT_GROUPS(fixture, "adm", "a, b", NULL);
}

/* In a file a list is whole: `defaults` hold for who gives none. */
static void
file_gives_a_whole_list(void **state)
{
    struct fixture *fixture = *state;
    struct given items[] = {{.text = "adm", .form = VALUE_STRING, .file = "x.conf", .line = 2},
                            {.text = "27", .form = VALUE_INTEGER, .file = "x.conf", .line = 3}};
    const struct given whole = {.text = "",
                                .form = VALUE_LIST,
                                .file = "x.conf",
                                .line = 1,
                                .items = items,
                                .item_count = 2},
                       one = {.text = "users", .form = VALUE_STRING, .file = "x.conf", .line = 4},
                       none = {.text = "", .form = VALUE_LIST, .file = "x.conf", .line = 5};

    settings_set(&fixture->settings, "groups", &whole, &fixture->errors);
    EXPECT_GROUPS(fixture, "adm", "27", NULL);
    settings_set(&fixture->settings, "groups", &one, &fixture->errors);
    EXPECT_GROUPS(fixture, "users", NULL);
    settings_set(&fixture->settings, "groups", &none, &fixture->errors);
    EXPECT_GROUPS(fixture, NULL);
}

static void
too_long_a_list_is_refused(void **state)
{
    struct fixture *fixture = *state;
    size_t count = 65537;
    struct given list = {.text = "",
                         .form = VALUE_LIST,
                         .items = calloc(count, sizeof(struct given)),
                         .item_count = count};

    for (size_t i = 0; i < count; i++)
        list.items[i].text = "1";
    settings_set(&fixture->settings, "groups", &list, &fixture->errors);
    free(list.items);
    assert_null(fixture->settings.groups);
    assert_only_mistake(fixture,
                        "--set groups: found 65537 items; expected a list of at most 65536 "
                        "items, such as [ \"adm\", \"ssl-cert\" ]");
}

static void
key_of_a_group_gives_the_group(void **state)
{
    struct fixture *fixture = *state;

    assert_false(setting_given(&fixture->settings, setting_find("limits")));
    set(fixture, "limits.nofile", "100");
    assert_true(setting_given(&fixture->settings, setting_find("limits")));
    assert_true(setting_given(&fixture->settings, setting_find("limits.nofile")));
    assert_false(setting_given(&fixture->settings, setting_find("limits.nproc")));
}

static void
limits_reach_their_fields(void **state)
{
    static const struct {
        const char *key, *text;
        size_t offset;
        uint64_t value;
    } rows[] = {
#define AT(name) offsetof(struct settings, limits.name)
        {"limits.nofile", "0x100", AT(nofile), 256},
        {"limits.nproc", "1000000000", AT(nproc), 1000000000},
        {"limits.as", "1024T", AT(as), UINT64_C(1) << 50},
        {"limits.cpu", "1.5", AT(cpu), 2}, /* whole seconds */
        {"limits.cpu", "2h", AT(cpu), 7200},
        {"limits.core", "0", AT(core), 0},
        {"limits.stack", "64K", AT(stack), 65536},
        {"limits.stack", "unlimited", AT(stack), LIMIT_NONE},
        {"limits.cpu", "unlimited", AT(cpu), LIMIT_NONE},
        {"limits.nofile", "unlimited", AT(nofile), LIMIT_NONE},
#undef AT
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        uint64_t found;

        print_message("%s = %s\n", rows[i].key, rows[i].text);
        set(fixture, rows[i].key, rows[i].text);
        memcpy(&found, (char *)&fixture->settings + rows[i].offset, sizeof(found));
        assert_true(found == rows[i].value);
    }
    assert_int_equal(fixture->errors.count, 0);
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

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_row_is_whole),
        TEST(defaults_are_what_the_table_says),
        TEST(values_reach_their_fields),
        TEST(refused_value_leaves_the_old_one),
        TEST(command_line_mistakes_speak_of_set),
        TEST(command_line_adds_to_a_list),
        TEST(file_gives_a_whole_list),
        TEST(too_long_a_list_is_refused),
        TEST(key_of_a_group_gives_the_group),
        TEST(limits_reach_their_fields),
        TEST(later_value_replaces_a_refused_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
