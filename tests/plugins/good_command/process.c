/* SPDX-License-Identifier: MIT */
/*
 * process.c - good_command's commands that tell what its process is and holds
 *
 * good_command.c lists the replies.
 */
#include "command.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define GROUPS_MAX 64

/* A folder of /proc/self opened for looking is left out. */
static int
tell_fds(struct ss_request *request, const char *argument)
{
    DIR *folder = opendir("/proc/self/fd");
    const struct dirent *entry;

    (void)argument;
    if (!folder)
        return ss_printf(request, "error %d\n", -errno);
    while ((entry = readdir(folder))) {
        char target[4096];
        ssize_t size;

        if (*entry->d_name == '.' || atoi(entry->d_name) == dirfd(folder))
            continue;
        size = readlinkat(dirfd(folder), entry->d_name, target, sizeof(target));
        if (size > 0)
            (void)ss_printf(request, "%s %.*s\n", entry->d_name, (int)size, target);
    }
    (void)closedir(folder);
    return ss_printf(request, ".\n");
}

static int
tell_environment(struct ss_request *request, const char *argument)
{
    (void)argument;
    for (char **variable = environ; variable && *variable; variable++)
        (void)ss_printf(request, "%s\n", *variable);
    return ss_printf(request, ".\n");
}

/* Calls line for each line of this thread's status in /proc. 0 or -errno. */
static int
each_status_line(void (*line)(const char *text, void *context), void *context)
{
    FILE *file = fopen("/proc/thread-self/status", "re");
    char text[512];

    if (!file)
        return -errno;
    while (fgets(text, sizeof(text), file))
        line(text, context);
    (void)fclose(file);
    return 0;
}

static void
write_line(const char *text, void *context)
{
    (void)ss_printf(context, "%s", text);
}

static int
tell_status(struct ss_request *request, const char *argument)
{
    int result = each_status_line(write_line, request);

    (void)argument;
    return ss_printf(request, result < 0 ? "error %d\n" : ".\n", result);
}

static int
tell_identity(struct ss_request *request, const char *argument)
{
    gid_t groups[GROUPS_MAX];
    int count = getgroups(GROUPS_MAX, groups);

    (void)argument;
    (void)ss_printf(request, "identity %u %u %u %u", getuid(), geteuid(), getgid(), getegid());
    for (int i = 0; i < count; i++)
        (void)ss_printf(request, " %u", groups[i]);
    return ss_printf(request, "\n");
}

struct masks {
    unsigned long long blocked, ignored, caught;
};

static void
read_mask(const char *text, void *context)
{
    struct masks *masks = context;

    (void)sscanf(text, "SigBlk: %llx", &masks->blocked);
    (void)sscanf(text, "SigIgn: %llx", &masks->ignored);
    (void)sscanf(text, "SigCgt: %llx", &masks->caught);
}

static int
tell_mask(struct ss_request *request, const char *argument)
{
    struct masks masks = {0};
    int result = each_status_line(read_mask, &masks);

    (void)argument;
    if (result < 0)
        return ss_printf(request, "error %d\n", result);
    return ss_printf(request, "mask %016llx %016llx %016llx\n", masks.blocked, masks.ignored,
                     masks.caught);
}

static int
tell_umask(struct ss_request *request, const char *argument)
{
    mode_t mask = umask(0);

    (void)argument;
    (void)umask(mask);
    return ss_printf(request, "umask %04o\n", mask);
}

static int
tell_threads(struct ss_request *request, const char *argument)
{
    struct stat status;

    (void)argument;
    if (stat("/proc/self/task", &status) < 0)
        return ss_printf(request, "error %d\n", -errno);
    return ss_printf(request, "threads %d\n", (int)status.st_nlink - 2);
}

static int
tell_parent(struct ss_request *request, const char *argument)
{
    (void)argument;
    return ss_printf(request, "parent %d\n", getppid());
}

static int
leak_fds(struct ss_request *request, const char *argument)
{
    size_t wanted = argument_size(argument);
    size_t opened = 0;

    while (opened < wanted && open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0)
        opened++;
    return ss_printf(request, "fdleak %zu\n", opened);
}

/* The child is left as a zombie for a while, so that a daemon that reaps too much has its chance.
 */
static int
fork_child(struct ss_request *request, const char *argument)
{
    pid_t child = fork();
    siginfo_t info;
    int status = 0;
    int result = 0;

    (void)argument;
    if (child == 0)
        _exit(7);
    if (child < 0)
        return ss_printf(request, "error %d\n", -errno);
    if (waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT) < 0)
        result = -errno;
    else if (ss_sleep(request, 0.2) == 0 && waitpid(child, &status, 0) < 0)
        result = -errno;
    if (result < 0)
        return ss_printf(request, "error %d\n", result);
    return ss_printf(request, "fork-child %d\n", WEXITSTATUS(status));
}

/* The parent of the helper ends at once. "far": the helper leaves the worker's session, too.
 * "stubborn": SIGTERM does not end it. */
static _Noreturn void
become_helpers_parent(int pipe, const char *how)
{
    sigset_t none;

    if (strcmp(how, "far") == 0)
        (void)setsid();
    (void)signal(SIGTERM, strcmp(how, "stubborn") == 0 ? SIG_IGN : SIG_DFL);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    pid_t helper = fork();
    if (helper != 0)
        _exit(write(pipe, &helper, sizeof(helper)) == sizeof(helper) ? 0 : 1);
    for (int fd = 0; fd < 100; fd++)
        (void)close(fd);
    for (;;)
        (void)pause();
}

static int
start_helper(struct ss_request *request, const char *argument)
{
    pid_t child, helper = 0;
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return ss_printf(request, "0\n");
    if ((child = fork()) == 0)
        become_helpers_parent(ends[1], argument);
    if (read(ends[0], &helper, sizeof(helper)) != sizeof(helper))
        helper = 0;
    (void)waitpid(child, NULL, 0);
    (void)close(ends[0]);
    (void)close(ends[1]);
    return ss_printf(request, "%d\n", (int)helper);
}

const struct command process_commands[] = {
    {"fds", tell_fds},         {"environment", tell_environment},
    {"status", tell_status},   {"identity", tell_identity},
    {"mask", tell_mask},       {"umask", tell_umask},
    {"threads", tell_threads}, {"parent", tell_parent},
    {"fdleak", leak_fds},      {"fork-child", fork_child},
    {"helper", start_helper},  {0},
};
