/* SPDX-License-Identifier: MIT */
/*
 * thread.c - the least that a server with a thread for each connection must do
 *
 * usage: limit-thread [-d] ADDRESS
 *   -d  downloads instead of echo: each line "WORD BYTES" asks for so many
 */
#include "threads.h"

#define STACK (64 * 1024)
#define PIECE 65536 /* of a download */

static void
serve(int fd)
{
    echo_until_eof(fd);
    close(fd);
}

static bool
send_zeros(int fd, uint64_t size)
{
    static const char zeros[PIECE];
    bool sent = true;

    for (uint64_t part; sent && size > 0; size -= part) {
        part = size < PIECE ? size : PIECE;
        sent = send_all(fd, zeros, part);
    }
    return sent;
}

/* A client asks for the next one when it has the last one: a line is a segment. */
static void
serve_downloads(int fd)
{
    char line[64];
    uint64_t wanted = 0;
    ssize_t got;

    do {
        got = recv(fd, line, sizeof(line) - 1, 0);
        line[got > 0 ? got : 0] = '\0';
    } while (sscanf(line, "%*s %lu", &wanted) == 1 && send_zeros(fd, wanted));
    close(fd);
}

int
main(int argc, char **argv)
{
    bool downloads = argc > 2 && strcmp(argv[1], "-d") == 0;

    run_threads(open_server(argv[argc - 1], 0), STACK, downloads ? serve_downloads : serve);
}
