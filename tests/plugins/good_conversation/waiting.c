/* SPDX-License-Identifier: MIT */
/*
 * waiting.c - scenes of the conversation: waits for the client, for time, for others, and wakes
 *
 * Runs in:  a handler thread, child or coroutine.
 * Owns:     what a scene opens, until it ends.
 * Failures: are what the scenes are about.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "scenes.h"

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

const struct scene waiting_scenes[] = {
    {"waits", waits},
    {"stale", stale},
    {"rests", rests},
    {"polls", polls},
    {"polls_in_turn", polls_in_turn},
    {"wakes", wakes},
    {0},
};
