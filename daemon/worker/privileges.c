/* SPDX-License-Identifier: MIT */
/*
 * privileges.c - becoming the user that a listener's worker runs as
 *
 * In the one order that works: supplementary groups, group, user, then a look
 * whether it is true. What the change of user resets (the wish to be told of
 * the supervisor's death) comes after it.
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

static int
fail(const struct settings *settings, struct errors *errors, const char *what)
{
    errors_add(errors, settings->file, settings->line,
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

/* Those that a service manager gave the supervisor. (Root's own go with setresuid().) */
static int
give_up_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct now[2] = {0}, none[2] = {0};

    if (syscall(SYS_capget, &header, now) < 0)
        return -1;
    if ((now[0].permitted | now[1].permitted) == 0)
        return 0;
    return (int)syscall(SYS_capset, &header, none);
}

/* Whether the process has these supplementary groups already, and no other. */
static bool
has_groups(const struct settings *settings)
{
    gid_t now[64];
    int count = getgroups((int)(sizeof(now) / sizeof(*now)), now);

    if (count < 0 || (uint32_t)count != settings->gid_count)
        return false;
    for (int i = 0; i < count; i++) {
        uint32_t j = 0;

        while (j < settings->gid_count && settings->gids[j] != now[i])
            j++;
        if (j == settings->gid_count)
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
    if (setgroups(settings->gid_count, settings->gids) == 0 || (!change && has_groups(settings)))
        return 0;
    return fail(settings, errors,
                settings->gid_count > 0 ? "set the supplementary groups"
                                        : "give up supplementary groups");
}

int
privileges_drop(const struct settings *settings, struct errors *errors)
{
    bool change_user = settings->uid != (uid_t)-1;
    bool change_group = settings->gid != (gid_t)-1;
    bool change = change_user || change_group;
    uid_t uid = change_user ? settings->uid : getuid();
    gid_t gid = change_group ? settings->gid : getgid();

    if (settings->umask != UMASK_UNCHANGED)
        (void)umask((mode_t)settings->umask);
    if (set_groups(settings, change, errors) < 0)
        return -EPERM;
    if (change) {
        if (setresgid(gid, gid, gid) < 0)
            return fail(settings, errors, "change the group");
        if (setresuid(uid, uid, uid) < 0)
            return fail(settings, errors, "change the user");
        if (!is_now(uid, gid)) {
            errno = EPERM;
            return fail(settings, errors, "verify the change of user");
        }
    }
    if (uid != 0 && give_up_capabilities() < 0)
        return fail(settings, errors, "give up capabilities");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return fail(settings, errors, "set no_new_privs");
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM); /* a belt; the channel's end of file is what counts */
    return 0;
}
