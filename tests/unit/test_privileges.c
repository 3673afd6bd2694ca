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
#include <linux/securebits.h>
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
                             .umask = mask,
                             .no_new_privileges = true};
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

/* ---- a kernel that refuses, or lies ---------------------------------------------------------- */

/* These take the places of the C library's functions in this program. */

static struct {
    bool set, fails;
    unsigned place; /* of the identity that is another one: real, effective or saved */
} lie_about_users, lie_about_groups;
static bool refuses_group, refuses_no_new_privs;

int
getresuid(uid_t *real, uid_t *effective, uid_t *saved)
{
    uid_t *const places[] = {real, effective, saved};
    int r = (int)syscall(SYS_getresuid, real, effective, saved);

    if (lie_about_users.set)
        (*places[lie_about_users.place])++;
    return lie_about_users.fails ? -1 : r;
}

int
getresgid(gid_t *real, gid_t *effective, gid_t *saved)
{
    gid_t *const places[] = {real, effective, saved};
    int r = (int)syscall(SYS_getresgid, real, effective, saved);

    if (lie_about_groups.set)
        (*places[lie_about_groups.place])++;
    return lie_about_groups.fails ? -1 : r;
}

int
setresgid(gid_t real, gid_t effective, gid_t saved)
{
    if (!refuses_group)
        return (int)syscall(SYS_setresgid, real, effective, saved);
    errno = EAGAIN;
    return -1;
}

int
prctl(int option, ...)
{
    unsigned long values[4];
    va_list more;

    va_start(more, option);
    for (int i = 0; i < 4; i++)
        values[i] = va_arg(more, unsigned long);
    va_end(more);
    if (!refuses_no_new_privs || option != PR_SET_NO_NEW_PRIVS)
        return (int)syscall(SYS_prctl, option, values[0], values[1], values[2], values[3]);
    errno = EINVAL;
    return -1;
}

/* ---- user and groups ------------------------------------------------------------------------- */

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

/* ---- what is refused ------------------------------------------------------- */

static void
expect_refusal(const struct settings *settings, const char *words)
{
    struct errors errors = {0};

    assert_int_equal(privileges_drop(settings, &errors), -EPERM);
    assert_int_equal(errors.count, 1);
    if (strstr(errors.texts[0], words) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", errors.texts[0], words);
    errors_done(&errors);
}

/* Without `user` the daemon has chosen one, and the remedy is another. */
static void
daemons_own_choice_of_user_is_explained(void)
{
    struct settings settings = asked(1, 1, UMASK_UNCHANGED);

    settings.user = NULL;
    if (getuid() == 0)
        assert_int_equal(setresuid(NOBODY, NOBODY, NOBODY), 0);
    expect_refusal(&settings,
                   "x.conf:3: listeners.test: cannot give up supplementary groups: Operation not "
                   "permitted; without `user`, a daemon that runs as root runs its plugins as user "
                   "1: allow it that (CAP_SETUID, CAP_SETGID), or say user = \"root\"");
}

/* What the daemon's unit may leave to it. */
static void
lose_capability(unsigned number)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[2];

    assert_int_equal(syscall(SYS_capget, &header, sets), 0);
    sets[CAP_TO_INDEX(number)].effective &= ~CAP_TO_MASK(number);
    sets[CAP_TO_INDEX(number)].permitted &= ~CAP_TO_MASK(number);
    sets[CAP_TO_INDEX(number)].inheritable &= ~CAP_TO_MASK(number);
    assert_int_equal(syscall(SYS_capset, &header, sets), 0);
}

static void
user_cannot_change_without_the_capability(void)
{
    const struct settings settings = asked(NOBODY, 7, UMASK_UNCHANGED);

    lose_capability(CAP_SETUID);
    expect_refusal(&settings, "cannot change the user: Operation not permitted");
    assert_int_equal(getuid(), 0);
}

static void
group_that_cannot_change_is_refused(void)
{
    const struct settings settings = asked(NOBODY, 7, UMASK_UNCHANGED);

    refuses_group = true;
    expect_refusal(&settings, "cannot change the group: Resource temporarily unavailable");
    assert_int_equal(getuid(), 0);
}

/* Each of the six identities must have changed. */
static void
change_that_is_not_true_is_refused(void)
{
    const struct settings settings = asked(NOBODY, NOBODY, UMASK_UNCHANGED);

    for (unsigned i = 0; i < 8; i++) {
        pid_t child = fork();
        if (child == 0) {
            lie_about_users.set = i < 3;
            lie_about_groups.set = i >= 3 && i < 6;
            lie_about_users.place = lie_about_groups.place = i % 3;
            lie_about_users.fails = i == 6;
            lie_about_groups.fails = i == 7;
            expect_refusal(&settings, "cannot verify the change of user: Operation not permitted");
            leave(0);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
}

/* Whoever has set up the daemon so that a change of user takes no capabilities could go back. */
static void
user_who_could_return_is_refused(void)
{
    const struct settings settings = asked(NOBODY, NOBODY, UMASK_UNCHANGED);

    assert_int_equal(prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0), 0);
    expect_refusal(&settings, "cannot verify the change of user: Operation not permitted");
}

static void
capability_that_the_daemon_lacks_is_refused(void)
{
    char *const names[] = {(char *)"CAP_NET_RAW", NULL};
    struct settings settings = asked((uid_t)-1, (gid_t)-1, UMASK_UNCHANGED);

    settings.capabilities = (char **)(uintptr_t)names;
    if (getuid() == 0)
        lose_capability(CAP_NET_RAW);
    expect_refusal(
        &settings,
        "x.conf:3: listeners.test: cannot keep the capabilities: Operation not "
        "permitted; see `capabilities`, and CapabilityBoundingSet= of the daemon's unit");
}

static void
capability_that_programs_could_not_have_is_refused(void)
{
    char *const names[] = {(char *)"CAP_NET_RAW", NULL};
    struct settings settings = asked((uid_t)-1, (gid_t)-1, UMASK_UNCHANGED);

    settings.capabilities = (char **)(uintptr_t)names;
    assert_int_equal(prctl(PR_SET_SECUREBITS, SECBIT_NO_CAP_AMBIENT_RAISE, 0, 0, 0), 0);
    expect_refusal(&settings, "cannot keep the capabilities: Operation not permitted");
}

static void
way_back_that_stays_open_is_refused(void)
{
    const struct settings settings = asked((uid_t)-1, (gid_t)-1, UMASK_UNCHANGED);

    refuses_no_new_privs = true;
    expect_refusal(&settings, "cannot set no_new_privs: Invalid argument");
}

/* One of them twice is not the two that were asked for. */
static void
group_that_is_missing_is_not_overlooked(void)
{
    const struct settings settings = asked_for_groups((uid_t)-1, (gid_t)-1);

    assert_int_equal(setgroups(2, (gid_t[]){7, 7}), 0);
    assert_int_equal(setresuid(NOBODY, NOBODY, NOBODY), 0);
    expect_refusal(&settings, "cannot set the supplementary groups: Operation not permitted");
}

/* More than anybody lists: they cannot be the ones that were asked for. */
static void
more_groups_than_can_be_compared_are_refused(void)
{
    const struct settings settings = asked_for_groups((uid_t)-1, (gid_t)-1);
    gid_t groups[70];

    for (gid_t i = 0; i < 70; i++)
        groups[i] = i + 7;
    assert_int_equal(setgroups(70, groups), 0);
    assert_int_equal(setresuid(NOBODY, NOBODY, NOBODY), 0);
    expect_refusal(&settings, "cannot set the supplementary groups: Operation not permitted");
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
    {"daemons_own_choice_of_user_is_explained", daemons_own_choice_of_user_is_explained, false},
    {"user_cannot_change_without_the_capability", user_cannot_change_without_the_capability, true},
    {"group_that_cannot_change_is_refused", group_that_cannot_change_is_refused, true},
    {"change_that_is_not_true_is_refused", change_that_is_not_true_is_refused, true},
    {"user_who_could_return_is_refused", user_who_could_return_is_refused, true},
    {"capability_that_the_daemon_lacks_is_refused", capability_that_the_daemon_lacks_is_refused,
     false},
    {"capability_that_programs_could_not_have_is_refused",
     capability_that_programs_could_not_have_is_refused, true},
    {"way_back_that_stays_open_is_refused", way_back_that_stays_open_is_refused, false},
    {"group_that_is_missing_is_not_overlooked", group_that_is_missing_is_not_overlooked, true},
    {"more_groups_than_can_be_compared_are_refused", more_groups_than_can_be_compared_are_refused,
     true},
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
