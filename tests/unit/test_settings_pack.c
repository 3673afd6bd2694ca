/* SPDX-License-Identifier: MIT */
/*
 * test_settings_pack.c - one listener's settings: to the worker and back, compared, shared,
 * inherited
 */
#include "settings_fixture.h"

#include <stdio.h>
#include <sys/stat.h>

#include "common/texts.h"

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
    assert_memory_equal(&back.given, &fixture->settings.given, sizeof(back.given));
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
            setting->type == SETTING_LIST || setting->type == SETTING_GROUPS) {
            static char *others[] = {(char *)"other", NULL};
            bool list = setting->type == SETTING_LIST || setting->type == SETTING_GROUPS;
            void *value = list ? (void *)others : (void *)others[0];

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
        {SETTING_CHOICE, "sandbox", "none"},
        {SETTING_CHOICE, "control_access", "read"},
        {SETTING_CHOICE, "tls.client", "required"},
        {SETTING_CHOICE, "tls.minimum", "1.3"},
        {SETTING_CHOICE, "on_full", "refuse"},
        {SETTING_CHOICE, NULL, "always"},
        {SETTING_SIZE, "stack_size", "128K"},
        {SETTING_SIZE, NULL, "32K"},
        {SETTING_TEXT, NULL, "0"},
        {SETTING_ADDRESS, NULL, "tcp://127.0.0.1:9"},
        {SETTING_BOOLEAN, NULL, "true"},
        {SETTING_SIGNED, NULL, "-5"},
        {SETTING_INTEGER, NULL, "2"},
        {SETTING_DURATION, NULL, "3s"},
        {SETTING_MODE, NULL, "0640"},
        {SETTING_LIST, NULL, "0\n27"},
        {SETTING_GROUPS, NULL, "a.org\t/c\t/k\t\nb.org\t/c\t/k\t/o"},
        {SETTING_NUMBER_LIMIT, NULL, "100"},
        {SETTING_SIZE_LIMIT, NULL, "2M"},
        {SETTING_TIME_LIMIT, NULL, "5s"},
        {SETTING_RATE, NULL, "7/m"},
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

/* What settings_finish() found out, and the workers use. */
static void
equal_sees_what_was_looked_up(void **state)
{
    struct fixture *fixture = *state;
    struct settings other;

    fill(fixture);
    assert_int_equal(copy_of(&fixture->settings, &other), 0);
    uint32_t *const numbers[] = {&other.uid, &other.gid, &other.socket_uid, &other.socket_gid};
    char **const texts[] = {&other.name, &other.plugin_file, &other.login,
                            &other.home, &other.shell,       &other.options[0].name};
    char another[] = "another";
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        (*numbers[i])--;
        assert_false(settings_equal(&fixture->settings, &other));
        (*numbers[i])++;
    }
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        char *saved = *texts[i];
        *texts[i] = another;
        assert_false(settings_equal(&fixture->settings, &other));
        *texts[i] = saved;
    }
    char *saved = other.login;
    other.login = NULL;
    assert_false(settings_equal(&fixture->settings, &other));
    assert_false(settings_equal(&other, &fixture->settings));
    other.login = saved;
    assert_true(settings_equal(&fixture->settings, &other));
    settings_done(&other);
}

/* Given on the command line, a key has no file. */
static void
places_come_back_with_and_without_a_file(void **state)
{
    struct fixture *fixture = *state;
    const struct given in_file = {.text = "3", .form = VALUE_INTEGER, .file = "x.conf", .line = 5};
    _cleanup_free_ char *bytes = NULL;
    struct settings back;
    size_t size;

    set(fixture, "mixin", "threading");
    settings_set(&fixture->settings, "max_connections", &in_file, &fixture->errors);
    assert_int_equal(settings_pack_places(&fixture->settings, &bytes, &size), 0);
    assert_int_equal(settings_unpack_places(bytes, size, &back), 0);
    const struct given *mixin = &back.places[setting_find("mixin") - settings_table];
    const struct given *most = &back.places[setting_find("max_connections") - settings_table];
    assert_null(back.file);
    assert_null(mixin->file);
    assert_string_equal(most->file, "x.conf");
    assert_int_equal(most->line, 5);
    settings_done(&back);
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
        ROW(MAGIC NAME "place\0cpus\0file\0\0line\0001\0items\0000\0" END,
            -EBADMSG), /* no values */
        ROW(MAGIC NAME "cpus\0002\0place\0nosuch\0file\0\0line\0001\0items\0000\0" END, -EBADMSG),
        ROW(MAGIC NAME "cpus\0002\0place\0cpus\0file\0\0line\0001\0items\0000\0" END, 0),
        ROW(MAGIC NAME "cpus\0002\0place\0cpus\0file\0\0line\0-1\0items\0000\0" END, -EBADMSG),
        ROW(MAGIC NAME "cpus\0002\0place\0cpus\0file\0\0line\0001\0" END, -EBADMSG),
        ROW(MAGIC NAME "given\0address\0refused\0address\0" END, 0),
        ROW(MAGIC NAME "given\0address\0refused\0plugin\0" END, -EBADMSG), /* never given */
        ROW(MAGIC NAME "given\0address\0given\0address\0" END, -EBADMSG),
        ROW(MAGIC NAME "given\0nosuch\0" END, -EBADMSG),
        ROW(MAGIC NAME "set\0001\0" END, 0), /* as 0.1.0 hands it over */
        ROW(MAGIC NAME "end\0x\0", -EBADMSG),
        ROW(MAGIC NAME "supplementary_gid\000-1\0" END, -EBADMSG),
        ROW(MAGIC NAME "groups\0root\n27\0" END, 0),
        ROW(MAGIC NAME "groups\0root\n\n27\0" END, -EBADMSG),
        ROW(MAGIC NAME "groups\0root\0groups\00027\0" END, -EBADMSG),
        ROW(MAGIC NAME "limits\0x\0" END, -EBADMSG),
        ROW(MAGIC NAME "limits.nofile\00015\0" END, -EBADMSG),
        ROW(MAGIC NAME "limits.none\00015\0" END, -EBADMSG),
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
    const struct CMUnitTest tests[] = {
        TEST(pack_and_unpack_change_nothing),
        TEST(equal_sees_every_value_but_no_place),
        TEST(shared_settings_live_until_the_last_lets_go),
        TEST(inherited_values_are_those_that_were_given),
        TEST(hostile_bytes_are_refused),
        TEST(foreign_records_are_refused),
        TEST(equal_sees_what_was_looked_up),
        TEST(places_come_back_with_and_without_a_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
