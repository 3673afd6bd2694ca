/* SPDX-License-Identifier: MIT */
/*
 * exec.c - ss_exec(): a request's child becomes a program
 *
 * One fork and one exec, where a program beside its handler would cost two processes. Until
 * execve(2) has succeeded, everything can be undone: the three standard descriptors are kept, and
 * the others are marked rather than closed.
 *
 * Runs in:  a forked child (ss_exec()), its zygote (the rest).
 * Owns:     nothing.
 * Failures: returned to the plugin; how a program ended is logged here.
 */
#include "worker/request/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/child.h"
#include "common/cleanup.h"
#include "common/close_from.h"
#include "worker/request/mixin.h"
#include "worker/request/request.h"
#include "worker/request/transport.h"
#include "worker/request/wait.h"

/* slot.program: 1 and the milliseconds between the signals; and which of them have been sent. */
#define TERMINATED  0x80000000u
#define KILLED      0x40000000u
#define KILL_AFTER  0x3fffffffu /* the rest */
#define MOST_KILL_S 1e6

/* What a slot says of a Unix socket's client, behind its family. */
struct unix_client {
    sa_family_t family;
    pid_t pid;
    uid_t uid;
    gid_t gid;
};

/* ---- the child ------------------------------------------------------------------------------ */

/* Whether the process is the request's alone, and its socket all that there is of the client. */
static bool
can_become(struct ss_request *request)
{
    const struct ss_server *server = request->server;

    return server->mixin->processes && server->transport->stream && !server->transport->sealed &&
           ss_buffered(request) == 0 && ss_fd(request) >= 0;
}

/* As a program expects it: it waits, for as long as it takes. */
static int
make_plain(struct ss_request *request)
{
    int flags = fcntl(request->fd, F_GETFL);
    int error = flags < 0 ? -errno : 0;

    if (error == 0 && (flags & O_NONBLOCK) && fcntl(request->fd, F_SETFL, flags & ~O_NONBLOCK) < 0)
        error = -errno;
    if (error == 0 && request->receive_timeout > 0)
        error = set_socket_timeout(request->fd, SO_RCVTIMEO, 0);
    request->receive_timeout = 0;
    return error;
}

#define STANDARD 3 /* descriptors: input, output, errors */

static void
give_back(const int kept[STANDARD])
{
    for (int fd = 0; fd < STANDARD; fd++) {
        if (kept[fd] < 0)
            continue;
        (void)dup2(kept[fd], fd);
        (void)close(kept[fd]);
    }
}

/* Puts the connection in their places, and keeps those that they were. */
static int
take_places(const struct ss_request *request, const struct ss_program *program, int kept[STANDARD])
{
    const int given[STANDARD] = {request->fd, request->fd,
                                 program->errors < 0 ? request->fd : program->errors};

    for (int fd = 0; fd < STANDARD; fd++) {
        kept[fd] = fcntl(fd, F_DUPFD_CLOEXEC, STANDARD);
        if (dup2(given[fd], fd) < 0)
            return -errno;
    }
    return 0;
}

/* The zygote learns what its child is before that becomes it. */
static void
announce(struct ss_request *request, double kill_timeout)
{
    double seconds = kill_timeout < MOST_KILL_S ? kill_timeout : MOST_KILL_S;
    struct unix_client client = {.family = AF_UNIX};
    struct ss_credentials user;

    if (ss_client_credentials(request, &user) == 0) {
        client.pid = user.pid;
        client.uid = user.uid;
        client.gid = user.gid;
        memcpy(request->slot->client, &client, sizeof(client));
    }
    counter_set(request->slot->program, 1 + (uint32_t)(seconds * 1000));
}

static int
become(struct ss_request *request, const struct ss_program *program)
{
    sigset_t none;

    _cleanup_close_ int before = -1;

    if (program->directory != NULL) {
        before = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (chdir(program->directory) < 0)
            return -errno;
    }
    (void)sigemptyset(&none);
    (void)pthread_sigmask(SIG_SETMASK, &none, NULL);
    mark_from(STANDARD);
    announce(request, program->kill_timeout);
    (void)execve(program->path, program->arguments, program->environment);
    int error = -errno;
    counter_set(request->slot->program, 0);
    if (before >= 0 && fchdir(before) < 0)
        log_error("cannot return to the worker's folder: %s", strerror(errno));
    return error;
}

int
ss_exec(struct ss_request *request, const struct ss_program *program)
{
    int kept[STANDARD] = {-1, -1, -1};

    if (program->size != sizeof(*program))
        return -EINVAL;
    if (!can_become(request))
        return -ENOTSUP;
    int error = output_flush(request);
    if (error == 0)
        error = make_plain(request);
    if (error < 0)
        return error;
    (void)setpgid(0, 0);
    error = take_places(request, program, kept);
    if (error == 0)
        error = become(request, program);
    give_back(kept);
    (void)setpgid(0, getpgid(getppid()));
    return error;
}

/* ---- the zygote ----------------------------------------------------------------------------- */

/* When it must end: by an operator's wish, or by request_timeout. */
static int64_t
overtime_of(const struct ss_server *server, const struct slot *slot)
{
    if (slot_is_unwanted(slot))
        return counter_get(slot->asked_at);
    if (server->settings.request_timeout <= 0)
        return FOREVER;
    return counter_get(slot->started) + (int64_t)(server->settings.request_timeout * 1e9);
}

static void
send_signal(struct slot *slot, int number, uint32_t mark)
{
    counter_set(slot->program, counter_get(slot->program) | mark);
    (void)kill(-counter_get(slot->context), number);
}

void
exec_end_overtime(const struct ss_server *server, struct slot *slot)
{
    uint32_t program = counter_get(slot->program);
    int64_t now = monotonic_now(), overtime = overtime_of(server, slot);
    double seconds = (double)((program & KILL_AFTER) - 1) / 1000;

    if (now >= overtime && !slot_is_cancelled(slot))
        counter_set(slot->cancelled, counter_get(slot->request));
    if (!slot_is_cancelled(slot) && server_phase(server) != PHASE_CUT)
        return;
    if ((program & TERMINATED) == 0) {
        send_signal(slot, SIGTERM, TERMINATED);
    } else if ((program & KILLED) == 0 && overtime != FOREVER &&
               now >= overtime + (int64_t)(seconds * 1e9)) {
        log_warning("program %d of request %lu did not end by SIGTERM within %.3g s: killing it",
                    (int)counter_get(slot->context), counter_get(slot->request), seconds);
        send_signal(slot, SIGKILL, KILLED);
    }
}

static enum close_reason
reason_of(const struct ss_server *server, const struct slot *slot)
{
    if (server_phase(server) == PHASE_CUT)
        return CLOSE_CUT;
    return slot_is_cancelled(slot) ? request_reason_of_cut(slot) : CLOSE_DONE;
}

/* Who the client was, as the slot has it. */
static void
recall_client(struct ss_request *request)
{
    struct unix_client client;

    memcpy(&client, request->slot->client, sizeof(client));
    request->client.size = sizeof(struct sockaddr_in6);
    memcpy(&request->client.address, request->slot->client, sizeof(request->slot->client));
    if (client.family != AF_UNIX)
        return;
    request->client.credentials_state = client.pid > 0 ? 1 : -ENODATA;
    request->client.credentials =
        (struct ss_credentials){.pid = client.pid, .uid = client.uid, .gid = client.gid};
}

void
exec_account(struct ss_server *server, struct slot *slot, int status)
{
    struct ss_request request;
    char how[CHILD_FATE_SIZE];

    (void)child_fate_of(status, how);
    request_init(&request, server, slot, "child", 0);
    recall_client(&request);
    request.number = counter_get(slot->request);
    request.started = counter_get(slot->started);
    request.log = (struct log_context){.request = request.number};
    request.reason = reason_of(server, slot);
    request.outcome = how;
    log_set_context(&request.log);
    if (WIFSIGNALED(status) && request.reason == CLOSE_DONE)
        log_warning("program %d %s%s", (int)counter_get(slot->context), how,
                    WCOREDUMP(status) ? ", and dumped core" : "");
    request_account(&request);
    log_set_context(NULL);
    counter_set(slot->program, 0);
}
