/* SPDX-License-Identifier: MIT */
/*
 * good_conversation.c - one side of the conversation that is the same under every mixin
 *
 * The client's first line names a scene. Each call that the scene makes, and what it has returned,
 * becomes a line of the log; the client acts when it is told "now". The other side, which knows
 * what the client does meanwhile, is tests/conversation/conversation.py.
 *
 * Runs in:  a handler thread, child or coroutine.
 * Owns:     the pipe of a scene.
 * Failures: are what the scenes are about.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sockserver/plugin.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define LONG 60.0 /* seconds: it ends before */

static const struct ss_option conversation_options[] = {
    {"folder", SS_STRING, .fallback = "", .help = "where the files refuse and setup may be"},
    {0},
};

SS_PLUGIN(.name = "good_conversation", .summary = "is the same under every mixin",
          .transports = SS_STREAM, .mixins = SS_THREADING | SS_COROUTINE,
          .options = conversation_options)

/* Logs a call and its result. */
#define TELL(call) tell(#call, (long)(call))

static long
tell(const char *call, long result)
{
    ss_log(LOG_NOTICE, "| %s = %ld", call, result);
    return result;
}

/* It is the client's turn. */
static void
now(struct ss_request *request)
{
    (void)ss_write(request, "now\n", 4);
    (void)ss_flush(request);
}

static bool
is_there(struct ss_request *request, const char *name)
{
    char path[4096];

    (void)snprintf(path, sizeof(path), "%s/%s", ss_option_string(ss_server(request), "folder"),
                   name);
    return access(path, F_OK) == 0;
}

/* ---- hooks ---------------------------------------------------------------------------------- */

bool
verify_request(struct ss_request *request)
{
    return !is_there(request, "refuse");
}

int
setup(struct ss_request *request)
{
    if (!is_there(request, "setup"))
        return 0;
    (void)ss_write(request, "no\n", 3);
    return -EPERM;
}

void
finish(struct ss_request *request)
{
    (void)request;
    ss_log(LOG_NOTICE, "| finish");
}

void
handle_error(struct ss_request *request, int error)
{
    ss_log(LOG_NOTICE, "| handle_error %d", error);
    (void)ss_write(request, "sorry\n", 6);
}

/* ---- scenes: reading ------------------------------------------------------------------------ */

static long
tell_line(struct ss_request *request)
{
    char *line = NULL;
    ssize_t size = ss_readline(request, &line);

    ss_log(LOG_NOTICE, "| ss_readline = %zd %.*s", size, size > 0 ? (int)strcspn(line, "\n") : 0,
           size > 0 ? line : "");
    return size;
}

static int
reads(struct ss_request *request)
{
    char bytes[64];

    now(request); /* abc */
    TELL(ss_read(request, bytes, sizeof(bytes)));
    now(request); /* de, then fgh */
    TELL(ss_read_full(request, bytes, 5));
    now(request); /* one line in pieces */
    tell_line(request);
    now(request); /* two lines at once */
    tell_line(request);
    TELL(ss_buffered(request));
    TELL(ss_wait_input(request, LONG));
    TELL(ss_wait(request, SS_CLIENT, POLLIN, LONG));
    tell_line(request);
    TELL(ss_buffered(request));
    TELL(ss_read(request, bytes, 0));
    now(request); /* too long a line, twice max_line */
    tell_line(request);
    TELL(ss_read_full(request, bytes, 50));
    return 0;
}

static int
ends(struct ss_request *request)
{
    struct pollfd client = {.fd = SS_CLIENT, .events = POLLIN | POLLOUT};
    char bytes[64];

    now(request); /* a line without its newline, and the end */
    tell_line(request);
    TELL(ss_wait_input(request, LONG));
    TELL(ss_wait_input(request, -1));
    TELL(ss_wait(request, SS_CLIENT, POLLIN, LONG));
    TELL(ss_poll(request, &client, 1, LONG));
    tell("revents", client.revents);
    tell_line(request);
    TELL(ss_read(request, bytes, sizeof(bytes)));
    TELL(ss_read_full(request, bytes, sizeof(bytes)));
    TELL(ss_truncated(request));
    TELL(ss_write(request, "goodbye\n", 8));
    TELL(ss_flush(request));
    return 0;
}

/* The end is looked at before it is read. */
static int
peeks(struct ss_request *request)
{
    struct pollfd client = {.fd = SS_CLIENT, .events = POLLIN};
    char byte;

    now(request); /* the end alone */
    TELL(ss_wait(request, SS_CLIENT, POLLIN, LONG));
    TELL(ss_wait(request, SS_CLIENT, POLLIN, LONG));
    TELL(ss_poll(request, &client, 1, LONG));
    tell("revents", client.revents);
    TELL(ss_wait_input(request, LONG));
    TELL(ss_wait_input(request, -1));
    TELL(ss_read(request, &byte, 1));
    return 0;
}

/* ---- scenes: waiting ------------------------------------------------------------------------ */

static int
waits(struct ss_request *request)
{
    struct pollfd client = {.fd = SS_CLIENT, .events = POLLIN};
    char bytes[64];

    TELL(ss_wait_input(request, 0));
    TELL(ss_wait_input(request, 0.01));
    TELL(ss_wait(request, SS_CLIENT, POLLIN, 0));
    TELL(ss_wait(request, SS_CLIENT, POLLIN, 0.01));
    TELL(ss_wait(request, SS_CLIENT, POLLOUT, LONG));
    TELL(ss_wait(request, SS_CLIENT, POLLIN | POLLOUT, LONG));
    TELL(ss_wait(request, -1, POLLIN, 0.01));
    TELL(ss_poll(request, &client, 1, 0));
    TELL(ss_poll(request, &client, 1, 0.01));
    TELL(ss_poll(request, &client, 0, 0.01));
    for (int i = 0; i < 3; i++) {
        now(request); /* some bytes */
        TELL(i == 0   ? ss_wait_input(request, LONG)
             : i == 1 ? ss_wait(request, SS_CLIENT, POLLIN, LONG)
                      : ss_poll(request, &client, 1, LONG));
        TELL(ss_wait(request, SS_CLIENT, POLLIN | POLLOUT, LONG));
        TELL(ss_read(request, bytes, sizeof(bytes)));
        TELL(ss_wait_input(request, 0.01)); /* there is nothing any more */
        TELL(ss_wait(request, SS_CLIENT, POLLIN, 0.01));
        TELL(ss_poll(request, &client, 1, 0.01));
    }
    TELL(ss_sleep(request, 0));
    TELL(ss_sleep(request, 0.01));
    return 0;
}

/* What has come while the handler slept, and was read then, is not told of again. */
static int
stale(struct ss_request *request)
{
    struct pollfd client = {.fd = SS_CLIENT, .events = POLLIN};
    char bytes[5000];

    TELL(ss_wait_input(request, 0.01));
    now(request); /* 2,000 bytes */
    TELL(ss_read_full(request, bytes, 1000));
    TELL(ss_sleep(request, 0.05));
    TELL(ss_read_full(request, bytes, 1000));
    TELL(ss_wait(request, SS_CLIENT, POLLIN, 0.01));
    now(request); /* 4,096 bytes */
    TELL(ss_sleep(request, 0.05));
    TELL(ss_read_full(request, bytes, 4096));
    TELL(ss_wait_input(request, 0.01));
    TELL(ss_poll(request, &client, 1, 0.01));
    TELL(ss_wait(request, SS_CLIENT, POLLIN, 0.01));
    return 0;
}

/* Some of what has come is read, and the rest waited for. */
static int
rests(struct ss_request *request)
{
    struct pollfd client = {.fd = SS_CLIENT, .events = POLLIN};
    char *bytes = malloc(8192);

    if (bytes == NULL)
        return -ENOMEM;
    for (int i = 0; i < 4; i++) {
        now(request); /* 16,384 bytes */
        TELL(ss_wait_input(request, LONG));
        TELL(ss_sleep(request, 0.05)); /* all have come */
        TELL(ss_read(request, bytes, 8192));
        if (i == 0)
            TELL(ss_wait_input(request, LONG));
        else if (i == 1)
            TELL(ss_wait(request, SS_CLIENT, POLLIN, LONG));
        else if (i == 2)
            TELL(ss_poll(request, &client, 1, LONG));
        else
            TELL(ss_wait(request, SS_CLIENT, POLLIN | POLLOUT, LONG));
        TELL(ss_wait(request, SS_CLIENT, POLLIN | POLLOUT, LONG));
        TELL(ss_wait(request, SS_CLIENT, POLLIN | POLLOUT, LONG));
        TELL(ss_wait(request, SS_CLIENT, POLLOUT, LONG));
        TELL(ss_wait(request, SS_CLIENT, POLLOUT, LONG));
        TELL(ss_read_full(request, bytes, 8192));
        TELL(ss_wait(request, SS_CLIENT, POLLIN, 0.01));
    }
    free(bytes);
    return 0;
}

static void
tell_poll(struct ss_request *request, struct pollfd *fds, size_t count, double seconds)
{
    int result = ss_poll(request, fds, count, seconds);
    char text[200] = "";
    size_t size = 0;

    for (size_t i = 0; i < count; i++)
        size += (size_t)snprintf(text + size, sizeof(text) - size, " %d", fds[i].revents);
    ss_log(LOG_NOTICE, "| ss_poll = %d:%s", result, text);
}

static int
polls(struct ss_request *request)
{
    int file = memfd_create("conversation", MFD_CLOEXEC), pipes[2];
    char bytes[64];

    if (file < 0 || pipe2(pipes, O_CLOEXEC | O_NONBLOCK) < 0)
        return -errno;
    struct pollfd fds[] = {
        {.fd = SS_CLIENT, .events = POLLIN}, {.fd = pipes[0], .events = POLLIN},
        {.fd = -1, .events = POLLIN},        {.fd = pipes[0], .events = POLLIN | POLLOUT},
        {.fd = -1, .events = POLLOUT},       {.fd = SS_CLIENT, .events = 0}};
    tell_poll(request, fds, 6, 0.01);
    fds[4].fd = pipes[1];
    tell_poll(request, fds, 6, LONG);
    fds[4].fd = file;
    tell_poll(request, fds, 6, LONG);
    fds[4].fd = -1;
    TELL(write(pipes[1], "x", 1));
    tell_poll(request, fds, 6, LONG);
    now(request); /* a byte */
    TELL(ss_wait(request, SS_CLIENT, POLLIN, LONG));
    tell_poll(request, fds, 6, LONG);
    TELL(read(pipes[0], bytes, sizeof(bytes)));
    TELL(ss_wait(request, pipes[0], POLLIN, 0.01));
    tell_poll(request, fds, 6, LONG);
    TELL(ss_read(request, bytes, sizeof(bytes)));
    tell_poll(request, fds, 6, 0.01);
    fds[0].events = POLLIN | POLLOUT;
    tell_poll(request, fds, 1, LONG);
    fds[0].events = POLLIN;
    TELL(close(pipes[1]));
    tell_poll(request, fds, 6, LONG);
    TELL(ss_wait(request, pipes[0], POLLIN, LONG));
    TELL(ss_wait(request, pipes[0], POLLOUT, LONG));
    TELL(close(pipes[0]));
    tell_poll(request, fds, 6, LONG); /* it is none any more */
    TELL(ss_wait(request, fds[1].fd, POLLIN, LONG));
    TELL(close(file));
    return 0;
}

/* Beside the client, another descriptor each time; none is closed between. */
static int
polls_in_turn(struct ss_request *request)
{
    int timers[2];

    for (int i = 0; i < 2; i++)
        timers[i] = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    for (int i = 0; i < 4; i++) {
        const struct itimerspec soon = {.it_value.tv_nsec = 20000000};
        struct pollfd fds[] = {{.fd = SS_CLIENT, .events = POLLIN},
                               {.fd = timers[i % 2], .events = POLLIN}};
        TELL(timerfd_settime(timers[i % 2], 0, &soon, NULL));
        tell_poll(request, fds, 2, LONG);
    }
    for (int i = 0; i < 2; i++)
        (void)close(timers[i]);
    return 0;
}

static int
wakes(struct ss_request *request)
{
    struct pollfd client = {.fd = SS_CLIENT, .events = POLLIN};
    struct ss_waker *waker = ss_waker(request);
    char bytes[64];

    TELL(waker != NULL && waker == ss_waker(request));
    ss_wake(NULL);
    TELL(ss_sleep(request, 0.01));
    ss_wake(waker);
    ss_wake(waker);
    TELL(ss_sleep(request, LONG));
    TELL(ss_sleep(request, 0.01));
    ss_wake(waker);
    TELL(ss_wait_input(request, LONG));
    ss_wake(waker);
    TELL(ss_wait_input(request, -1));
    ss_wake(waker);
    TELL(ss_poll(request, &client, 1, LONG));
    ss_wake(waker);
    TELL(ss_wait(request, SS_CLIENT, POLLIN, LONG));
    ss_wake(waker);
    TELL(ss_sleep(request, 0));
    TELL(ss_sleep(request, 0));
    ss_wake(waker);
    now(request); /* hello */
    TELL(ss_read(request, bytes, sizeof(bytes)));
    TELL(ss_wait_input(request, LONG)); /* it was for this one */
    now(request);                       /* two lines */
    tell_line(request);
    ss_wake(waker);
    TELL(ss_wait_input(request, LONG));
    TELL(ss_wait_input(request, LONG));
    tell_line(request);
    ss_wake(waker);
    ss_wake(waker);
    return 0;
}

/* ---- scenes: time --------------------------------------------------------------------------- */

static int
timeouts(struct ss_request *request)
{
    char bytes[64];

    TELL(ss_set_timeouts(request, 0.05, -1));
    TELL(ss_read(request, bytes, sizeof(bytes)));
    TELL(ss_read_full(request, bytes, sizeof(bytes)));
    tell_line(request);
    TELL(ss_wait_input(request, -1));
    TELL(ss_wait_input(request, 0.01));
    now(request); /* hello */
    TELL(ss_set_timeouts(request, 0, 0));
    TELL(ss_read(request, bytes, sizeof(bytes)));
    TELL(ss_set_timeouts(request, 0.05, -1));
    return (int)TELL(ss_read(request, bytes, sizeof(bytes)));
}

/* A client that takes nothing. */
static int
unread(struct ss_request *request)
{
    size_t size = 64u << 20;
    char *bytes = calloc(1, size), byte;

    TELL(ss_set_timeouts(request, -1, 0.05));
    TELL(ss_write(request, bytes, size));
    TELL(ss_write(request, bytes, 1));
    TELL(ss_flush(request));
    TELL(ss_read(request, &byte, 1)); /* an error sticks */
    free(bytes);
    return 0;
}

static int
deadlines(struct ss_request *request)
{
    struct pollfd client = {.fd = SS_CLIENT, .events = POLLIN};
    char bytes[64];

    TELL(ss_set_deadline(request, 0.05));
    TELL(ss_sleep(request, LONG));
    TELL(ss_sleep(request, -1));
    TELL(ss_wait(request, SS_CLIENT, POLLIN, LONG));
    TELL(ss_wait_input(request, LONG));
    TELL(ss_wait_input(request, -1));
    TELL(ss_poll(request, &client, 1, LONG));
    TELL(ss_read(request, bytes, sizeof(bytes)));
    tell_line(request);
    TELL(ss_set_deadline(request, 0));
    now(request); /* hello */
    TELL(ss_read(request, bytes, sizeof(bytes)));
    TELL(ss_set_deadline(request, 0.05));
    return (int)TELL(ss_read(request, bytes, sizeof(bytes)));
}

/* request_timeout ends it. */
static int
overtime(struct ss_request *request)
{
    struct pollfd client = {.fd = SS_CLIENT, .events = POLLIN};
    char byte;

    TELL(ss_write(request, "early\n", 6));
    TELL(ss_sleep(request, LONG));
    TELL(ss_cancelled(request));
    TELL(ss_write(request, "late\n", 5));
    TELL(ss_flush(request));
    TELL(ss_wait(request, SS_CLIENT, POLLIN, LONG));
    TELL(ss_wait_input(request, LONG));
    TELL(ss_wait_input(request, -1));
    TELL(ss_poll(request, &client, 1, LONG));
    TELL(ss_sleep(request, LONG));
    TELL(ss_read(request, &byte, 1));
    return 0;
}

static int
overtime_read(struct ss_request *request)
{
    char byte;

    now(request);
    TELL(ss_read(request, &byte, 1));
    return (int)TELL(ss_write(request, "late\n", 5));
}

/* ---- scenes: the other side ----------------------------------------------------------------- */

static int
half_close(struct ss_request *request)
{
    TELL(ss_write(request, "the last\n", 9));
    TELL(ss_shutdown(request)); /* the client answers the end with a line and its end */
    tell_line(request);
    tell_line(request);
    return (int)TELL(ss_shutdown(request));
}

static int
write_after_end(struct ss_request *request)
{
    TELL(ss_shutdown(request));
    TELL(ss_write(request, "too late\n", 9));
    TELL(ss_flush(request));
    return 0;
}

/* The other side of a relay ends, and so does what the client is sent. */
static int
relay_end(struct ss_request *request)
{
    int ends[2];

    TELL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends));
    TELL(write(ends[1], "the last\n", 9));
    TELL(shutdown(ends[1], SHUT_WR));
    TELL(ss_relay(request, ends[0], LONG));
    TELL(close(ends[0]));
    TELL(close(ends[1]));
    TELL(ss_write(request, "too late\n", 9));
    TELL(ss_flush(request));
    return 0;
}

/* The client resets the connection. */
static int
reset_read(struct ss_request *request)
{
    char byte;

    now(request);
    return (int)TELL(ss_read(request, &byte, 1));
}

static int
reset_wait(struct ss_request *request)
{
    char byte;

    now(request);
    TELL(ss_wait_input(request, LONG) > 0);
    return (int)TELL(ss_read(request, &byte, 1));
}

static int
reset_write(struct ss_request *request)
{
    int error = 0;

    now(request);
    (void)ss_wait(request, SS_CLIENT, POLLIN, LONG);
    for (int i = 0; i < 10 && error == 0; i++) {
        error = ss_write(request, "hello\n", 6);
        error = error < 0 ? error : ss_flush(request);
    }
    TELL(error == -EPIPE || error == -ECONNRESET);
    TELL(ss_write(request, "hello\n", 6) == error);
    return error;
}

static int
files(struct ss_request *request)
{
    int file = memfd_create("conversation", MFD_CLOEXEC);

    TELL(write(file, "0123456789", 10));
    TELL(ss_write(request, "before\n", 7));
    TELL(ss_sendfile(request, file, 2, 5));
    TELL(ss_write(request, "\nbehind\n", 8));
    TELL(ss_sendfile(request, file, 5, 100)); /* it ends early */
    TELL(ss_flush(request));
    TELL(close(file));
    return 0;
}

static int
file_after_end(struct ss_request *request)
{
    int file = memfd_create("conversation", MFD_CLOEXEC);

    TELL(write(file, "0123456789", 10));
    TELL(ss_shutdown(request));
    TELL(ss_sendfile(request, file, 0, 0));
    TELL(ss_sendfile(request, file, 0, 10));
    TELL(close(file));
    return 0;
}

static int
nowhere(struct ss_request *request)
{
    TELL(ss_connect(request, "unix:///nowhere/at/all", 1));
    TELL(ss_connect(request, "tcp://127.0.0.1:1", LONG));
    TELL(ss_connect(request, "no address", 1));
    return 0;
}

/* ---- scenes: how it ends -------------------------------------------------------------------- */

static int
fails(struct ss_request *request, int error)
{
    TELL(ss_write(request, "partial", 7));
    return error;
}

#define FAILS(name, error)                                                                         \
    static int name(struct ss_request *request)                                                    \
    {                                                                                              \
        return fails(request, error);                                                              \
    }

FAILS(fails_io, -EIO)
FAILS(fails_pipe, -EPIPE)
FAILS(fails_time, -ETIMEDOUT)
FAILS(fails_cancelled, -ECANCELED)
FAILS(fails_again, -EINTR)

/* ---- scenes: a drain ------------------------------------------------------------------------ */

/* What it can still do, and when it is cut. */
static int
drained(struct ss_request *request)
{
    struct pollfd client = {.fd = SS_CLIENT, .events = POLLIN};
    char byte;

    TELL(ss_cancelled(request));
    TELL(ss_write(request, "goodbye\n", 8));
    TELL(ss_flush(request));
    TELL(ss_wait_input(request, 0.01)); /* it has been told */
    TELL(ss_poll(request, &client, 1, 0.01));
    TELL(ss_read(request, &byte, 1)); /* the drain's end cuts it */
    TELL(ss_write(request, "late\n", 5));
    TELL(ss_flush(request));
    TELL(ss_sleep(request, LONG));
    TELL(ss_wait(request, SS_CLIENT, POLLIN, LONG));
    TELL(ss_wait(request, SS_CLIENT, POLLIN | POLLOUT, LONG));
    TELL(ss_wait_input(request, LONG));
    TELL(ss_wait_input(request, -1));
    TELL(ss_poll(request, &client, 1, LONG));
    TELL(ss_read(request, &byte, 1));
    TELL(ss_shutdown(request));
    ss_wake(ss_waker(request));
    TELL(ss_sleep(request, LONG));
    return 0;
}

static int
drain_poll(struct ss_request *request)
{
    struct pollfd client = {.fd = SS_CLIENT, .events = POLLIN};

    now(request);
    TELL(ss_poll(request, &client, 1, LONG));
    return drained(request);
}

static int
drain_input(struct ss_request *request)
{
    now(request);
    TELL(ss_wait_input(request, -1));
    return drained(request);
}

/* No drain ends these; the drain's end does. What is gathered then goes nowhere. */
static int
drain_sleep(struct ss_request *request)
{
    now(request);
    TELL(ss_sleep(request, LONG));
    TELL(ss_write(request, "late\n", 5));
    return 0;
}

static int
drain_line(struct ss_request *request)
{
    now(request); /* half a line */
    tell_line(request);
    TELL(ss_write(request, "late\n", 5));
    return -ECANCELED;
}

/* The handler passes on what it was told. */
static int
drain_passes(struct ss_request *request)
{
    now(request);
    int result = (int)TELL(ss_wait_input(request, LONG));
    TELL(ss_write(request, "goodbye\n", 8));
    return result;
}

/* ---- all of it ------------------------------------------------------------------------------ */

static const struct scene {
    const char *name;
    int (*play)(struct ss_request *request);
} scenes[] = {
    {"reads", reads},
    {"ends", ends},
    {"peeks", peeks},
    {"waits", waits},
    {"stale", stale},
    {"rests", rests},
    {"polls", polls},
    {"polls_in_turn", polls_in_turn},
    {"wakes", wakes},
    {"timeouts", timeouts},
    {"unread", unread},
    {"deadlines", deadlines},
    {"overtime", overtime},
    {"overtime_read", overtime_read},
    {"half_close", half_close},
    {"write_after_end", write_after_end},
    {"relay_end", relay_end},
    {"reset_read", reset_read},
    {"reset_wait", reset_wait},
    {"reset_write", reset_write},
    {"files", files},
    {"file_after_end", file_after_end},
    {"nowhere", nowhere},
    {"fails_io", fails_io},
    {"fails_pipe", fails_pipe},
    {"fails_time", fails_time},
    {"fails_cancelled", fails_cancelled},
    {"fails_again", fails_again},
    {"drain_poll", drain_poll},
    {"drain_input", drain_input},
    {"drain_sleep", drain_sleep},
    {"drain_line", drain_line},
    {"drain_passes", drain_passes},
};

int
handle(struct ss_request *request)
{
    char *line;
    ssize_t size = ss_readline(request, &line);

    if (size <= 0)
        return (int)size;
    line[size - 1] = '\0';
    for (size_t i = 0; i < sizeof(scenes) / sizeof(*scenes); i++)
        if (!strcmp(scenes[i].name, line))
            return (int)tell(scenes[i].name, scenes[i].play(request));
    return -ENOSYS;
}
