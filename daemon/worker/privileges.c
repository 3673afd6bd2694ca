/* SPDX-License-Identifier: MIT */
/*
 * privileges.c - becoming the user that a listener's worker runs as
 *
 * In the one order that works: supplementary groups, group, user, then a look
 * whether it is true, then all capabilities but those that the listener names.
 * What the change of user resets (the wish to be told of the supervisor's
 * death) comes after it.
 *
 * Runs in:  a worker, before it loads its plugin.
 * Owns:     nothing.
 * Failures: added to the caller's errors; the worker must not go on.
 */
#include "worker/privileges.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/capabilities.h"

static int
fail(const struct settings *settings, struct errors *errors, const char *what)
{
    if (settings->user == NULL && settings->uid != (uid_t)-1) /* the daemon is root's */
        errors_add(errors, settings->file, settings->line,
                   "listeners.%s: cannot %s: %s; without `user`, a daemon that runs as root runs "
                   "its plugins as user %u: allow it that (CAP_SETUID, CAP_SETGID), or say user = "
                   "\"root\"",
                   settings->name, what, strerror(errno), settings->uid);
    else
        errors_add(
            errors, settings->file, settings->line,
            "listeners.%s: cannot %s: %s; the daemon must run as root (or with CAP_SETUID and "
            "CAP_SETGID) to use `user`, `group` and `groups`",
            settings->name, what, strerror(errno));
    return -EPERM;
}

static bool
is_now(uid_t uid, gid_t gid)
{
    uid_t real_user, effective_user, saved_user;
    gid_t real_group, effective_group, saved_group;

    if (getresuid(&real_user, &effective_user, &saved_user) < 0 ||
        getresgid(&real_group, &effective_group, &saved_group) < 0)
        return false;
    return real_user == uid && effective_user == uid && saved_user == uid && real_group == gid &&
           effective_group == gid && saved_group == gid && (uid == 0 || setuid(0) < 0);
}

/*
 * Leaves the process the capabilities in keep, and no other. They are in force,
 * and a program that it executes has them, too, whoever its user is: that is
 * what the ambient set is for.
 */
static int
keep_capabilities(capability_set keep)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[2];

    if (keep == 0 && capabilities_permitted() == 0)
        return 0;
    for (unsigned i = 0; i < 2; i++) {
        uint32_t half = (uint32_t)(keep >> 32 * i);
        sets[i] = (struct __user_cap_data_struct){half, half, half};
    }
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    if (syscall(SYS_capset, &header, sets) < 0)
        return -1;
    for (int i = 0; capability_name(i) != NULL; i++)
        if ((keep >> i & 1) != 0 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, i, 0, 0) < 0)
            return -1;
    return 0;
}

/* Takes from the process, and from all that it executes, the way back to any other capability.
 * Whoever may not do so (CAP_SETPCAP) is held back by no_new_privs alone. */
static void
narrow_bounds(capability_set keep)
{
    for (int i = 0; capability_name(i) != NULL; i++)
        if ((keep >> i & 1) == 0)
            (void)prctl(PR_CAPBSET_DROP, i, 0, 0, 0);
}

/* Whether the process has these supplementary groups already, and no other. The listener names each
 * once, so they are all of them if there are as many. */
static bool
has_groups(const struct settings *settings)
{
    gid_t now[64];
    int count = getgroups((int)(sizeof(now) / sizeof(*now)), now);

    if (count < 0 || (uint32_t)count != settings->gid_count)
        return false;
    for (uint32_t i = 0; i < settings->gid_count; i++) {
        int j = 0;

        while (j < count && now[j] != settings->gids[i])
            j++;
        if (j == count)
            return false;
    }
    return true;
}

/* Whoever changes user or group has no supplementary groups but those the listener names. */
static int
set_groups(const struct settings *settings, bool change, struct errors *errors)
{
    if (settings->groups == NULL && !change)
        return 0;
    if (setgroups(settings->gid_count, settings->gids) == 0)
        return 0;
    int why = errno;
    if (!change && has_groups(settings))
        return 0;
    errno = why;
    return fail(settings, errors,
                settings->gid_count > 0 ? "set the supplementary groups"
                                        : "give up supplementary groups");
}

static int
change_identity(const struct settings *settings, uid_t uid, gid_t gid, struct errors *errors)
{
    if (setresgid(gid, gid, gid) < 0)
        return fail(settings, errors, "change the group");
    if (setresuid(uid, uid, uid) < 0)
        return fail(settings, errors, "change the user");
    if (!is_now(uid, gid)) {
        errno = EPERM;
        return fail(settings, errors, "verify the change of user");
    }
    return 0;
}

static int
reduce_capabilities(const struct settings *settings, capability_set keep, struct errors *errors)
{
    if (keep_capabilities(keep) == 0)
        return 0;
    errors_add(errors, settings->file, settings->line,
               "listeners.%s: cannot %s: %s; see `capabilities`, and CapabilityBoundingSet= of the "
               "daemon's unit",
               settings->name, keep == 0 ? "give up capabilities" : "keep the capabilities",
               strerror(errno));
    return -EPERM;
}

int
privileges_drop(const struct settings *settings, struct errors *errors)
{
    bool change_user = settings->uid != (uid_t)-1;
    bool change_group = settings->gid != (gid_t)-1;
    bool change = change_user || change_group;
    uid_t uid = change_user ? settings->uid : getuid();
    gid_t gid = change_group ? settings->gid : getgid();
    capability_set keep = capability_set_of(settings->capabilities);

    if (settings->umask != UMASK_UNCHANGED)
        (void)umask((mode_t)settings->umask);
    if (set_groups(settings, change, errors) < 0)
        return -EPERM;
    if (settings->no_new_privileges)
        narrow_bounds(keep); /* it holds for setuid programs, too */
    (void)prctl(PR_SET_KEEPCAPS, keep != 0, 0, 0, 0);
    if (change && change_identity(settings, uid, gid, errors) < 0)
        return -EPERM;
    if (reduce_capabilities(settings, keep, errors) < 0)
        return -EPERM;
    (void)prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0);
    if (settings->no_new_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return fail(settings, errors, "set no_new_privs");
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM); /* a belt; the channel's end of file is what counts */
    return 0;
}
