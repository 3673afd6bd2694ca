/* SPDX-License-Identifier: MIT */
/*
 * bad_scribble.c - a plugin that fills what its worker shares with the supervisor with a byte
 *
 * The client's first byte, everywhere but in the first 64, so that the worker itself goes on. Its
 * request may then seem to have been cancelled, which refuses its writes: it answers without them.
 */
#include <errno.h>
#include <sockserver/plugin.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

SS_PLUGIN(.name = "bad_scribble", .summary = "overwrites its counters", .transports = SS_STREAM,
          .mixins = SS_THREADING)

/* The race with the worker is what this is for. */
__attribute__((no_sanitize("thread"))) static void
fill(volatile unsigned char *memory, unsigned char byte, size_t size)
{
    for (size_t i = 0; i < size; i++)
        memory[i] = byte;
}

static void
scribble(unsigned char byte)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    unsigned long from, to;
    char line[512];

    while (maps && fgets(line, sizeof line, maps))
        if (strstr(line, "sockserverd-counters") && sscanf(line, "%lx-%lx", &from, &to) == 2)
            fill((unsigned char *)from + 64, byte, to - from - 64);
    if (maps)
        (void)fclose(maps);
}

int
handle(struct ss_request *request)
{
    unsigned char byte;
    ssize_t got = ss_read(request, &byte, 1);

    if (got != 1)
        return got < 0 ? (int)got : 0;
    scribble(byte);
    return write(ss_fd(request), "done\n", 5) == 5 ? 0 : -errno;
}
