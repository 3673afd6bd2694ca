/* SPDX-License-Identifier: MIT */
/*
 * chargen.c - sends characters without end (RFC 864)
 *
 * A connection gets lines of 72 characters, each line starting one character
 * later in the 95 printable ones, until the client closes it or the daemon
 * drains. A datagram is answered with 0 to 512 of these characters. What the
 * client sends is thrown away, as the RFC asks.
 *
 * Runs in:  a handler thread, child or coroutine.
 * Owns:     the pattern, filled in before the first request and then only read.
 * Failures: a client that went away ends the stream; the daemon knows it is no error.
 */
#include <errno.h>
#include <poll.h>
#include <sockserver/plugin.h>
#include <sys/random.h>

#include "../reflectors.h"

#define FIRST         ' '
#define PRINTABLE     95 /* ' ' to '~' */
#define LINE_LENGTH   72
#define LINE_SIZE     (LINE_LENGTH + 2) /* with CR LF */
#define DATAGRAM_MAX  512
#define BLOCKS_A_TURN 8 /* between two looks at what the client sent */

SS_PLUGIN(.name = "chargen", .summary = "sends characters without end (RFC 864)",
          .transports = SS_STREAM | SS_DATAGRAM, .mixins = SS_THREADING | SS_COROUTINE)

/* The whole cycle: after these lines the first one comes again. */
static char pattern[PRINTABLE][LINE_SIZE];

int
server_activate(struct ss_server *server)
{
    (void)server;
    for (int line = 0; line < PRINTABLE; line++) {
        for (int column = 0; column < LINE_LENGTH; column++)
            pattern[line][column] = (char)(FIRST + (line + column) % PRINTABLE);
        pattern[line][LINE_LENGTH] = '\r';
        pattern[line][LINE_LENGTH + 1] = '\n';
    }
    return 0;
}

/* Throws away what has come, without waiting. 0, or why the connection must end. */
static int
discard_input(struct ss_request *request, bool *at_end)
{
    char buffer[4096];
    int fd = ss_fd(request);
    ssize_t got;
    int ready;

    if (*at_end || fd < 0)
        return 0;
    ready = ss_wait(request, fd, POLLIN, 0);
    if (ready <= 0)
        return ready;
    got = ss_read(request, buffer, sizeof(buffer));
    *at_end = got == 0; /* only its sending side: it may go on reading */
    return got < 0 ? (int)got : 0;
}

static int
send_stream(struct ss_request *request)
{
    bool at_end = false;
    int result = 0;

    while (result == 0 && !ss_cancelled(request)) {
        for (int block = 0; block < BLOCKS_A_TURN && result == 0; block++)
            result = ss_write(request, pattern, sizeof(pattern));
        if (result == 0)
            result = discard_input(request, &at_end);
    }
    return result == -ECANCELED ? 0 : result;
}

static int
send_datagram(struct ss_request *request)
{
    uint16_t random;

    if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != (ssize_t)sizeof(random))
        return -errno;
    return ss_write(request, pattern, random % (DATAGRAM_MAX + 1));
}

bool
verify_request(struct ss_request *request)
{
    return !is_from_reflector(request);
}

int
handle(struct ss_request *request)
{
    size_t size;

    return ss_packet(request, &size) ? send_datagram(request) : send_stream(request);
}
