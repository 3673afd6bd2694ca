/* SPDX-License-Identifier: MIT */
/*
 * attend.c - staying with a program until it ends
 *
 * One wait for all that can happen: the program ends, it has written a line of errors, it or the
 * client has sent something that the other one is to get. The end of either direction is passed
 * on: the client's as the end of the program's input, and the program's as the end of the
 * connection's output where there is no encryption in between.
 *
 * Runs in:  a handler thread, child or coroutine.
 * Owns:     the relay's buffer.
 * Failures: returned; the program is ended then.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "exec.h"

#define BLOCK      16384
#define LINE       1024 /* a longer one is logged in parts */
#define LOOK_TIME  0.02 /* seconds between two looks where there is no pidfd */
#define DRAIN_TIME 0.25 /* between two looks, in a drain, whether the program's time is over */

/* Bytes on their way between client and program. */
struct relay {
    int fd;             /* to the program; -1: it has the client's socket */
    char *block;        /* the client's, which the program has not taken yet */
    size_t start, end;  /* in block */
    bool client_ended;  /* nothing more comes from it, or the program wants nothing more */
    bool program_ended; /* nothing more comes from it */
    bool shut;          /* the program has been told that the client has ended */
};

struct attendance {
    struct ss_request *request;
    const struct service *service;
    struct program *program;
    int errors; /* the pipe; -1: none, or it has ended */
    bool told;  /* that a drain has begun, or that the connection is old */
    size_t line_size;
    char line[LINE];
    struct relay relay;
};

/* ---- the lines of standard error ------------------------------------------------------------ */

static void
log_line(struct attendance *attendance, const char *line, size_t size)
{
    const char *slash = strrchr(attendance->service->command, '/');

    ss_log(LOG_NOTICE, "%s: %.*s", slash + 1, (int)size, line);
}

/* Logs the lines that are whole, and what is too long to become one. */
static void
log_lines(struct attendance *attendance)
{
    char *line = attendance->line, *newline;

    while ((newline = memchr(line, '\n', attendance->line_size)) != NULL) {
        size_t size = (size_t)(newline - line);
        log_line(attendance, line, size);
        attendance->line_size -= size + 1;
        line = newline + 1;
    }
    memmove(attendance->line, line, attendance->line_size);
    if (attendance->line_size == LINE) {
        log_line(attendance, attendance->line, LINE);
        attendance->line_size = 0;
    }
}

/* Reads what there is. False when there is nothing more. */
static bool
read_errors(struct attendance *attendance)
{
    ssize_t got = read(attendance->errors, attendance->line + attendance->line_size,
                       LINE - attendance->line_size);

    if (got > 0) {
        attendance->line_size += (size_t)got;
        log_lines(attendance);
        return true;
    }
    if (got == 0)
        attendance->errors = -1;
    return false;
}

/* The last words. A process that the program has left behind may hold the pipe: it is not waited
 * for. */
static void
finish_errors(struct attendance *attendance)
{
    while (attendance->errors >= 0 && read_errors(attendance))
        ;
    if (attendance->line_size > 0)
        log_line(attendance, attendance->line, attendance->line_size);
    attendance->line_size = 0;
}

/* ---- the relay ------------------------------------------------------------------------------ */

/* The program does not read any more: what the client sends from now on is for nobody. */
static void
give_up_input(struct relay *relay)
{
    relay->client_ended = true;
    relay->start = relay->end = 0;
}

static int
read_client(struct attendance *attendance)
{
    struct relay *relay = &attendance->relay;
    ssize_t got = ss_read(attendance->request, relay->block, BLOCK);

    if (got < 0)
        return (int)got;
    relay->start = 0;
    relay->end = (size_t)got;
    relay->client_ended = got == 0;
    return 0;
}

/* Gives the program what it takes now, and the end behind the last byte. */
static void
write_program(struct relay *relay)
{
    while (relay->start < relay->end) {
        ssize_t sent = send(relay->fd, relay->block + relay->start, relay->end - relay->start,
                            MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && errno == EAGAIN)
            return;
        if (sent < 0)
            give_up_input(relay);
        else
            relay->start += (size_t)sent;
    }
    if (relay->client_ended && !relay->shut)
        relay->shut = shutdown(relay->fd, SHUT_WR) == 0 || errno == ENOTCONN;
}

static int
end_output(struct attendance *attendance)
{
    int fd = ss_fd(attendance->request);
    int error = ss_flush(attendance->request);

    attendance->relay.program_ended = true;
    if (error == 0 && fd >= 0)
        (void)shutdown(fd, SHUT_WR);
    return error;
}

/* 1: something came; 0: there is nothing now, or nothing more. */
static int
read_program(struct attendance *attendance)
{
    char block[BLOCK / 4];
    ssize_t got = recv(attendance->relay.fd, block, sizeof(block), MSG_DONTWAIT);

    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (got <= 0) /* it is gone with input unread: that is its end, too */
        return end_output(attendance);
    int error = ss_write(attendance->request, block, (size_t)got);
    return error < 0 ? error : 1;
}

/* What the program had written when it ended. */
static int
finish_relay(struct attendance *attendance)
{
    int result = 1;

    while (attendance->relay.fd >= 0 && !attendance->relay.program_ended && result > 0)
        result = read_program(attendance);
    return result < 0 ? result : ss_flush(attendance->request);
}

/* ---- all of it ------------------------------------------------------------------------------ */

enum { WAIT_END, WAIT_ERRORS, WAIT_PROGRAM, WAIT_CLIENT, WAITS };

static void
choose_waits(const struct attendance *attendance, struct pollfd *fds)
{
    const struct relay *relay = &attendance->relay;
    bool holds = relay->start < relay->end;
    int client = relay->fd < 0 ? -1 : SS_CLIENT;
    short events = (short)((relay->program_ended ? 0 : POLLIN) | (holds ? POLLOUT : 0));

    fds[WAIT_END] = (struct pollfd){.fd = attendance->program->pidfd, .events = POLLIN};
    fds[WAIT_ERRORS] = (struct pollfd){.fd = attendance->errors, .events = POLLIN};
    fds[WAIT_PROGRAM] = (struct pollfd){.fd = events != 0 ? relay->fd : -1, .events = events};
    fds[WAIT_CLIENT] =
        (struct pollfd){.fd = holds || relay->client_ended ? -1 : client, .events = POLLIN};
}

static int
pass_bytes(struct attendance *attendance, const struct pollfd *fds)
{
    int error = 0;

    if (attendance->relay.fd < 0)
        return 0;
    if (fds[WAIT_CLIENT].revents != 0)
        error = read_client(attendance);
    if (error < 0)
        return error;
    write_program(&attendance->relay);
    return fds[WAIT_PROGRAM].revents != 0 ? read_program(attendance) : 0;
}

/*
 * A program with the listening socket goes on to take clients, which nobody shall in a drain. It
 * is asked to end by itself; what it has started for clients may finish.
 */
static void
end_in_drain(struct attendance *attendance)
{
    struct program *program = attendance->program;

    if (!attendance->service->waits || !ss_draining(attendance->request) || program->insisted)
        return;
    if (program->asked == 0) {
        program->asked = seconds_now();
        (void)kill(program->pid, SIGTERM);
    } else if (seconds_now() >= program->asked + attendance->service->kill_timeout) {
        ss_log(LOG_WARNING, "%s (process %d) did not end by SIGTERM: killing it",
               attendance->service->command, (int)program->pid);
        (void)kill(program->pid, SIGKILL);
        program->insisted = true;
    }
}

static double
longest_wait(const struct attendance *attendance)
{
    if (attendance->program->pidfd < 0)
        return LOOK_TIME;
    return attendance->service->waits && attendance->told ? DRAIN_TIME : -1;
}

/* One wait, and what follows from it. 1: the program has ended. */
static int
turn(struct attendance *attendance)
{
    struct pollfd fds[WAITS];

    choose_waits(attendance, fds);
    int ready = ss_poll(attendance->request, fds, WAITS, longest_wait(attendance));
    if (ready == -ECANCELED && !attendance->told) {
        attendance->told = true; /* the program may go on; if it may not, the next wait says so */
        ready = 0;
    }
    if (ready < 0)
        return ready;
    if (ready > 0 && fds[WAIT_ERRORS].revents != 0)
        (void)read_errors(attendance);
    int error = ready > 0 ? pass_bytes(attendance, fds) : 0;
    if (error < 0)
        return error;
    end_in_drain(attendance);
    return program_has_ended(attendance->program);
}

int
attend(struct ss_request *request, const struct service *service, struct program *program,
       int errors, int relay)
{
    struct attendance attendance = {
        .request = request,
        .service = service,
        .program = program,
        .errors = errors,
        .relay = {.fd = relay, .block = relay >= 0 ? malloc(BLOCK) : NULL},
    };
    int result = relay >= 0 && attendance.relay.block == NULL ? -ENOMEM : 0;

    while (result == 0)
        result = turn(&attendance);
    finish_errors(&attendance);
    if (result > 0) {
        program_tell_end(program, service, request);
        result = finish_relay(&attendance);
    } else {
        program_end(program, service);
    }
    free(attendance.relay.block);
    return result;
}
