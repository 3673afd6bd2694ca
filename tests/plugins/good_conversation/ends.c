/* SPDX-License-Identifier: MIT */
/*
 * ends.c - scenes of the conversation: what a handler returns, and a drain
 *
 * Runs in:  a handler thread, child or coroutine.
 * Owns:     what a scene opens, until it ends.
 * Failures: are what the scenes are about.
 */
#include <errno.h>
#include <poll.h>

#include "scenes.h"

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

const struct scene ends_scenes[] = {
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
    {0},
};
