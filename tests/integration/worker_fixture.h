/* SPDX-License-Identifier: MIT */
/*
 * worker_fixture.h - what the kernel says of a worker's process: user, groups, limits
 */
#ifndef TESTS_INTEGRATION_WORKER_FIXTURE_H
#define TESTS_INTEGRATION_WORKER_FIXTURE_H

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/checked.h"
#include "support/client.h"
#include "support/daemon.h"
#include "support/test.h"

#define NOBODY 65534

/* The line of /proc/PID/FILE that begins so, behind that beginning and blanks. */
static inline const char *
proc_line(pid_t pid, const char *name, const char *begin)
{
    FILE *stream = fopen(text_of("/proc/%d/%s", (int)pid, name), "re");
    char line[1024];
    const char *found = NULL;

    assert_non_null(stream);
    while (found == NULL && fgets(line, sizeof(line), stream) != NULL)
        if (strncmp(line, begin, strlen(begin)) == 0)
            found = text_of("%s", line + strlen(begin) + strspn(line + strlen(begin), " \t"));
    (void)fclose(stream);
    if (found == NULL)
        fail_msg("/proc/%d/%s has no line \"%s\"", (int)pid, name, begin);
    return found;
}

/* Soft and hard limit as the kernel shows them: "100 100", "unlimited unlimited". */
static inline void
expect_limit(pid_t pid, const char *name, const char *soft, const char *hard)
{
    char found_soft[32], found_hard[32];

    assert_int_equal(sscanf(proc_line(pid, "limits", name), "%31s %31s", found_soft, found_hard),
                     2);
    assert_string_equal(found_soft, soft);
    assert_string_equal(found_hard, hard);
}

static inline void
expect_groups(pid_t pid, const char *groups)
{
    const char *found = proc_line(pid, "status", "Groups:");

    assert_memory_equal(found, groups, strlen(groups));
    assert_int_equal(strspn(found + strlen(groups), " \n"), strlen(found + strlen(groups)));
}

/* Without `user`: sockserverd if there is one, else nobody. */
static inline const struct passwd *
default_account(void)
{
    const struct passwd *account = getpwnam("sockserverd");

    if (account == NULL)
        account = getpwnam("nobody");
    assert_non_null(account);
    return account;
}

static inline uid_t
default_user(void)
{
    return default_account()->pw_uid;
}

static inline gid_t
default_group(void)
{
    return default_account()->pw_gid;
}

static inline pid_t
pid_of(struct daemon *daemon, const char *listener)
{
    pid_t pid;

    assert_int_equal(sscanf(client_ask(daemon_address(daemon, listener), "pid\n"), "pid %d", &pid),
                     1);
    return pid;
}

/* Address space is left alone where a sanitizer takes terabytes of it. */
#define LIMITS                                                                                     \
    "limits = { nofile = 200; nproc = 12345; cpu = \"2h\"; core = 0; stack = \"4M\";"              \
    " as = " AS "; };"
#if SANITIZED
#define AS       "\"1024T\""
#define AS_BYTES "1125899906842624"
#else
#define AS       "\"8G\""
#define AS_BYTES "8589934592"
#endif

static inline void
expect_limits(pid_t pid)
{
    expect_limit(pid, "Max open files", "200", "200");
    expect_limit(pid, "Max processes", "12345", "12345");
    expect_limit(pid, "Max cpu time", "7200", "7201");
    expect_limit(pid, "Max core file size", "0", "0");
    expect_limit(pid, "Max stack size", "4194304", "4194304");
    expect_limit(pid, "Max address space", AS_BYTES, AS_BYTES);
}

static inline void
become_nobody(void *userdata)
{
    (void)userdata;
    if (getuid() == 0 && (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
                          setresuid(NOBODY, NOBODY, NOBODY) < 0))
        _exit(1);
}

#endif
