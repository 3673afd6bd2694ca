/* SPDX-License-Identifier: MIT */
/*
 * test_privileges.c - what a worker gives up, in a process of its own each time
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/capabilities.h"
#include "common/leave.h"
#include "worker/privileges.h"

#define NOBODY 65534

static struct settings
asked(uid_t uid, gid_t gid, uint32_t mask)
{
    return (struct settings){.name = (char *)"test",
                             .file = (char *)"x.conf",
                             .line = 3,
                             .user = (char *)"given",
                             .uid = uid,
                             .gid = gid,
                             .umask = mask};
}

static void
drop(uid_t uid, gid_t gid, uint32_t mask)
{
    const struct settings settings = asked(uid, gid, mask);
    struct errors errors = {0};

    assert_int_equal(privileges_drop(&settings, &errors), 0);
    assert_int_equal(errors.count, 0);
}

static void
expect_identity(uid_t uid, gid_t gid)
{
    uid_t users[3];
    gid_t groups[3];

    assert_int_equal(getresuid(&users[0], &users[1], &users[2]), 0);
    assert_int_equal(getresgid(&groups[0], &groups[1], &groups[2]), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(users[i], uid);
        assert_int_equal(groups[i], gid);
    }
}

/* Each runs in a child, as what is given up does not come back. */

static void
nothing_asked_changes_nobody(void)
{
    uid_t uid = getuid();
    gid_t gid = getgid();
    int groups = getgroups(0, NULL);

    (void)umask(027);
    drop((uid_t)-1, (gid_t)-1, UMASK_UNCHANGED);
    expect_identity(uid, gid);
    assert_int_equal(getgroups(0, NULL), groups);
    assert_int_equal(umask(0), 027);
}

static void
no_program_gives_privileges_back(void)
{
    drop((uid_t)-1, (gid_t)-1, UMASK_UNCHANGED);
    assert_int_equal(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
}

static void
umask_is_set(void)
{
    drop((uid_t)-1, (gid_t)-1, 077);
    assert_int_equal(umask(0), 077);
}

static void
user_and_group_change_for_good(void)
{
    assert_int_equal(setgroups(2, (gid_t[]){4, 5}), 0);
    drop(NOBODY, 7, UMASK_UNCHANGED);
    expect_identity(NOBODY, 7);
    assert_int_equal(getgroups(0, NULL), 0);
    assert_int_equal(setuid(0), -1);
    assert_int_equal(setgid(0), -1);
    assert_int_equal(seteuid(0), -1);
}

static void
group_alone_changes(void)
{
    drop((uid_t)-1, 7, UMASK_UNCHANGED);
    expect_identity(0, 7);
    assert_int_equal(getgroups(0, NULL), 0);
}

static struct settings
asked_for_groups(uid_t uid, gid_t gid)
{
    static char *names[] = {(char *)"7", (char *)"9", NULL};
    static gid_t gids[] = {7, 9};
    struct settings settings = asked(uid, gid, UMASK_UNCHANGED);

    settings.groups = names;
    settings.gids = gids;
    settings.gid_count = 2;
    return settings;
}

static void
expect_groups_7_and_9(void)
{
    gid_t groups[3];

    assert_int_equal(getgroups(3, groups), 2);
    assert_int_equal(groups[0], 7);
    assert_int_equal(groups[1], 9);
}

static void
user_keeps_the_groups_it_is_given(void)
{
    const struct settings settings = asked_for_groups(NOBODY, NOBODY);
    struct errors errors = {0};

    assert_int_equal(setgroups(2, (gid_t[]){4, 5}), 0);
    assert_int_equal(privileges_drop(&settings, &errors), 0);
    expect_identity(NOBODY, NOBODY);
    expect_groups_7_and_9();
}

static void
groups_alone_change(void)
{
    const struct settings settings = asked_for_groups((uid_t)-1, (gid_t)-1);
    struct errors errors = {0};

    assert_int_equal(setgroups(2, (gid_t[]){4, 5}), 0);
    assert_int_equal(privileges_drop(&settings, &errors), 0);
    expect_identity(0, 0);
    expect_groups_7_and_9();
}

/* Nothing is to be changed, so no right to change it is missed. */
static void
groups_that_are_so_need_no_root(void)
{
    const struct settings settings = asked_for_groups((uid_t)-1, (gid_t)-1);
    struct errors errors = {0};

    assert_int_equal(setgroups(2, (gid_t[]){9, 7}), 0);
    assert_int_equal(setresuid(NOBODY, NOBODY, NOBODY), 0);
    assert_int_equal(privileges_drop(&settings, &errors), 0);
    expect_groups_7_and_9();
}

static void
other_groups_are_refused_without_root(void)
{
    const struct settings settings = asked_for_groups((uid_t)-1, (gid_t)-1);
    struct errors errors = {0};

    if (getuid() == 0) {
        assert_int_equal(setgroups(2, (gid_t[]){7, 8}), 0);
        assert_int_equal(setresuid(NOBODY, NOBODY, NOBODY), 0);
    }
    assert_int_equal(privileges_drop(&settings, &errors), -EPERM);
    assert_int_equal(errors.count, 1);
    assert_string_equal(errors.texts[0],
                        "x.conf:3: listeners.test: cannot set the supplementary groups: Operation "
                        "not permitted; the daemon must run as root (or with CAP_SETUID and "
                        "CAP_SETGID) to use `user`, `group` and `groups`");
    errors_done(&errors);
}

static void
other_user_is_refused_without_root(void)
{
    const struct settings settings = asked(1, 1, UMASK_UNCHANGED);
    struct errors errors = {0};

    if (getuid() == 0)
        assert_int_equal(setresuid(NOBODY, NOBODY, NOBODY), 0);
    uid_t uid = getuid();
    assert_int_equal(privileges_drop(&settings, &errors), -EPERM);
    assert_int_equal(errors.count, 1);
    assert_string_equal(errors.texts[0],
                        "x.conf:3: listeners.test: cannot give up supplementary groups: Operation "
                        "not permitted; the daemon must run as root (or with CAP_SETUID and "
                        "CAP_SETGID) to use `user`, `group` and `groups`");
    assert_int_equal(getuid(), uid);
    errors_done(&errors);
}

/* ---- capabilities ---------------------------------------------------------- */

static void
drop_but(uid_t uid, char *const *capabilities)
{
    struct settings settings = asked(uid, uid, UMASK_UNCHANGED);
    struct errors errors = {0};

    settings.capabilities = (char **)(uintptr_t)capabilities;
    assert_int_equal(privileges_drop(&settings, &errors), 0);
}

static capability_set
ambient(void)
{
    capability_set set = 0;

    for (int i = 0; capability_name(i) != NULL; i++)
        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, i, 0, 0) == 1)
            set |= UINT64_C(1) << i;
    return set;
}

/* This thread alone is asked for: the thread sanitizer has one more, whose capabilities are not
 * taken, and the C library's calls abort where the threads of a process differ. */
static long
set_group(gid_t gid)
{
    return syscall(SYS_setgroups, 1, &gid);
}

static long
set_user(uid_t uid)
{
    return syscall(SYS_setuid, uid);
}

static void
root_has_no_capability_that_it_is_not_given(void)
{
    drop_but(0, NULL);
    expect_identity(0, 0);
    assert_int_equal(capabilities_permitted(), 0);
    assert_int_equal(set_group(4), -1);
    assert_int_equal(set_user(1), -1);
}

static void
named_capabilities_stay(void)
{
    char *const names[] = {(char *)"setgid", (char *)"CAP_net_raw", NULL};
    capability_set wanted = UINT64_C(1) << CAP_SETGID | UINT64_C(1) << CAP_NET_RAW;

    drop_but(NOBODY, names);
    expect_identity(NOBODY, NOBODY);
    assert_int_equal(capabilities_permitted(), wanted);
    assert_int_equal(ambient(), wanted);
    assert_int_equal(set_group(4), 0); /* it is in force */
    assert_int_equal(set_user(0), -1);
}

static void
named_capabilities_are_all_that_root_keeps(void)
{
    char *const names[] = {(char *)"CAP_SETGID", NULL};

    drop_but(0, names);
    assert_int_equal(capabilities_permitted(), UINT64_C(1) << CAP_SETGID);
    assert_int_equal(prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN, 0, 0, 0), 0);
    assert_int_equal(prctl(PR_CAPBSET_READ, CAP_SETGID, 0, 0, 0), 1);
}

static const struct part {
    const char *name;
    void (*run)(void);
    bool needs_root;
} parts[] = {
    {"nothing_asked_changes_nobody", nothing_asked_changes_nobody, false},
    {"no_program_gives_privileges_back", no_program_gives_privileges_back, false},
    {"umask_is_set", umask_is_set, false},
    {"user_and_group_change_for_good", user_and_group_change_for_good, true},
    {"group_alone_changes", group_alone_changes, true},
    {"user_keeps_the_groups_it_is_given", user_keeps_the_groups_it_is_given, true},
    {"groups_alone_change", groups_alone_change, true},
    {"groups_that_are_so_need_no_root", groups_that_are_so_need_no_root, true},
    {"root_has_no_capability_that_it_is_not_given", root_has_no_capability_that_it_is_not_given,
     true},
    {"named_capabilities_stay", named_capabilities_stay, true},
    {"named_capabilities_are_all_that_root_keeps", named_capabilities_are_all_that_root_keeps,
     true},
    {"other_groups_are_refused_without_root", other_groups_are_refused_without_root, false},
    {"other_user_is_refused_without_root", other_user_is_refused_without_root, false},
};
#define PARTS (sizeof(parts) / sizeof(parts[0]))

static void
run_in_child(void **state)
{
    const struct part *part = *state;
    int status;

    if (part->needs_root && getuid() != 0) {
        print_message("needs root to give anything up\n");
        skip();
    }
    pid_t child = fork();
    if (child == 0) {
        part->run(); /* a failed assertion ends it with a message and another status */
        leave(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

int
main(void)
{
    struct CMUnitTest tests[PARTS];

    for (size_t i = 0; i < PARTS; i++)
        tests[i] = (struct CMUnitTest){parts[i].name, run_in_child, NULL, NULL,
                                       (void *)(uintptr_t)&parts[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
