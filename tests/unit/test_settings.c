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
#include "common/texts.h"

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
    if (fixture == NULL || settings_init(&fixture->settings, "upper") < 0)
        return -1;
    return settings_fill(&fixture->settings);
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

/* Through bytes, as a worker gets them. */
static int
copy_of(const struct settings *settings, struct settings *ret)
{
    _cleanup_free_ char *bytes = NULL;
    size_t size;
    int r = settings_pack(settings, &bytes, &size);

    return r < 0 ? r : settings_unpack(bytes, size, ret);
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
        assert_int_equal(setting->type == SETTING_LIST, setting->example != NULL);
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
    assert_int_equal(settings->uid == (uid_t)-1,
                     geteuid() != 0); /* root's listeners are nobody's */
    assert_int_not_equal(settings->uid, 0);
    assert_int_not_equal(settings->gid, 0);
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

    set(fixture, "groups", "root");
    set(fixture, "groups", "27");
    set(fixture, "groups", "0"); /* the same again */
    settings_finish(settings, NULL, &fixture->errors);
    settings_finish(settings, NULL, &fixture->errors);
    assert_int_equal(settings->gid_count, 2);
    assert_int_equal(settings->gids[0], 0);
    assert_int_equal(settings->gids[1], 27);
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
    set(fixture, "groups", "root");
    set(fixture, "groups", "27");
    set(fixture, "limits.nofile", "64");
    set(fixture, "limits.core", "0");
    set(fixture, "limits.cpu", "90");
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
    settings->limits.as = LIMIT_NONE; /* which not everybody may have */
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
    assert_int_equal(texts_count(back.groups), 2);
    assert_string_equal(back.groups[0], "root");
    assert_string_equal(back.groups[1], "27");
    assert_int_equal(back.gid_count, 2);
    assert_int_equal(back.gids[0], 0);
    assert_int_equal(back.gids[1], 27);
    assert_true(back.limits.nofile == 64);
    assert_true(back.limits.core == 0);
    assert_true(back.limits.cpu == 90);
    assert_true(back.limits.as == LIMIT_NONE);
    assert_true(back.limits.nproc == LIMIT_UNCHANGED);
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
    assert_int_equal(copy_of(&fixture->settings, &other), 0);
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
    other.gids[1]++;
    assert_false(settings_equal(&fixture->settings, &other));
    other.gids[1]--;
    other.gid_count--;
    assert_false(settings_equal(&fixture->settings, &other));
    other.gid_count++;
    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *setting = &settings_table[i];
        char *field = (char *)&other + setting->offset, *saved;

        if (setting->type == SETTING_ADDRESS)
            field = (char *)&other.address.text;
        if (setting->type == SETTING_GROUP)
            continue; /* it has no value */
        if (setting->type == SETTING_TEXT || setting->type == SETTING_ADDRESS ||
            setting->type == SETTING_LIST) {
            static char *others[] = {(char *)"other", NULL};
            void *value = setting->type == SETTING_LIST ? (void *)others : (void *)others[0];

            memcpy(&saved, field, sizeof(saved));
            memcpy(field, &value, sizeof(value));
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

/* A listener that is replaced, with workers that still hold on to what it was. */
static void
shared_settings_live_until_the_last_lets_go(void **state)
{
    struct fixture *fixture = *state;
    const struct settings *first, *second;

    fill(fixture);
    first = settings_share(&fixture->settings);
    assert_non_null(first);
    assert_null(fixture->settings.name); /* moved */
    second = settings_ref(first);
    assert_ptr_equal(first, second);
    assert_int_equal(first->references, 2);
    settings_unref(first);
    assert_int_equal(second->references, 1);
    assert_string_equal(second->plugin_file, "/plugins/echo.so");
    settings_unref(second); /* leaks and double frees are the sanitizer's to find */
    settings_unref(NULL);
}

/* A value that is nobody's default. */
static const char *
some_value(const struct setting *setting)
{
    static const struct {
        enum setting_type type;
        const char *key; /* NULL: every other of that type */
        const char *text;
    } rows[] = {
        {SETTING_CHOICE, "mixin", "forking"},
        {SETTING_CHOICE, NULL, "always"},
        {SETTING_SIZE, "stack_size", "128K"},
        {SETTING_SIZE, NULL, "32K"},
        {SETTING_TEXT, NULL, "0"},
        {SETTING_ADDRESS, NULL, "tcp://127.0.0.1:9"},
        {SETTING_BOOLEAN, NULL, "true"},
        {SETTING_INTEGER, NULL, "2"},
        {SETTING_DURATION, NULL, "3s"},
        {SETTING_MODE, NULL, "0640"},
        {SETTING_LIST, NULL, "0\n27"},
        {SETTING_NUMBER_LIMIT, NULL, "100"},
        {SETTING_SIZE_LIMIT, NULL, "2M"},
        {SETTING_TIME_LIMIT, NULL, "5s"},
        {SETTING_GROUP, NULL, ""},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (rows[i].type == setting->type &&
            (rows[i].key == NULL || strcmp(rows[i].key, setting->key) == 0))
            return rows[i].text;
    fail_msg("no value for %s", setting->key);
    return NULL;
}

/* Each row's value goes over, whatever its type is, with its place. */
static void
inherited_values_are_those_that_were_given(void **state)
{
    struct fixture *fixture = *state;
    struct settings heir;

    assert_int_equal(settings_init(&heir, "heir"), 0);
    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *setting = &settings_table[i];
        const bool group = setting->type == SETTING_GROUP;
        const struct given given = {.text = some_value(setting),
                                    .form = group ? VALUE_GROUP : VALUE_PLAIN,
                                    .file = "x.conf",
                                    .line = 7 + (unsigned)i};
        _cleanup_free_ char *before = NULL, *after = NULL;

        print_message("%s\n", setting->key);
        settings_set(&fixture->settings, setting->key, &given, &fixture->errors);
        assert_int_equal(fixture->errors.count, 0);
        assert_int_equal(settings_inherit(&heir, setting, &fixture->settings), 0);
        assert_true(setting_given(&heir, setting));
        assert_int_equal(setting_format(&fixture->settings, setting, &before),
                         group ? -ENODATA : 0);
        assert_int_equal(setting_format(&heir, setting, &after), group ? -ENODATA : 0);
        if (!group)
            assert_string_equal(before, after);
        assert_string_equal(heir.places[i].file, "x.conf");
        assert_int_equal(heir.places[i].line, 7 + i);
    }
    assert_string_equal(heir.address.host, "127.0.0.1");
    assert_string_equal(heir.groups[1], "27");
    assert_ptr_not_equal(heir.groups, fixture->settings.groups);
    settings_done(&heir);
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
        ROW(MAGIC NAME "supplementary_gid\0004\0supplementary_gid\00027\0" END, 0),
        ROW(MAGIC NAME "supplementary_gid\0004294967295\0" END, -EBADMSG),
        ROW(MAGIC NAME "supplementary_gid\000-1\0" END, -EBADMSG),
        ROW(MAGIC NAME "groups\0root\n27\0" END, 0),
        ROW(MAGIC NAME "groups\0root\n\n27\0" END, -EBADMSG),
        ROW(MAGIC NAME "groups\0root\0groups\00027\0" END, -EBADMSG),
        ROW(MAGIC NAME "limits\0x\0" END, -EBADMSG),
        ROW(MAGIC NAME "limits.nofile\00015\0" END, -EBADMSG),
        ROW(MAGIC NAME "limits.none\00015\0" END, -EBADMSG),
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
        TEST(command_line_adds_to_a_list),
        TEST(file_gives_a_whole_list),
        TEST(too_long_a_list_is_refused),
        TEST(key_of_a_group_gives_the_group),
        TEST(limits_reach_their_fields),
        TEST(later_value_replaces_a_refused_one),
        TEST(finish_fills_in_what_the_mixin_decides),
        TEST(refused_mixin_condemns_nothing_else),
        TEST(finish_may_be_repeated),
        TEST(users_and_groups_become_numbers),
        TEST(plugin_is_looked_for_in_the_path),
        TEST(pack_and_unpack_change_nothing),
        TEST(equal_sees_every_value_but_no_place),
        TEST(shared_settings_live_until_the_last_lets_go),
        TEST(inherited_values_are_those_that_were_given),
        TEST(hostile_bytes_are_refused),
        TEST(foreign_records_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
