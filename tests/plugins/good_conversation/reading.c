/* SPDX-License-Identifier: MIT */
/*
 * reading.c - scenes of the conversation: reads, half lines and the end of the stream
 *
 * Runs in:  a handler thread, child or coroutine.
 * Owns:     what a scene opens, until it ends.
 * Failures: are what the scenes are about.
 */
#include <poll.h>
#include <string.h>

#include "scenes.h"

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

const struct scene reading_scenes[] = {
    {"reads", reads},
    {"ends", ends},
    {"peeks", peeks},
    {0},
};
