/* SPDX-License-Identifier: MIT */
/*
 * good_programs.c - a plugin that starts programs, prints, and lays hands on what it inherited
 *
 * A request is one line, a word and the rest; the answer is what the word says:
 *
 *     system COMMAND    the output of the shell's COMMAND, started by system(3)
 *     spawn COMMAND     the same by posix_spawn(3)
 *     exec COMMAND      the same by fork(2) and execve(2)
 *     print TEXT        TEXT goes to standard error; "ok"
 *     rewrite           empties and rewrites the files behind descriptors 1 and 2; "ok"
 *     shut              shuts every listening socket down that it has; "ok"
 *     kill PID          sends SIGKILL; "ok" or the error's name
 *     flood             sends the supervisor answers to its first ping, without end
 *     wish              sends the supervisor every wish that makes no sense, and some that do; how
 *                       many of them could not be sent
 *     wishes            asks for memory of ever other sizes, and has descriptors kept, without end
 *     crash TEXT        TEXT goes to standard error; no answer, as it ends by SIGSEGV
 *     abort             no answer, as it ends by SIGABRT
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sockserver/plugin.h>

SS_PLUGIN(.name = "good_programs", .summary = "starts programs", .transports = SS_STREAM,
          .mixins = SS_THREADING | SS_COROUTINE)

static int
answer_file(struct ss_request *request, const char *path)
{
    char text[16384];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

    if (fd >= 0)
        (void)close(fd);
    (void)unlink(path);
    return size < 0 ? ss_printf(request, "error %d\n", -errno)
                    : ss_printf(request, "%.*s", (int)size, text);
}

static int
wait_for(pid_t pid)
{
    int status;

    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    return status;
}

static int
start_system(char *const *arguments)
{
    return system(arguments[2]);
}

static int
start_spawn(char *const *arguments)
{
    pid_t pid;

    return posix_spawn(&pid, arguments[0], NULL, NULL, arguments, environ) == 0 ? wait_for(pid)
                                                                                : -1;
}

static int
start_exec(char *const *arguments)
{
    pid_t pid = fork();

    if (pid == 0) {
        (void)execve(arguments[0], arguments, environ);
        _exit(127);
    }
    return pid < 0 ? -1 : wait_for(pid);
}

static int
run(struct ss_request *request, const char *command, int (*start)(char *const *))
{
    char path[] = "/tmp/sockserverd-programs-XXXXXX", redirected[4096];
    int fd = mkstemp(path);

    if (fd < 0)
        return ss_printf(request, "error %d\n", -errno);
    (void)close(fd);
    (void)snprintf(redirected, sizeof(redirected), "{ %s\n} >%s 2>&1", command, path);
    char *const arguments[] = {(char *)"/bin/sh", (char *)"-c", redirected, NULL};
    (void)start(arguments);
    return answer_file(request, path);
}

static void
rewrite(void)
{
    for (int fd = 1; fd <= 2; fd++) {
        char path[32];

        (void)!ftruncate(fd, 0);
        (void)!pwrite(fd, "forged\n", 7, 0);
        (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        int again = open(path, O_WRONLY | O_TRUNC | O_NONBLOCK | O_CLOEXEC);
        if (again >= 0)
            (void)close(again);
    }
}

static void
shut_listening_sockets(void)
{
    for (int fd = 3; fd < 64; fd++) {
        int listening = 0;
        socklen_t size = sizeof(listening);
        if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) == 0 && listening)
            (void)shutdown(fd, SHUT_RDWR);
    }
}

static const char *
kill_one(const char *pid)
{
    return kill((pid_t)strtol(pid, NULL, 10), SIGKILL) == 0 ? "ok" : strerrorname_np(errno);
}

#define CHANNEL 4 /* the worker's own, to the supervisor */

/* The first ping is sent two seconds after the worker became ready: until then an answer would be
 * a lie. */
static void
flood(void)
{
    static const struct {
        uint32_t type, reserved;
        uint64_t value;
        char text[8];
    } pong = {.type = 4, .value = 1};
    struct pollfd room = {.fd = CHANNEL, .events = POLLOUT};

    (void)poll(NULL, 0, 2500);
    for (;;)
        if (send(CHANNEL, &pong, offsetof(__typeof__(pong), text) + 1,
                 MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
            (void)poll(&room, 1, -1);
}

/* ---- wishes ------------------------------------------------------------------- */

#define WISHES 14 /* the worker's own, to ask the supervisor */

enum { CONTROL = 32, WISH, KEEP, FORGET, KEPT, AREA, ANSWER };

struct wish {
    uint32_t type, reserved;
    uint64_t value;
    char text[100];
};

/* Sends the first bytes of a message, with up to two descriptors; -1: none. Returns 0 or -1. */
static int
send_wish(int channel, const struct wish *wish, size_t size, int fd, int other)
{
    struct iovec part = {.iov_base = (void *)(uintptr_t)wish, .iov_len = size};
    struct msghdr packet = {.msg_iov = &part, .msg_iovlen = 1};
    union {
        struct cmsghdr head;
        char space[CMSG_SPACE(2 * sizeof(int))];
    } control = {0};

    if (fd >= 0) {
        int fds[] = {fd, other};
        size_t count = other >= 0 ? 2 : 1;
        packet.msg_control = &control;
        packet.msg_controllen = CMSG_SPACE(count * sizeof(int));
        control.head.cmsg_level = SOL_SOCKET;
        control.head.cmsg_type = SCM_RIGHTS;
        control.head.cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(&control.head), fds, count * sizeof(int));
    }
    return sendmsg(channel, &packet, MSG_NOSIGNAL) < 0 ? -1 : 0;
}

/* A channel that holds this message already. Nobody waits for the answer. */
static int
ask_for(uint32_t type, uint64_t value, const char *text, size_t size, int fd)
{
    static const struct wish wish = {.type = WISH};
    struct wish message = {.type = type, .value = value};
    struct pollfd room = {.fd = WISHES, .events = POLLOUT};
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
        return -1;
    (void)strncpy(message.text, text, sizeof(message.text) - 1);
    int r = size == 0 ? 0 : send_wish(ends[0], &message, size, fd, -1);
    (void)poll(&room, 1, -1);
    if (r == 0)
        r = send_wish(WISHES, &wish, 17, ends[1], -1);
    (void)close(ends[0]);
    (void)close(ends[1]);
    return r;
}

static int
wish(void)
{
    static const struct wish odd = {.type = WISH}, other = {.type = 77}, look = {.type = CONTROL};
    struct pollfd room = {.fd = WISHES, .events = POLLOUT};
    size_t whole = offsetof(struct wish, text) + 10;
    int failed = 0, pipes[2];

    (void)!pipe2(pipes, O_CLOEXEC);
    for (uint32_t type = 0; type < 100;
         type++) /* of any type, in pieces, with a descriptor or not */
        for (size_t size = 0; size <= whole; size += 5)
            failed += ask_for(type, type, "a", size, size % 2 ? pipes[0] : -1) < 0;
    for (size_t size = 1; size <= whole; size++) {
        (void)poll(&room, 1, -1);
        failed += send_wish(WISHES, &odd, size, -1, -1) < 0;             /* nobody to answer */
        failed += send_wish(WISHES, &odd, size, pipes[0], pipes[1]) < 0; /* no socket, and two */
        failed += send_wish(WISHES, &other, size, pipes[0], -1) < 0;
        failed += send_wish(WISHES, &look, size, pipes[0], -1) < 0; /* it has no control_access */
    }
    for (unsigned i = 0; i < 100; i++) { /* names without end, sizes that are none */
        failed += ask_for(KEEP, 0, "a/b", whole, pipes[0]) < 0;
        failed += ask_for(AREA, i < 64 ? UINT64_C(1) << i : 0, "", whole, -1) < 0;
    }
    (void)close(pipes[0]);
    (void)close(pipes[1]);
    return failed;
}

static void
wish_for_ever(void)
{
    size_t whole = offsetof(struct wish, text) + 10;
    char name[10];

    for (unsigned i = 0;; i++) {
        (void)snprintf(name, sizeof(name), "n%u", i % 1000000);
        (void)ask_for(KEEP, 0, name, whole, STDIN_FILENO);
        (void)ask_for(AREA, 4096 * (1 + i % 1000), "", whole, -1);
    }
}

int
handle(struct ss_request *request)
{
    char *line;
    ssize_t size = ss_readline(request, &line);

    if (size <= 0)
        return (int)size;
    line[strcspn(line, "\r\n")] = '\0';
    char *rest = strchr(line, ' ');
    if (rest != NULL)
        *rest++ = '\0';
    else
        rest = line + strlen(line);
    if (strcmp(line, "system") == 0)
        return run(request, rest, start_system);
    if (strcmp(line, "spawn") == 0)
        return run(request, rest, start_spawn);
    if (strcmp(line, "exec") == 0)
        return run(request, rest, start_exec);
    if (strcmp(line, "kill") == 0)
        return ss_printf(request, "%s\n", kill_one(rest));
    if (strcmp(line, "print") == 0 || strcmp(line, "crash") == 0)
        (void)dprintf(STDERR_FILENO, "%s\n", rest);
    if (strcmp(line, "crash") == 0)
        (void)raise(SIGSEGV);
    if (strcmp(line, "abort") == 0)
        abort();
    if (strcmp(line, "rewrite") == 0)
        rewrite();
    if (strcmp(line, "flood") == 0)
        flood();
    if (strcmp(line, "wish") == 0)
        return ss_printf(request, "%d\n", wish());
    if (strcmp(line, "wishes") == 0)
        wish_for_ever();
    if (strcmp(line, "shut") == 0)
        shut_listening_sockets();
    return ss_printf(request, "ok\n");
}
