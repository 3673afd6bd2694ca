/* SPDX-License-Identifier: MIT */
/*
 * times.c - scenes of the conversation: timeouts, deadlines, and a request that takes too long
 *
 * Runs in:  a handler thread, child or coroutine.
 * Owns:     what a scene opens, until it ends.
 * Failures: are what the scenes are about.
 */
#include <poll.h>
#include <stdlib.h>

#include "scenes.h"

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

const struct scene times_scenes[] = {
    {"timeouts", timeouts},           {"unread", unread},
    {"deadlines", deadlines},         {"overtime", overtime},
    {"overtime_read", overtime_read}, {0},
};
