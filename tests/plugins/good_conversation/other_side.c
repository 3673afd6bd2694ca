/* SPDX-License-Identifier: MIT */
/*
 * other_side.c - scenes of the conversation: half-closes, resets, files, and writes after the end
 *
 * Runs in:  a handler thread, child or coroutine.
 * Owns:     what a scene opens, until it ends.
 * Failures: are what the scenes are about.
 */
#include <errno.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "scenes.h"

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

const struct scene other_side_scenes[] = {
    {"half_close", half_close}, {"write_after_end", write_after_end},
    {"relay_end", relay_end},   {"reset_read", reset_read},
    {"reset_wait", reset_wait}, {"reset_write", reset_write},
    {"files", files},           {"file_after_end", file_after_end},
    {"nowhere", nowhere},       {0},
};
