/* SPDX-License-Identifier: MIT */
/*
 * test_settings_finish.c - one listener's settings: judged when all are there
 */
#include "settings_fixture.h"

#include <stdio.h>
#include <sys/stat.h>

#include "common/texts.h"

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

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(finish_fills_in_what_the_mixin_decides),
        TEST(refused_mixin_condemns_nothing_else),
        TEST(finish_may_be_repeated),
        TEST(users_and_groups_become_numbers),
        TEST(plugin_is_looked_for_in_the_path),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
