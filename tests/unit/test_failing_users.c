/* SPDX-License-Identifier: MIT */
/*
 * test_failing_users.c - a database of users and groups that is slow to fit, wrong or gone
 */
#include "failing_libraries.h"

#include <linux/capability.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "common/array.h"
#include "common/leave.h"
#include "common/settings.h"
#include "config/identity.h"

static void
a_record_may_have_any_size_up_to_a_limit(void **state)
{
    static const struct {
        size_t wants;
        int error, result;
    } rows[] = {
        {0, 0, 0},      {1025, 0, 0},      {1 << 20, 0, 0},      {(1 << 20) + 1, 0, -E2BIG},
        {0, EIO, -EIO}, {4096, EIO, -EIO}, {0, ENOMEM, -ENOMEM},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct account account = {0};
        uid_t uid = 77;
        gid_t gid = 77;

        print_message("%zu\n", i);
        database_wants = rows[i].wants;
        database_error = rows[i].error;
        assert_int_equal(identity_find_user("root", &uid, &gid), rows[i].result);
        assert_int_equal(uid, rows[i].result == 0 ? 0 : 77);
        assert_int_equal(gid, rows[i].result == 0 ? 0 : 77);
        gid = 77;
        assert_int_equal(identity_find_group("root", &gid), rows[i].result);
        assert_int_equal(gid, rows[i].result == 0 ? 0 : 77);
        /* A worker whose user has no entry gets its number instead of a name. */
        int r = rows[i].result == -E2BIG ? -E2BIG : 0;
        assert_int_equal(identity_find_account(0, &account), r);
        if (r == 0)
            assert_string_equal(account.login, rows[i].result == 0 ? "root" : "0");
        free(account.login);
        free(account.home);
        free(account.shell);
        database_wants = 0;
        database_error = 0;
    }
}

static void
a_database_that_fails_is_no_unknown_name(void **state)
{
    static const struct {
        int error;
        const char *words;
    } rows[] = {
        {0, "unknown user \"no-such-user\"; expected one that exists here, or a number"},
        {ENOENT, "unknown user"},
        {ESRCH, "unknown user"},
        {EBADF, "unknown user"},
        {EPERM, "unknown user"},
        {EIO, "cannot look up user \"no-such-user\": Input/output error"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct errors errors = {0};
        struct settings settings;

        assert_int_equal(settings_init(&settings, "test"), 0);
        settings_set(&settings, "address", &(struct given){.text = "unix:///x"}, &errors);
        settings_set(&settings, "plugin", &(struct given){.text = "echo"}, &errors);
        settings_set(&settings, "user", &(struct given){.text = "no-such-user"}, &errors);
        database_error = rows[i].error;
        settings_finish(&settings, "/plugins", &errors);
        database_error = 0;
        assert_int_equal(errors.count, 1);
        assert_non_null(strstr(errors.texts[0], rows[i].words));
        errors_done(&errors);
        settings_done(&settings);
    }
}

/* In a process of its own, as the choice is made once. */
static void
in_child(void (*run)(void))
{
    int status;
    pid_t child = fork();

    if (child == 0) {
        run();
        leave(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void
choose_without_database(void)
{
    struct errors errors = {0};
    struct settings settings;

    assert_int_equal(settings_init(&settings, "test"), 0);
    settings_set(&settings, "address", &(struct given){.text = "unix:///x"}, &errors);
    settings_set(&settings, "plugin", &(struct given){.text = "echo"}, &errors);
    database_error = ENOENT;
    settings_finish(&settings, "/plugins", &errors);
    assert_int_equal(errors.count, 0);
    assert_false(errors.exhausted);
    assert_int_equal(settings.uid, 65534);
    assert_int_equal(settings.gid, 65534);
    assert_string_equal(settings.login, "65534");
    settings_done(&settings);
}

static void
a_machine_without_nobody_has_one_all_the_same(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        print_message("needs root, whose plugins run as nobody\n");
        skip();
    }
    in_child(choose_without_database);
}

static void
ask_for_a_capability_that_is_lost(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {0};
    struct errors errors = {0};
    struct settings settings;

    assert_int_equal(syscall(SYS_capset, &header, none), 0);
    assert_int_equal(settings_init(&settings, "test"), 0);
    settings_set(&settings, "address", &(struct given){.text = "unix:///x"}, &errors);
    settings_set(&settings, "plugin", &(struct given){.text = "echo"}, &errors);
    settings_set(&settings, "user", &(struct given){.text = "0"}, &errors);
    settings_set(&settings, "capabilities", &(struct given){.text = "net_raw"}, &errors);
    settings_finish(&settings, "/plugins", &errors);
    assert_int_equal(errors.count, 1);
    assert_non_null(strstr(errors.texts[0],
                           "capabilities: found CAP_NET_RAW, which this daemon does not have; "
                           "remove it, or give it to the daemon (CapabilityBoundingSet="));
    errors_done(&errors);
    settings_done(&settings);
}

static void
a_capability_that_the_daemon_lacks_is_a_mistake(void **state)
{
    (void)state;
    in_child(ask_for_a_capability_that_is_lost);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_may_have_any_size_up_to_a_limit),
        cmocka_unit_test(a_database_that_fails_is_no_unknown_name),
        cmocka_unit_test(a_machine_without_nobody_has_one_all_the_same),
        cmocka_unit_test(a_capability_that_the_daemon_lacks_is_a_mistake),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
