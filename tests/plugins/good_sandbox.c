/* SPDX-License-Identifier: MIT */
/*
 * good_sandbox.c - tries what the floor under plugins forbids, and what it must not
 *
 * Answers a connection with one line for each attempt: "mount EPERM". "ok" is
 * success. What an ordinary plugin does must stay possible.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sockserver/plugin.h>

SS_PLUGIN(.name = "good_sandbox", .summary = "tries what is forbidden", .transports = SS_STREAM,
          .mixins = SS_THREADING | SS_COROUTINE)

static int
try_mount(void)
{
    return mount("none", "/tmp", "tmpfs", 0, NULL);
}

static int
try_unshare(void)
{
    return unshare(CLONE_NEWNS);
}

static int
try_etc(void)
{
    return open("/etc/sockserverd-was-here", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
}

static int
try_usr(void)
{
    return mkdir("/usr/sockserverd-was-here", 0700);
}

static int
try_tmp(void)
{
    char path[] = "/tmp/sockserverd-sandbox-XXXXXX";
    int fd = mkstemp(path);

    if (fd >= 0)
        (void)unlink(path);
    return fd;
}

static int
try_read(void)
{
    return open("/etc/passwd", O_RDONLY | O_CLOEXEC);
}

static int
try_program(void)
{
    pid_t pid = fork();
    int status = 0;

    if (pid == 0) {
        execl("/bin/true", "true", (char *)NULL);
        _exit(127);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return -1;
    errno = EIO;
    return status == 0 ? 0 : -1;
}

static const struct {
    const char *name;
    int (*attempt)(void);
} attempts[] = {
    {"mount", try_mount},     {"unshare", try_unshare}, {"write-etc", try_etc},
    {"write-usr", try_usr},   {"write-tmp", try_tmp},   {"read-etc", try_read},
    {"program", try_program},
};

int
handle(struct ss_request *request)
{
    for (size_t i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++) {
        int result = attempts[i].attempt();
        (void)ss_printf(request, "%s %s\n", attempts[i].name,
                        result >= 0 ? "ok" : strerrorname_np(errno));
        if (result > 2)
            (void)close(result);
    }
    return 0;
}
