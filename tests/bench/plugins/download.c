/* SPDX-License-Identifier: MIT */
/*
 * download.c - sends as many bytes as a line asks for, for ./dev bench
 *
 * "write BYTES" sends them by ss_write(), "sendfile BYTES" by ss_sendfile() from a file without
 * content, in pieces of its size; lines come one after the other.
 *
 * Runs in:  a handler thread, child or coroutine.
 * Owns:     the file, from the start of the worker on.
 * Failures: an error of a write ends the connection; a line that asks for something else, too.
 */
#include <errno.h>
#include <inttypes.h>
#include <sockserver/plugin.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PIECE     65536
#define FILE_SIZE (100 << 20)

SS_PLUGIN(.name = "download", .summary = "sends as many bytes as a line asks for",
          .transports = SS_STREAM, .mixins = SS_THREADING | SS_COROUTINE)

static int file = -1;

int
server_activate(struct ss_server *server)
{
    (void)server;
    file = memfd_create("download", MFD_CLOEXEC);
    return file < 0 || ftruncate(file, FILE_SIZE) < 0 ? -errno : 0;
}

static int
by_write(struct ss_request *request, uint64_t size)
{
    static const char piece[PIECE];
    int result = 0;

    for (uint64_t part; result == 0 && size > 0; size -= part) {
        part = size < PIECE ? size : PIECE;
        result = ss_write(request, piece, part);
    }
    return result;
}

static int
by_sendfile(struct ss_request *request, uint64_t size)
{
    int result = 0;

    for (uint64_t part; result == 0 && size > 0; size -= part) {
        part = size < FILE_SIZE ? size : FILE_SIZE;
        result = ss_sendfile(request, file, 0, part);
    }
    return result;
}

int
handle(struct ss_request *request)
{
    char *line, word[16];
    uint64_t wanted;
    ssize_t size;

    while ((size = ss_readline(request, &line)) > 0) {
        if (sscanf(line, "%15s %" SCNu64, word, &wanted) != 2)
            return -EPROTO;
        int result = strcmp(word, "sendfile") == 0 ? by_sendfile(request, wanted)
                                                   : by_write(request, wanted);
        if (result < 0)
            return result;
    }
    return (int)size;
}
